using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>
/// c [m, n] (+)= a [m, k] b [k, n] for the small matrices of attention: a is read in place with any strides, b and c have
/// contiguous rows. Every element is one chain of fused multiply-adds over k, so tile sizes do not show in the bits.
/// </summary>
internal static unsafe class StridedMatMul
{
    /// <summary>Runs the product; strides are in elements.</summary>
    public static void Run(
        float* a, nint aRow, nint aColumn, float* b, nint bRow, float* c, nint cRow, int m, int n, nint k, bool accumulate)
    {
        int column = 0;
        if (Vector512.IsHardwareAccelerated)
        {
            for (; column + 32 <= n; column += 32)
            {
                int row = 0;
                for (; row + 8 <= m; row += 8)
                {
                    Tile8x32(a + (row * aRow), aRow, aColumn, b + column, bRow, k, c + (row * cRow) + column, cRow, accumulate);
                }

                for (; row < m; row++)
                {
                    Tile1x32(a + (row * aRow), aRow, aColumn, b + column, bRow, k, c + (row * cRow) + column, cRow, accumulate);
                }
            }
        }

        for (; column + 16 <= n; column += 16)
        {
            int row = 0;
            for (; row + 4 <= m; row += 4)
            {
                Tile4x16(a + (row * aRow), aRow, aColumn, b + column, bRow, k, c + (row * cRow) + column, cRow, accumulate);
            }

            for (; row < m; row++)
            {
                Tile1x16(a + (row * aRow), aRow, aColumn, b + column, bRow, k, c + (row * cRow) + column, cRow, accumulate);
            }
        }

        if (column < n && Avx512F.IsSupported)
        {
            int row = 0;
            for (; row + 8 <= m; row += 8)
            {
                Tail8(a + (row * aRow), aRow, aColumn, b + column, bRow, k, c + (row * cRow) + column, cRow, n - column, accumulate);
            }

            for (; row < m; row++)
            {
                Tail1(a + (row * aRow), aColumn, b + column, bRow, k, c + (row * cRow) + column, n - column, accumulate);
            }
        }
        else if (column < n)
        {
            Tail(a, aRow, aColumn, b + column, bRow, k, c + column, cRow, m, n - column, accumulate);
        }
    }

    // The last columns, fewer than a vector, without touching what lies beside them.
    private static void Tail8(
        float* a, nint aRow, nint aColumn, float* b, nint bRow, nint k, float* c, nint cRow, int n, bool accumulate)
    {
        Vector512<float> mask = VectorMath.TailMask(n);
        Vector512<float> c0 = Vector512<float>.Zero, c1 = Vector512<float>.Zero, c2 = Vector512<float>.Zero, c3 = Vector512<float>.Zero;
        Vector512<float> c4 = Vector512<float>.Zero, c5 = Vector512<float>.Zero, c6 = Vector512<float>.Zero, c7 = Vector512<float>.Zero;
        float* a0 = a;
        float* a4 = a + (4 * aRow);
        nint threeRows = 3 * aRow;
        for (nint step = 0; step < k; step++)
        {
            Vector512<float> v = Avx512F.MaskLoad(b, mask, Vector512<float>.Zero);
            c0 = Vector512.FusedMultiplyAdd(Vector512.Create(*a0), v, c0);
            c1 = Vector512.FusedMultiplyAdd(Vector512.Create(a0[aRow]), v, c1);
            c2 = Vector512.FusedMultiplyAdd(Vector512.Create(a0[2 * aRow]), v, c2);
            c3 = Vector512.FusedMultiplyAdd(Vector512.Create(a0[threeRows]), v, c3);
            c4 = Vector512.FusedMultiplyAdd(Vector512.Create(*a4), v, c4);
            c5 = Vector512.FusedMultiplyAdd(Vector512.Create(a4[aRow]), v, c5);
            c6 = Vector512.FusedMultiplyAdd(Vector512.Create(a4[2 * aRow]), v, c6);
            c7 = Vector512.FusedMultiplyAdd(Vector512.Create(a4[threeRows]), v, c7);
            a0 += aColumn;
            a4 += aColumn;
            b += bRow;
        }

        Emit(c0, c, mask, accumulate);
        Emit(c1, c + (1 * cRow), mask, accumulate);
        Emit(c2, c + (2 * cRow), mask, accumulate);
        Emit(c3, c + (3 * cRow), mask, accumulate);
        Emit(c4, c + (4 * cRow), mask, accumulate);
        Emit(c5, c + (5 * cRow), mask, accumulate);
        Emit(c6, c + (6 * cRow), mask, accumulate);
        Emit(c7, c + (7 * cRow), mask, accumulate);
    }

