using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>
/// Formulas on sixteen floats. Only additions, multiplications, divisions, square roots and explicit fused multiply-adds, in a
/// written order: the same bits with AVX-512, AVX2 or Arm64, which library transcendentals do not promise.
/// </summary>
internal static class VectorMath
{
    /// <summary>Lanes of every reduction, whatever the hardware.</summary>
    public const int Lanes = 16;

    /// <summary>e^x within 2 ulp; x is clamped to [-87.3, 88.3], NaN stays NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        // The constant comes first so that a NaN in x passes through the native minimum and maximum.
        x = Vector512.MinNative(Vector512.Create(88.3f), Vector512.MaxNative(Vector512.Create(-87.3f), x));
        // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low mantissa bits; 127 more is the exponent's bias.
        Vector512<float> magic = Vector512.Create(12582912f + 127);
        Vector512<float> shifted = Vector512.FusedMultiplyAdd(x, Vector512.Create(1.44269504f), magic);
        Vector512<float> n = shifted - magic;
        Vector512<float> r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-0.693359375f), x);
        r = Vector512.FusedMultiplyAdd(n, Vector512.Create(2.12194440e-4f), r);
        // 1 + r + r^2 q(r) on |r| <= ln2 / 2, where q meets its function at the Chebyshev nodes: within 1.1e-8.
        Vector512<float> p = Vector512.Create(1.39262131e-3f);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(8.36320315e-3f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(4.16665561e-2f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1.66665763e-1f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(0.5f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512<float>.One);
        p = Vector512.FusedMultiplyAdd(p, r, Vector512<float>.One);
        return p * Vector512.ShiftLeft(shifted.AsInt32(), 23).AsSingle();
    }

    /// <summary>1 / (1 + e^-x).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Sigmoid(Vector512<float> x) =>
        Vector512<float>.One / (Vector512<float>.One + Exp(-x));

    /// <summary>The sum of sixteen lanes, always as the same tree.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector512<float> x)
    {
        Vector256<float> eight = x.GetLower() + x.GetUpper();
        Vector128<float> four = eight.GetLower() + eight.GetUpper();
        return four.GetElement(0) + four.GetElement(2) + (four.GetElement(1) + four.GetElement(3));
    }

    /// <summary>The sum of eight lanes, always as the same tree.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static double Sum(Vector512<double> x)
    {
        Vector256<double> four = x.GetLower() + x.GetUpper();
        Vector128<double> two = four.GetLower() + four.GetUpper();
        return two.GetElement(0) + two.GetElement(1);
    }

    /// <summary>The largest of sixteen lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Vector512<float> x)
    {
        Vector256<float> eight = Vector256.MaxNative(x.GetLower(), x.GetUpper());
        Vector128<float> four = Vector128.MaxNative(eight.GetLower(), eight.GetUpper());
        return MathF.Max(MathF.Max(four.GetElement(0), four.GetElement(2)), MathF.Max(four.GetElement(1), four.GetElement(3)));
    }

    /// <summary>All bits of the first <paramref name="count"/> lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> TailMask(int count) => Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(count)).AsSingle();

    /// <summary>The first <paramref name="count"/> of sixteen floats, the rest <paramref name="fill"/>.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static unsafe Vector512<float> LoadTail(float* source, int count, float fill)
    {
        if (Avx512F.IsSupported)
        {
            return Avx512F.MaskLoad(source, TailMask(count), Vector512.Create(fill));
        }

        Span<float> lanes = stackalloc float[Lanes];
        lanes.Fill(fill);
        new ReadOnlySpan<float>(source, count).CopyTo(lanes);
        return Vector512.Create<float>(lanes);
    }

    /// <summary>Stores the first <paramref name="count"/> lanes.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static unsafe void StoreTail(Vector512<float> value, float* destination, int count)
    {
        if (Avx512F.IsSupported)
        {
            Avx512F.MaskStore(destination, TailMask(count), value);
            return;
        }

        Span<float> lanes = stackalloc float[Lanes];
        value.CopyTo(lanes);
        lanes[..count].CopyTo(new Span<float>(destination, count));
    }

    /// <summary>Natural logarithm of a positive normal number, to about 1e-15, from arithmetic alone; NaN stays NaN.</summary>
    public static double Log(double x)
    {
        if (double.IsNaN(x))
        {
            return x;
        }

        long bits = BitConverter.DoubleToInt64Bits(x);
        int exponent = (int)((bits >> 52) & 0x7FF) - 1023;
        double mantissa = BitConverter.Int64BitsToDouble((bits & 0xFFFFFFFFFFFFFL) | 0x3FF0000000000000L);
        if (mantissa > 1.4142135623730951)
        {
            mantissa *= 0.5;
            exponent++;
        }

        // log m = 2 artanh z with z = (m - 1) / (m + 1), |z| <= 0.1716.
        double z = (mantissa - 1) / (mantissa + 1);
        double square = z * z;
        double sum = 0;
        for (int k = 21; k >= 1; k -= 2)
        {
            sum = (sum * square) + (1.0 / k);
        }

        return (2 * z * sum) + (exponent * 0.6931471805599453);
    }

    /// <summary>Sine and cosine of 2 pi <paramref name="turns"/>, to about 1e-15, from arithmetic alone.</summary>
    public static (double Sin, double Cos) SinCosTurns(double turns)
    {
        turns -= Math.Floor(turns);
        int octant = (int)(turns * 8);
        double angle = (turns - ((octant + (octant & 1)) * 0.125)) * (2 * Math.PI);
        double square = angle * angle;
        double sine = 0, cosine = 0;
        for (int k = 8; k >= 0; k--)
        {
            sine = 1 - (square / ((2 * k + 2) * (2 * k + 3)) * sine);
            cosine = 1 - (square / ((2 * k + 1) * (2 * k + 2)) * cosine);
        }

        sine *= angle;
        return (((octant + 1) / 2) & 3) switch
        {
            0 => (sine, cosine),
            1 => (cosine, -sine),
            2 => (-sine, -cosine),
            _ => (-cosine, sine),
        };
    }

    /// <summary>The bits of <see cref="Log(double)"/>, eight numbers at a time.</summary>
    public static Vector512<double> Log(Vector512<double> x)
    {
        Vector512<long> bits = x.AsInt64();
        Vector512<double> mantissa = ((bits & Vector512.Create(0xFFFFFFFFFFFFFL)) | Vector512.Create(0x3FF0000000000000L)).AsDouble();
        Vector512<double> large = Vector512.GreaterThan(mantissa, Vector512.Create(1.4142135623730951));
        mantissa = Vector512.ConditionalSelect(large, mantissa * 0.5, mantissa);
        Vector512<long> exponent = (Vector512.ShiftRightLogical(bits, 52) & Vector512.Create(0x7FFL)) - Vector512.Create(1023L) - large.AsInt64();

        // A small integer in the low mantissa bits of 1.5 * 2^52.
        Vector512<double> magic = Vector512.Create(6755399441055744.0);
        Vector512<double> power = (exponent + magic.AsInt64()).AsDouble() - magic;
        Vector512<double> z = (mantissa - Vector512<double>.One) / (mantissa + Vector512<double>.One), square = z * z, sum = Vector512<double>.Zero;
        for (int k = 21; k >= 1; k -= 2)
        {
            sum = (sum * square) + Vector512.Create(1.0 / k);
        }

        return (2 * z * sum) + (power * 0.6931471805599453);
    }

    /// <summary>The bits of <see cref="SinCosTurns(double)"/>, eight numbers at a time.</summary>
    public static (Vector512<double> Sin, Vector512<double> Cos) SinCosTurns(Vector512<double> turns)
    {
        turns -= Vector512.Floor(turns);
        Vector512<double> octant = Vector512.Floor(turns * 8), half = Vector512.Floor((octant + Vector512<double>.One) * 0.5);
        Vector512<double> angle = (turns - (half * 0.25)) * (2 * Math.PI), square = angle * angle;
        Vector512<double> sine = Vector512<double>.Zero, cosine = Vector512<double>.Zero, one = Vector512<double>.One;
        for (int k = 8; k >= 0; k--)
        {
            sine = one - (square / Vector512.Create((double)((2 * k + 2) * (2 * k + 3))) * sine);
            cosine = one - (square / Vector512.Create((double)((2 * k + 1) * (2 * k + 2))) * cosine);
        }

        sine *= angle;
        Vector512<double> first = Vector512.Equals(half, one), second = Vector512.Equals(half, Vector512.Create(2.0)), third = Vector512.Equals(half, Vector512.Create(3.0));
        Vector512<double> minus = Vector512.Create(-0.0);
        return (
            Vector512.ConditionalSelect(first | third, cosine, sine) ^ (minus & (second | third)),
            Vector512.ConditionalSelect(first | third, sine, cosine) ^ (minus & (first | second)));
    }
}
