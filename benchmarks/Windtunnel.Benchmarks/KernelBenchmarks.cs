using BenchmarkDotNet.Attributes;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Backends.Cpu;

namespace Windtunnel.Benchmarks;

/// <summary>Single kernels at the shapes of configuration a (L4 d128 h4 T256 B8) on one thread; whole steps are `windtunnel bench train`.</summary>
public class KernelBenchmarks : IDisposable
{
    private const int Rows = 2048, Width = 128;
    private readonly CpuBackend _backend = new(threads: 1);
    private readonly Tape _pool;
    private readonly HeadLayout _heads = new(4, 4, 32);
    private readonly Tensor _x, _y, _wide, _wideOut, _qkv, _dQkv, _lse, _gain, _rstd, _dGain;

    public KernelBenchmarks()
    {
        _pool = new Tape(_backend, recording: false);
        (_x, _y) = (Normal(new Shape(Rows, Width)), Normal(new Shape(Rows, Width)));
        (_wide, _wideOut) = (Normal(new Shape(Rows, 4 * Width)), Normal(new Shape(Rows, 4 * Width)));
        (_qkv, _dQkv) = (Normal(new Shape(Rows, 3 * Width)), Normal(new Shape(Rows, 3 * Width)));
        (_lse, _gain, _rstd, _dGain) = (Normal(new Shape(8, 4, 256)), Normal(new Shape(Width)), Normal(new Shape(Rows)), Normal(new Shape(Width)));
    }

    [Benchmark]
    public void Gelu() => _backend.Gelu(_wideOut, _wide);

    [Benchmark]
    public void GeluGrad() => _backend.GeluGrad(_wideOut, _wide, _wide, accumulate: false);

    [Benchmark]
    public void RmsNorm() => _backend.RmsNorm(_y, _rstd, _x, _gain, 1e-5f);

    [Benchmark]
    public void RmsNormGrad() => _backend.RmsNormGrad(_y, false, _dGain, false, _x, _x, _rstd, _gain);

    [Benchmark]
    public void Attention() => _backend.Attention(_y, _lse, _qkv, _heads, 256, 0.17f);

    [Benchmark]
    public void AttentionGrad() => _backend.AttentionGrad(_dQkv, false, _x, _qkv, _y, _lse, _heads, 256, 0.17f);

    [GlobalCleanup]
    public void Dispose()
    {
        _pool.Dispose();
        _backend.Dispose();
        GC.SuppressFinalize(this);
    }

    private Tensor Normal(Shape shape)
    {
        Tensor tensor = _pool.New(shape);
        float[] values = new float[shape.Count];
        new Philox(1, (ulong)shape.Count).FillNormal(values, 1);
        _backend.Write(tensor, values);
        return tensor;
    }
}
