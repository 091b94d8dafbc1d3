using System.Runtime.Intrinsics;

namespace Windtunnel.Tensors.Backends.Cpu;

public sealed unsafe partial class CpuBackend
{
    // Queries of a tile, and keys of a tile. A row of scores stays in L1; a tile of keys and values in L2.
    private const int QueryTile = 32;
    private const int KeyTile = 256;

    /// <inheritdoc/>
    public override void Attention(Tensor y, Tensor lse, Tensor qkv, HeadLayout heads, int sequenceLength, float scale)
    {
        int batch = qkv.Shape.Rows / sequenceLength;
        _workers.Run(
            new AttentionWork(this, (nint)Pointer(y), (nint)Pointer(lse), (nint)Pointer(qkv), heads, sequenceLength, scale),
            batch * heads.KeyValueHeads);
    }

    /// <inheritdoc/>
    public override void AttentionGrad(
        Tensor dQkv, bool accumulate, Tensor dy, Tensor qkv, Tensor y, Tensor lse, HeadLayout heads, int sequenceLength, float scale)
    {
        int batch = qkv.Shape.Rows / sequenceLength;
        _workers.Run(
            new AttentionGradWork(
                this, (nint)Pointer(dQkv), accumulate, (nint)Pointer(dy), (nint)Pointer(qkv), (nint)Pointer(y), (nint)Pointer(lse), heads,
                sequenceLength, scale),
            batch * heads.KeyValueHeads);
    }

    /// <inheritdoc/>
    public override void CachedAttention(Tensor y, Tensor qkv, Tensor keys, Tensor values, int length, HeadLayout heads, float scale)
    {
        int rows = qkv.Shape.Rows, stride = heads.KeyValueHeads * heads.Width;
        if (qkv.Shape.Rank > 2 && qkv.Shape[0] != 1)
        {
            throw new ArgumentException($"a cache holds one sequence; qkv has shape {qkv.Shape}", nameof(qkv));
        }

        if (length + rows > keys.Shape.Rows)
        {
            throw new ArgumentOutOfRangeException(nameof(length), $"{length} + {rows} positions in a cache of {keys.Shape.Rows}");
        }

        for (int row = 0; row < rows; row++)
        {
            float* from = Pointer(qkv) + ((nint)row * heads.RowWidth) + (heads.Heads * heads.Width);
            new ReadOnlySpan<float>(from, stride).CopyTo(new Span<float>(Pointer(keys) + ((nint)(length + row) * stride), stride));
            new ReadOnlySpan<float>(from + stride, stride).CopyTo(new Span<float>(Pointer(values) + ((nint)(length + row) * stride), stride));
        }

        _workers.Run(
            new CachedAttentionWork(
                this, (nint)Pointer(y), (nint)Pointer(qkv), (nint)Pointer(keys), (nint)Pointer(values), rows, length, heads, scale),
            heads.Heads);
    }

    private static int RoundUp(int value, int multiple) => (value + multiple - 1) / multiple * multiple;

    /// <summary>columns [width, stride] = rows [n, width] transposed; the columns beyond n are zero.</summary>
    private static void TransposeRows(float* rows, nint rowStride, int n, int width, float* columns, int stride)
    {
        // A panel as wide as the stride is exactly the transposed matrix.
        Packing.Panel(new Operand((nint)rows, rowStride, 1), 0, n, 0, width, stride, columns);
    }

