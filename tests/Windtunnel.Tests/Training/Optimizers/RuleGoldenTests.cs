using System.Text.Json.Nodes;
using Windtunnel.Models;
using Windtunnel.Runs.Config;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Training;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training.Optimizers;

/// <summary>Rules, presets and the settings that all of them share against Golden/generate_optimizers.py.</summary>
public sealed class RuleGoldenTests
{
    private static readonly JsonObject s_golden =
        JsonNode.Parse(File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Golden", "optimizers.json")))!.AsObject();

    public static TheoryData<string> Configs => [.. s_golden["cases"]!.AsArray().Select(entry => entry!["optimizer"]!.ToJsonString())];

    [Theory]
    [MemberData(nameof(Configs))]
    public void Six_steps_stay_within_2e_6_of_the_reference(string config)
    {
        JsonNode expected = s_golden["cases"]!.AsArray().Single(entry => entry!["optimizer"]!.ToJsonString() == config)!;
        OptimizerOptions options = ConfigFile.Bind<RunConfig>(new JsonObject { ["optimizer"] = expected["optimizer"]!.DeepClone() }, "case").Optimizer;
        options.Validate();
        using CpuBackend backend = new(1);
        using ParameterSet parameters = Parameters(backend);
        using Optimizer optimizer = Injected(options, expected).Build(parameters, backend);
        IStepBatch? batch = options is SophiaOptions sophia ? Batch(sophia, parameters, backend) : null;
        double[] factors = [.. s_golden["factors"]!.AsArray().Select(factor => factor!.GetValue<double>())];
        for (int step = 1; step <= factors.Length; step++)
        {
            foreach (Parameter parameter in parameters.Parameters)
            {
                backend.Write(parameter.Grad, Flatten(s_golden["grads"]![step - 1]![parameter.Name]!));
            }

            optimizer.Step(new OptimizerStep(step, factors[step - 1], 1, Batch: batch));
        }

        AssertClose(backend, parameters, expected["weights"]!, config);
        if (expected["average"] is { } average)
        {
            optimizer.BeginEvaluation();
            AssertClose(backend, parameters, average, config);
            optimizer.EndEvaluation();
            AssertClose(backend, parameters, expected["weights"]!, config);
        }
    }

    // With the file's numbers in place of what is drawn, or not unique.
    private static OptimizerOptions Injected(OptimizerOptions options, JsonNode expected) => options switch
    {
        KronOptions kron => new KronWithProbes(kron, (step, parameter) => Drawn("probes", step, parameter)),
        SoapOptions soap => new SoapWithBases(
            soap, (parameter, at, isRight) => Flatten(expected["bases"]![parameter.Name]![$"{at}"]![isRight ? 1 : 0]!)),
        _ => options,
    };

    private static IStepBatch Batch(SophiaOptions options, ParameterSet parameters, CpuBackend backend)
    {
        if (options.Estimator == SophiaEstimator.SampledLabels)
        {
            long targets = s_golden["targets"]!.GetValue<long>();
            return new SampledBatch(parameters, backend, targets, options.Interval, (step, parameter) => Drawn("sampled", step, parameter));
        }

        Assert.Equal(CurvedBatch.Difference, options.Difference);
        return new CurvedBatch(parameters, backend, options.Interval, (step, parameter) => Drawn("estimates", step, parameter));
    }

    private static float[] Drawn(string kind, int step, Parameter parameter) => Flatten(s_golden["drawn"]![kind]![step - 1]![parameter.Name]!);

    private static ParameterSet Parameters(CpuBackend backend)
    {
        ParameterSet parameters = new();
        parameters.Matrix("qkv", ParameterRole.Hidden, 12, 4, 1, parts: 3, headWidth: 2, new ScoreRows(8, 2));
        parameters.Matrix("table", ParameterRole.Embedding, 5, 4, 1);
        parameters.Matrix("head", ParameterRole.Head, 5, 4, 1);
        parameters.Vector("gain", ParameterRole.Norm, 4, 1);
        parameters.Vector("bias", ParameterRole.Bias, 4, 0);
        parameters.Allocate(backend, gradients: true);
        foreach (Parameter parameter in parameters.Parameters)
        {
            backend.Write(parameter.Value, Flatten(s_golden["weights"]![parameter.Name]!));
        }

        return parameters;
    }

    private static void AssertClose(CpuBackend backend, ParameterSet parameters, JsonNode expected, string config)
    {
        foreach (Parameter parameter in parameters.Parameters)
        {
            float[] actual = new float[parameter.Shape.Count];
            backend.Read(parameter.Value, actual);
            double worst = Flatten(expected[parameter.Name]!).Zip(actual, (a, b) => Math.Abs((double)a - b)).Max();
            Assert.True(worst <= 2e-6, $"{config}: {parameter.Name} differs by {worst:E2}");
        }
    }

    private static float[] Flatten(JsonNode values) => values is JsonArray array
        ? [.. array.SelectMany(value => Flatten(value!))]
        : [(float)values.GetValue<double>()];
}
