using System.Runtime.Intrinsics;

namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>The AVX-512 micro-kernel: 24 accumulators of 16 lanes, two columns of b and one broadcast of a.</summary>
internal readonly struct Gemm12x32 : IMicroKernel
{
    public static int Rows => 12;

    public static int Columns => 32;

    public static unsafe void Run(float* a, float* b, nint k, float* init, nint initStride, float alpha, float* c, nint ldc)
    {
        Vector512<float> c0a = Vector512<float>.Zero, c0b = Vector512<float>.Zero;
        Vector512<float> c1a = Vector512<float>.Zero, c1b = Vector512<float>.Zero;
        Vector512<float> c2a = Vector512<float>.Zero, c2b = Vector512<float>.Zero;
        Vector512<float> c3a = Vector512<float>.Zero, c3b = Vector512<float>.Zero;
        Vector512<float> c4a = Vector512<float>.Zero, c4b = Vector512<float>.Zero;
        Vector512<float> c5a = Vector512<float>.Zero, c5b = Vector512<float>.Zero;
        Vector512<float> c6a = Vector512<float>.Zero, c6b = Vector512<float>.Zero;
        Vector512<float> c7a = Vector512<float>.Zero, c7b = Vector512<float>.Zero;
        Vector512<float> c8a = Vector512<float>.Zero, c8b = Vector512<float>.Zero;
        Vector512<float> c9a = Vector512<float>.Zero, c9b = Vector512<float>.Zero;
        Vector512<float> c10a = Vector512<float>.Zero, c10b = Vector512<float>.Zero;
        Vector512<float> c11a = Vector512<float>.Zero, c11b = Vector512<float>.Zero;
        for (int row = 0; row < Rows; row++)
        {
            Prefetch.ForWrite(c + (row * ldc));
            Prefetch.ForWrite(c + (row * ldc) + 16);
        }

        for (float* end = b + (k * Columns); b < end; a += Rows, b += Columns)
        {
            Vector512<float> ba = Vector512.Load(b);
            Vector512<float> bb = Vector512.Load(b + 16);
            Vector512<float> a0 = Vector512.Create(a[0]);
            c0a = Vector512.FusedMultiplyAdd(a0, ba, c0a);
            c0b = Vector512.FusedMultiplyAdd(a0, bb, c0b);
            Vector512<float> a1 = Vector512.Create(a[1]);
            c1a = Vector512.FusedMultiplyAdd(a1, ba, c1a);
            c1b = Vector512.FusedMultiplyAdd(a1, bb, c1b);
            Vector512<float> a2 = Vector512.Create(a[2]);
            c2a = Vector512.FusedMultiplyAdd(a2, ba, c2a);
            c2b = Vector512.FusedMultiplyAdd(a2, bb, c2b);
            Vector512<float> a3 = Vector512.Create(a[3]);
            c3a = Vector512.FusedMultiplyAdd(a3, ba, c3a);
            c3b = Vector512.FusedMultiplyAdd(a3, bb, c3b);
            Vector512<float> a4 = Vector512.Create(a[4]);
            c4a = Vector512.FusedMultiplyAdd(a4, ba, c4a);
            c4b = Vector512.FusedMultiplyAdd(a4, bb, c4b);
            Vector512<float> a5 = Vector512.Create(a[5]);
            c5a = Vector512.FusedMultiplyAdd(a5, ba, c5a);
            c5b = Vector512.FusedMultiplyAdd(a5, bb, c5b);
            Vector512<float> a6 = Vector512.Create(a[6]);
            c6a = Vector512.FusedMultiplyAdd(a6, ba, c6a);
            c6b = Vector512.FusedMultiplyAdd(a6, bb, c6b);
            Vector512<float> a7 = Vector512.Create(a[7]);
            c7a = Vector512.FusedMultiplyAdd(a7, ba, c7a);
            c7b = Vector512.FusedMultiplyAdd(a7, bb, c7b);
            Vector512<float> a8 = Vector512.Create(a[8]);
            c8a = Vector512.FusedMultiplyAdd(a8, ba, c8a);
            c8b = Vector512.FusedMultiplyAdd(a8, bb, c8b);
            Vector512<float> a9 = Vector512.Create(a[9]);
            c9a = Vector512.FusedMultiplyAdd(a9, ba, c9a);
            c9b = Vector512.FusedMultiplyAdd(a9, bb, c9b);
            Vector512<float> a10 = Vector512.Create(a[10]);
            c10a = Vector512.FusedMultiplyAdd(a10, ba, c10a);
            c10b = Vector512.FusedMultiplyAdd(a10, bb, c10b);
            Vector512<float> a11 = Vector512.Create(a[11]);
            c11a = Vector512.FusedMultiplyAdd(a11, ba, c11a);
            c11b = Vector512.FusedMultiplyAdd(a11, bb, c11b);
        }

        Vector512<float> scale = Vector512.Create(alpha);
        (Vector512.Load(init) + (scale * c0a)).Store(c);
        (Vector512.Load(init + 16) + (scale * c0b)).Store(c + 16);
        init += initStride;
        c += ldc;
        (Vector512.Load(init) + (scale * c1a)).Store(c);
        (Vector512.Load(init + 16) + (scale * c1b)).Store(c + 16);
        init += initStride;
        c += ldc;
        (Vector512.Load(init) + (scale * c2a)).Store(c);
        (Vector512.Load(init + 16) + (scale * c2b)).Store(c + 16);
        init += initStride;
        c += ldc;
        (Vector512.Load(init) + (scale * c3a)).Store(c);
        (Vector512.Load(init + 16) + (scale * c3b)).Store(c + 16);
        init += initStride;
        c += ldc;
        (Vector512.Load(init) + (scale * c4a)).Store(c);
        (Vector512.Load(init + 16) + (scale * c4b)).Store(c + 16);
        init += initStride;
        c += ldc;
        (Vector512.Load(init) + (scale * c5a)).Store(c);
        (Vector512.Load(init + 16) + (scale * c5b)).Store(c + 16);
        init += initStride;
        c += ldc;
        (Vector512.Load(init) + (scale * c6a)).Store(c);
        (Vector512.Load(init + 16) + (scale * c6b)).Store(c + 16);
        init += initStride;
        c += ldc;
        (Vector512.Load(init) + (scale * c7a)).Store(c);
        (Vector512.Load(init + 16) + (scale * c7b)).Store(c + 16);
        init += initStride;
        c += ldc;
        (Vector512.Load(init) + (scale * c8a)).Store(c);
        (Vector512.Load(init + 16) + (scale * c8b)).Store(c + 16);
        init += initStride;
        c += ldc;
        (Vector512.Load(init) + (scale * c9a)).Store(c);
        (Vector512.Load(init + 16) + (scale * c9b)).Store(c + 16);
        init += initStride;
        c += ldc;
        (Vector512.Load(init) + (scale * c10a)).Store(c);
        (Vector512.Load(init + 16) + (scale * c10b)).Store(c + 16);
        init += initStride;
        c += ldc;
        (Vector512.Load(init) + (scale * c11a)).Store(c);
        (Vector512.Load(init + 16) + (scale * c11b)).Store(c + 16);
    }
}
