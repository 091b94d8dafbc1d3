using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tensors.Ops;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training.Optimizers;

public sealed class SophiaTests
{
    [Fact]
    public void A_difference_of_gradients_gives_the_curvature_and_the_weights_return_bit_for_bit()
    {
        using CpuBackend backend = new(1);
        using ParameterSet parameters = new();
        Parameter parameter = parameters.Matrix("w", ParameterRole.Hidden, 3, 40, 0.1f).Parameters[0];
        parameters.Allocate(backend, gradients: true);
        parameters.Initialize(backend, 1);
        float[] curvature = [.. Enumerable.Range(0, 120).Select(i => (i - 20) / 10f)];
        SophiaOptions options = new(Beta2: 0, Interval: 2, Estimator: SophiaEstimator.HessianVector);
        using Optimizer optimizer = options.Build(parameters, backend);
        Bowl bowl = new(parameter, curvature, backend);
        bowl.ComputeGradients(null);
        optimizer.Step(new OptimizerStep(1, 1, 1, Seed: 3, bowl));
        Assert.Equal(1, bowl.Calls);
        bowl.ComputeGradients(null);
        optimizer.Step(new OptimizerStep(2, RateFactor: 0, 1, Seed: 3, bowl));
        Assert.Equal(4, bowl.Calls);

        float[] hessian = new float[120], noise = new float[120], after = new float[120];
        backend.Read(optimizer.State.Single(state => state.Name == "sophia.hessian.w").Tensor, hessian);
        Philox.Named(3, "sophia.shift.2").FillNormal(noise, 1);
        Assert.All(Enumerable.Range(0, 120), i => Assert.Equal(noise[i] * noise[i] * curvature[i], hessian[i], 1e-3 * (1 + Math.Abs(hessian[i]))));

        // At rate zero nothing but the estimate could have moved them.
        backend.Read(parameter.Value, after);
        bowl.ComputeGradients(null);
        Assert.Equal(bowl.Seen[1], after);
    }

    [Theory]
    [InlineData(SophiaEstimator.SampledLabels, 2)]
    [InlineData(SophiaEstimator.HessianVector, 2)]
    [InlineData(SophiaEstimator.HessianVector, 3)]
    public void An_estimate_that_is_not_a_number_changes_neither_curvature_nor_weights(SophiaEstimator estimator, int brokenCall)
    {
        using CpuBackend backend = new(1);
        using ParameterSet parameters = new();
        Parameter parameter = parameters.Matrix("w", ParameterRole.Hidden, 3, 40, 0.1f).Parameters[0];
        parameters.Allocate(backend, gradients: true);
        parameters.Initialize(backend, 1);
        using Optimizer optimizer = new SophiaOptions(Interval: 1, Estimator: estimator).Build(parameters, backend);
        Bowl bowl = new(parameter, [.. Enumerable.Repeat(1f, 120)], backend) { BrokenCall = brokenCall };
        bowl.ComputeGradients(null);
        float[] before = bowl.Seen[0], after = new float[120], hessian = new float[120];
        optimizer.Step(new OptimizerStep(1, RateFactor: 0, 1, Seed: 3, bowl));
        Assert.True(bowl.Calls >= brokenCall);

        backend.Read(optimizer.State.Single(state => state.Name == "sophia.hessian.w").Tensor, hessian);
        backend.Read(parameter.Value, after);
        Assert.All(hessian, value => Assert.Equal(0, value));
        Assert.Equal(before, after);
    }

    [Fact]
    public void Labels_drawn_from_the_model_have_gradients_that_cancel_on_average()
    {
        using CpuBackend backend = new(1);
        using Model model = new LlamaOptions(Layers: 1, Width: 16, Heads: 2, FeedForward: 24, Size: "20k").Resolve(40, 16).Build(backend);
        model.Parameters.Initialize(backend, 1);
        using Tape tape = new(backend);
        Tensor inputs = Upload(backend, [.. Enumerable.Range(0, 32).Select(i => i * 7 % 40)]), targets = Upload(backend, [.. Enumerable.Range(0, 32).Select(i => i * 7 % 40)]);
        Tensor grads = model.Parameters.Grads, sum = new(backend.Allocate(grads.Shape.Count), 0, grads.Shape);
        backend.Fill(sum, 0);
        double single = 0;
        const int Draws = 100;
        for (int draw = 0; draw < Draws; draw++)
        {
            model.Parameters.ClearGrads();
            backend.Write(targets, [.. Enumerable.Repeat(0, 32)]);
            (Tensor losses, _) = model.Loss(tape, inputs, targets, 1 / 32f, labels: new SampledLabels(new Philox(9, (ulong)draw), 0));
            tape.Backward(losses);
            tape.Reset();
            single += Math.Sqrt(backend.SumOfSquares(grads)) / Draws;
            backend.Add(sum, grads, 1f / Draws, accumulate: true);
        }

        Assert.True(Math.Sqrt(backend.SumOfSquares(sum)) < 0.15 * single, $"{Math.Sqrt(backend.SumOfSquares(sum))} of {single}");
        sum.Buffer.Free();
        inputs.Buffer.Free();
        targets.Buffer.Free();
    }

    private static Tensor Upload(CpuBackend backend, int[] values)
    {
        Tensor tensor = new(backend.Allocate(values.Length), 0, new Shape(2, values.Length / 2), DType.I32);
        backend.Write(tensor, values);
        return tensor;
    }

    /// <summary>1/2 sum c w^2.</summary>
    private sealed class Bowl(Parameter parameter, float[] curvature, CpuBackend backend) : IStepBatch
    {
        public long Targets => 1;

        public int Calls => Seen.Count;

        public List<float[]> Seen { get; } = [];

        /// <summary>The call, from 1, whose gradients are not numbers.</summary>
        public int BrokenCall { get; init; }

        public void ComputeGradients(Philox? labels)
        {
            float[] weights = new float[curvature.Length];
            backend.Read(parameter.Value, weights);
            Seen.Add(weights);
            backend.Write(parameter.Grad, [.. weights.Select((w, i) => Calls == BrokenCall ? float.NaN : w * curvature[i])]);
        }
    }
}
