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

    [Theory]
    [InlineData(1, 40, 33, 20)]
    [InlineData(7, 5, 3, 1)]
    [InlineData(9, 24, 70, 33)]
    public void A_batch_of_products_has_the_bits_of_one_after_the_other(int batch, int m, int n, int k)
    {
        double[] a = OpCheck.Normal(1, batch * m * k), b = OpCheck.Normal(2, batch * k * n), old = OpCheck.Normal(3, batch * m * n);
        OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            List<float[]> results = [];
            foreach ((bool transposeA, bool transposeB) in new[] { (false, false), (false, true), (true, false), (true, true) })
            {
                Tensor left = OpCheck.Upload(tape, transposeA ? new Shape(batch, k, m) : new Shape(batch, m, k), a);
                Tensor right = OpCheck.Upload(tape, transposeB ? new Shape(batch, n, k) : new Shape(batch, k, n), b);
                Tensor together = OpCheck.Upload(tape, new Shape(batch, m, n), old), each = OpCheck.Upload(tape, new Shape(batch, m, n), old);
                backend.BatchedMatMul(together, left, transposeA, right, transposeB, 0.5f, accumulate: true);
                for (int i = 0; i < batch; i++)
                {
                    backend.MatMul(
                        each.SliceRows(i * m, m), left.SliceRows(i * left.Shape[1], left.Shape[1]), transposeA,
                        right.SliceRows(i * right.Shape[1], right.Shape[1]), transposeB, 0.5f, accumulate: true);
                }

                results.Add(OpCheck.Read(together, backend));
                Assert.True(OpCheck.SameBits(OpCheck.Read(each, backend), results[^1]));
            }

            return [.. results];
        });
    }

    [Theory]
    [InlineData(1, 1, 3)]
    [InlineData(1, 33, 20)]
    [InlineData(5, 70, 37)]
    [InlineData(1, 160, 64)]
    public void A_triangular_solve_leaves_a_residual_of_rounding(int batch, int n, int others)
    {
        double[] triangles = OpCheck.Normal(1, batch * n * n), right = OpCheck.Normal(2, batch * n * others);
        for (int i = 0; i < triangles.Length; i++)
        {
            // Well conditioned, and with values below the diagonal that must not matter.
            (int row, int column) = (i / n % n, i % n);
            triangles[i] = (float)(row == column ? 1 + Math.Abs(triangles[i]) : column > row ? triangles[i] / n : 1e6);
        }

        foreach ((bool left, bool transpose) in new[] { (false, false), (false, true), (true, false), (true, true) })
        {
            (int rows, int columns) = left ? (n, others) : (others, n);
            float[] actual = OpCheck.OnAllThreadCounts(backend =>
            {
                using Tape tape = new(backend);
                Tensor x = OpCheck.Upload(tape, new Shape(batch, rows, columns), right);
                backend.TriangularSolve(x, OpCheck.Upload(tape, new Shape(batch, n, n), triangles), left, transpose);
                return [OpCheck.Read(x, backend)];
            })[0];

            for (int block = 0; block < batch; block++)
            {
                double[] u = [.. triangles[(block * n * n)..((block + 1) * n * n)].Select((value, i) => i % n < i / n ? 0 : value)];
                double[] x = Array.ConvertAll(actual[(block * n * others)..((block + 1) * n * others)], value => (double)value);
                double[] op = transpose ? Twin.Transpose(u, n, n) : u;
                double[] product = left ? Twin.MatmulNN(op, x, n, others, n) : Twin.MatmulNN(x, op, others, n, n);
                OpCheck.AssertClose(right[(block * n * others)..((block + 1) * n * others)], OpCheck.Narrow(product), 2e-6, $"left {left}, transposed {transpose}");
            }
        }
    }

    public static TheoryData<int, int, double> QrCases => new()
    {
        { 1, 1, 1 }, { 6, 5, 1 }, { 1, 32, 1 }, { 3, 33, 1 }, { 2, 100, 1 }, { 1, 200, 1 },
        { 2, 70, 0.5 }, // columns from 1 down to 1e-21: their squares are no single-precision numbers
        { 2, 40, 0 }, // only the first column is not zero
    };

    [Theory]
    [MemberData(nameof(QrCases))]
    public void Householder_gives_an_orthogonal_factor_and_a_triangle_that_multiply_to_the_matrix(int batch, int n, double decay)
    {
        double[] a = [.. OpCheck.Normal(1, batch * n * n).Select((value, i) => (double)(float)(value * Math.Pow(decay, i % n)))];
        float[] actual = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor matrices = OpCheck.Upload(tape, new Shape(batch, n, n), a), q = tape.New(matrices.Shape);
            backend.Qr(q, matrices);
            backend.Qr(matrices, matrices);
            Assert.True(OpCheck.SameBits(OpCheck.Read(q, backend), OpCheck.Read(matrices, backend)), "in place");
            return [OpCheck.Read(q, backend)];
        })[0];

        for (int block = 0; block < batch; block++)
        {
            Range range = (block * n * n)..((block + 1) * n * n);
            double[] q = Array.ConvertAll(actual[range], value => (double)value);
            AssertOrthonormal(q, n, 4e-7);
            double[] triangle = Twin.MatmulTN(q, a[range], n, n, n);
            for (int column = 0; column < n; column++)
            {
                double norm = Math.Sqrt(Enumerable.Range(0, n).Sum(row => Math.Pow(a[range][(row * n) + column], 2)));
                for (int row = column; row < n; row++)
                {
                    double below = triangle[(row * n) + column];
                    Assert.True(row == column ? below >= -3e-7 * norm : Math.Abs(below) <= 1e-6 * norm, $"R[{row}, {column}] = {below} beside {norm}");
                    triangle[(row * n) + column] = row == column ? below : 0;
                }
            }

            OpCheck.AssertClose(a[range], OpCheck.Narrow(Twin.MatmulNN(q, triangle, n, n, n)), 1e-6, "QR");
        }
    }

    [Theory]
    [InlineData("normal", 1)]
    [InlineData("normal", 2)]
    [InlineData("normal", 3)]
    [InlineData("normal", 17)]
    [InlineData("normal", 100)]
    [InlineData("rank 3", 64)]
    [InlineData("graded", 40)]
    [InlineData("tiny", 40)]
    [InlineData("identity", 30)]
    [InlineData("zero", 20)]
    [InlineData("diagonal", 30)]
    [InlineData("tridiagonal", 65)]
    public void Eigenvectors_are_orthonormal_and_diagonalise_the_matrix(string kind, int n)
    {
        const int Batch = 3;
        double[] a = [.. Enumerable.Range(0, Batch).SelectMany(block => Symmetric(kind, n, block + 1))];
        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor matrices = OpCheck.Upload(tape, new Shape(Batch, n, n), a), v = tape.New(matrices.Shape), d = tape.New(new Shape(Batch, n));
            backend.SymmetricEigen(v, d, matrices);
            return [OpCheck.Read(v, backend), OpCheck.Read(d, backend)];
        });

        for (int block = 0; block < Batch; block++)
        {
            double[] matrix = a[(block * n * n)..((block + 1) * n * n)];
            double[] v = Array.ConvertAll(results[0][(block * n * n)..((block + 1) * n * n)], value => (double)value);
            float[] d = results[1][(block * n)..((block + 1) * n)];
            AssertOrthonormal(v, n, 2e-7);
            Assert.Equal(d.OrderDescending(), d);
            double[] rotated = Twin.MatmulTN(v, Twin.MatmulNN(matrix, v, n, n, n), n, n, n);
            double scale = d.Max(Math.Abs);
            for (int i = 0; i < rotated.Length; i++)
            {
                Assert.Equal(i % (n + 1) == 0 ? d[i / n] : 0, rotated[i], 3e-7 * scale);
            }

            if (kind == "identity" || kind == "diagonal")
            {
                Assert.Equal(Enumerable.Range(0, n).Select(i => (float)matrix[i * (n + 1)]).OrderDescending(), d);
            }
        }
    }

    // The matrix of second differences has the eigenvalues 2 - 2 cos(pi k / (n + 1)) (Strang 1986, page 55).
    [Fact]
    public void Eigenvalues_of_the_second_difference_are_the_known_ones()
    {
        const int N = 300;
        double[] a = new double[N * N];
        for (int i = 0; i < N; i++)
        {
            a[i * (N + 1)] = 2;
            if (i > 0)
            {
                a[(i * N) + i - 1] = a[((i - 1) * N) + i] = -1;
            }
        }

        using CpuBackend backend = new(1);
        using Tape tape = new(backend);
        Tensor v = tape.New(new Shape(N, N)), d = tape.New(new Shape(N));
        backend.SymmetricEigen(v, d, OpCheck.Upload(tape, new Shape(N, N), a));
        OpCheck.AssertClose([.. Enumerable.Range(1, N).Select(k => 2 + (2 * Math.Cos(Math.PI * k / (N + 1))))], OpCheck.Read(d, backend), 6e-8, "eigenvalues");
    }

    [Fact]
    public void A_matrix_that_is_not_finite_has_no_eigenvalues()
    {
        using CpuBackend backend = new(2);
        using Tape tape = new(backend);
        double[] values = OpCheck.Normal(1, 2 * 9 * 9);
        values[100] = double.NaN;
        Tensor a = OpCheck.Upload(tape, new Shape(2, 9, 9), values), v = tape.New(a.Shape), d = tape.New(new Shape(2, 9));

        Assert.Throws<ArithmeticException>(() => backend.SymmetricEigen(v, d, a));
    }

    [Fact]
    public void Shapes_that_do_not_fit_are_refused()
    {
        using CpuBackend backend = new(1);
        using Tape tape = new(backend);
        Tensor wide = tape.New(new Shape(2, 3)), two = tape.New(new Shape(2, 2)), batch = tape.New(new Shape(4, 2, 2));

        backend.Gram(two, wide, false);
        Assert.Throws<ArgumentException>(() => backend.Gram(two, wide, true));
        Assert.Throws<ArgumentException>(() => backend.Gram(wide, wide, false));
        Assert.Throws<ArgumentException>(() => backend.Gram(batch, wide, false));
        Assert.Throws<ArgumentException>(() => backend.BatchedMatMul(batch, batch, false, two, false));
        Assert.Throws<ArgumentException>(() => backend.BatchedMatMul(two, wide, false, two, false));
        Assert.Throws<ArgumentException>(() => backend.TriangularSolve(wide, two, left: false, transpose: false));
        Assert.Throws<ArgumentException>(() => backend.TriangularSolve(batch, two, left: true, transpose: false));
        Assert.Throws<ArgumentException>(() => backend.Qr(wide, wide));
        Assert.Throws<ArgumentException>(() => backend.Qr(two, batch));
        Assert.Throws<ArgumentException>(() => backend.SymmetricEigen(two, wide, two));
        Assert.Throws<ArgumentException>(() => backend.SymmetricEigen(wide, wide, wide));
    }

    private static void AssertOrthonormal(double[] q, int n, double tolerance)
    {
        double[] gram = Twin.MatmulTN(q, q, n, n, n);
        for (int i = 0; i < gram.Length; i++)
        {
            Assert.Equal(i % (n + 1) == 0 ? 1 : 0, gram[i], tolerance * Math.Max(1, Math.Sqrt(n) / 4));
        }
    }

    private static double[] Symmetric(string kind, int n, int seed)
    {
        double[] x = OpCheck.Normal(seed, n * n);
        double[] a = kind switch
        {
            "normal" => [.. x.Zip(Twin.Transpose(x, n, n), (left, right) => left + right)],
            "rank 3" => Twin.MatmulTN(x[..(3 * n)], x[..(3 * n)], n, n, 3),
            "graded" => Grade(n, x),
            "tiny" => [.. Twin.MatmulNT(x, x, n, n, n).Select(value => 1e-30 * value)],
            "tridiagonal" => [.. x.Zip(Twin.Transpose(x, n, n)).Select((pair, i) => Math.Abs((i / n) - (i % n)) > 1 ? 0 : pair.First + pair.Second)],
            _ => [.. x.Select((value, i) => i % (n + 1) != 0 || kind == "zero" ? 0 : kind == "identity" ? 1 : value)],
        };
        return Array.ConvertAll(a, value => (double)(float)value);
    }

    // Eigenvalues from 1 down to 1e-16 or so.
    private static double[] Grade(int n, double[] x) =>
        [.. Twin.MatmulNT(x, x, n, n, n).Select((value, i) => value * Math.Pow(0.6, (i / n) + (i % n)))];
}
