using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Windtunnel.Tensors.Backends.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public override void Fill(Tensor destination, float value) => Map(destination, destination, destination, new FillOp(value), false);

    /// <inheritdoc/>
    public override void Add(Tensor destination, Tensor source, float scale, bool accumulate) =>
        Map(destination, source, source, new ScaleOp(scale), accumulate);

    /// <inheritdoc/>
    public override void AddScaled(Tensor y, Tensor a, Tensor b, float scale) => Map(y, a, b, new AddScaledOp(scale), false);

    /// <inheritdoc/>
    public override void Lerp(Tensor y, Tensor x, float weight) => Map(y, y, x, new LerpOp(weight), false);

    /// <inheritdoc/>
    public override void Gelu(Tensor y, Tensor x) => Map(y, x, x, default(GeluOp), false);

    /// <inheritdoc/>
    public override void GeluGrad(Tensor dx, Tensor dy, Tensor x, bool accumulate) => Map(dx, dy, x, default(GeluGradOp), accumulate);

    /// <inheritdoc/>
    public override void SwiGlu(Tensor y, Tensor gateUp) =>
        _workers.Run(
            new SwiGluWork((nint)Pointer(y), (nint)Pointer(gateUp), y.Shape.Rows, y.Shape.Columns), Items(y.Shape.Rows, SwiGluWork.RowsAnItem));

    /// <inheritdoc/>
    public override void SwiGluGrad(Tensor dGateUp, Tensor dy, Tensor gateUp, bool accumulate) =>
        _workers.Run(
            new SwiGluGradWork((nint)Pointer(dGateUp), (nint)Pointer(dy), (nint)Pointer(gateUp), dy.Shape.Rows, dy.Shape.Columns, accumulate),
            Items(dy.Shape.Rows, SwiGluWork.RowsAnItem));

    /// <inheritdoc/>
    public override double Sum(Tensor x) => Reduce(x, squares: false);

    /// <inheritdoc/>
    public override double SumOfSquares(Tensor x) => Reduce(x, squares: true);

    private double Reduce(Tensor x, bool squares)
    {
        long n = x.Shape.Count;
        int items = Items(n, ElementsAnItem);
        float* partials = _partials.Rent(items);
        _workers.Run(new ReduceWork((nint)partials, (nint)Pointer(x), n, squares), items);
        double sum = 0;
        for (int i = 0; i < items; i++)
        {
            sum += partials[i];
        }

        return sum;
    }

    private void Map<TOp>(Tensor y, Tensor a, Tensor b, TOp op, bool accumulate)
        where TOp : struct, IMapOp
    {
        long n = y.Shape.Count;
        if (a.Shape.Count != n || b.Shape.Count != n)
        {
            throw new ArgumentException($"{typeof(TOp).Name}: shapes {y.Shape}, {a.Shape} and {b.Shape} differ in size");
        }

        _workers.Run(
            new MapWork<TOp>((nint)Pointer(y), (nint)Pointer(a), (nint)Pointer(b), n, op, accumulate), Items(n, ElementsAnItem));
    }

    /// <summary>An element-wise formula of two sources.</summary>
    private interface IMapOp
    {
        Vector512<float> At(Vector512<float> a, Vector512<float> b);
    }

    private readonly struct MapWork<TOp>(nint y, nint a, nint b, long n, TOp op, bool accumulate) : IWork
        where TOp : struct, IMapOp
    {
        public void Run(int item, int worker)
        {
            long start = (long)item * ElementsAnItem;
            int count = (int)Math.Min(ElementsAnItem, n - start);
            float* to = (float*)y + start, left = (float*)a + start, right = (float*)b + start;
            int i = 0;
            if (accumulate)
            {
                for (; i + 16 <= count; i += 16)
                {
                    (Vector512.Load(to + i) + op.At(Vector512.Load(left + i), Vector512.Load(right + i))).Store(to + i);
                }
            }
            else
            {
                for (; i + 16 <= count; i += 16)
                {
                    op.At(Vector512.Load(left + i), Vector512.Load(right + i)).Store(to + i);
                }
            }

            if (i < count)
            {
                Vector512<float> old = accumulate ? Row.Load(to, i, count) : Vector512<float>.Zero;
                Row.Store(to, i, count, old + op.At(Row.Load(left, i, count), Row.Load(right, i, count)));
            }
        }
    }

    private readonly struct FillOp(float value) : IMapOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(Vector512<float> a, Vector512<float> b) => Vector512.Create(value);
    }

    private readonly struct ScaleOp(float scale) : IMapOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(Vector512<float> a, Vector512<float> b) => a * Vector512.Create(scale);
    }

    private readonly struct AddScaledOp(float scale) : IMapOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(Vector512<float> a, Vector512<float> b) => a + (b * Vector512.Create(scale));
    }

    private readonly struct LerpOp(float weight) : IMapOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(Vector512<float> a, Vector512<float> b) => a + ((b - a) * Vector512.Create(weight));
    }

    // gelu(x) = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3), because (1 + tanh u) / 2 = sigmoid(2 u).
    private readonly struct GeluOp : IMapOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(Vector512<float> a, Vector512<float> b)
        {
            Vector512<float> inner = Vector512.FusedMultiplyAdd(a * a, Vector512.Create(2 * 0.7978845608f * 0.044715f), Vector512.Create(2 * 0.7978845608f));
            return a * VectorMath.Sigmoid(a * inner);
        }
    }

    private readonly struct GeluGradOp : IMapOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> At(Vector512<float> a, Vector512<float> b)
        {
            Vector512<float> square = b * b;
            Vector512<float> inner = Vector512.FusedMultiplyAdd(square, Vector512.Create(2 * 0.7978845608f * 0.044715f), Vector512.Create(2 * 0.7978845608f));
            Vector512<float> slope = Vector512.FusedMultiplyAdd(square, Vector512.Create(6 * 0.7978845608f * 0.044715f), Vector512.Create(2 * 0.7978845608f));
            Vector512<float> s = VectorMath.Sigmoid(b * inner);
            return a * Vector512.FusedMultiplyAdd(b * slope, s * (Vector512<float>.One - s), s);
        }
    }

    private readonly struct SwiGluWork(nint y, nint gateUp, int rows, int width) : IWork
    {
        public const int RowsAnItem = 16;

        public void Run(int item, int worker)
        {
            int end = Math.Min(rows, (item + 1) * RowsAnItem);
            for (int row = item * RowsAnItem; row < end; row++)
            {
                float* to = (float*)y + ((nint)row * width);
                float* gate = (float*)gateUp + ((nint)row * 2 * width);
                float* up = gate + width;
                for (int i = 0; i < width; i += 16)
                {
                    Vector512<float> g = Row.Load(gate, i, width);
                    Row.Store(to, i, width, g * VectorMath.Sigmoid(g) * Row.Load(up, i, width));
                }
            }
        }
    }

    private readonly struct SwiGluGradWork(nint dGateUp, nint dy, nint gateUp, int rows, int width, bool accumulate) : IWork
    {
        public void Run(int item, int worker)
        {
            int end = Math.Min(rows, (item + 1) * SwiGluWork.RowsAnItem);
            for (int row = item * SwiGluWork.RowsAnItem; row < end; row++)
            {
                float* gate = (float*)gateUp + ((nint)row * 2 * width), up = gate + width;
                float* dGate = (float*)dGateUp + ((nint)row * 2 * width), dUp = dGate + width;
                float* from = (float*)dy + ((nint)row * width);
                for (int i = 0; i < width; i += 16)
                {
                    Vector512<float> g = Row.Load(gate, i, width), u = Row.Load(up, i, width), d = Row.Load(from, i, width);
                    Vector512<float> s = VectorMath.Sigmoid(g);
                    Vector512<float> forGate = d * u * s * Vector512.FusedMultiplyAdd(g, Vector512<float>.One - s, Vector512<float>.One);
                    Vector512<float> forUp = d * (g * s);
                    if (accumulate)
                    {
                        forGate += Row.Load(dGate, i, width);
                        forUp += Row.Load(dUp, i, width);
                    }

                    Row.Store(dGate, i, width, forGate);
                    Row.Store(dUp, i, width, forUp);
                }
            }
        }
    }

    private readonly struct ReduceWork(nint partials, nint x, long n, bool squares) : IWork
    {
        public void Run(int item, int worker)
        {
            long start = (long)item * ElementsAnItem;
            int count = (int)Math.Min(ElementsAnItem, n - start);
            float* from = (float*)x + start;
            ((float*)partials)[item] = squares ? Row.SumOfSquares(from, count, 0) : Row.Sum(from, count);
        }
    }
}
