using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Tensors;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training.Optimizers;

public sealed class KronTests
{
    // Levanter's schedule at its smallest probability of 0.05 and a flat start of 500 steps.
    [Theory]
    [InlineData(0, 1)]
    [InlineData(500, 1)]
    [InlineData(501, 0.999000499833375)]
    [InlineData(1000, 0.6065306597126334)]
    [InlineData(2000, 0.22313016014842982)]
    [InlineData(3495, 0.05003662708658628)]
    [InlineData(3496, 0.05)]
    [InlineData(10_000_000, 0.05)]
    public void Fits_grow_rare_on_the_published_schedule(long step, double expected) =>
        Assert.Equal(expected, new KronOptions(FlatStart: 500, MinProbability: 0.05).UpdateProbability(step), 1e-12);

    [Theory]
    [InlineData(6, 5, 25_000)]
    [InlineData(24, 5, 10)] // a diagonal preconditioner for the rows
    public void Gradients_of_very_different_rows_are_whitened(int rows, int columns, int maxDimension)
    {
        using CpuBackend backend = new(1);
        using ParameterSet parameters = Parameters(backend, rows, columns);
        using Optimizer optimizer = new KronOptions(1, 0, 0, 0.1, Normalize: false, FlatStart: 10_000, MaxDimension: maxDimension).Build(parameters, backend);
        double[] squares = new double[rows];
        for (int step = 1; step <= 700; step++)
        {
            // Row i is 2^i times larger than row 0, modulo 6.
            float[] grad = [.. OpCheck.Normal(step, rows * columns).Select((value, i) => (float)(0.01 * value * (1 << (i / columns % 6))))];
            backend.Write(parameters.Parameters[0].Grad, grad);
            backend.Fill(parameters.Values, 0);
            optimizer.Step(new OptimizerStep(step, 1, 1, Seed: 3));
            float[] update = OpCheck.Read(parameters.Parameters[0].Value, backend);
            for (int i = 0; i < update.Length && step > 500; i++)
            {
                squares[i / columns] += update[i] * (double)update[i] / (200 * columns);
            }
        }

        Assert.All(squares, square => Assert.InRange(Math.Sqrt(square), 0.6, 1.4));
    }

    [Fact]
    public void No_update_is_larger_than_1_1_in_root_mean_square()
    {
        using CpuBackend backend = new(1);
        using ParameterSet parameters = Parameters(backend, 6, 5);
        using Optimizer optimizer = new KronOptions(1, 0, 0, Normalize: false, FlatStart: 0, MinProbability: 1e-3).Build(parameters, backend);
        for (int step = 1; step <= 3; step++)
        {
            backend.Write(parameters.Parameters[0].Grad, OpCheck.Narrow(OpCheck.Normal(step, 30, step == 3 ? 1e5 : 1e-3)));
            backend.Fill(parameters.Values, 0);
            optimizer.Step(new OptimizerStep(step, 1, 1, Seed: 3));
        }

        Assert.Equal(1.1, Math.Sqrt(OpCheck.Read(parameters.Parameters[0].Value, backend).Average(value => (double)value * value)), 1e-5);
    }

    [Theory]
    [InlineData(25_000)]
    [InlineData(2)]
    public void Preconditioners_of_zero_gradients_stay_finite(int maxDimension)
    {
        using CpuBackend backend = new(1);
        using ParameterSet parameters = Parameters(backend, 4, 3);
        using Optimizer optimizer = new KronOptions(0.1, WeightDecay: 0, FlatStart: 10_000, MaxDimension: maxDimension).Build(parameters, backend);
        backend.Fill(parameters.Values, 1);
        for (int step = 1; step <= 1000; step++)
        {
            backend.Fill(parameters.Grads, 0);
            optimizer.Step(new OptimizerStep(step, 1, 1, Seed: 3));
        }

        Assert.All(OpCheck.Read(parameters.Parameters[0].Value, backend), value => Assert.Equal(1, value));
        Assert.All(
            optimizer.State.Where(state => state.Name.StartsWith("kron.q.", StringComparison.Ordinal)),
            state => Assert.All(OpCheck.Read(state.Tensor, backend), value => Assert.True(float.IsFinite(value), $"{state.Name}: {value}")));
    }

