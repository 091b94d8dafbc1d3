using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>What this machine can do at best, measured: the yardstick of every share-of-peak figure.</summary>
public static unsafe class MachinePeak
{
    private const int Iterations = 2_000_000;

    /// <summary>
    /// fp32 operations a second (a fused multiply-add counts as two) of <paramref name="threads"/> threads that do nothing but
    /// independent multiply-adds in registers, at the widest vectors; the best of <paramref name="rounds"/> rounds.
    /// </summary>
    public static double FlopsPerSecond(int threads, int rounds = 7) => Best(threads, rounds, pool =>
    {
        long start = Stopwatch.GetTimestamp();
        pool.Run(default(FmaWork), threads);
        return threads * FmaWork.Flops / Stopwatch.GetElapsedTime(start).TotalSeconds;
    });

    /// <summary>Bytes a second read by a sum over 256 MiB shared by <paramref name="threads"/> threads; the best of <paramref name="rounds"/> rounds.</summary>
    public static double ReadBytesPerSecond(int threads, int rounds = 5)
    {
        const int Elements = 64 << 20;
        float* memory = (float*)NativeMemory.AlignedAlloc((nuint)Elements * sizeof(float), 64);
        try
        {
            new Span<float>(memory, Elements).Clear();
            nint address = (nint)memory;
            return Best(threads, rounds, pool =>
            {
                long start = Stopwatch.GetTimestamp();
                pool.Run(new ReadWork(address, Elements / (threads * 16)), threads * 16);
                return (double)Elements * sizeof(float) / Stopwatch.GetElapsedTime(start).TotalSeconds;
            });
        }
        finally
        {
            NativeMemory.AlignedFree(memory);
        }
    }

    private static double Best(int threads, int rounds, Func<WorkerPool, double> round)
    {
        using WorkerPool pool = new(threads);
        double best = 0;
        for (int i = 0; i < rounds; i++)
        {
            best = Math.Max(best, round(pool));
        }

        return best;
    }

    private readonly struct FmaWork : IWork
    {
        private static int Lanes => Vector512.IsHardwareAccelerated ? 16 : Vector256.IsHardwareAccelerated ? 8 : 4;

        public static double Flops => 2.0 * 12 * Lanes * Iterations;

        public void Run(int item, int worker)
        {
            float sum = Vector512.IsHardwareAccelerated ? Wide() : Vector256.IsHardwareAccelerated ? Middle() : Narrow();
            GC.KeepAlive(sum);
        }

        // Twelve independent chains hide the latency of the multiply-adds.
        [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
        private static float Wide()
        {
            Vector512<float> x = Vector512.Create(0.999f), y = Vector512.Create(0.001f);
            Vector512<float> a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x, l = x;
            for (int n = 0; n < Iterations; n++)
            {
                a = Vector512.FusedMultiplyAdd(a, x, y);
                b = Vector512.FusedMultiplyAdd(b, x, y);
                c = Vector512.FusedMultiplyAdd(c, x, y);
                d = Vector512.FusedMultiplyAdd(d, x, y);
                e = Vector512.FusedMultiplyAdd(e, x, y);
                f = Vector512.FusedMultiplyAdd(f, x, y);
                g = Vector512.FusedMultiplyAdd(g, x, y);
                h = Vector512.FusedMultiplyAdd(h, x, y);
                i = Vector512.FusedMultiplyAdd(i, x, y);
                j = Vector512.FusedMultiplyAdd(j, x, y);
                k = Vector512.FusedMultiplyAdd(k, x, y);
                l = Vector512.FusedMultiplyAdd(l, x, y);
            }

            return Vector512.Sum(a + b + c + d + e + f + g + h + i + j + k + l);
        }

        [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
        private static float Middle()
        {
            Vector256<float> x = Vector256.Create(0.999f), y = Vector256.Create(0.001f);
            Vector256<float> a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x, l = x;
            for (int n = 0; n < Iterations; n++)
            {
                a = Vector256.FusedMultiplyAdd(a, x, y);
                b = Vector256.FusedMultiplyAdd(b, x, y);
                c = Vector256.FusedMultiplyAdd(c, x, y);
                d = Vector256.FusedMultiplyAdd(d, x, y);
                e = Vector256.FusedMultiplyAdd(e, x, y);
                f = Vector256.FusedMultiplyAdd(f, x, y);
                g = Vector256.FusedMultiplyAdd(g, x, y);
                h = Vector256.FusedMultiplyAdd(h, x, y);
                i = Vector256.FusedMultiplyAdd(i, x, y);
                j = Vector256.FusedMultiplyAdd(j, x, y);
                k = Vector256.FusedMultiplyAdd(k, x, y);
                l = Vector256.FusedMultiplyAdd(l, x, y);
            }

            return Vector256.Sum(a + b + c + d + e + f + g + h + i + j + k + l);
        }

        [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
        private static float Narrow()
        {
            Vector128<float> x = Vector128.Create(0.999f), y = Vector128.Create(0.001f);
            Vector128<float> a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x, l = x;
            for (int n = 0; n < Iterations; n++)
            {
                a = Vector128.FusedMultiplyAdd(a, x, y);
                b = Vector128.FusedMultiplyAdd(b, x, y);
                c = Vector128.FusedMultiplyAdd(c, x, y);
                d = Vector128.FusedMultiplyAdd(d, x, y);
                e = Vector128.FusedMultiplyAdd(e, x, y);
                f = Vector128.FusedMultiplyAdd(f, x, y);
                g = Vector128.FusedMultiplyAdd(g, x, y);
                h = Vector128.FusedMultiplyAdd(h, x, y);
                i = Vector128.FusedMultiplyAdd(i, x, y);
                j = Vector128.FusedMultiplyAdd(j, x, y);
                k = Vector128.FusedMultiplyAdd(k, x, y);
                l = Vector128.FusedMultiplyAdd(l, x, y);
            }

            return Vector128.Sum(a + b + c + d + e + f + g + h + i + j + k + l);
        }
    }

    private readonly struct ReadWork(nint memory, long elementsAnItem) : IWork
    {
        public void Run(int item, int worker)
        {
            float sum = Row.Sum((float*)memory + (item * elementsAnItem), (int)elementsAnItem);
            GC.KeepAlive(sum);
        }
    }
}