    private readonly struct AttentionWork(
        CpuBackend backend, nint y, nint lse, nint qkv, HeadLayout heads, int length, float scale) : IWork
    {
        public void Run(int item, int worker)
        {
            int width = heads.Width, group = heads.Heads / heads.KeyValueHeads;
            int batch = item / heads.KeyValueHeads, keyHead = item % heads.KeyValueHeads;
            int padded = RoundUp(length, 32);
            nint row = heads.RowWidth, outRow = heads.Heads * width;
            float* scratch = backend._workerScratch[worker].Rent(((long)width * padded) + (QueryTile * KeyTile) + (2 * QueryTile));
            float* keysT = scratch, scores = keysT + ((nint)width * padded), max = scores + (QueryTile * KeyTile), sum = max + QueryTile;

            float* start = (float*)qkv + ((nint)batch * length * row);
            float* keys = start + ((heads.Heads + keyHead) * width);
            float* values = keys + (heads.KeyValueHeads * width);
            TransposeRows(keys, row, length, width, keysT, padded);
            for (int head = keyHead * group; head < (keyHead + 1) * group; head++)
            {
                for (int q0 = 0; q0 < length; q0 += QueryTile)
                {
                    int queries = Math.Min(QueryTile, length - q0);
                    float* q = start + (q0 * row) + (head * width);
                    float* to = (float*)y + (((nint)(batch * length) + q0) * outRow) + (head * width);
                    for (int k0 = 0; k0 < q0 + queries; k0 += KeyTile)
                    {
                        int seen = Math.Min(KeyTile, q0 + queries - k0);
                        StridedMatMul.Run(q, row, 1, keysT + k0, padded, scores, KeyTile, queries, Math.Min(RoundUp(seen, 32), KeyTile), width, false);
                        for (int i = 0; i < queries; i++)
                        {
                            Soften(scores + (i * KeyTile), Math.Min(seen, q0 + i + 1 - k0), seen, k0 == 0, ref max[i], ref sum[i], to + (i * outRow), width);
                        }

                        StridedMatMul.Run(scores, KeyTile, 1, values + (k0 * row), row, to, outRow, queries, width, seen, k0 > 0);
                    }

                    for (int i = 0; i < queries; i++)
                    {
                        Row.Scale(to + (i * outRow), width, 1 / sum[i]);
                        ((float*)lse)[((((nint)batch * heads.Heads) + head) * length) + q0 + i] = max[i] + (float)VectorMath.Log(sum[i]);
                    }
                }
            }
        }

        // One row of the online softmax: scores become exp(scale score - max), what was summed before is rescaled. The key tile is
        // a multiple of the query tile, so every query of a tile sees at least one key of every key tile it meets.
        private void Soften(float* scores, int visible, int seen, bool first, ref float max, ref float sum, float* y, int width)
        {
            float high = Row.Max(scores, visible) * scale;
            if (first)
            {
                (max, sum) = (high, 0);
            }
            else if (high > max)
            {
                float correction = VectorMath.Exp(Vector512.Create(max - high)).ToScalar();
                Row.Scale(y, width, correction);
                sum *= correction;
                max = high;
            }

            sum += Row.ExpSum(scores, visible, scale, max);
            new Span<float>(scores + visible, seen - visible).Clear();
        }
    }

