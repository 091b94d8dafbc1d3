using System.Runtime.Intrinsics;

namespace Windtunnel.Tensors.Backends.Cpu;

public sealed unsafe partial class CpuBackend
{
    // Added to divisors that may be zero: the smallest normal number.
    private const float Tiny = 1.17549435e-38f;

    /// <inheritdoc/>
    public override void GatherBlocks(Tensor blocks, Tensor matrix, int row, int column, float scale) =>
        CopyBlocks(new BlocksWork(Place(blocks, matrix, row, column), (nint)Pointer(blocks), (nint)Pointer(matrix), scale, 0, Gather: true));

    /// <inheritdoc/>
    public override void ScatterBlocks(Tensor matrix, Tensor blocks, int row, int column, float keep, float scale) =>
        CopyBlocks(new BlocksWork(Place(blocks, matrix, row, column), (nint)Pointer(blocks), (nint)Pointer(matrix), scale, keep, Gather: false));

    /// <inheritdoc/>
    public override void RankColumns(Tensor order, Tensor a, Tensor b)
    {
        Blocks blocks = Blocks.Of(a);
        if (Blocks.Of(b) != blocks || order.DType != DType.I32 || order.Shape.Count != (long)blocks.Count * blocks.Columns)
        {
            throw new ArgumentException($"{order} can't be the order of the columns of {a.Shape} and {b.Shape}");
        }

        _workers.Run(new RankColumnsWork(this, (nint)Pointer(order), (nint)Pointer(a), (nint)Pointer(b), blocks), blocks.Count);
    }

    /// <inheritdoc/>
    public override void Permute(Tensor y, Tensor x, Tensor order, bool columns)
    {
        Blocks blocks = Blocks.Of(x);
        if (Blocks.Of(y) != blocks || order.DType != DType.I32 || order.Shape.Count != (long)blocks.Count * (columns ? blocks.Columns : blocks.Rows))
        {
            throw new ArgumentException($"{order} can't order the {(columns ? "columns" : "rows")} of {x.Shape} into {y.Shape}");
        }

        _workers.Run(new PermuteWork((nint)Pointer(y), (nint)Pointer(x), (nint)Pointer(order), blocks, columns), blocks.Count);
    }

    /// <inheritdoc/>
    public override void ScaleLines(Tensor x, Tensor scales, bool columns, bool inverse)
    {
        Blocks blocks = Lines(x, scales, columns);
        int rows = blocks.Count * blocks.Rows, rowsAnItem = Math.Max(1, ElementsAnItem / blocks.Columns);
        _workers.Run(new ScaleLinesWork((nint)Pointer(x), (nint)Pointer(scales), blocks, rowsAnItem, columns, inverse), Items(rows, rowsAnItem));
    }

    /// <inheritdoc/>
    public override void LineSquares(Tensor squares, Tensor x, bool columns)
    {
        Blocks blocks = Lines(x, squares, columns);
        if (columns)
        {
            int strips = Items(blocks.Columns, 16);
            _workers.Run(new ColumnSquaresWork((nint)Pointer(squares), (nint)Pointer(x), blocks, strips), blocks.Count * strips);
            return;
        }

        int rows = blocks.Count * blocks.Rows, rowsAnItem = Math.Max(1, ElementsAnItem / blocks.Columns);
        _workers.Run(new RowSquaresWork((nint)Pointer(squares), (nint)Pointer(x), rows, blocks.Columns, rowsAnItem), Items(rows, rowsAnItem));
    }

    /// <inheritdoc/>
    public override void LargestMagnitudes(Tensor largest, Tensor x)
    {
        Blocks blocks = Blocks.Of(x);
        if (largest.Shape.Count != blocks.Count)
        {
            throw new ArgumentException($"{largest.Shape} can't hold one value a block of {x.Shape}");
        }

        _workers.Run(new LargestMagnitudesWork((nint)Pointer(largest), (nint)Pointer(x), blocks.Size), blocks.Count);
    }

    /// <inheritdoc/>
    public override double SumOfMagnitudes(Tensor x)
    {
        long n = x.Shape.Count;
        int items = Items(n, ElementsAnItem);
        float* partials = _partials.Rent(items);
        _workers.Run(new MagnitudesWork((nint)partials, (nint)Pointer(x), n), items);
        double sum = 0;
        for (int i = 0; i < items; i++)
        {
            sum += partials[i];
        }

        return sum;
    }

    /// <inheritdoc/>
    public override void KronTriangles(Tensor first, Tensor second, float rate)
    {
        Blocks blocks = Blocks.Of(first);
        if (Blocks.Of(second) != blocks || blocks.Rows != blocks.Columns)
        {
            throw new ArgumentException($"KronTriangles: {first.Shape} and {second.Shape} are not square matrices of one size");
        }

        _workers.Run(new KronTrianglesWork(this, (nint)Pointer(first), (nint)Pointer(second), blocks.Rows, rate), blocks.Count);
    }

