using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>Reductions and formulas over one row, sixteen lanes at a time; tails go through the same vector formula.</summary>
internal static unsafe class Row
{
    /// <summary>The sum of x.</summary>
    public static float Sum(float* x, int n)
    {
        Vector512<float> sum = Vector512<float>.Zero;
        int i = 0;
        for (; i + 16 <= n; i += 16)
        {
            sum += Vector512.Load(x + i);
        }

        return VectorMath.Sum(i < n ? sum + VectorMath.LoadTail(x + i, n - i, 0) : sum);
    }

    /// <summary>The sum of x y.</summary>
    public static float Dot(float* x, float* y, int n)
    {
        Vector512<float> sum = Vector512<float>.Zero;
        int i = 0;
        for (; i + 16 <= n; i += 16)
        {
            sum = Vector512.FusedMultiplyAdd(Vector512.Load(x + i), Vector512.Load(y + i), sum);
        }

        if (i < n)
        {
            sum = Vector512.FusedMultiplyAdd(VectorMath.LoadTail(x + i, n - i, 0), VectorMath.LoadTail(y + i, n - i, 0), sum);
        }

        return VectorMath.Sum(sum);
    }

    /// <summary>The sum of (x - center)^2.</summary>
    public static float SumOfSquares(float* x, int n, float center)
    {
        Vector512<float> sum = Vector512<float>.Zero, middle = Vector512.Create(center);
        int i = 0;
        for (; i + 16 <= n; i += 16)
        {
            Vector512<float> d = Vector512.Load(x + i) - middle;
            sum = Vector512.FusedMultiplyAdd(d, d, sum);
        }

        if (i < n)
        {
            Vector512<float> d = VectorMath.LoadTail(x + i, n - i, center) - middle;
            sum = Vector512.FusedMultiplyAdd(d, d, sum);
        }

        return VectorMath.Sum(sum);
    }

    /// <summary>The largest of x; NaN only if all are.</summary>
    public static float Max(float* x, int n)
    {
        Vector512<float> max = Vector512.Create(float.NegativeInfinity);
        int i = 0;
        for (; i + 16 <= n; i += 16)
        {
            max = Vector512.MaxNative(Vector512.Load(x + i), max);
        }

        return VectorMath.Max(i < n ? Vector512.MaxNative(VectorMath.LoadTail(x + i, n - i, float.NegativeInfinity), max) : max);
    }

    /// <summary>The largest magnitude of those that are numbers.</summary>
    public static float LargestMagnitude(float* x, int n)
    {
        Vector512<float> most = Vector512<float>.Zero;
        for (int i = 0; i < n; i += 16)
        {
            most = Vector512.MaxNative(Vector512.Abs(Load(x, i, n)), most);
        }

        return VectorMath.Max(most);
    }

    /// <summary>Replaces x by exp(scale x - shift) and returns the sum.</summary>
    public static float ExpSum(float* x, int n, float scale, float shift)
    {
        Vector512<float> sum = Vector512<float>.Zero, factor = Vector512.Create(scale), offset = Vector512.Create(-shift);
        int i = 0;
        for (; i + 16 <= n; i += 16)
        {
            Vector512<float> e = VectorMath.Exp(Vector512.FusedMultiplyAdd(Vector512.Load(x + i), factor, offset));
            e.Store(x + i);
            sum += e;
        }

        if (i < n)
        {
            Vector512<float> e = VectorMath.Exp(Vector512.FusedMultiplyAdd(VectorMath.LoadTail(x + i, n - i, 0), factor, offset));
            VectorMath.StoreTail(e, x + i, n - i);
            sum += VectorMath.LoadTail(x + i, n - i, 0);
        }

        return VectorMath.Sum(sum);
    }

    /// <summary>x *= scale.</summary>
    public static void Scale(float* x, int n, float scale)
    {
        for (int i = 0; i < n; i += 16)
        {
            Store(x, i, n, Load(x, i, n) * Vector512.Create(scale));
        }
    }

    /// <summary>y += scale x.</summary>
    public static void AddScaled(float* y, float* x, int n, float scale)
    {
        Vector512<float> factor = Vector512.Create(scale);
        int i = 0;
        for (; i + 16 <= n; i += 16)
        {
            Vector512.FusedMultiplyAdd(factor, Vector512.Load(x + i), Vector512.Load(y + i)).Store(y + i);
        }

        for (; i < n; i++)
        {
            y[i] = MathF.FusedMultiplyAdd(scale, x[i], y[i]);
        }
    }

    /// <summary>Lanes i to i + 15 of a row of n, zero beyond its end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* x, int i, int n) =>
        i + 16 <= n ? Vector512.Load(x + i) : VectorMath.LoadTail(x + i, n - i, 0);

    /// <summary>Stores the lanes that lie within a row of n.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float* x, int i, int n, Vector512<float> value)
    {
        if (i + 16 <= n)
        {
            value.Store(x + i);
        }
        else
        {
            VectorMath.StoreTail(value, x + i, n - i);
        }
    }
}
