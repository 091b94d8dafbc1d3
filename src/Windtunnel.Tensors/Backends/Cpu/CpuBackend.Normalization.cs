using System.Runtime.Intrinsics;

namespace Windtunnel.Tensors.Backends.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Rows whose contributions to a norm's weight gradients are added up before the blocks are.</summary>
    private const int NormRowsABlock = 32;

    /// <inheritdoc/>
    public override void LayerNorm(Tensor y, Tensor mean, Tensor rstd, Tensor x, Tensor gain, Tensor bias, float epsilon) =>
        _workers.Run(
            new LayerNormWork(
                (nint)Pointer(y), (nint)Pointer(mean), (nint)Pointer(rstd), (nint)Pointer(x), (nint)Pointer(gain), (nint)Pointer(bias),
                x.Shape.Rows, x.Shape.Columns, epsilon),
            Items(x.Shape.Rows, NormRowsABlock));

    /// <inheritdoc/>
    public override void LayerNormGrad(
        Tensor dx, bool accumulate, Tensor dGain, Tensor dBias, bool accumulateWeights, Tensor dy, Tensor x, Tensor mean, Tensor rstd, Tensor gain)
    {
        (int rows, int width) = (x.Shape.Rows, x.Shape.Columns);
        int blocks = Items(rows, NormRowsABlock);
        float* partials = _partials.Rent((long)blocks * 2 * width);
        _workers.Run(
            new LayerNormGradWork(
                (nint)Pointer(dx), accumulate, (nint)partials, (nint)Pointer(dy), (nint)Pointer(x), (nint)Pointer(mean), (nint)Pointer(rstd),
                (nint)Pointer(gain), rows, width),
            blocks);
        SumBlocks(dGain, partials, width, blocks, 2 * width, accumulateWeights);
        SumBlocks(dBias, partials + width, width, blocks, 2 * width, accumulateWeights);
    }

    /// <inheritdoc/>
    public override void RmsNorm(Tensor y, Tensor rstd, Tensor x, Tensor gain, float epsilon) =>
        _workers.Run(
            new RmsNormWork(
                (nint)Pointer(y), (nint)Pointer(rstd), (nint)Pointer(x), (nint)Pointer(gain), x.Shape.Rows, x.Shape.Columns, epsilon),
            Items(x.Shape.Rows, NormRowsABlock));

    /// <inheritdoc/>
    public override void RmsNormGrad(
        Tensor dx, bool accumulate, Tensor dGain, bool accumulateWeights, Tensor dy, Tensor x, Tensor rstd, Tensor gain)
    {
        (int rows, int width) = (x.Shape.Rows, x.Shape.Columns);
        int blocks = Items(rows, NormRowsABlock);
        float* partials = _partials.Rent((long)blocks * width);
        _workers.Run(
            new RmsNormGradWork(
                (nint)Pointer(dx), accumulate, (nint)partials, (nint)Pointer(dy), (nint)Pointer(x), (nint)Pointer(rstd), (nint)Pointer(gain),
                rows, width),
            blocks);
        SumBlocks(dGain, partials, width, blocks, width, accumulateWeights);
    }

    /// <inheritdoc/>
    public override void HeadNorm(Tensor y, Tensor rstd, Tensor x, Tensor queryGain, Tensor keyGain, HeadLayout heads, float epsilon) =>
        _workers.Run(
            new HeadNormWork(
                (nint)Pointer(y), (nint)Pointer(rstd), (nint)Pointer(x), (nint)Pointer(queryGain), (nint)Pointer(keyGain), x.Shape.Rows, heads, epsilon),
            Items(x.Shape.Rows, NormRowsABlock));

    /// <inheritdoc/>
    public override void HeadNormGrad(
        Tensor dx, bool accumulate, Tensor dQueryGain, Tensor dKeyGain, bool accumulateWeights,
        Tensor dy, Tensor x, Tensor rstd, Tensor queryGain, Tensor keyGain, HeadLayout heads)
    {
        int blocks = Items(x.Shape.Rows, NormRowsABlock);
        float* partials = _partials.Rent((long)blocks * 2 * heads.Width);
        _workers.Run(
            new HeadNormGradWork(
                (nint)Pointer(dx), accumulate, (nint)partials, (nint)Pointer(dy), (nint)Pointer(x), (nint)Pointer(rstd),
                (nint)Pointer(queryGain), (nint)Pointer(keyGain), x.Shape.Rows, heads),
            blocks);
        SumBlocks(dQueryGain, partials, heads.Width, blocks, 2 * heads.Width, accumulateWeights);
        SumBlocks(dKeyGain, partials + heads.Width, heads.Width, blocks, 2 * heads.Width, accumulateWeights);
    }

    private static float RmsNormRow(float* y, float* x, float* gain, int width, float epsilon)
    {
        float rstd = 1 / MathF.Sqrt((Row.SumOfSquares(x, width, 0) / width) + epsilon);
        Vector512<float> scale = Vector512.Create(rstd);
        for (int i = 0; i < width; i += 16)
        {
            Row.Store(y, i, width, Row.Load(x, i, width) * scale * Row.Load(gain, i, width));
        }

        return rstd;
    }

    // dx = rstd (dy gain - xhat mean(dy gain xhat)), xhat = x rstd
    private static void RmsNormGradRow(float* dx, bool accumulate, float* dGain, float* dy, float* x, float rstd, float* gain, int width)
    {
        Vector512<float> scale = Vector512.Create(rstd), dot = Vector512<float>.Zero;
        for (int i = 0; i < width; i += 16)
        {
            Vector512<float> hat = Row.Load(x, i, width) * scale, d = Row.Load(dy, i, width);
            dot = Vector512.FusedMultiplyAdd(d * Row.Load(gain, i, width), hat, dot);
            Row.Store(dGain, i, width, Vector512.FusedMultiplyAdd(d, hat, Row.Load(dGain, i, width)));
        }

        Vector512<float> mean = Vector512.Create(VectorMath.Sum(dot) / width);
        for (int i = 0; i < width; i += 16)
        {
            Vector512<float> hat = Row.Load(x, i, width) * scale;
            Vector512<float> value = ((Row.Load(dy, i, width) * Row.Load(gain, i, width)) - (hat * mean)) * scale;
            Row.Store(dx, i, width, accumulate ? Row.Load(dx, i, width) + value : value);
        }
    }

    private readonly struct LayerNormWork(
        nint y, nint mean, nint rstd, nint x, nint gain, nint bias, int rows, int width, float epsilon) : IWork
    {
        public void Run(int item, int worker)
        {
            int end = Math.Min(rows, (item + 1) * NormRowsABlock);
            for (int row = item * NormRowsABlock; row < end; row++)
            {
                float* from = (float*)x + ((nint)row * width), to = (float*)y + ((nint)row * width);
                float center = Row.Sum(from, width) / width;
                float scale = 1 / MathF.Sqrt((Row.SumOfSquares(from, width, center) / width) + epsilon);
                ((float*)mean)[row] = center;
                ((float*)rstd)[row] = scale;
                Vector512<float> middle = Vector512.Create(center), factor = Vector512.Create(scale);
                for (int i = 0; i < width; i += 16)
                {
                    Vector512<float> hat = (Row.Load(from, i, width) - middle) * factor;
                    Row.Store(to, i, width, Vector512.FusedMultiplyAdd(hat, Row.Load((float*)gain, i, width), Row.Load((float*)bias, i, width)));
                }
            }
        }
    }

    // dx = rstd (dy gain - mean(dy gain) - xhat mean(dy gain xhat))
    private readonly struct LayerNormGradWork(
        nint dx, bool accumulate, nint partials, nint dy, nint x, nint mean, nint rstd, nint gain, int rows, int width) : IWork
    {
        public void Run(int item, int worker)
        {
            float* dGain = (float*)partials + ((nint)item * 2 * width), dBias = dGain + width, g = (float*)gain;
            new Span<float>(dGain, 2 * width).Clear();
            int end = Math.Min(rows, (item + 1) * NormRowsABlock);
            for (int row = item * NormRowsABlock; row < end; row++)
            {
                float* from = (float*)x + ((nint)row * width), d = (float*)dy + ((nint)row * width), to = (float*)dx + ((nint)row * width);
                Vector512<float> middle = Vector512.Create(((float*)mean)[row]), factor = Vector512.Create(((float*)rstd)[row]);
                Vector512<float> sum = Vector512<float>.Zero, dot = Vector512<float>.Zero;
                for (int i = 0; i < width; i += 16)
                {
                    // Lanes beyond the row have dy = 0, so that they add nothing.
                    Vector512<float> hat = (Row.Load(from, i, width) - middle) * factor, upstream = Row.Load(d, i, width);
                    Vector512<float> scaled = upstream * Row.Load(g, i, width);
                    sum += scaled;
                    dot = Vector512.FusedMultiplyAdd(scaled, hat, dot);
                    Row.Store(dGain, i, width, Vector512.FusedMultiplyAdd(upstream, hat, Row.Load(dGain, i, width)));
                    Row.Store(dBias, i, width, Row.Load(dBias, i, width) + upstream);
                }

                Vector512<float> meanSum = Vector512.Create(VectorMath.Sum(sum) / width), meanDot = Vector512.Create(VectorMath.Sum(dot) / width);
                for (int i = 0; i < width; i += 16)
                {
                    Vector512<float> hat = (Row.Load(from, i, width) - middle) * factor;
                    Vector512<float> value = ((Row.Load(d, i, width) * Row.Load(g, i, width)) - meanSum - (hat * meanDot)) * factor;
                    Row.Store(to, i, width, accumulate ? Row.Load(to, i, width) + value : value);
                }
            }
        }
    }

    private readonly struct RmsNormWork(nint y, nint rstd, nint x, nint gain, int rows, int width, float epsilon) : IWork
    {
        public void Run(int item, int worker)
        {
            int end = Math.Min(rows, (item + 1) * NormRowsABlock);
            for (int row = item * NormRowsABlock; row < end; row++)
            {
                nint at = (nint)row * width;
                ((float*)rstd)[row] = RmsNormRow((float*)y + at, (float*)x + at, (float*)gain, width, epsilon);
            }
        }
    }

    private readonly struct RmsNormGradWork(
        nint dx, bool accumulate, nint partials, nint dy, nint x, nint rstd, nint gain, int rows, int width) : IWork
    {
        public void Run(int item, int worker)
        {
            float* dGain = (float*)partials + ((nint)item * width);
            new Span<float>(dGain, width).Clear();
            int end = Math.Min(rows, (item + 1) * NormRowsABlock);
            for (int row = item * NormRowsABlock; row < end; row++)
            {
                nint at = (nint)row * width;
                RmsNormGradRow((float*)dx + at, accumulate, dGain, (float*)dy + at, (float*)x + at, ((float*)rstd)[row], (float*)gain, width);
            }
        }
    }

    private readonly struct HeadNormWork(
        nint y, nint rstd, nint x, nint queryGain, nint keyGain, int rows, HeadLayout heads, float epsilon) : IWork
    {
        public void Run(int item, int worker)
        {
            int normed = heads.Heads + heads.KeyValueHeads, width = heads.Width;
            int end = Math.Min(rows, (item + 1) * NormRowsABlock);
            for (int row = item * NormRowsABlock; row < end; row++)
            {
                float* from = (float*)x + ((nint)row * heads.RowWidth), to = (float*)y + ((nint)row * heads.RowWidth);
                for (int head = 0; head < normed; head++, from += width, to += width)
                {
                    nint gain = head < heads.Heads ? queryGain : keyGain;
                    ((float*)rstd)[((nint)row * normed) + head] = RmsNormRow(to, from, (float*)gain, width, epsilon);
                }

                new ReadOnlySpan<float>(from, heads.KeyValueHeads * width).CopyTo(new Span<float>(to, heads.KeyValueHeads * width));
            }
        }
    }

    private readonly struct HeadNormGradWork(
        nint dx, bool accumulate, nint partials, nint dy, nint x, nint rstd, nint queryGain, nint keyGain, int rows, HeadLayout heads) : IWork
    {
        public void Run(int item, int worker)
        {
            int normed = heads.Heads + heads.KeyValueHeads, width = heads.Width;
            float* dQueryGain = (float*)partials + ((nint)item * 2 * width), dKeyGain = dQueryGain + width;
            new Span<float>(dQueryGain, 2 * width).Clear();
            int end = Math.Min(rows, (item + 1) * NormRowsABlock);
            for (int row = item * NormRowsABlock; row < end; row++)
            {
                nint at = (nint)row * heads.RowWidth;
                float* from = (float*)x + at, d = (float*)dy + at, to = (float*)dx + at;
                for (int head = 0; head < normed; head++, from += width, d += width, to += width)
                {
                    bool query = head < heads.Heads;
                    RmsNormGradRow(
                        to, accumulate, query ? dQueryGain : dKeyGain, d, from, ((float*)rstd)[((nint)row * normed) + head],
                        (float*)(query ? queryGain : keyGain), width);
                }

                int rest = heads.KeyValueHeads * width;
                for (int i = 0; i < rest; i += 16)
                {
                    Row.Store(to, i, rest, accumulate ? Row.Load(to, i, rest) + Row.Load(d, i, rest) : Row.Load(d, i, rest));
                }
            }
        }
    }
}