    /// <inheritdoc/>
    public override void KronDiagonals(Tensor q, Tensor first, Tensor second, float rate)
    {
        if (first.Shape != q.Shape || second.Shape != q.Shape)
        {
            throw new ArgumentException($"KronDiagonals: shapes {q.Shape}, {first.Shape} and {second.Shape} differ");
        }

        _workers.Run(new KronDiagonalsWork((nint)Pointer(q), (nint)Pointer(first), (nint)Pointer(second), q.Shape.Columns, rate), q.Shape.Rows);
    }

    private static Blocks Lines(Tensor x, Tensor values, bool columns)
    {
        Blocks blocks = Blocks.Of(x);
        return values.Shape.Count == (long)blocks.Count * (columns ? blocks.Columns : blocks.Rows)
            ? blocks
            : throw new ArgumentException($"{values.Shape} has not one value for each {(columns ? "column" : "row")} of {x.Shape}");
    }

    private static BlockGrid Place(Tensor blocks, Tensor matrix, int row, int column)
    {
        Shape shape = blocks.Shape;
        return shape.Rank == 4 && row >= 0 && column >= 0
            && row + ((long)(shape[0] - 1) * shape[2]) < matrix.Shape.Rows && column + ((long)(shape[1] - 1) * shape[3]) < matrix.Shape.Columns
            ? new BlockGrid(shape[0], shape[1], shape[2], shape[3], row, column, matrix.Shape.Rows, matrix.Shape.Columns)
            : throw new ArgumentException($"blocks {shape} do not all begin within {matrix.Shape} from row {row} and column {column} on");
    }

    private void CopyBlocks(in BlocksWork work) => _workers.Run(work, work.Grid.GridRows * work.Grid.Rows);

    private readonly record struct BlockGrid(int GridRows, int GridColumns, int Rows, int Columns, int Row, int Column, int Height, int Width);

    // An item is one row of the matrix, or of what blocks at its lower edge have below it.
    private readonly record struct BlocksWork(BlockGrid Grid, nint Blocks, nint Matrix, float Scale, float Keep, bool Gather) : IWork
    {
        public void Run(int item, int worker)
        {
            (int i, int row) = (item / Grid.Rows, item % Grid.Rows);
            bool isBelow = Grid.Row + item >= Grid.Height;
            float* line = (float*)Matrix + ((nint)(Grid.Row + item) * Grid.Width) + Grid.Column;
            Vector512<float> scale = Vector512.Create(Scale), keep = Vector512.Create(Keep);
            for (int j = 0; j < Grid.GridColumns; j++, line += Grid.Columns)
            {
                float* block = (float*)Blocks + (((((nint)i * Grid.GridColumns) + j) * Grid.Rows) + row) * Grid.Columns;
                float* from = Gather ? line : block, to = Gather ? block : line;
                int inside = isBelow ? 0 : Math.Min(Grid.Columns, Grid.Width - Grid.Column - (j * Grid.Columns));
                if (Gather)
                {
                    new Span<float>(block + inside, Grid.Columns - inside).Clear();
                }

                for (int k = 0; k < inside; k += 16)
                {
                    // What is overwritten may be no number.
                    Vector512<float> old = Keep == 0 ? Vector512<float>.Zero : Row.Load(to, k, inside) * keep;
                    Row.Store(to, k, inside, Vector512.FusedMultiplyAdd(scale, Row.Load(from, k, inside), old));
                }
            }
        }
    }

    private readonly struct RankColumnsWork(CpuBackend backend, nint order, nint a, nint b, Blocks blocks) : IWork
    {
        public void Run(int item, int worker)
        {
            int n = blocks.Columns;
            float* x = (float*)a + (item * blocks.Size), y = (float*)b + (item * blocks.Size);
            float* dots = backend._workerScratch[worker].Rent(n);
            new Span<float>(dots, n).Clear();
            for (int row = 0; row < blocks.Rows; row++, x += n, y += n)
            {
                for (int i = 0; i < n; i += 16)
                {
                    Row.Store(dots, i, n, Vector512.FusedMultiplyAdd(Row.Load(x, i, n), Row.Load(y, i, n), Row.Load(dots, i, n)));
                }
            }

            int* ranked = (int*)order + ((nint)item * n);
            for (int i = 0; i < n; i++)
            {
                int at = i;
                for (; at > 0 && dots[ranked[at - 1]] < dots[i]; at--)
                {
                    ranked[at] = ranked[at - 1];
                }

                ranked[at] = i;
            }
        }
    }

    private readonly struct PermuteWork(nint y, nint x, nint order, Blocks blocks, bool columns) : IWork
    {
        public void Run(int item, int worker)
        {
            (int rows, int n) = (blocks.Rows, blocks.Columns);
            float* to = (float*)y + (item * blocks.Size), from = (float*)x + (item * blocks.Size);
            int* index = (int*)order + ((nint)item * (columns ? n : rows));
            for (int row = 0; row < rows; row++, to += n)
            {
                if (!columns)
                {
                    new ReadOnlySpan<float>(from + ((nint)index[row] * n), n).CopyTo(new Span<float>(to, n));
                    continue;
                }

                float* line = from + ((nint)row * n);
                for (int i = 0; i < n; i++)
                {
                    to[i] = line[index[i]];
                }
            }
        }
    }

