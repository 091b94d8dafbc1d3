using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tensors.Ops;
using Windtunnel.Tests.Reference;

namespace Windtunnel.Tests.Tensors;

/// <summary>Holds an op of the engine against its double-precision twin.</summary>
internal static class OpCheck
{
    private static readonly int[] ThreadCounts = [1, 2, 3];

    /// <summary>Normal numbers that fp32 holds exactly, so that engine and twin read the same inputs.</summary>
    public static double[] Normal(int seed, long count, double deviation = 1)
    {
        Random random = new(seed);
        return [.. TwinTests.Normal(random, (int)count).Select(value => (double)(float)(deviation * value))];
    }

    public static float[] Narrow(double[] values) => Array.ConvertAll(values, value => (float)value);

    public static Tensor Upload(Tape tape, Shape shape, double[] values)
    {
        Tensor tensor = tape.New(shape);
        tape.Backend.Write(tensor, Narrow(values));
        return tensor;
    }

    public static Tensor UploadTokens(Tape tape, Shape shape, int[] values)
    {
        Tensor tensor = tape.New(shape, DType.I32);
        tape.Backend.Write(tensor, values);
        return tensor;
    }

    public static float[] Read(Tensor tensor, Backend backend)
    {
        float[] values = new float[tensor.Shape.Count];
        backend.Read(tensor, values);
        return values;
    }

    /// <summary>
    /// Values of the op against the twin; gradients of a random linear functional of them against finite differences of the twin,
    /// with one consumer of every input and with two (so that contributions both overwrite and add up); the same bits on
    /// one, two and three threads and on memory that holds other values. Tolerances are relative to the largest element.
    /// </summary>
    public static void AgreesWithTwin(
        Func<Tape, Tensor[], Tensor> op, Func<double[][], double[]> twin, Shape[] shapes, double valueTolerance = 1e-6,
        double gradientTolerance = 2e-6, double deviation = 1, int samples = 40)
    {
        double[][] inputs = [.. shapes.Select((shape, i) => Normal(i + 1, shape.Count, deviation))];
        double[] values = twin(inputs), upstream = Normal(99, values.Length);

        float[][] once = OnAllThreadCounts(backend => Run(backend, op, shapes, inputs, upstream, twice: false));
        float[][] twice = OnAllThreadCounts(backend => Run(backend, op, shapes, inputs, upstream, twice: true));

        AssertClose(values, once[0], valueTolerance, "value");
        for (int input = 0; input < inputs.Length; input++)
        {
            AssertGradient(x => Twin.Dot(twin(x), upstream), inputs, input, once[input + 1], gradientTolerance, samples);
            AssertClose([.. once[input + 1].Select(grad => 1.5 * grad)], twice[input + 1], gradientTolerance, $"gradient of input {input} with two consumers");
        }
    }

    /// <summary>Runs twice on each number of threads, asserts that all results have the same bits and returns them.</summary>
    public static float[][] OnAllThreadCounts(Func<CpuBackend, float[][]> run)
    {
        float[][]? first = null;
        foreach (int threads in ThreadCounts)
        {
            using CpuBackend backend = new(threads);
            float[][] results = run(backend);
            first ??= results;
            for (int i = 0; i < results.Length; i++)
            {
                Assert.True(SameBits(first[i], results[i]), $"result {i} on {threads} threads differs from that on one");
            }
        }

        return first!;
    }

    public static bool SameBits(float[] a, float[] b) =>
        System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(a).SequenceEqual(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(b));

    /// <summary>Asserts that the largest difference is at most <paramref name="tolerance"/> times the largest expected element.</summary>
    public static void AssertClose(double[] expected, float[] actual, double tolerance, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        double error = 0, largest = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            error = Math.Max(error, Math.Abs(expected[i] - actual[i]));
            largest = Math.Max(largest, Math.Abs(expected[i]));
        }

        Assert.True(error <= tolerance * largest, $"{what}: relative error {error / largest:g3} is above {tolerance:g3}");
    }

    /// <summary>Compares a gradient with finite differences of f at its first, its last and some random elements.</summary>
    public static void AssertGradient(Func<double[][], double> f, double[][] inputs, int input, float[] gradient, double tolerance, int samples = 40)
    {
        int count = gradient.Length;
        Assert.Equal(inputs[input].Length, count);
        int[] elements = count <= samples
            ? [.. Enumerable.Range(0, count)]
            : [0, count - 1, .. new Random(7).GetItems(Enumerable.Range(0, count).ToArray(), samples - 2)];
        AssertClose(
            [.. elements.Select(element => FiniteDifference.Derivative(f, inputs, input, element))],
            [.. elements.Select(element => gradient[element])], tolerance, $"gradient of input {input}");
    }

    private static float[][] Run(
        CpuBackend backend, Func<Tape, Tensor[], Tensor> op, Shape[] shapes, double[][] inputs, double[] upstream, bool twice)
    {
        using Tape tape = new(backend);
        float[][] fresh = Once();
        tape.Reset();
        float[][] reused = Once();
        Assert.True(fresh.Zip(reused).All(pair => SameBits(pair.First, pair.Second)), "the result depends on what the memory held");
        return reused;

        float[][] Once()
        {
            Tensor[] x = [.. shapes.Select((shape, i) => Upload(tape, shape, inputs[i]))];
            Tensor y = op(tape, x);
            float[] value = Read(y, backend);
            Tensor root = twice ? tape.Residual(y, op(tape, x), 0.5f) : y;
            tape.Backward(root, Upload(tape, root.Shape, upstream));
            return [value, .. x.Select(input => Read(input.Grad!, backend))];
        }
    }
}
