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

    // The shifts n are drawn, the study's u are given: where the bowl's axes are stretched by u / n, n (H' n) is the study's u (H u).
    [Fact]
    public void Sophia_h_estimates_a_full_hessian_as_hutchinson_does()
    {
        JsonElement unit = Units().GetProperty("hutchinson");
        double[] u = unit.GetProperty("u").Deserialize<double[]>()!;
        float[] drawn = new float[5], estimate = new float[5];
        Philox.Named(11, "sophia.shift.1").FillNormal(drawn, 1);
        double[][] hessian = [.. unit.GetProperty("A").Deserialize<double[][]>()!.Select((row, i) => row.Select((a, j) => u[i] / drawn[i] * a * u[j] / drawn[j]).ToArray())];

        using CpuBackend backend = new(1);
        using ParameterSet parameters = new();
        Parameter parameter = parameters.Vector("x", ParameterRole.Norm, 5, 0.3f).Parameters[0];
        parameters.Allocate(backend, gradients: true);
        parameters.Initialize(backend, 1);
        using Optimizer optimizer = new SophiaOptions(Beta2: 0, Interval: 1, Estimator: SophiaEstimator.HessianVector, Difference: 0.5).Build(parameters, backend);
        optimizer.Step(new OptimizerStep(1, 0, 1, Seed: 11, new FullBowl(parameter, hessian, backend)));

        backend.Read(optimizer.State.Single(state => state.Name == "sophia.hessian.x").Tensor, estimate);
        Assert.All(unit.GetProperty("estimate").Deserialize<double[]>()!.Zip(estimate), pair => Assert.Equal(pair.First, pair.Second, 5e-6));
    }

    [Fact]
    public void Krons_schedule_and_the_cuts_of_both_are_those_of_the_study()
    {
        JsonElement units = Units();
        Assert.All(units.GetProperty("kron_update_prob").EnumerateObject(), value =>
            Assert.Equal(value.Value.GetDouble(), new KronOptions(FlatStart: 500, MinProbability: 0.05).UpdateProbability(long.Parse(value.Name)), 1e-12));
        Assert.All(units.GetProperty("merge_small_dims").EnumerateArray(), unit => Assert.Equal(
            unit.GetProperty("out").Deserialize<int[]>()!, BlockPartition.Merge(unit.GetProperty("shape").Deserialize<int[]>()!, unit.GetProperty("target").GetInt32())));
        Assert.All(units.GetProperty("block_sizes").EnumerateArray(), unit => Assert.Equal(
            unit.GetProperty("out").Deserialize<int[]>()!, BlockPartition.Sizes(unit.GetProperty("dim").GetInt32(), unit.GetProperty("block").GetInt32())));
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
