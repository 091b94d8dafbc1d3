using Windtunnel.Tensors.Backends;

namespace Windtunnel.Tensors.Memory;

/// <summary>
/// Keeps returned buffers by size and hands them out again. Steps of fixed shapes ask for the same sizes in the same order,
/// so after the second step every request is served without touching the system. Not thread-safe.
/// </summary>
public sealed class BufferPool(Backend backend) : IDisposable
{
    private readonly Dictionary<long, Stack<DeviceBuffer>> _free = [];

    /// <summary>A buffer of at least <paramref name="elements"/> elements with arbitrary content.</summary>
    public DeviceBuffer Rent(long elements)
    {
        long size = RoundUp(elements);
        return _free.TryGetValue(size, out Stack<DeviceBuffer>? stack) && stack.TryPop(out DeviceBuffer? buffer)
            ? buffer
            : backend.Allocate(size);
    }

    /// <summary>Takes back a buffer that <see cref="Rent"/> gave out.</summary>
    public void Return(DeviceBuffer buffer)
    {
        if (!_free.TryGetValue(buffer.Elements, out Stack<DeviceBuffer>? stack))
        {
            _free.Add(buffer.Elements, stack = new Stack<DeviceBuffer>());
        }

        stack.Push(buffer);
    }

    /// <summary>Frees every buffer that is not rented out.</summary>
    public void Dispose()
    {
        foreach (DeviceBuffer buffer in _free.Values.SelectMany(stack => stack))
        {
            buffer.Free();
        }

        _free.Clear();
    }

    // Steps of an eighth of the power of two below: close shapes share buffers, at most 12.5 % is wasted.
    private static long RoundUp(long elements)
    {
        long step = Math.Max(64, (long)System.Numerics.BitOperations.RoundUpToPowerOf2((ulong)elements) / 16);
        return (elements + step - 1) / step * step;
    }
}
