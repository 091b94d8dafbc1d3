using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Windtunnel.Tensors.Memory;

namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>
/// The fp32 backend in C#: AVX-512, AVX2 with FMA, or Arm64. Kernels are cut into items whose arithmetic does not depend on
/// who runs them, so equal inputs give equal bits on any number of threads and on any of these instruction sets.
/// </summary>
public sealed unsafe partial class CpuBackend : Backend
{
    /// <summary>Elements of one item of an element-wise kernel.</summary>
    private const int ElementsAnItem = 16384;

    private readonly WorkerPool _workers;
    private readonly Scratch _partials = new();
    private readonly WorkerPool _alone = new(1);
    private readonly Scratch[] _workerScratch;
    private readonly IGemm _gemm;
    private readonly IGemm[] _workerGemms;

    /// <summary>A backend on <paramref name="threads"/> threads; 0 takes one for each core.</summary>
    public CpuBackend(int threads = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(threads);
        if (!Fma.IsSupported && !System.Runtime.Intrinsics.Arm.AdvSimd.Arm64.IsSupported)
        {
            throw new PlatformNotSupportedException("this processor has no fused multiply-add: x86-64-v3 (2013 on) or Arm64 is needed");
        }

        _workers = new WorkerPool(threads == 0 ? Environment.ProcessorCount : threads);
        _workerScratch = [.. Enumerable.Range(0, _workers.Workers).Select(_ => new Scratch())];
        _gemm = NewGemm(_workers);
        _workerGemms = [.. Enumerable.Range(0, _workers.Workers).Select(_ => NewGemm(_alone))];
    }

    /// <summary>The instruction set that the kernels use: AVX-512, AVX2 or Arm64.</summary>
    public static string InstructionSet =>
        Vector512.IsHardwareAccelerated ? "AVX-512" : Vector256.IsHardwareAccelerated ? "AVX2" : "Arm64";

    /// <inheritdoc/>
    public override string Description => $"CPU, {InstructionSet}, {Threads} thread{(Threads == 1 ? "" : "s")}";

    /// <inheritdoc/>
    public override int Threads => _workers.Workers;

    /// <inheritdoc/>
    public override double MeasurePeakFlopsPerSecond() => MachinePeak.FlopsPerSecond(Threads, rounds: 3);

    /// <inheritdoc/>
    public override DeviceBuffer Allocate(long elements) => new HostBuffer(elements, Ledger);

    /// <inheritdoc/>
    public override void Write(Tensor destination, ReadOnlySpan<float> values)
    {
        Require(destination, DType.F32, values.Length);
        values.CopyTo(new Span<float>(Pointer(destination), values.Length));
    }

    /// <inheritdoc/>
    public override void Write(Tensor destination, ReadOnlySpan<int> values)
    {
        Require(destination, DType.I32, values.Length);
        values.CopyTo(new Span<int>(Pointer(destination), values.Length));
    }

    /// <inheritdoc/>
    public override void Read(Tensor source, Span<float> values)
    {
        Require(source, DType.F32, values.Length);
        new ReadOnlySpan<float>(Pointer(source), values.Length).CopyTo(values);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _workers.Dispose();
        _partials.Dispose();
        _alone.Dispose();
        _gemm.Dispose();
        foreach (IGemm gemm in _workerGemms)
        {
            gemm.Dispose();
        }

        foreach (Scratch scratch in _workerScratch)
        {
            scratch.Dispose();
        }
    }

    private static IGemm NewGemm(WorkerPool workers) => Vector512.IsHardwareAccelerated ? new Gemm<Gemm12x32>(workers)
        : Vector256.IsHardwareAccelerated ? new Gemm<Gemm6x16>(workers)
        : new Gemm<Gemm8x8>(workers);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float* Pointer(Tensor tensor) => ((HostBuffer)tensor.Buffer).Memory + tensor.Offset;

    private static void Require(Tensor tensor, DType dtype, long count)
    {
        if (tensor.DType != dtype || tensor.Shape.Count != count)
        {
            throw new ArgumentException($"{count} values of {dtype} for a tensor {tensor}");
        }
    }

    private static int Items(long count, int size) => checked((int)((count + size - 1) / size));

    private sealed class HostBuffer : DeviceBuffer
    {
        private const long HugePage = 2 << 20;
        private const int AdviseHugePage = 14;
        private readonly Ledger _ledger;

        public HostBuffer(long elements, Ledger ledger)
            : base(elements)
        {
            long bytes = elements * sizeof(float);
            bool huge = bytes >= HugePage && OperatingSystem.IsLinux();
            Memory = (float*)NativeMemory.AlignedAlloc((nuint)bytes, huge ? (nuint)HugePage : 64);
            if (huge)
            {
                // Only a hint: with ordinary pages everything works, a little slower.
                _ = Advise((nint)Memory, (nuint)(bytes / HugePage * HugePage), AdviseHugePage);
            }

            _ledger = ledger;
            _ledger.Allocated(bytes);
        }

        public float* Memory { get; private set; }

        public override void Free()
        {
            if (Memory is not null)
            {
                NativeMemory.AlignedFree(Memory);
                Memory = null;
                _ledger.Freed(Elements * sizeof(float));
            }
        }

        [DllImport("libc", EntryPoint = "madvise")]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        private static extern int Advise(nint address, nuint length, int advice);
    }
}