    private static void Tail1(float* a, nint aColumn, float* b, nint bRow, nint k, float* c, int n, bool accumulate)
    {
        Vector512<float> mask = VectorMath.TailMask(n), sum = Vector512<float>.Zero;
        for (nint step = 0; step < k; step++)
        {
            sum = Vector512.FusedMultiplyAdd(Vector512.Create(*a), Avx512F.MaskLoad(b, mask, Vector512<float>.Zero), sum);
            a += aColumn;
            b += bRow;
        }

        Emit(sum, c, mask, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Emit(Vector512<float> sum, float* c, Vector512<float> mask, bool accumulate) =>
        Avx512F.MaskStore(c, mask, accumulate ? sum + Avx512F.MaskLoad(c, mask, Vector512<float>.Zero) : sum);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Tail(
        float* a, nint aRow, nint aColumn, float* b, nint bRow, nint k, float* c, nint cRow, int m, int n, bool accumulate)
    {
        for (int row = 0; row < m; row++)
        {
            for (int column = 0; column < n; column++)
            {
                float sum = 0;
                for (nint step = 0; step < k; step++)
                {
                    sum = MathF.FusedMultiplyAdd(a[(row * aRow) + (step * aColumn)], b[(step * bRow) + column], sum);
                }

                float* target = c + (row * cRow) + column;
                *target = accumulate ? sum + *target : sum;
            }
        }
    }

    private static void Tile8x32(
        float* a, nint aRow, nint aColumn, float* b, nint bRow, nint k, float* c, nint cRow, bool accumulate)
    {
        Vector512<float> c0a = Vector512<float>.Zero, c0b = Vector512<float>.Zero;
        Vector512<float> c1a = Vector512<float>.Zero, c1b = Vector512<float>.Zero;
        Vector512<float> c2a = Vector512<float>.Zero, c2b = Vector512<float>.Zero;
        Vector512<float> c3a = Vector512<float>.Zero, c3b = Vector512<float>.Zero;
        Vector512<float> c4a = Vector512<float>.Zero, c4b = Vector512<float>.Zero;
        Vector512<float> c5a = Vector512<float>.Zero, c5b = Vector512<float>.Zero;
        Vector512<float> c6a = Vector512<float>.Zero, c6b = Vector512<float>.Zero;
        Vector512<float> c7a = Vector512<float>.Zero, c7b = Vector512<float>.Zero;
        float* a0 = a;
        float* a4 = a + (4 * aRow);
        nint threeRows = 3 * aRow;
        for (nint step = 0; step < k; step++)
        {
            Vector512<float> ba = Vector512.Load(b);
            Vector512<float> bb = Vector512.Load(b + 16);
            Vector512<float> v0 = Vector512.Create(*a0);
            c0a = Vector512.FusedMultiplyAdd(v0, ba, c0a);
            c0b = Vector512.FusedMultiplyAdd(v0, bb, c0b);
            Vector512<float> v1 = Vector512.Create(a0[aRow]);
            c1a = Vector512.FusedMultiplyAdd(v1, ba, c1a);
            c1b = Vector512.FusedMultiplyAdd(v1, bb, c1b);
            Vector512<float> v2 = Vector512.Create(a0[2 * aRow]);
            c2a = Vector512.FusedMultiplyAdd(v2, ba, c2a);
            c2b = Vector512.FusedMultiplyAdd(v2, bb, c2b);
            Vector512<float> v3 = Vector512.Create(a0[threeRows]);
            c3a = Vector512.FusedMultiplyAdd(v3, ba, c3a);
            c3b = Vector512.FusedMultiplyAdd(v3, bb, c3b);
            Vector512<float> v4 = Vector512.Create(*a4);
            c4a = Vector512.FusedMultiplyAdd(v4, ba, c4a);
            c4b = Vector512.FusedMultiplyAdd(v4, bb, c4b);
            Vector512<float> v5 = Vector512.Create(a4[aRow]);
            c5a = Vector512.FusedMultiplyAdd(v5, ba, c5a);
            c5b = Vector512.FusedMultiplyAdd(v5, bb, c5b);
            Vector512<float> v6 = Vector512.Create(a4[2 * aRow]);
            c6a = Vector512.FusedMultiplyAdd(v6, ba, c6a);
            c6b = Vector512.FusedMultiplyAdd(v6, bb, c6b);
            Vector512<float> v7 = Vector512.Create(a4[threeRows]);
            c7a = Vector512.FusedMultiplyAdd(v7, ba, c7a);
            c7b = Vector512.FusedMultiplyAdd(v7, bb, c7b);
            a0 += aColumn;
            a4 += aColumn;
            b += bRow;
        }

        if (accumulate)
        {
            c0a += Vector512.Load(c);
            c0b += Vector512.Load(c + 16);
            c1a += Vector512.Load(c + (1 * cRow));
            c1b += Vector512.Load(c + (1 * cRow) + 16);
            c2a += Vector512.Load(c + (2 * cRow));
            c2b += Vector512.Load(c + (2 * cRow) + 16);
            c3a += Vector512.Load(c + (3 * cRow));
            c3b += Vector512.Load(c + (3 * cRow) + 16);
            c4a += Vector512.Load(c + (4 * cRow));
            c4b += Vector512.Load(c + (4 * cRow) + 16);
            c5a += Vector512.Load(c + (5 * cRow));
            c5b += Vector512.Load(c + (5 * cRow) + 16);
            c6a += Vector512.Load(c + (6 * cRow));
            c6b += Vector512.Load(c + (6 * cRow) + 16);
            c7a += Vector512.Load(c + (7 * cRow));
            c7b += Vector512.Load(c + (7 * cRow) + 16);
        }

        c0a.Store(c);
        c0b.Store(c + 16);
        c1a.Store(c + (1 * cRow));
        c1b.Store(c + (1 * cRow) + 16);
        c2a.Store(c + (2 * cRow));
        c2b.Store(c + (2 * cRow) + 16);
        c3a.Store(c + (3 * cRow));
        c3b.Store(c + (3 * cRow) + 16);
        c4a.Store(c + (4 * cRow));
        c4b.Store(c + (4 * cRow) + 16);
        c5a.Store(c + (5 * cRow));
        c5b.Store(c + (5 * cRow) + 16);
        c6a.Store(c + (6 * cRow));
        c6b.Store(c + (6 * cRow) + 16);
        c7a.Store(c + (7 * cRow));
        c7b.Store(c + (7 * cRow) + 16);
    }

    private static void Tile1x32(
        float* a, nint aRow, nint aColumn, float* b, nint bRow, nint k, float* c, nint cRow, bool accumulate)
    {
        Vector512<float> c0a = Vector512<float>.Zero, c0b = Vector512<float>.Zero;
        float* a0 = a;
        for (nint step = 0; step < k; step++)
        {
            Vector512<float> ba = Vector512.Load(b);
            Vector512<float> bb = Vector512.Load(b + 16);
            Vector512<float> v0 = Vector512.Create(*a0);
            c0a = Vector512.FusedMultiplyAdd(v0, ba, c0a);
            c0b = Vector512.FusedMultiplyAdd(v0, bb, c0b);
            a0 += aColumn;
            b += bRow;
        }

        if (accumulate)
        {
            c0a += Vector512.Load(c);
            c0b += Vector512.Load(c + 16);
        }

        c0a.Store(c);
        c0b.Store(c + 16);
    }

    private static void Tile4x16(
        float* a, nint aRow, nint aColumn, float* b, nint bRow, nint k, float* c, nint cRow, bool accumulate)
    {
        Vector256<float> c0a = Vector256<float>.Zero, c0b = Vector256<float>.Zero;
        Vector256<float> c1a = Vector256<float>.Zero, c1b = Vector256<float>.Zero;
        Vector256<float> c2a = Vector256<float>.Zero, c2b = Vector256<float>.Zero;
        Vector256<float> c3a = Vector256<float>.Zero, c3b = Vector256<float>.Zero;
        float* a0 = a;
        nint threeRows = 3 * aRow;
        for (nint step = 0; step < k; step++)
        {
            Vector256<float> ba = Vector256.Load(b);
            Vector256<float> bb = Vector256.Load(b + 8);
            Vector256<float> v0 = Vector256.Create(*a0);
            c0a = Vector256.FusedMultiplyAdd(v0, ba, c0a);
            c0b = Vector256.FusedMultiplyAdd(v0, bb, c0b);
            Vector256<float> v1 = Vector256.Create(a0[aRow]);
            c1a = Vector256.FusedMultiplyAdd(v1, ba, c1a);
            c1b = Vector256.FusedMultiplyAdd(v1, bb, c1b);
            Vector256<float> v2 = Vector256.Create(a0[2 * aRow]);
            c2a = Vector256.FusedMultiplyAdd(v2, ba, c2a);
            c2b = Vector256.FusedMultiplyAdd(v2, bb, c2b);
            Vector256<float> v3 = Vector256.Create(a0[threeRows]);
            c3a = Vector256.FusedMultiplyAdd(v3, ba, c3a);
            c3b = Vector256.FusedMultiplyAdd(v3, bb, c3b);
            a0 += aColumn;
            b += bRow;
        }

        if (accumulate)
        {
            c0a += Vector256.Load(c);
            c0b += Vector256.Load(c + 8);
            c1a += Vector256.Load(c + (1 * cRow));
            c1b += Vector256.Load(c + (1 * cRow) + 8);
            c2a += Vector256.Load(c + (2 * cRow));
            c2b += Vector256.Load(c + (2 * cRow) + 8);
            c3a += Vector256.Load(c + (3 * cRow));
            c3b += Vector256.Load(c + (3 * cRow) + 8);
        }

        c0a.Store(c);
        c0b.Store(c + 8);
        c1a.Store(c + (1 * cRow));
        c1b.Store(c + (1 * cRow) + 8);
        c2a.Store(c + (2 * cRow));
        c2b.Store(c + (2 * cRow) + 8);
        c3a.Store(c + (3 * cRow));
        c3b.Store(c + (3 * cRow) + 8);
    }

    private static void Tile1x16(
        float* a, nint aRow, nint aColumn, float* b, nint bRow, nint k, float* c, nint cRow, bool accumulate)
    {
        Vector256<float> c0a = Vector256<float>.Zero, c0b = Vector256<float>.Zero;
        float* a0 = a;
        for (nint step = 0; step < k; step++)
        {
            Vector256<float> ba = Vector256.Load(b);
            Vector256<float> bb = Vector256.Load(b + 8);
            Vector256<float> v0 = Vector256.Create(*a0);
            c0a = Vector256.FusedMultiplyAdd(v0, ba, c0a);
            c0b = Vector256.FusedMultiplyAdd(v0, bb, c0b);
            a0 += aColumn;
            b += bRow;
        }

        if (accumulate)
        {
            c0a += Vector256.Load(c);
            c0b += Vector256.Load(c + 8);
        }

        c0a.Store(c);
        c0b.Store(c + 8);
    }
}
