namespace Windtunnel.Tensors.Memory;

/// <summary>
/// A block of device memory that somebody owns; only the backend that made it may look inside.
/// Tensors are views into it. There is no finalizer: a <see cref="BufferPool"/> or a parameter set gives it back.
/// </summary>
public abstract class DeviceBuffer(long elements)
{
    /// <summary>The capacity in four-byte elements.</summary>
    public long Elements { get; } = elements;

    /// <summary>Returns the memory to the system. The buffer must not be used again.</summary>
    public abstract void Free();
}
