using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Reference;

namespace Windtunnel.Tests.Tensors.Backends.Cpu;

/// <summary>The kernels that SOAP and Kron need beside linear algebra.</summary>
public sealed class PreconditionerKernelTests
{
    [Theory]
    [InlineData(2, 3, 4, 5, 0, 0)]
    [InlineData(3, 1, 7, 20, 2, 6)]
    [InlineData(1, 2, 1, 33, 1, 3)]
    public void Blocks_are_copied_out_of_a_matrix_and_back(int gridRows, int gridColumns, int rows, int columns, int row, int column)
    {
        int height = row + (gridRows * rows) + 1, width = column + (gridColumns * columns) + 2;
        double[] values = OpCheck.Normal(1, height * width);
        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor matrix = OpCheck.Upload(tape, new Shape(height, width), values), blocks = tape.New(new Shape(gridRows, gridColumns, rows, columns));
            backend.Fill(blocks, float.NaN);
            backend.GatherBlocks(blocks, matrix, row, column, 2);
            float[] gathered = OpCheck.Read(blocks, backend);
            backend.ScatterBlocks(matrix, blocks, row, column, keep: 1, scale: -0.25f);
            return [gathered, OpCheck.Read(matrix, backend)];
        });

        int at = 0;
        for (int i = 0; i < gridRows; i++)
        {
            for (int j = 0; j < gridColumns; j++)
            {
                for (int a = 0; a < rows; a++)
                {
                    for (int b = 0; b < columns; b++)
                    {
                        Assert.Equal(2 * (float)values[((row + (i * rows) + a) * width) + column + (j * columns) + b], results[0][at++]);
                    }
                }
            }
        }

        for (int i = 0; i < values.Length; i++)
        {
            bool inside = i / width >= row && i / width < height - 1 && i % width >= column && i % width < width - 2;
            Assert.Equal((float)(values[i] * (inside ? 0.5 : 1)), results[1][i]);
        }
    }

    // Two by two blocks of 3 by 20 from row 1 and column 2 on, of which 2 rows and 13 columns of the last ones are within the matrix.
    [Fact]
    public void Blocks_that_reach_beyond_a_matrix_are_zero_there_and_leave_all_else_alone()
    {
        const int Height = 1 + 3 + 2, Width = 2 + 20 + 13;
        double[] values = OpCheck.Normal(1, Height * Width);
        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor matrix = OpCheck.Upload(tape, new Shape(Height, Width), values), blocks = tape.New(new Shape(2, 2, 3, 20)), after = tape.New(new Shape(40));
            backend.Fill(blocks, float.NaN);
            backend.Fill(after, 7);
            backend.GatherBlocks(blocks, matrix, 1, 2, 2);
            float[] gathered = OpCheck.Read(blocks, backend);
            backend.Fill(blocks, 3);
            backend.ScatterBlocks(matrix, blocks, 1, 2, keep: 0, scale: 2);
            return [gathered, OpCheck.Read(matrix, backend), OpCheck.Read(after, backend)];
        });

        for (int at = 0; at < results[0].Length; at++)
        {
            int row = 1 + (at / 120 * 3) + (at % 60 / 20), column = 2 + (at / 60 % 2 * 20) + (at % 20);
            Assert.Equal(row < Height && column < Width ? 2 * (float)values[(row * Width) + column] : 0, results[0][at]);
        }

        Assert.Equal(values.Select((value, i) => i / Width >= 1 && i % Width >= 2 ? 6 : (float)value), results[1]);
        Assert.All(results[2], value => Assert.Equal(7, value));
    }

    [Fact]
    public void What_is_scattered_over_need_not_be_a_number()
    {
        using CpuBackend backend = new(1);
        using Tape tape = new(backend);
        Tensor matrix = tape.New(new Shape(2, 17)), blocks = OpCheck.Upload(tape, new Shape(1, 1, 2, 17), OpCheck.Normal(1, 34));
        backend.Fill(matrix, float.NaN);
        backend.ScatterBlocks(matrix, blocks, 0, 0, keep: 0, scale: 1);

        Assert.Equal(OpCheck.Read(blocks, backend), OpCheck.Read(matrix, backend));
    }

    [Theory]
    [InlineData(1, 3, 4)]
    [InlineData(5, 20, 37)]
    public void Columns_are_ranked_by_their_products_and_permuted(int batch, int rows, int columns)
    {
        int size = rows * columns;
        double[] a = OpCheck.Normal(1, batch * size), b = OpCheck.Normal(2, batch * size);
        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor x = OpCheck.Upload(tape, new Shape(batch, rows, columns), a), y = OpCheck.Upload(tape, x.Shape, b);
            Tensor order = tape.New(new Shape(batch, columns), DType.I32), sorted = tape.New(x.Shape);
            Tensor transposed = OpCheck.Upload(tape, new Shape(batch, columns, rows), a), byRows = tape.New(transposed.Shape);
            backend.RankColumns(order, x, y);
            backend.Permute(sorted, x, order, columns: true);
            backend.Permute(byRows, transposed, order, columns: false);
            return [OpCheck.Read(sorted, backend), OpCheck.Read(byRows, backend)];
        });

        for (int block = 0; block < batch; block++)
        {
            int[] order =
            [
                .. Enumerable.Range(0, columns).OrderByDescending(column =>
                    Enumerable.Range(0, rows).Sum(row => a[(block * size) + (row * columns) + column] * b[(block * size) + (row * columns) + column])),
            ];
            for (int i = 0; i < size; i++)
            {
                Assert.Equal((float)a[(block * size) + (i / columns * columns) + order[i % columns]], results[0][(block * size) + i]);
                Assert.Equal((float)a[(block * size) + (order[i / rows] * rows) + (i % rows)], results[1][(block * size) + i]);
            }
        }
    }

    [Theory]
    [InlineData(1, 1, 5)]
    [InlineData(3, 40, 21)]
    [InlineData(2, 700, 33)]
    public void Lines_are_scaled_and_their_squares_and_magnitudes_summed(int batch, int rows, int columns)
    {
        double[] x = OpCheck.Normal(1, batch * rows * columns), byRow = OpCheck.Normal(2, batch * rows), byColumn = OpCheck.Normal(3, batch * columns);
        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Shape shape = new(batch, rows, columns);
            Tensor[] copies = [.. Enumerable.Range(0, 4).Select(_ => OpCheck.Upload(tape, shape, x))];
            Tensor forRows = OpCheck.Upload(tape, new Shape(batch, rows), byRow), forColumns = OpCheck.Upload(tape, new Shape(batch, columns), byColumn);
            backend.ScaleLines(copies[0], forRows, columns: false, inverse: false);
            backend.ScaleLines(copies[1], forRows, columns: false, inverse: true);
            backend.ScaleLines(copies[2], forColumns, columns: true, inverse: false);
            backend.ScaleLines(copies[3], forColumns, columns: true, inverse: true);
            Tensor source = OpCheck.Upload(tape, shape, x), largest = tape.New(new Shape(batch));
            Tensor rowSquares = tape.New(forRows.Shape), columnSquares = tape.New(forColumns.Shape);
            backend.LineSquares(rowSquares, source, columns: false);
            backend.LineSquares(columnSquares, source, columns: true);
            backend.LargestMagnitudes(largest, source);
            return
            [
                .. copies.Append(rowSquares).Append(columnSquares).Append(largest).Select(tensor => OpCheck.Read(tensor, backend)),
                [(float)backend.SumOfMagnitudes(source)],
            ];
        });

        double row(int i) => byRow[i / columns];
        double column(int i) => byColumn[(i / (rows * columns) * columns) + (i % columns)];
        OpCheck.AssertClose([.. x.Select((value, i) => value * row(i))], results[0], 1e-7, "rows times");
        Assert.Equal([.. x.Select((value, i) => (float)value / (float)row(i))], results[1]);
        OpCheck.AssertClose([.. x.Select((value, i) => value * column(i))], results[2], 1e-7, "columns times");
        Assert.Equal([.. x.Select((value, i) => (float)value / (float)column(i))], results[3]);
        OpCheck.AssertClose([.. x.Chunk(columns).Select(line => line.Sum(value => value * value))], results[4], 1e-6, "squares of rows");
        OpCheck.AssertClose(
            [.. x.Chunk(rows * columns).SelectMany(block => Twin.Transpose(block, rows, columns).Chunk(rows).Select(line => line.Sum(value => value * value)))],
            results[5], 1e-6, "squares of columns");
        Assert.Equal([.. x.Chunk(rows * columns).Select(block => (float)block.Max(Math.Abs))], results[6]);
        OpCheck.AssertClose([x.Sum(Math.Abs)], results[7], 1e-6, "magnitudes");
    }

    // The matrix and its bound are levanter's (kron.py, _norm_lower_bound), computed in double precision.
    [Fact]
    public void The_spectral_bound_is_the_published_one()
    {
        double[] a =
        [
            3.7861440, -0.34539799, -0.41708793, -0.05080935,
            -0.34539799, 2.42414757, -0.78373517, -0.40900305,
            -0.41708793, -0.78373517, 5.20284905, 3.87501881,
            -0.05080935, -0.40900305, 3.87501881, 3.83713798,
        ];
        Assert.Equal(8.594867170035172, Bound(a, 4), 1e-6);
        Assert.Equal(0, Bound(new double[9], 3));
    }

    [Theory]
    [InlineData(1, 4)]
    [InlineData(3, 40)]
    public void The_step_of_triangles_is_the_upper_difference_over_the_bound_of_the_sum(int batch, int n)
    {
        double[] first = [.. Enumerable.Range(1, batch).SelectMany(seed => Symmetric(seed, n))];
        double[] second = [.. Enumerable.Range(11, batch).SelectMany(seed => Symmetric(seed, n))];
        float[] actual = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor t1 = OpCheck.Upload(tape, new Shape(batch, n, n), first), t2 = OpCheck.Upload(tape, t1.Shape, second);
            backend.KronTriangles(t1, t2, 0.2f);
            return [OpCheck.Read(t1, backend)];
        })[0];

        for (int block = 0; block < batch; block++)
        {
            Range range = (block * n * n)..((block + 1) * n * n);
            double bound = Bound([.. first[range].Zip(second[range], (x, y) => x + y)], n);
            OpCheck.AssertClose(
                [.. first[range].Zip(second[range]).Select((pair, i) => i % n < i / n ? 0 : 0.2 * (pair.First - pair.Second) / bound)], actual[range], 1e-6, "step");
        }
    }

    [Theory]
    [InlineData(1, 5)]
    [InlineData(3, 50)]
    public void The_step_of_diagonals_follows_its_formula(int batch, int n)
    {
        double[] q = OpCheck.Normal(1, batch * n), first = OpCheck.Normal(2, batch * n), second = OpCheck.Normal(3, batch * n);
        float[] actual = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor diagonals = OpCheck.Upload(tape, new Shape(batch, n), q);
            backend.KronDiagonals(diagonals, OpCheck.Upload(tape, diagonals.Shape, first), OpCheck.Upload(tape, diagonals.Shape, second), 0.2f);
            return [OpCheck.Read(diagonals, backend)];
        })[0];

        double[] largest = [.. first.Zip(second, (x, y) => Math.Abs(x + y)).Chunk(n).Select(block => block.Max())];
        OpCheck.AssertClose([.. q.Select((value, i) => value - (0.2 / largest[i / n] * (first[i] - second[i]) * value))], actual, 3e-7, "step");
    }

    [Fact]
    public void Shapes_that_do_not_fit_are_refused()
    {
        using CpuBackend backend = new(1);
        using Tape tape = new(backend);
        Tensor grid = tape.New(new Shape(1, 2, 2, 3)), matrix = tape.New(new Shape(2, 6)), square = tape.New(new Shape(2, 3, 3)), pair = tape.New(new Shape(2, 3));
        Tensor order = tape.New(new Shape(2, 3), DType.I32);

        backend.GatherBlocks(grid, matrix, 0, 0, 1);
        Assert.Throws<ArgumentException>(() => backend.GatherBlocks(grid, matrix, 2, 0, 1));
        Assert.Throws<ArgumentException>(() => backend.ScatterBlocks(matrix, grid, 0, 3, 0, 1));
        Assert.Throws<ArgumentException>(() => backend.ScatterBlocks(matrix, matrix, 0, 0, 0, 1));
        Assert.Throws<ArgumentException>(() => backend.RankColumns(pair, square, square));
        Assert.Throws<ArgumentException>(() => backend.RankColumns(order, matrix, square));
        Assert.Throws<ArgumentException>(() => backend.Permute(matrix, square, order, columns: true));
        Assert.Throws<ArgumentException>(() => backend.ScaleLines(square, matrix, columns: false, inverse: false));
        Assert.Throws<ArgumentException>(() => backend.LineSquares(matrix, square, columns: true));
        Assert.Throws<ArgumentException>(() => backend.LargestMagnitudes(pair, square));
        Assert.Throws<ArgumentException>(() => backend.KronTriangles(square, pair, 1));
        Assert.Throws<ArgumentException>(() => backend.KronDiagonals(pair, pair, square, 1));
    }

    private static double[] Symmetric(int seed, int n)
    {
        double[] x = OpCheck.Normal(seed, n * n);
        return Array.ConvertAll(Twin.MatmulNT(x, x, n, n, n), value => (double)(float)value);
    }

    private static unsafe float Bound(double[] a, int n)
    {
        float[] values = OpCheck.Narrow(a), work = new float[2 * n];
        fixed (float* matrix = values, at = work)
        {
            return SpectralBound.Run(matrix, n, at);
        }
    }
}
