using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Memory;

namespace Windtunnel.Models;

/// <summary>Keys and values of the tokens seen so far, so that sampling reads each token once.</summary>
public sealed class KeyValueCache : IDisposable
{
    private readonly DeviceBuffer _buffer;

    /// <summary>An empty cache for up to <paramref name="capacity"/> positions.</summary>
    public KeyValueCache(Backend backend, ModelDimensions dimensions, int capacity)
    {
        Capacity = capacity;
        Shape shape = new(capacity, dimensions.KeyValueHeads * dimensions.HeadWidth);
        _buffer = backend.Allocate(2 * dimensions.Layers * shape.Count);
        Keys = [.. Enumerable.Range(0, dimensions.Layers).Select(layer => new Tensor(_buffer, 2 * layer * shape.Count, shape))];
        Values = [.. Enumerable.Range(0, dimensions.Layers).Select(layer => new Tensor(_buffer, ((2 * layer) + 1) * shape.Count, shape))];
    }

    /// <summary>Positions held at most.</summary>
    public int Capacity { get; }

    /// <summary>Positions held.</summary>
    public int Length { get; private set; }

    /// <summary>One [capacity, G K] a layer.</summary>
    public IReadOnlyList<Tensor> Keys { get; }

    /// <summary>One [capacity, G K] a layer.</summary>
    public IReadOnlyList<Tensor> Values { get; }

    /// <summary>Counts tokens whose keys and values every layer has appended.</summary>
    public void Advance(int tokens) => Length += tokens;

    /// <summary>Forgets everything.</summary>
    public void Clear() => Length = 0;

    /// <inheritdoc/>
    public void Dispose() => _buffer.Free();
}
