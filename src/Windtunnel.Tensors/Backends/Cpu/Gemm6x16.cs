using System.Runtime.Intrinsics;

namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>The AVX2 micro-kernel: 12 accumulators of 8 lanes in 16 registers.</summary>
internal readonly struct Gemm6x16 : IMicroKernel
{
    public static int Rows => 6;

    public static int Columns => 16;

    public static unsafe void Run(float* a, float* b, nint k, float* init, nint initStride, float alpha, float* c, nint ldc)
    {
        Vector256<float> c0a = Vector256<float>.Zero, c0b = Vector256<float>.Zero;
        Vector256<float> c1a = Vector256<float>.Zero, c1b = Vector256<float>.Zero;
        Vector256<float> c2a = Vector256<float>.Zero, c2b = Vector256<float>.Zero;
        Vector256<float> c3a = Vector256<float>.Zero, c3b = Vector256<float>.Zero;
        Vector256<float> c4a = Vector256<float>.Zero, c4b = Vector256<float>.Zero;
        Vector256<float> c5a = Vector256<float>.Zero, c5b = Vector256<float>.Zero;
        for (float* end = b + (k * Columns); b < end; a += Rows, b += Columns)
        {
            Vector256<float> ba = Vector256.Load(b);
            Vector256<float> bb = Vector256.Load(b + 8);
            Vector256<float> a0 = Vector256.Create(a[0]);
            c0a = Vector256.FusedMultiplyAdd(a0, ba, c0a);
            c0b = Vector256.FusedMultiplyAdd(a0, bb, c0b);
            Vector256<float> a1 = Vector256.Create(a[1]);
            c1a = Vector256.FusedMultiplyAdd(a1, ba, c1a);
            c1b = Vector256.FusedMultiplyAdd(a1, bb, c1b);
            Vector256<float> a2 = Vector256.Create(a[2]);
            c2a = Vector256.FusedMultiplyAdd(a2, ba, c2a);
            c2b = Vector256.FusedMultiplyAdd(a2, bb, c2b);
            Vector256<float> a3 = Vector256.Create(a[3]);
            c3a = Vector256.FusedMultiplyAdd(a3, ba, c3a);
            c3b = Vector256.FusedMultiplyAdd(a3, bb, c3b);
            Vector256<float> a4 = Vector256.Create(a[4]);
            c4a = Vector256.FusedMultiplyAdd(a4, ba, c4a);
            c4b = Vector256.FusedMultiplyAdd(a4, bb, c4b);
            Vector256<float> a5 = Vector256.Create(a[5]);
            c5a = Vector256.FusedMultiplyAdd(a5, ba, c5a);
            c5b = Vector256.FusedMultiplyAdd(a5, bb, c5b);
        }

        Vector256<float> scale = Vector256.Create(alpha);
        (Vector256.Load(init) + (scale * c0a)).Store(c);
        (Vector256.Load(init + 8) + (scale * c0b)).Store(c + 8);
        init += initStride;
        c += ldc;
        (Vector256.Load(init) + (scale * c1a)).Store(c);
        (Vector256.Load(init + 8) + (scale * c1b)).Store(c + 8);
        init += initStride;
        c += ldc;
        (Vector256.Load(init) + (scale * c2a)).Store(c);
        (Vector256.Load(init + 8) + (scale * c2b)).Store(c + 8);
        init += initStride;
        c += ldc;
        (Vector256.Load(init) + (scale * c3a)).Store(c);
        (Vector256.Load(init + 8) + (scale * c3b)).Store(c + 8);
        init += initStride;
        c += ldc;
        (Vector256.Load(init) + (scale * c4a)).Store(c);
        (Vector256.Load(init + 8) + (scale * c4b)).Store(c + 8);
        init += initStride;
        c += ldc;
        (Vector256.Load(init) + (scale * c5a)).Store(c);
        (Vector256.Load(init + 8) + (scale * c5b)).Store(c + 8);
    }
}
