using System.Runtime.Intrinsics;

namespace Windtunnel.Tensors.Backends.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public override void Embedding(Tensor y, Tensor tokens, Tensor table, Tensor? positions, int sequenceLength, int start, float scale) =>
        _workers.Run(
            new EmbeddingWork(
                (nint)Pointer(y), (nint)Pointer(tokens), (nint)Pointer(table), positions is null ? 0 : (nint)Pointer(positions),
                y.Shape.Rows, y.Shape.Columns, table.Shape.Rows, sequenceLength, start, scale),
            Items(y.Shape.Rows, EmbeddingWork.RowsAnItem));

    /// <inheritdoc/>
    public override void EmbeddingGrad(Tensor dTable, Tensor dy, Tensor tokens, float scale, bool accumulate)
    {
        if (!accumulate)
        {
            Fill(dTable, 0);
        }

        // Items are slices of columns: each adds its part of every row, in token order, without meeting another item.
        _workers.Run(
            new EmbeddingGradWork((nint)Pointer(dTable), (nint)Pointer(dy), (nint)Pointer(tokens), dy.Shape.Rows, dy.Shape.Columns, scale),
            Items(dy.Shape.Columns, EmbeddingGradWork.ColumnsAnItem));
    }

    /// <inheritdoc/>
    public override void PositionGrad(Tensor dPositions, Tensor dy, int sequenceLength, int start, bool accumulate)
    {
        if (!accumulate)
        {
            Fill(dPositions, 0);
        }

        _workers.Run(
            new PositionGradWork((nint)Pointer(dPositions), (nint)Pointer(dy), dy.Shape.Rows, dy.Shape.Columns, sequenceLength, start), sequenceLength);
    }

    /// <inheritdoc/>
    public override void ColumnSum(Tensor destination, Tensor rows, bool accumulate)
    {
        (int n, int width) = (rows.Shape.Rows, rows.Shape.Columns);
        int blocks = Items(n, ColumnSumWork.RowsABlock);
        float* partials = _partials.Rent((long)blocks * width);
        _workers.Run(new ColumnSumWork((nint)partials, (nint)Pointer(rows), n, width), blocks);
        SumBlocks(destination, partials, width, blocks, width, accumulate);
    }

    /// <summary>destination [width] (+)= the sum of blocks of partial sums, in block order.</summary>
    private static void SumBlocks(Tensor destination, float* partials, int width, int blocks, int stride, bool accumulate)
    {
        float* to = Pointer(destination);
        for (int i = 0; i < width; i += 16)
        {
            var sum = Row.Load(partials, i, width);
            for (int block = 1; block < blocks; block++)
            {
                sum += Row.Load(partials + ((nint)block * stride), i, width);
            }

            Row.Store(to, i, width, accumulate ? Row.Load(to, i, width) + sum : sum);
        }
    }

    private readonly struct EmbeddingWork(
        nint y, nint tokens, nint table, nint positions, int rows, int width, int vocabulary, int sequenceLength, int start, float scale) : IWork
    {
        public const int RowsAnItem = 64;

        public void Run(int item, int worker)
        {
            int end = Math.Min(rows, (item + 1) * RowsAnItem);
            for (int row = item * RowsAnItem; row < end; row++)
            {
                int token = ((int*)tokens)[row];
                if ((uint)token >= (uint)vocabulary)
                {
                    throw new InvalidOperationException($"token {token} in a vocabulary of {vocabulary}");
                }

                float* to = (float*)y + ((nint)row * width), from = (float*)table + ((nint)token * width);
                float* position = positions == 0 ? null : (float*)positions + ((nint)(start + (row % sequenceLength)) * width);
                for (int i = 0; i < width; i += 16)
                {
                    var value = Row.Load(from, i, width) * Vector512.Create(scale);
                    Row.Store(to, i, width, position is null ? value : value + Row.Load(position, i, width));
                }
            }
        }
    }

    private readonly struct EmbeddingGradWork(nint dTable, nint dy, nint tokens, int rows, int width, float scale) : IWork
    {
        public const int ColumnsAnItem = 64;

        public void Run(int item, int worker)
        {
            int first = item * ColumnsAnItem, count = Math.Min(ColumnsAnItem, width - first);
            var factor = Vector512.Create(scale);
            for (int row = 0; row < rows; row++)
            {
                float* from = (float*)dy + ((nint)row * width) + first;
                float* to = (float*)dTable + ((nint)((int*)tokens)[row] * width) + first;
                for (int i = 0; i < count; i += 16)
                {
                    Row.Store(to, i, count, Row.Load(to, i, count) + (factor * Row.Load(from, i, count)));
                }
            }
        }
    }

    private readonly struct PositionGradWork(nint dPositions, nint dy, int rows, int width, int sequenceLength, int start) : IWork
    {
        public void Run(int item, int worker)
        {
            float* to = (float*)dPositions + ((nint)(start + item) * width);
            for (int row = item; row < rows; row += sequenceLength)
            {
                float* from = (float*)dy + ((nint)row * width);
                for (int i = 0; i < width; i += 16)
                {
                    Row.Store(to, i, width, Row.Load(to, i, width) + Row.Load(from, i, width));
                }
            }
        }
    }

    private readonly struct ColumnSumWork(nint partials, nint rows, int n, int width) : IWork
    {
        public const int RowsABlock = 64;

        public void Run(int item, int worker)
        {
            int start = item * RowsABlock, end = Math.Min(n, start + RowsABlock), column = 0;
            float* to = (float*)partials + ((nint)item * width), from = (float*)rows + ((nint)start * width);
            for (; column + 64 <= width; column += 64)
            {
                Vector512<float> a = Vector512<float>.Zero, b = a, c = a, d = a;
                float* at = from + column;
                for (int row = start; row < end; row++, at += width)
                {
                    a += Vector512.Load(at);
                    b += Vector512.Load(at + 16);
                    c += Vector512.Load(at + 32);
                    d += Vector512.Load(at + 48);
                }

                a.Store(to + column);
                b.Store(to + column + 16);
                c.Store(to + column + 32);
                d.Store(to + column + 48);
            }

            for (; column < width; column += 16)
            {
                Vector512<float> sum = Vector512<float>.Zero;
                for (int row = 0; row < end - start; row++)
                {
                    sum += Row.Load(from + ((nint)row * width), column, width);
                }

                Row.Store(to, column, width, sum);
            }
        }
    }
}
