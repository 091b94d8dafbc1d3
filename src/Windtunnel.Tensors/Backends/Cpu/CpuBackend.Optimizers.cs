using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Windtunnel.Tensors.Backends.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public override void Momentum(Tensor y, Tensor grads, Tensor m, in Destination to, in MomentumStep step) =>
        Direct(y, grads, to, new MomentumOp(State(m, grads), step));

    /// <inheritdoc/>
    public override void Adam(Tensor y, Tensor grads, Tensor m, Tensor v, in Destination to, in AdamStep step) =>
        Direct(y, grads, to, new AdamOp(State(m, grads), State(v, grads), step));

    /// <inheritdoc/>
    public override void AdEMAMix(Tensor y, Tensor grads, Tensor fast, Tensor slow, Tensor v, in Destination to, in AdEMAMixStep step) =>
        Direct(y, grads, to, new AdEMAMixOp(State(fast, grads), State(slow, grads), State(v, grads), step));

    /// <inheritdoc/>
    public override void Sophia(Tensor y, Tensor grads, Tensor m, Tensor hessian, in Destination to, in SophiaStep step) =>
        Direct(y, grads, to, new SophiaOp(State(m, grads), State(hessian, grads), step));

    /// <inheritdoc/>
    public override void AdamMini(Tensor y, Tensor grads, Tensor m, Tensor v, int blockSize, in Destination to, in AdamStep step)
    {
        long n = grads.Shape.Count;
        if (n % blockSize != 0 || v.Shape.Count != n / blockSize)
        {
            throw new ArgumentException($"AdamMini: {v.Shape.Count} second moments for {n} weights in blocks of {blockSize}");
        }

        int blocks = (int)v.Shape.Count, blocksAnItem = Math.Max(1, ElementsAnItem / blockSize);
        _workers.Run(
            new AdamMiniWork(State(y, grads), (nint)Pointer(grads), State(m, grads), (nint)Pointer(v), blocks, blockSize, blocksAnItem, to, step),
            Items(blocks, blocksAnItem));
    }

    /// <inheritdoc/>
    public override void ScheduleFree(Tensor weights, Tensor grads, Tensor z, Tensor v, in ScheduleFreeStep step) =>
        _workers.Run(
            new ScheduleFreeWork(State(weights, grads), (nint)Pointer(grads), State(z, grads), State(v, grads), grads.Shape.Count, step),
            Items(grads.Shape.Count, ElementsAnItem));

    /// <inheritdoc/>
    public override void CorrectVariance(Tensor grads, Tensor previous, float factor) =>
        Direct(grads, grads, new Destination(0, 1, 1), new VarianceOp(State(previous, grads), factor));

    /// <inheritdoc/>
    public override void LerpProduct(Tensor y, Tensor a, Tensor b, float weight, float scale) =>
        Direct(y, a, new Destination(1 - weight, weight * scale, 1), new ProductOp(State(b, a)));

    /// <inheritdoc/>
    public override void Descend(Tensor y, Tensor u, in Destination to) => Direct(y, u, to, default(IdentityOp));

    /// <inheritdoc/>
    public override void DescendCautiously(Tensor weights, Tensor update, float rate, float decay) =>
        Direct(weights, update, new Destination(1, -1, 1), new CautiousDecayOp(State(weights, update), rate, decay));

    /// <inheritdoc/>
    public override double Caution(Tensor update, Tensor witness)
    {
        long n = update.Shape.Count;
        int items = Items(n, ElementsAnItem);
        float* kept = _partials.Rent(items);
        _workers.Run(new CautionWork((nint)kept, (nint)Pointer(update), State(witness, update), n), items);
        double sum = 0;
        for (int i = 0; i < items; i++)
        {
            sum += kept[i];
        }

        return sum;
    }

    /// <inheritdoc/>
    public override void NormalizeRows(Tensor x, Tensor v, float beta, float epsilon)
    {
        int rows = x.Shape.Rows, rowsAnItem = Math.Max(1, ElementsAnItem / x.Shape.Columns);
        if (v.Shape.Count != rows)
        {
            throw new ArgumentException($"NormalizeRows: {v.Shape.Count} mean squares for {rows} rows");
        }

        _workers.Run(
            new NormalizeRowsWork((nint)Pointer(x), (nint)Pointer(v), rows, x.Shape.Columns, rowsAnItem, beta, epsilon), Items(rows, rowsAnItem));
    }

    /// <inheritdoc/>
    public override void FillNormal(Tensor destination, Philox random, long start) =>
        _workers.Run(
            new FillNormalWork((nint)Pointer(destination), destination.Shape.Count, random, start), Items(destination.Shape.Count, ElementsAnItem));

    private void Direct<TOp>(Tensor y, Tensor grads, in Destination to, TOp op)
        where TOp : struct, IDirectionOp
    {
        long n = grads.Shape.Count;
        _workers.Run(new DirectionWork<TOp>(State(y, grads), (nint)Pointer(grads), n, to, op), Items(n, ElementsAnItem));
    }

    private static nint State(Tensor state, Tensor grads, [CallerMemberName] string rule = "") => state.Shape.Count == grads.Shape.Count
        ? (nint)Pointer(state)
        : throw new ArgumentException($"{rule}: shapes {state.Shape} and {grads.Shape} differ in size");

    /// <summary>A rule's formula: updates its state at lanes i to i + 15 of an item and returns the direction there.</summary>
    private interface IDirectionOp
    {
        Vector512<float> At(long start, int i, int count, Vector512<float> grad);
    }

    private readonly struct DirectionWork<TOp>(nint y, nint grads, long n, Destination to, TOp op) : IWork
        where TOp : struct, IDirectionOp
    {
        public void Run(int item, int worker)
        {
            long start = (long)item * ElementsAnItem;
            int count = (int)Math.Min(ElementsAnItem, n - start);
            float* into = (float*)y + start, g = (float*)grads + start;
            Vector512<float> gradScale = Vector512.Create(to.GradScale), scale = Vector512.Create(to.Scale), keep = Vector512.Create(to.Keep);
            bool overwrite = to.Keep == 0; // What is overwritten may be no number.
            for (int i = 0; i < count; i += 16)
            {
                Vector512<float> u = op.At(start, i, count, Row.Load(g, i, count) * gradScale);
                Vector512<float> old = overwrite ? Vector512<float>.Zero : Row.Load(into, i, count) * keep;
                Row.Store(into, i, count, Vector512.FusedMultiplyAdd(scale, u, old));
            }
        }
    }

    private readonly struct IdentityOp : IDirectionOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(long start, int i, int count, Vector512<float> grad) => grad;
    }

    private readonly struct MomentumOp(nint m, MomentumStep step) : IDirectionOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(long start, int i, int count, Vector512<float> grad)
        {
            float* momentum = (float*)m + start;
            Vector512<float> old = Row.Load(momentum, i, count);
            Vector512<float> u = Vector512.FusedMultiplyAdd(Vector512.Create(step.MomentumPart), old, Vector512.Create(step.GradPart) * grad);
            Row.Store(momentum, i, count, Vector512.FusedMultiplyAdd(Vector512.Create(step.Decay), old, Vector512.Create(step.Gain) * grad));
            return step.Sign ? Sign(u) : u;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector512<float> Sign(Vector512<float> x)
        {
            Vector512<float> one = Vector512<float>.One, zero = Vector512<float>.Zero;
            return (Vector512.GreaterThan(x, zero) & one) - (Vector512.LessThan(x, zero) & one);
        }
    }

    private readonly struct AdamOp(nint m, nint v, AdamStep step) : IDirectionOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(long start, int i, int count, Vector512<float> grad)
        {
            Vector512<float> first = Average((float*)m + start, i, count, grad, step.Beta1);
            Vector512<float> second = Average((float*)v + start, i, count, grad * grad, step.Beta2);
            Vector512<float> numerator = Vector512.FusedMultiplyAdd(Vector512.Create(step.GradPart), grad, first * Vector512.Create(step.MomentScale));
            return numerator / (Vector512.Sqrt(second * Vector512.Create(step.SquareScale)) + Vector512.Create(step.Epsilon));
        }
    }

    private readonly struct AdEMAMixOp(nint m1, nint m2, nint v, AdEMAMixStep step) : IDirectionOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(long start, int i, int count, Vector512<float> grad)
        {
            Vector512<float> fast = Average((float*)m1 + start, i, count, grad, step.Beta1);
            Vector512<float> slow = Average((float*)m2 + start, i, count, grad, step.Beta3);
            Vector512<float> second = Average((float*)v + start, i, count, grad * grad, step.Beta2);
            Vector512<float> numerator = Vector512.FusedMultiplyAdd(Vector512.Create(step.SlowScale), slow, fast * Vector512.Create(step.FastScale));
            return numerator / (Vector512.Sqrt(second * Vector512.Create(step.SquareScale)) + Vector512.Create(step.Epsilon));
        }
    }

    private readonly struct SophiaOp(nint m, nint hessian, SophiaStep step) : IDirectionOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(long start, int i, int count, Vector512<float> grad)
        {
            Vector512<float> first = Average((float*)m + start, i, count, grad, step.Beta) * Vector512.Create(step.MomentScale);
            Vector512<float> h = Row.Load((float*)hessian + start, i, count) * Vector512.Create(step.HessianScale);
            Vector512<float> ratio = first / Vector512.MaxNative(h, Vector512.Create(step.Epsilon));
            return Vector512.MinNative(Vector512.MaxNative(ratio, Vector512.Create(-1f)), Vector512<float>.One);
        }
    }

    private readonly struct VarianceOp(nint previous, float factor) : IDirectionOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(long start, int i, int count, Vector512<float> grad)
        {
            float* before = (float*)previous + start;
            Vector512<float> corrected = Vector512.FusedMultiplyAdd(grad - Row.Load(before, i, count), Vector512.Create(factor), grad);
            Row.Store(before, i, count, grad);
            return corrected;
        }
    }

    private readonly struct ProductOp(nint other) : IDirectionOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(long start, int i, int count, Vector512<float> grad) => grad * Row.Load((float*)other + start, i, count);
    }

    private readonly struct CautiousDecayOp(nint weights, float rate, float decay) : IDirectionOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(long start, int i, int count, Vector512<float> grad)
        {
            Vector512<float> w = Row.Load((float*)weights + start, i, count), zero = Vector512<float>.Zero;
            Vector512<float> opposed = (Vector512.GreaterThan(grad, zero) & Vector512.LessThan(w, zero))
                | (Vector512.LessThan(grad, zero) & Vector512.GreaterThan(w, zero));
            return Vector512.FusedMultiplyAdd(Vector512.Create(rate), grad, Vector512.AndNot(w, opposed) * Vector512.Create(decay));
        }
    }

    private readonly struct AdamMiniWork(
        nint y, nint grads, nint m, nint v, int blocks, int blockSize, int blocksAnItem, Destination to, AdamStep step) : IWork
    {
        public void Run(int item, int worker)
        {
            int end = Math.Min(blocks, (item + 1) * blocksAnItem);
            Vector512<float> gradScale = Vector512.Create(to.GradScale), keep = Vector512.Create(to.Keep);
            bool overwrite = to.Keep == 0;
            for (int block = item * blocksAnItem; block < end; block++)
            {
                long start = (long)block * blockSize;
                float* into = (float*)y + start, g = (float*)grads + start, first = (float*)m + start, second = (float*)v + block;
                float square = Row.SumOfSquares(g, blockSize, 0) * (to.GradScale * to.GradScale / blockSize);
                *second = MathF.FusedMultiplyAdd(step.Beta2, *second, (1 - step.Beta2) * square);
                float denominator = MathF.Sqrt(*second * step.SquareScale) + step.Epsilon;
                Vector512<float> scale = Vector512.Create(to.Scale * step.MomentScale / denominator);
                for (int i = 0; i < blockSize; i += 16)
                {
                    Vector512<float> u = Average(first, i, blockSize, Row.Load(g, i, blockSize) * gradScale, step.Beta1);
                    Vector512<float> old = overwrite ? Vector512<float>.Zero : Row.Load(into, i, blockSize) * keep;
                    Row.Store(into, i, blockSize, Vector512.FusedMultiplyAdd(scale, u, old));
                }
            }
        }
    }

    private readonly struct ScheduleFreeWork(nint weights, nint grads, nint z, nint v, long n, ScheduleFreeStep step) : IWork
    {
        public void Run(int item, int worker)
        {
            long start = (long)item * ElementsAnItem;
            int count = (int)Math.Min(ElementsAnItem, n - start);
            float* y = (float*)weights + start, g = (float*)grads + start, fast = (float*)z + start, square = (float*)v + start;
            Vector512<float> epsilon = Vector512.Create(step.Epsilon), squareScale = Vector512.Create(step.SquareScale);
            Vector512<float> decay = Vector512.Create(step.WeightDecay), average = Vector512.Create(step.AverageWeight);
            Vector512<float> slowRate = Vector512.Create(-step.Rate * (1 - (step.Interpolation * (1 - step.AverageWeight))));
            for (int i = 0; i < count; i += 16)
            {
                Vector512<float> grad = Row.Load(g, i, count) * Vector512.Create(step.GradScale);
                Vector512<float> second = Average(square, i, count, grad * grad, step.Beta2);
                Vector512<float> w = Row.Load(y, i, count), point = Row.Load(fast, i, count);
                Vector512<float> d = Vector512.FusedMultiplyAdd(decay, w, grad / (Vector512.Sqrt(second * squareScale) + epsilon));
                Row.Store(y, i, count, Vector512.FusedMultiplyAdd(slowRate, d, Vector512.FusedMultiplyAdd(average, point - w, w)));
                Row.Store(fast, i, count, Vector512.FusedMultiplyAdd(Vector512.Create(-step.Rate), d, point));
            }
        }
    }

    private readonly struct CautionWork(nint kept, nint update, nint witness, long n) : IWork
    {
        public void Run(int item, int worker)
        {
            long start = (long)item * ElementsAnItem;
            int count = (int)Math.Min(ElementsAnItem, n - start);
            float* to = (float*)update + start, from = (float*)witness + start;
            Vector512<float> sum = Vector512<float>.Zero, zero = Vector512<float>.Zero;
            for (int i = 0; i < count; i += 16)
            {
                Vector512<float> u = Row.Load(to, i, count), w = Row.Load(from, i, count);
                Vector512<float> agree = (Vector512.GreaterThan(u, zero) & Vector512.GreaterThan(w, zero))
                    | (Vector512.LessThan(u, zero) & Vector512.LessThan(w, zero));
                Row.Store(to, i, count, u & agree);
                sum += agree & Vector512<float>.One;
            }

            ((float*)kept)[item] = VectorMath.Sum(sum);
        }
    }

    private readonly struct NormalizeRowsWork(nint x, nint v, int rows, int columns, int rowsAnItem, float beta, float epsilon) : IWork
    {
        public void Run(int item, int worker)
        {
            int end = Math.Min(rows, (item + 1) * rowsAnItem);
            for (int row = item * rowsAnItem; row < end; row++)
            {
                float* values = (float*)x + ((nint)row * columns), square = (float*)v + row;
                *square = MathF.FusedMultiplyAdd(beta, *square, (1 - beta) * (Row.SumOfSquares(values, columns, 0) / columns));
                Row.Scale(values, columns, 1 / (MathF.Sqrt(*square) + epsilon));
            }
        }
    }

    private readonly struct FillNormalWork(nint destination, long n, Philox random, long from) : IWork
    {
        public void Run(int item, int worker)
        {
            long start = (long)item * ElementsAnItem;
            int count = (int)Math.Min(ElementsAnItem, n - start);
            random.FillNormal(new Span<float>((float*)destination + start, count), 1, from + start);
        }
    }

    // x = beta x + (1 - beta) value, stored and returned.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Average(float* x, int i, int count, Vector512<float> value, float beta)
    {
        Vector512<float> average = Vector512.FusedMultiplyAdd(Vector512.Create(beta), Row.Load(x, i, count), Vector512.Create(1 - beta) * value);
        Row.Store(x, i, count, average);
        return average;
    }
}
