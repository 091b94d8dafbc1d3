using System.Runtime.Intrinsics;

namespace Windtunnel.Tensors.Backends.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public override void Rotary(Tensor y, Tensor x, Tensor table, HeadLayout heads, int sequenceLength, int start, bool inverse, bool accumulate) =>
        _workers.Run(
            new RotaryWork(
                (nint)Pointer(y), (nint)Pointer(x), (nint)Pointer(table), heads, x.Shape.Rows, sequenceLength, start, inverse ? -1 : 1, accumulate),
            Items(x.Shape.Rows, RotaryWork.RowsAnItem));

    private readonly struct RotaryWork(
        nint y, nint x, nint table, HeadLayout heads, int rows, int sequenceLength, int start, float direction, bool accumulate) : IWork
    {
        public const int RowsAnItem = 32;

        public void Run(int item, int worker)
        {
            int width = heads.Width, half = width / 2, values = heads.KeyValueHeads * width;
            Vector512<float> sign = Vector512.Create(direction);
            int end = Math.Min(rows, (item + 1) * RowsAnItem);
            for (int row = item * RowsAnItem; row < end; row++)
            {
                float* from = (float*)x + ((nint)row * heads.RowWidth), to = (float*)y + ((nint)row * heads.RowWidth);
                float* cosines = (float*)table + ((nint)(start + (row % sequenceLength)) * width), sines = cosines + half;
                for (int head = 0; head < heads.Heads + heads.KeyValueHeads; head++, from += width, to += width)
                {
                    for (int i = 0; i < half; i += 16)
                    {
                        Vector512<float> first = Row.Load(from, i, half), second = Row.Load(from + half, i, half);
                        Vector512<float> cosine = Row.Load(cosines, i, half), sine = Row.Load(sines, i, half) * sign;
                        Put(to, i, half, (first * cosine) - (second * sine));
                        Put(to + half, i, half, (second * cosine) + (first * sine));
                    }
                }

                for (int i = 0; i < values; i += 16)
                {
                    Put(to, i, values, Row.Load(from, i, values));
                }
            }
        }

        private void Put(float* to, int i, int n, Vector512<float> value) =>
            Row.Store(to, i, n, accumulate ? Row.Load(to, i, n) + value : value);
    }
}
