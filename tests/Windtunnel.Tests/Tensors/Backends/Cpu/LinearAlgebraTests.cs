using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Reference;

namespace Windtunnel.Tests.Tensors.Backends.Cpu;

public sealed class LinearAlgebraTests
{
    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(1, 5, 3)]
    [InlineData(1, 13, 800)]
    [InlineData(1, 150, 33)]
    [InlineData(1, 530, 20)]
    [InlineData(7, 37, 50)]
    public void A_Gram_matrix_is_the_product_bit_for_bit_and_symmetric(int batch, int n, int k)
    {
        double[] a = OpCheck.Normal(1, batch * n * k);
        OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            List<float[]> results = [];
            foreach (bool transpose in new[] { false, true })
            {
                Tensor rows = OpCheck.Upload(tape, transpose ? new Shape(batch, k, n) : new Shape(batch, n, k), a);
                Tensor gram = tape.New(new Shape(batch, n, n)), product = tape.New(new Shape(n, n));
                backend.Gram(gram, rows, transpose);
                backend.Gram(gram, rows, transpose, -0.5f, accumulate: true);
                float[] actual = OpCheck.Read(gram, backend);
                for (int i = 0; i < batch; i++)
                {
                    Tensor one = rows.SliceRows(i * rows.Shape[1], rows.Shape[1]);
                    backend.MatMul(product, one, transpose, one, !transpose);
                    backend.MatMul(product, one, transpose, one, !transpose, -0.5f, accumulate: true);
                    Assert.True(OpCheck.SameBits(OpCheck.Read(product, backend), actual[(i * n * n)..((i + 1) * n * n)]), $"matrix {i}");
                }

                results.Add(actual);
            }

            return [.. results];
        });
    }

    [Fact]
    public void Shapes_that_do_not_fit_are_refused()
    {
        using CpuBackend backend = new(1);
        using Tape tape = new(backend);
        Tensor wide = tape.New(new Shape(2, 3)), two = tape.New(new Shape(2, 2));

        backend.Gram(two, wide, false);
        Assert.Throws<ArgumentException>(() => backend.Gram(two, wide, true));
        Assert.Throws<ArgumentException>(() => backend.Gram(wide, wide, false));
    }
}