    private readonly struct ScaleLinesWork(nint x, nint scales, Blocks blocks, int rowsAnItem, bool columns, bool inverse) : IWork
    {
        public void Run(int item, int worker)
        {
            int n = blocks.Columns, end = Math.Min(blocks.Count * blocks.Rows, (item + 1) * rowsAnItem);
            for (int row = item * rowsAnItem; row < end; row++)
            {
                float* line = (float*)x + ((nint)row * n);
                float* factors = (float*)scales + (columns ? (nint)(row / blocks.Rows) * n : row);
                Vector512<float> factor = Vector512.Create(*factors);
                for (int i = 0; i < n; i += 16)
                {
                    factor = columns ? Row.Load(factors, i, n) : factor;
                    Vector512<float> value = Row.Load(line, i, n);
                    Row.Store(line, i, n, inverse ? value / factor : value * factor);
                }
            }
        }
    }

    private readonly struct RowSquaresWork(nint squares, nint x, int rows, int n, int rowsAnItem) : IWork
    {
        public void Run(int item, int worker)
        {
            int end = Math.Min(rows, (item + 1) * rowsAnItem);
            for (int row = item * rowsAnItem; row < end; row++)
            {
                ((float*)squares)[row] = Row.SumOfSquares((float*)x + ((nint)row * n), n, 0);
            }
        }
    }

    private readonly struct ColumnSquaresWork(nint squares, nint x, Blocks blocks, int strips) : IWork
    {
        public void Run(int item, int worker)
        {
            (int block, int column) = (item / strips, item % strips * 16);
            int count = Math.Min(16, blocks.Columns - column);
            float* from = (float*)x + (block * blocks.Size) + column;
            Vector512<float> sum = Vector512<float>.Zero;
            for (int row = 0; row < blocks.Rows; row++, from += blocks.Columns)
            {
                Vector512<float> value = Row.Load(from, 0, count);
                sum = Vector512.FusedMultiplyAdd(value, value, sum);
            }

            Row.Store((float*)squares + ((nint)block * blocks.Columns) + column, 0, count, sum);
        }
    }

    private readonly struct LargestMagnitudesWork(nint largest, nint x, long size) : IWork
    {
        public void Run(int item, int worker) => ((float*)largest)[item] = Row.LargestMagnitude((float*)x + (item * size), (int)size);
    }

    private readonly struct MagnitudesWork(nint partials, nint x, long n) : IWork
    {
        public void Run(int item, int worker)
        {
            long start = (long)item * ElementsAnItem;
            int count = (int)Math.Min(ElementsAnItem, n - start);
            float* from = (float*)x + start;
            Vector512<float> sum = Vector512<float>.Zero;
            for (int i = 0; i < count; i += 16)
            {
                sum += Vector512.Abs(Row.Load(from, i, count));
            }

            ((float*)partials)[item] = VectorMath.Sum(sum);
        }
    }

    private readonly struct KronTrianglesWork(CpuBackend backend, nint first, nint second, int n, float rate) : IWork
    {
        public void Run(int item, int worker)
        {
            float* t1 = (float*)first + ((long)item * n * n), t2 = (float*)second + ((long)item * n * n);
            float* sum = backend._workerScratch[worker].Rent(((long)n * n) + (2 * n));
            for (int i = 0; i < n * n; i += 16)
            {
                Row.Store(sum, i, n * n, Row.Load(t1, i, n * n) + Row.Load(t2, i, n * n));
            }

            float scale = rate / (SpectralBound.Run(sum, n, sum + ((long)n * n)) + Tiny);
            for (int row = 0; row < n; row++, t1 += n, t2 += n)
            {
                new Span<float>(t1, row).Clear();
                for (int i = row; i < n; i += 16)
                {
                    Row.Store(t1, i, n, (Row.Load(t1, i, n) - Row.Load(t2, i, n)) * Vector512.Create(scale));
                }
            }
        }
    }

    private readonly struct KronDiagonalsWork(nint q, nint first, nint second, int n, float rate) : IWork
    {
        public void Run(int item, int worker)
        {
            float* diagonal = (float*)q + ((nint)item * n), t1 = (float*)first + ((nint)item * n), t2 = (float*)second + ((nint)item * n);
            Vector512<float> most = Vector512<float>.Zero;
            for (int i = 0; i < n; i += 16)
            {
                most = Vector512.MaxNative(Vector512.Abs(Row.Load(t1, i, n) + Row.Load(t2, i, n)), most);
            }

            Vector512<float> scale = Vector512.Create(-rate / (VectorMath.Max(most) + Tiny));
            for (int i = 0; i < n; i += 16)
            {
                Vector512<float> old = Row.Load(diagonal, i, n);
                Row.Store(diagonal, i, n, Vector512.FusedMultiplyAdd(scale * (Row.Load(t1, i, n) - Row.Load(t2, i, n)), old, old));
            }
        }
    }
}
