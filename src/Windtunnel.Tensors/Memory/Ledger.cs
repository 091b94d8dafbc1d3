namespace Windtunnel.Tensors.Memory;

/// <summary>Counts a backend's memory, so that tests can assert that nothing is left alive and that steady steps allocate nothing.</summary>
public sealed class Ledger
{
    /// <summary>Bytes allocated and not yet freed.</summary>
    public long LiveBytes { get; private set; }

    /// <summary>The most bytes that were live at once.</summary>
    public long PeakBytes { get; private set; }

    /// <summary>Buffers allocated and not yet freed.</summary>
    public long LiveBuffers { get; private set; }

    /// <summary>Allocations since the backend was made; constant once the pools are warm.</summary>
    public long Allocations { get; private set; }

    internal void Allocated(long bytes)
    {
        LiveBytes += bytes;
        PeakBytes = Math.Max(PeakBytes, LiveBytes);
        LiveBuffers++;
        Allocations++;
    }

    internal void Freed(long bytes)
    {
        LiveBytes -= bytes;
        LiveBuffers--;
    }
}
