using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tests.Reference;

namespace Windtunnel.Tests.Tensors.Backends.Cpu;

/// <summary>The kernels that are no op of their own: sums, averages and the optimizer step.</summary>
public sealed class VectorKernelTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(17)]
    [InlineData(50_003)]
    public void Sums_are_right_to_seven_digits_of_the_sum_of_magnitudes(int count)
    {
        double[] values = OpCheck.Normal(1, count);
        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor x = OpCheck.Upload(tape, new Shape(count), values);
            double sum = backend.Sum(x), squares = backend.SumOfSquares(x);
            Assert.Equal(values.Sum(), sum, 1e-7 * values.Sum(Math.Abs));
            Assert.Equal(1, squares / values.Sum(value => value * value), 1e-6);
            return [[(float)sum, (float)(sum - (float)sum), (float)squares, (float)(squares - (float)squares)]];
        });
        Assert.Single(results);
    }

    [Theory]
    [InlineData(1, 5)]
    [InlineData(64, 16)]
    [InlineData(201, 37)]
    public void Column_sums_agree_with_plain_sums(int rows, int width)
    {
        double[] values = OpCheck.Normal(1, rows * width), old = OpCheck.Normal(2, width);
        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor x = OpCheck.Upload(tape, new Shape(rows, width), values);
            Tensor fresh = OpCheck.Upload(tape, new Shape(width), old), added = OpCheck.Upload(tape, new Shape(width), old);
            backend.ColumnSum(fresh, x, accumulate: false);
            backend.ColumnSum(added, x, accumulate: true);
            return [OpCheck.Read(fresh, backend), OpCheck.Read(added, backend)];
        });

        double[] sums = Twin.MatmulNN([.. Enumerable.Repeat(1.0, rows)], values, 1, width, rows);
        OpCheck.AssertClose(sums, results[0], 2e-6, "sum");
        OpCheck.AssertClose([.. sums.Zip(old, (sum, start) => start + sum)], results[1], 2e-6, "accumulated");
    }

    [Theory]
    [InlineData(7)]
    [InlineData(40_001)]
    public void Fill_add_and_lerp_follow_their_formulas(int count)
    {
        double[] x = OpCheck.Normal(1, count), y = OpCheck.Normal(2, count);
        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor source = OpCheck.Upload(tape, new Shape(count), x);
            Tensor[] y4 = [.. Enumerable.Range(0, 4).Select(_ => OpCheck.Upload(tape, new Shape(count), y))];
            backend.Fill(y4[0], -3.5f);
            backend.Add(y4[1], source, 0.3f, accumulate: false);
            backend.Add(y4[2], source, 0.3f, accumulate: true);
            backend.Lerp(y4[3], source, 0.1f);
            return [.. y4.Select(tensor => OpCheck.Read(tensor, backend))];
        });

        Assert.All(results[0], value => Assert.Equal(-3.5f, value));
        OpCheck.AssertClose([.. x.Select(value => 0.3 * value)], results[1], 2e-7, "scaled");
        OpCheck.AssertClose(Twin.AddScaled(y, x, 0.3), results[2], 2e-7, "added");
        OpCheck.AssertClose([.. y.Zip(x, (old, target) => old + (0.1 * (target - old)))], results[3], 2e-7, "average");
    }

    [Theory]
    [InlineData(19, 0.1f, 1f)]
    [InlineData(40_001, 0f, 0.37f)]
    public void Five_steps_of_AdamW_agree_with_the_twin(int count, float weightDecay, float gradScale)
    {
        double[] weights = OpCheck.Normal(1, count), first = new double[count], second = new double[count];
        double[][] grads = [.. Enumerable.Range(2, 5).Select(seed => OpCheck.Normal(seed, count))];
        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor w = OpCheck.Upload(tape, new Shape(count), weights), g = tape.New(new Shape(count));
            Tensor m = OpCheck.Upload(tape, new Shape(count), first), v = OpCheck.Upload(tape, new Shape(count), second);
            for (int step = 1; step <= grads.Length; step++)
            {
                backend.Write(g, OpCheck.Narrow(grads[step - 1]));
                backend.Adam(w, g, m, v, new Destination(1 - (0.01f * weightDecay), -0.01f, gradScale), new AdamStep(
                    0.9f, 0.95f, (float)(1 / (1 - Math.Pow(0.9f, step))), 0, (float)(1 / (1 - Math.Pow(0.95f, step))), 1e-8f));
            }

            return [OpCheck.Read(w, backend), OpCheck.Read(m, backend), OpCheck.Read(v, backend)];
        });

        double[] expected = [.. weights];
        for (int step = 1; step <= grads.Length; step++)
        {
            double[] grad = [.. grads[step - 1].Select(value => gradScale * value)];
            OptimizerTwin.AdamW(expected, grad, first, second, step, 0.01f, 0.9f, 0.95f, 1e-8f, weightDecay);
        }

        OpCheck.AssertClose(expected, results[0], 5e-7, "weights");
        OpCheck.AssertClose(first, results[1], 5e-7, "first moment");
        OpCheck.AssertClose(second, results[2], 5e-7, "second moment");
    }

    [Fact]
    public void Tensors_of_different_sizes_are_refused()
    {
        using Windtunnel.Tensors.Backends.Cpu.CpuBackend backend = new(1);
        using Tape tape = new(backend);
        Tensor three = tape.New(new Shape(3)), four = tape.New(new Shape(4)), tokens = tape.New(new Shape(3), DType.I32);

        Assert.Throws<ArgumentException>(() => backend.Add(three, four, 1, false));
        Assert.Throws<ArgumentException>(() => backend.Adam(three, three, three, four, default, default));
        Assert.Throws<ArgumentException>(() => backend.Write(three, new float[4]));
        Assert.Throws<ArgumentException>(() => backend.Write(tokens, new float[3]));
        Assert.Throws<ArgumentException>(() => backend.Read(tokens, new float[3]));
    }
}
