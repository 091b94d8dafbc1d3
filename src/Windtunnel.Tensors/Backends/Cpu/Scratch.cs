using System.Runtime.InteropServices;

namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>Working memory of a kernel: grows to the largest request and stays.</summary>
internal sealed unsafe class Scratch : IDisposable
{
    private float* _memory;
    private long _elements;

    /// <summary>At least <paramref name="elements"/> floats with arbitrary content, 64-byte aligned, valid until the next call.</summary>
    public float* Rent(long elements)
    {
        if (elements > _elements)
        {
            Dispose();
            _memory = (float*)NativeMemory.AlignedAlloc((nuint)elements * sizeof(float), 64);
            _elements = elements;
        }

        return _memory;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeMemory.AlignedFree(_memory);
        _memory = null;
        _elements = 0;
    }
}
