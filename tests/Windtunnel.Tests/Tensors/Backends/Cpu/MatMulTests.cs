using System.Runtime.InteropServices;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Reference;

namespace Windtunnel.Tests.Tensors.Backends.Cpu;

public sealed class MatMulTests
{
    // The blocks: 1536 rows, 3072 columns, 768 steps of k; tiles of 144 rows and 512 columns; registers of 12 rows and 32 columns.
    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(1, 133, 70)]
    [InlineData(2, 1, 9)]
    [InlineData(12, 32, 8)]
    [InlineData(13, 33, 17)]
    [InlineData(150, 515, 9)]
    [InlineData(97, 130, 769)]
    [InlineData(7, 5, 1537)]
    [InlineData(1540, 3, 5)]
    [InlineData(3, 3075, 5)]
    [InlineData(1537, 37, 770)]
    public void Every_layout_with_alpha_bias_and_accumulation_agrees_with_the_twin(int m, int n, int k)
    {
        double[] a = OpCheck.Normal(1, m * k), b = OpCheck.Normal(2, k * n), bias = OpCheck.Normal(3, n), old = OpCheck.Normal(4, m * n);
        double[] product = Twin.MatmulNN(a, b, m, n, k);
        double[] aTransposed = Twin.Transpose(a, m, k), bTransposed = Twin.Transpose(b, k, n);

        foreach ((bool transposeA, bool transposeB) in new[] { (false, false), (false, true), (true, false), (true, true) })
        {
            float[][] results = OpCheck.OnAllThreadCounts(backend =>
            {
                using Tape tape = new(backend);
                Tensor left = transposeA ? OpCheck.Upload(tape, new Shape(k, m), aTransposed) : OpCheck.Upload(tape, new Shape(m, k), a);
                Tensor right = transposeB ? OpCheck.Upload(tape, new Shape(n, k), bTransposed) : OpCheck.Upload(tape, new Shape(k, n), b);
                Tensor plain = OpCheck.Upload(tape, new Shape(m, n), old), accumulated = OpCheck.Upload(tape, new Shape(m, n), old);
                Tensor biased = OpCheck.Upload(tape, new Shape(m, n), old), row = OpCheck.Upload(tape, new Shape(n), bias);
                backend.MatMul(plain, left, transposeA, right, transposeB);
                backend.MatMul(accumulated, left, transposeA, right, transposeB, alpha: -0.5f, accumulate: true);
                backend.MatMul(biased, left, transposeA, right, transposeB, alpha: 2, bias: row);
                return [OpCheck.Read(plain, backend), OpCheck.Read(accumulated, backend), OpCheck.Read(biased, backend)];
            });

            string layout = $"{(transposeA ? 'T' : 'N')}{(transposeB ? 'T' : 'N')}";
            OpCheck.AssertClose(product, results[0], 1e-6, layout);
            OpCheck.AssertClose([.. product.Zip(old, (p, c) => c - (0.5 * p))], results[1], 1e-6, $"{layout} accumulated");
            OpCheck.AssertClose([.. product.Select((p, i) => (2 * p) + bias[i % n])], results[2], 1e-6, $"{layout} with a bias");
        }
    }

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(25, 67, 33)]
    [InlineData(49, 65, 800)]
    public void The_micro_kernels_of_all_instruction_sets_give_the_same_bits(int m, int n, int k)
    {
        float[] a = OpCheck.Narrow(OpCheck.Normal(1, m * k)), b = OpCheck.Narrow(OpCheck.Normal(2, k * n)), old = OpCheck.Narrow(OpCheck.Normal(3, m * n));
        using WorkerPool workers = new(1);
        float[][] results =
        [
            Run(new Gemm<Gemm12x32>(workers)),
            Run(new Gemm<Gemm6x16>(workers)),
            Run(new Gemm<Gemm8x8>(workers)),
        ];

        double[] expected = Twin.MatmulNN(Array.ConvertAll(a, x => (double)x), Array.ConvertAll(b, x => (double)x), m, n, k);
        OpCheck.AssertClose([.. expected.Zip(old, (p, c) => c + (0.75 * p))], results[0], 1e-6, "product");
        Assert.All(results, result => Assert.True(OpCheck.SameBits(results[0], result)));

        float[] Run(IGemm gemm)
        {
            using IGemm disposed = gemm;
            float[] c = [.. old];
            GCHandle[] pins = [.. new[] { a, b, c }.Select(array => GCHandle.Alloc(array, GCHandleType.Pinned))];
            gemm.Run(new GemmCall(
                m, n, k, new Operand(pins[0].AddrOfPinnedObject(), k, 1), new Operand(pins[1].AddrOfPinnedObject(), n, 1),
                pins[2].AddrOfPinnedObject(), n, 0.75f, Accumulate: true, Bias: 0));
            Array.ForEach(pins, pin => pin.Free());
            return c;
        }
    }

    [Fact]
    public void Shapes_that_do_not_fit_are_refused()
    {
        using CpuBackend backend = new(1);
        using Tape tape = new(backend);
        Tensor a = tape.New(new Shape(2, 3)), b = tape.New(new Shape(4, 3)), c = tape.New(new Shape(2, 4));

        backend.MatMul(c, a, false, b, true);
        Assert.Throws<ArgumentException>(() => backend.MatMul(c, a, false, b, false));
        Assert.Throws<ArgumentException>(() => backend.MatMul(b, a, false, b, true));
        Assert.Throws<ArgumentException>(() => backend.MatMul(c, a, false, b, true, bias: tape.New(new Shape(3))));
    }
}
