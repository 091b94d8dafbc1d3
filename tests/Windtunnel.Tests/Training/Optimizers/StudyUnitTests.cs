using System.Text.Json;
using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Training;
using Windtunnel.Training.Optimizers;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Tests.Training.Optimizers;

/// <summary>The parts around the study's rules, against published values.</summary>
public sealed class StudyUnitTests
{
    // The study's first update is of count 0, at rate 0; ours is number 1.
    [Fact]
    public void Schedules_have_the_rates_of_the_study_one_update_earlier()
    {
        int compared = 0;
        foreach (JsonElement unit in Units().GetProperty("lr_schedule").EnumerateArray())
        {
            double warmup = unit.GetProperty("warmup").GetDouble(), minRatio = unit.GetProperty("min_ratio").GetDouble();
            Duration rise = warmup is > 0 and < 1 ? Duration.OfRun(warmup) : Duration.OfSteps((long)warmup);
            ScheduleOptions options = unit.GetProperty("kind").GetString() == "cosine"
                ? new CosineOptions(rise, minRatio)
                : new WsdOptions(rise, Duration.OfRun(unit.GetProperty("decay").GetDouble()), MinRatio: minRatio);
            Schedule schedule = options.Build(unit.GetProperty("total").GetInt64(), 1);
            foreach (JsonProperty value in unit.GetProperty("values").EnumerateObject().Where(value => value.Name != "0"))
            {
                Assert.Equal(value.Value.GetDouble(), unit.GetProperty("lr").GetDouble() * schedule.Factor(long.Parse(value.Name)), 1e-12);
                compared++;
            }
        }

        Assert.Equal(25, compared);
    }

    [Fact]
    public void A_rule_clips_by_the_norm_of_all_its_parameters()
    {
        JsonElement unit = Units().GetProperty("clip_global");
        using CpuBackend backend = new(1);
        using ParameterSet parameters = new();
        parameters.Matrix("W", ParameterRole.Hidden, 4, 6, 1);
        parameters.Vector("b", ParameterRole.Norm, 5, 0);
        parameters.Allocate(backend, gradients: true);
        foreach (Parameter parameter in parameters.Parameters)
        {
            backend.Write(parameter.Grad, GoldenTrajectory.Flatten(unit.GetProperty("in").GetProperty(parameter.Name)));
        }

        SgdOptions options = new(LearningRate: 1, Momentum: 0) { ClipNorm = unit.GetProperty("max_norm").GetDouble() };
        using Optimizer optimizer = options.Build(parameters, backend);
        optimizer.Step(new OptimizerStep(1, 1, 1));
        foreach (Parameter parameter in parameters.Parameters)
        {
            float[] moved = new float[parameter.Shape.Count];
            backend.Read(parameter.Value, moved);
            Assert.All(
                GoldenTrajectory.Flatten(unit.GetProperty("out").GetProperty(parameter.Name)).Zip(moved), pair => Assert.Equal(pair.First, -pair.Second, 1e-6f));
        }
    }

    [Fact]
    public void Sophia_h_estimates_a_full_hessian_as_hutchinson_does()
    {
        JsonElement unit = Units().GetProperty("hutchinson");
        double[][] hessian = unit.GetProperty("A").Deserialize<double[][]>()!;
        double[] Estimate(double[] u) => [.. hessian.Select((row, i) => u[i] * row.Zip(u, (a, x) => a * x).Sum())];
        double[] published = Estimate(unit.GetProperty("u").Deserialize<double[]>()!);
        Assert.All(published.Zip(unit.GetProperty("estimate").Deserialize<double[]>()!), pair => Assert.Equal(pair.Second, pair.First, 1e-11));

        using CpuBackend backend = new(1);
        using ParameterSet parameters = new();
        Parameter parameter = parameters.Vector("x", ParameterRole.Norm, 5, 0.3f).Parameters[0];
        parameters.Allocate(backend, gradients: true);
        parameters.Initialize(backend, 1);
        using Optimizer optimizer = new SophiaOptions(Beta2: 0, Interval: 1, Estimator: SophiaEstimator.HessianVector).Build(parameters, backend);
        optimizer.Step(new OptimizerStep(1, 0, 1, Seed: 11, new FullBowl(parameter, hessian, backend)));

        float[] noise = new float[5], estimate = new float[5];
        Philox.Named(11, "sophia.shift.1").FillNormal(noise, 1);
        backend.Read(optimizer.State.Single(state => state.Name == "sophia.hessian.x").Tensor, estimate);
        Assert.All(Estimate([.. noise.Select(value => (double)value)]).Zip(estimate), pair => Assert.Equal(pair.First, pair.Second, 2e-3));
    }

    private static JsonElement Units() =>
        JsonDocument.Parse(File.ReadAllBytes(SharedData.Require("data/optimizers/golden.json"))).RootElement.GetProperty("units");

    /// <summary>x' A x / 2.</summary>
    private sealed class FullBowl(Parameter parameter, double[][] hessian, CpuBackend backend) : IStepBatch
    {
        public long Targets => 1;

        public void ComputeGradients(Philox? labels)
        {
            float[] x = new float[hessian.Length];
            backend.Read(parameter.Value, x);
            backend.Write(parameter.Grad, [.. hessian.Select(row => (float)row.Zip(x, (a, value) => a * value).Sum())]);
        }
    }
}
