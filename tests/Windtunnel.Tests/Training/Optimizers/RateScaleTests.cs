using System.Reflection;
using System.Text.Json.Serialization;
using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Tensors;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training.Optimizers;

/// <summary>The factor by which a model scales the learning rate of some of its matrices.</summary>
public sealed class RateScaleTests : IDisposable
{
    private const double Scale = 0.25;

    // Their updates have a size by shape, norm or gradient.
    private static readonly string[] s_ignoring = ["sgd", "muon", "normuon", "scion", "muonh", "adamh"];

    private readonly CpuBackend _backend = new(1);

    public static TheoryData<string> Names => [.. Registered().Keys];

    public void Dispose() => _backend.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public void It_scales_the_movement_of_its_matrices_and_of_nothing_else(string name)
    {
        OptimizerOptions options = Registered()[name] with { WeightDecay = 0 };
        Dictionary<string, float[]> plain = Movement(options, 0.5), scaled = Movement(options, Scale);

        double factor = s_ignoring.Contains(name) ? 1 : Scale / 0.5;
        Assert.Contains(plain["scaled"], move => move != 0);
        double most = plain["scaled"].Max(Math.Abs);
        Assert.All(plain["scaled"].Zip(scaled["scaled"]), pair => Assert.Equal(factor * pair.First, pair.Second, 2e-3 * most));
        Assert.True(OpCheck.SameBits(plain["unscaled"], scaled["unscaled"]));
        Assert.True(OpCheck.SameBits(plain["table"], scaled["table"]));
    }

    [Fact]
    public void Muon_scaled_as_adamw_follows_the_model_as_adamw_does()
    {
        MuonOptions options = new(WeightDecay: 0, Scale: MatrixScale.MatchRms);
        float[] plain = Movement(options, 1)["scaled"], scaled = Movement(options, Scale)["scaled"];

        Assert.All(plain.Zip(scaled), pair => Assert.Equal(Scale * pair.First, pair.Second, 2e-3 * plain.Max(Math.Abs)));
    }

    [Theory]
    [InlineData(DecayKind.Scheduled, 0.2 * Scale * 0.1)]
    [InlineData(DecayKind.Decoupled, 0.1)]
    [InlineData(DecayKind.Corrected, 0.2 * Scale * 0.1)]
    public void Decay_that_follows_the_rate_is_scaled_with_it(DecayKind kind, double share)
    {
        using ParameterSet parameters = Matrices(Scale);
        using Optimizer optimizer = (new AdamWOptions(LearningRate: 0.2, WeightDecay: 0.1) { Decay = kind }).Build(parameters, _backend);
        Tensor weights = parameters.Parameters.Single(parameter => parameter.Name == "scaled").Value;
        float[] before = OpCheck.Read(weights, _backend);
        _backend.Fill(parameters.Grads, 0);
        optimizer.Step(new OptimizerStep(1, 1, 1));

        Assert.All(before.Zip(OpCheck.Read(weights, _backend)), pair => Assert.Equal((1 - share) * pair.First, pair.Second, 1e-6));
    }

    [Fact]
    public void Neighbours_with_different_rates_are_not_one_group()
    {
        using ParameterSet parameters = Matrices(Scale);

        Assert.Equal([["scaled"], ["unscaled", "table"]], parameters.Groups(_ => true).Select(group => group.Parameters.Select(parameter => parameter.Name)));
        Assert.Equal([Scale, 1], parameters.Groups(_ => true).Select(group => group.RateScale));
    }

    // Three steps along the same gradients, so that nothing but the rate tells two runs apart.
    private Dictionary<string, float[]> Movement(OptimizerOptions options, double scale)
    {
        using ParameterSet parameters = Matrices(scale);
        using Optimizer optimizer = options.Build(parameters, _backend);
        float[][] before = [.. parameters.Parameters.Select(parameter => OpCheck.Read(parameter.Value, _backend))];
        for (int step = 1; step <= 3; step++)
        {
            foreach (Parameter parameter in parameters.Parameters)
            {
                _backend.Write(parameter.Grad, OpCheck.Narrow(OpCheck.Normal(step, parameter.Shape.Count)));
            }

            optimizer.Step(new OptimizerStep(step, step / 3.0, 1, Seed: 1));
        }

        return parameters.Parameters.Zip(before).ToDictionary(
            pair => pair.First.Name, pair => OpCheck.Read(pair.First.Value, _backend).Zip(pair.Second, (after, start) => after - start).ToArray());
    }

    private ParameterSet Matrices(double scale)
    {
        ParameterSet parameters = new();
        parameters.Matrix("scaled", ParameterRole.Hidden, 24, 16, 0.02f, rateScale: scale);
        parameters.Matrix("unscaled", ParameterRole.Hidden, 16, 16, 0.02f);
        parameters.Matrix("table", ParameterRole.Embedding, 8, 16, 0.02f);
        parameters.Allocate(_backend, gradients: true);
        parameters.Initialize(_backend, 1);
        return parameters;
    }

    private static Dictionary<string, OptimizerOptions> Registered() => typeof(OptimizerOptions).GetCustomAttributes<JsonDerivedTypeAttribute>().ToDictionary(
        type => (string)type.TypeDiscriminator!,
        type => (OptimizerOptions)Activator.CreateInstance(
            type.DerivedType, BindingFlags.CreateInstance | BindingFlags.Public | BindingFlags.Instance | BindingFlags.OptionalParamBinding, null, [], null)!);
}