    [Fact]
    public void Probes_depend_on_the_seed_and_the_step_and_not_on_the_threads()
    {
        float[] first = Train(1, 1, BlockSize: 7), second = Train(2, 1, BlockSize: 7), other = Train(1, 2, BlockSize: 7);

        Assert.True(OpCheck.SameBits(first, second));
        Assert.False(OpCheck.SameBits(first, other));

        static float[] Train(int threads, ulong seed, int BlockSize)
        {
            using CpuBackend backend = new(threads);
            using ParameterSet parameters = Parameters(backend, 20, 17);
            using Optimizer optimizer = new KronOptions(0.01, BlockSize: BlockSize, BalanceEvery: 2).Build(parameters, backend);
            for (int step = 1; step <= 6; step++)
            {
                backend.Write(parameters.Parameters[0].Grad, OpCheck.Narrow(OpCheck.Normal(step, 340)));
                optimizer.Step(new OptimizerStep(step, 1, 1, seed));
            }

            return OpCheck.Read(parameters.Parameters[0].Value, backend);
        }
    }

    // After three steps one has passed since the last fit, and one fit since the last balancing.
    [Fact]
    public void Where_fits_are_rare_a_resumed_run_needs_to_know_how_many_steps_ago_the_last_one_was()
    {
        float[] whole = Train(resumesWith: null);

        Assert.True(OpCheck.SameBits(whole, Train(resumesWith: _ => true)));
        Assert.False(OpCheck.SameBits(whole, Train(resumesWith: name => !name.StartsWith("kron.counters.", StringComparison.Ordinal))));

        // At the fourth step another optimizer takes over, with the state that has the names.
        static float[] Train(Func<string, bool>? resumesWith)
        {
            KronOptions options = new(0.01, FlatStart: 0, MinProbability: 0.3, BalanceEvery: 2);
            using CpuBackend backend = new(1);
            using ParameterSet parameters = Parameters(backend, 6, 5);
            using Optimizer first = options.Build(parameters, backend), second = options.Build(parameters, backend);
            for (int step = 1; step <= 8; step++)
            {
                if (step == 4 && resumesWith is not null)
                {
                    foreach (((_, Tensor from), (_, Tensor to)) in first.State.Zip(second.State).Where(pair => resumesWith(pair.First.Name)))
                    {
                        backend.Add(to, from, 1, accumulate: false);
                    }
                }

                backend.Write(parameters.Parameters[0].Grad, OpCheck.Narrow(OpCheck.Normal(step, 30)));
                (step < 4 || resumesWith is null ? first : second).Step(new OptimizerStep(step, 1, 1, Seed: 3));
            }

            return OpCheck.Read(parameters.Parameters[0].Value, backend);
        }
    }

    // Two preconditioners of one block before and after levanter's balancing: their product stays.
    [Fact]
    public void Balancing_gives_both_sides_the_same_largest_magnitude()
    {
        using CpuBackend backend = new(1);
        using ParameterSet parameters = Parameters(backend, 3, 4);
        KronOptions options = new(0.01, PreconditionerRate: 1e-12, BalanceEvery: 1);
        using Optimizer optimizer = options.Build(parameters, backend);
        Tensor left = optimizer.State.Single(state => state.Name == "kron.q.left.3x4lr.w").Tensor;
        Tensor right = optimizer.State.Single(state => state.Name == "kron.q.right.3x4lr.w").Tensor;
        backend.Write(left, [-2.9014f, -0.8104f, -4.5766f, 0, -0.833f, -1.4852f, 0, 0, 1.0708f]);
        backend.Write(right,
        [
            -0.20644f, -0.06622f, -0.12042f, 0.1462f, 0, -0.03294f, 0.08407f, -0.018f, 0, 0, -0.17083f, -0.18031f, 0, 0, 0, -0.05246f,
        ]);
        backend.Write(parameters.Parameters[0].Grad, OpCheck.Narrow(OpCheck.Normal(1, 12)));
        optimizer.Step(new OptimizerStep(1, 1, 1));

        OpCheck.AssertClose(
            [-0.6162161180986089, -0.1721174405828609, -0.9720047859964477, 0, -0.17691735933554187, -0.315435368649636, 0, 0, 0.22742269913145047],
            OpCheck.Read(left, backend), 1e-6, "left");
        OpCheck.AssertClose(
            [
                -0.9720047859964477, -0.31179111087330347, -0.5669870971211598, 0.6883699850449556, 0, -0.1550951252214832, 0.3958362834660015,
                -0.08475143454725856, 0, 0, -0.8043381979837878, -0.8489739535120107, 0, 0, 0, -0.24700334757495468,
            ],
            OpCheck.Read(right, backend), 1e-6, "right");
    }

    private static ParameterSet Parameters(CpuBackend backend, int rows, int columns)
    {
        ParameterSet parameters = new();
        parameters.Matrix("w", ParameterRole.Hidden, rows, columns, 1);
        parameters.Allocate(backend, gradients: true);
        return parameters;
    }
}
