using System.Runtime.Intrinsics;

namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>The portable micro-kernel, for Arm64: 16 accumulators of 4 lanes in 32 registers.</summary>
internal readonly struct Gemm8x8 : IMicroKernel
{
    public static int Rows => 8;

    public static int Columns => 8;

    public static unsafe void Run(float* a, float* b, nint k, float* init, nint initStride, float alpha, float* c, nint ldc)
    {
        Vector128<float> c0a = Vector128<float>.Zero, c0b = Vector128<float>.Zero;
        Vector128<float> c1a = Vector128<float>.Zero, c1b = Vector128<float>.Zero;
        Vector128<float> c2a = Vector128<float>.Zero, c2b = Vector128<float>.Zero;
        Vector128<float> c3a = Vector128<float>.Zero, c3b = Vector128<float>.Zero;
        Vector128<float> c4a = Vector128<float>.Zero, c4b = Vector128<float>.Zero;
        Vector128<float> c5a = Vector128<float>.Zero, c5b = Vector128<float>.Zero;
        Vector128<float> c6a = Vector128<float>.Zero, c6b = Vector128<float>.Zero;
        Vector128<float> c7a = Vector128<float>.Zero, c7b = Vector128<float>.Zero;
        for (float* end = b + (k * Columns); b < end; a += Rows, b += Columns)
        {
            Vector128<float> ba = Vector128.Load(b);
            Vector128<float> bb = Vector128.Load(b + 4);
            Vector128<float> a0 = Vector128.Create(a[0]);
            c0a = Vector128.FusedMultiplyAdd(a0, ba, c0a);
            c0b = Vector128.FusedMultiplyAdd(a0, bb, c0b);
            Vector128<float> a1 = Vector128.Create(a[1]);
            c1a = Vector128.FusedMultiplyAdd(a1, ba, c1a);
            c1b = Vector128.FusedMultiplyAdd(a1, bb, c1b);
            Vector128<float> a2 = Vector128.Create(a[2]);
            c2a = Vector128.FusedMultiplyAdd(a2, ba, c2a);
            c2b = Vector128.FusedMultiplyAdd(a2, bb, c2b);
            Vector128<float> a3 = Vector128.Create(a[3]);
            c3a = Vector128.FusedMultiplyAdd(a3, ba, c3a);
            c3b = Vector128.FusedMultiplyAdd(a3, bb, c3b);
            Vector128<float> a4 = Vector128.Create(a[4]);
            c4a = Vector128.FusedMultiplyAdd(a4, ba, c4a);
            c4b = Vector128.FusedMultiplyAdd(a4, bb, c4b);
            Vector128<float> a5 = Vector128.Create(a[5]);
            c5a = Vector128.FusedMultiplyAdd(a5, ba, c5a);
            c5b = Vector128.FusedMultiplyAdd(a5, bb, c5b);
            Vector128<float> a6 = Vector128.Create(a[6]);
            c6a = Vector128.FusedMultiplyAdd(a6, ba, c6a);
            c6b = Vector128.FusedMultiplyAdd(a6, bb, c6b);
            Vector128<float> a7 = Vector128.Create(a[7]);
            c7a = Vector128.FusedMultiplyAdd(a7, ba, c7a);
            c7b = Vector128.FusedMultiplyAdd(a7, bb, c7b);
        }

        Vector128<float> scale = Vector128.Create(alpha);
        (Vector128.Load(init) + (scale * c0a)).Store(c);
        (Vector128.Load(init + 4) + (scale * c0b)).Store(c + 4);
        init += initStride;
        c += ldc;
        (Vector128.Load(init) + (scale * c1a)).Store(c);
        (Vector128.Load(init + 4) + (scale * c1b)).Store(c + 4);
        init += initStride;
        c += ldc;
        (Vector128.Load(init) + (scale * c2a)).Store(c);
        (Vector128.Load(init + 4) + (scale * c2b)).Store(c + 4);
        init += initStride;
        c += ldc;
        (Vector128.Load(init) + (scale * c3a)).Store(c);
        (Vector128.Load(init + 4) + (scale * c3b)).Store(c + 4);
        init += initStride;
        c += ldc;
        (Vector128.Load(init) + (scale * c4a)).Store(c);
        (Vector128.Load(init + 4) + (scale * c4b)).Store(c + 4);
        init += initStride;
        c += ldc;
        (Vector128.Load(init) + (scale * c5a)).Store(c);
        (Vector128.Load(init + 4) + (scale * c5b)).Store(c + 4);
        init += initStride;
        c += ldc;
        (Vector128.Load(init) + (scale * c6a)).Store(c);
        (Vector128.Load(init + 4) + (scale * c6b)).Store(c + 4);
        init += initStride;
        c += ldc;
        (Vector128.Load(init) + (scale * c7a)).Store(c);
        (Vector128.Load(init + 4) + (scale * c7b)).Store(c + 4);
    }
}