    private readonly struct AttentionGradWork(
        CpuBackend backend, nint dQkv, bool accumulate, nint dy, nint qkv, nint y, nint lse, HeadLayout heads, int length, float scale) : IWork
    {
        public void Run(int item, int worker)
        {
            int width = heads.Width, group = heads.Heads / heads.KeyValueHeads;
            int batch = item / heads.KeyValueHeads, keyHead = item % heads.KeyValueHeads;
            int padded = RoundUp(length, 32);
            nint row = heads.RowWidth, outRow = heads.Heads * width, block = (nint)width * padded;
            float* scratch = backend._workerScratch[worker].Rent((4 * block) + (2 * QueryTile * KeyTile) + (QueryTile * width));
            float* keysT = scratch, valuesT = keysT + block, dKeys = valuesT + block, dValues = dKeys + block;
            float* scores = dValues + block, dScores = scores + (QueryTile * KeyTile), dQuery = dScores + (QueryTile * KeyTile);

            nint first = (nint)batch * length * row;
            int keyColumn = (heads.Heads + keyHead) * width, valueColumn = keyColumn + (heads.KeyValueHeads * width);
            float* start = (float*)qkv + first, dStart = (float*)dQkv + first;
            float* keys = start + keyColumn, values = start + valueColumn;
            TransposeRows(keys, row, length, width, keysT, padded);
            TransposeRows(values, row, length, width, valuesT, padded);
            new Span<float>(dKeys, checked((int)(2 * block))).Clear();
            for (int head = keyHead * group; head < (keyHead + 1) * group; head++)
            {
                for (int q0 = 0; q0 < length; q0 += QueryTile)
                {
                    int queries = Math.Min(QueryTile, length - q0);
                    float* q = start + (q0 * row) + (head * width);
                    nint outAt = (((nint)(batch * length) + q0) * outRow) + (head * width);
                    float* d = (float*)dy + outAt, o = (float*)y + outAt;
                    float* logSum = (float*)lse + ((((nint)batch * heads.Heads) + head) * length) + q0;
                    for (int k0 = 0; k0 < q0 + queries; k0 += KeyTile)
                    {
                        int seen = Math.Min(KeyTile, q0 + queries - k0), columns = Math.Min(RoundUp(seen, 32), KeyTile);
                        StridedMatMul.Run(q, row, 1, keysT + k0, padded, scores, KeyTile, queries, columns, width, false);
                        StridedMatMul.Run(d, outRow, 1, valuesT + k0, padded, dScores, KeyTile, queries, columns, width, false);
                        for (int i = 0; i < queries; i++)
                        {
                            float delta = Row.Dot(d + (i * outRow), o + (i * outRow), width);
                            SoftmaxGrad(scores + (i * KeyTile), dScores + (i * KeyTile), Math.Min(seen, q0 + i + 1 - k0), seen, logSum[i], delta);
                        }

                        StridedMatMul.Run(scores, 1, KeyTile, d, outRow, dValues + ((nint)k0 * width), width, seen, width, queries, true);
                        StridedMatMul.Run(dScores, 1, KeyTile, q, row, dKeys + ((nint)k0 * width), width, seen, width, queries, true);
                        StridedMatMul.Run(dScores, KeyTile, 1, keys + (k0 * row), row, dQuery, width, queries, width, seen, k0 > 0);
                    }

                    Emit(dQuery, dStart + (q0 * row) + (head * width), queries, width, row);
                }
            }

            Emit(dKeys, dStart + keyColumn, length, width, row);
            Emit(dValues, dStart + valueColumn, length, width, row);
        }

        // p = exp(scale score - lse), ds = scale p (dp - delta); zero where the query can't see the key.
        private void SoftmaxGrad(float* scores, float* dScores, int visible, int seen, float logSum, float delta)
        {
            Vector512<float> factor = Vector512.Create(scale), shift = Vector512.Create(-logSum), center = Vector512.Create(delta);
            int i = 0;
            for (; i + 16 <= visible; i += 16)
            {
                Vector512<float> p = VectorMath.Exp(Vector512.FusedMultiplyAdd(Vector512.Load(scores + i), factor, shift));
                p.Store(scores + i);
                (factor * p * (Vector512.Load(dScores + i) - center)).Store(dScores + i);
            }

            if (i < visible)
            {
                Vector512<float> p = VectorMath.Exp(Vector512.FusedMultiplyAdd(Row.Load(scores, i, visible), factor, shift));
                Row.Store(scores, i, visible, p);
                Row.Store(dScores, i, visible, factor * p * (Row.Load(dScores, i, visible) - center));
            }

            new Span<float>(scores + visible, seen - visible).Clear();
            new Span<float>(dScores + visible, seen - visible).Clear();
        }

        private void Emit(float* from, float* to, int rows, int width, nint stride)
        {
            for (int i = 0; i < rows; i++, from += width, to += stride)
            {
                for (int j = 0; j < width; j += 16)
                {
                    Row.Store(to, j, width, accumulate ? Row.Load(to, j, width) + Row.Load(from, j, width) : Row.Load(from, j, width));
                }
            }
        }
    }

    private readonly struct CachedAttentionWork(
        CpuBackend backend, nint y, nint qkv, nint keys, nint values, int rows, int length, HeadLayout heads, float scale) : IWork
    {
        public void Run(int item, int worker)
        {
            int width = heads.Width, keyHead = item / (heads.Heads / heads.KeyValueHeads);
            nint stride = heads.KeyValueHeads * width;
            float* scores = backend._workerScratch[worker].Rent(length + rows);
            for (int row = 0; row < rows; row++)
            {
                int seen = length + row + 1;
                float* q = (float*)qkv + ((nint)row * heads.RowWidth) + (item * width);
                float* to = (float*)y + ((nint)row * heads.Heads * width) + (item * width);
                for (int k = 0; k < seen; k++)
                {
                    scores[k] = Row.Dot(q, (float*)keys + (k * stride) + (keyHead * width), width);
                }

                float sum = Row.ExpSum(scores, seen, scale, Row.Max(scores, seen) * scale);
                StridedMatMul.Run(scores, seen, 1, (float*)values + (keyHead * width), stride, to, width, 1, width, seen, false);
                Row.Scale(to, width, 1 / sum);
            }
        }
    }
}
