using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Memory;

namespace Windtunnel.Tensors.Autograd;

/// <summary>
/// Reverse-mode automatic differentiation: forward ops record how to go back, <see cref="Backward"/> replays them in reverse.
/// The tape owns the activations it makes; their memory returns to the pool as soon as the backward pass is done with them.
/// </summary>
/// <param name="backend">Where the ops run.</param>
/// <param name="recording">False for evaluation and sampling: nothing is recorded and activations live until <see cref="Reset"/>.</param>
/// <param name="pool">Where activations come from: one that tapes which are never in use together share, or the tape's own when null.</param>
public sealed class Tape(Backend backend, bool recording = true, BufferPool? pool = null) : IDisposable
{
    private readonly BufferPool _pool = pool ?? new BufferPool(backend);
    private readonly List<(Tensor Output, Action Backward)> _nodes = [];
    private readonly List<Tensor> _owned = [];
    private readonly Stack<Tensor> _recycled = [];

    /// <summary>Where the ops run.</summary>
    public Backend Backend { get; } = backend;

    /// <summary>True when ops record their backward pass.</summary>
    public bool Recording { get; } = recording;

    /// <summary>A tensor with arbitrary content that lives until <see cref="Reset"/>, or until the backward pass no longer needs it.</summary>
    public Tensor New(Shape shape, DType dtype = DType.F32)
    {
        DeviceBuffer buffer = _pool.Rent(shape.Count);
        if (_recycled.TryPop(out Tensor? tensor))
        {
            tensor.Reset(buffer, 0, shape, dtype);
        }
        else
        {
            tensor = new Tensor(buffer, 0, shape, dtype);
        }

        tensor.Owned = true;
        _owned.Add(tensor);
        return tensor;
    }

    /// <summary>Returns the memory of a tensor that nothing will read again before <see cref="Reset"/> would.</summary>
    public void Free(Tensor tensor) => Release(tensor);

    /// <summary>Remembers how to turn the gradient of <paramref name="output"/> into the gradients of its inputs.</summary>
    public void Record(Tensor output, Action backward)
    {
        if (Recording)
        {
            _nodes.Add((output, backward));
        }
    }

    /// <summary>
    /// Where a backward op puts its contribution to the gradient of <paramref name="input"/>: it adds when
    /// <paramref name="accumulate"/> is true and overwrites otherwise.
    /// </summary>
    public Tensor GradOf(Tensor input, out bool accumulate)
    {
        input.Grad ??= New(input.Shape);
        accumulate = input.HasGrad;
        input.HasGrad = true;
        return input.Grad;
    }

    /// <summary>Hands the gradient of <paramref name="output"/> on to <paramref name="input"/> unchanged; without a copy when it is the first contribution.</summary>
    public void PassGrad(Tensor output, Tensor input)
    {
        if (input.Grad is null)
        {
            (input.Grad, output.Grad) = (output.Grad, null);
            input.HasGrad = true;
            return;
        }

        Tensor grad = GradOf(input, out bool accumulate);
        Backend.Add(grad, output.Grad!, 1, accumulate);
    }

    /// <summary>
    /// Fills the gradients of everything that <paramref name="root"/> was computed from. The root's own values stay until
    /// <see cref="Reset"/>; the other activations' do not.
    /// </summary>
    /// <param name="root">The last tensor of the computation, usually the loss.</param>
    /// <param name="seed">The gradient of the objective with respect to <paramref name="root"/>; none for a loss that made its gradient in the forward pass.</param>
    public void Backward(Tensor root, Tensor? seed = null)
    {
        root.HasGrad = true;
        if (seed is not null)
        {
            Backend.Add(root.Grad = New(root.Shape), seed, 1, accumulate: false);
        }

        for (int i = _nodes.Count - 1; i >= 0; i--)
        {
            (Tensor output, Action backward) = _nodes[i];
            if (output.HasGrad)
            {
                backward();
            }

            Release(output.Grad);
            output.Grad = null;
            output.HasGrad = false;
            if (output != root)
            {
                Release(output);
            }
        }

        _nodes.Clear();
    }

    /// <summary>Forgets the computation and returns its memory to the pool.</summary>
    public void Reset()
    {
        _nodes.Clear();
        foreach (Tensor tensor in _owned)
        {
            Release(tensor);
            tensor.Grad = null;
            _recycled.Push(tensor);
        }

        _owned.Clear();
    }

    /// <summary>Gives all memory back to the pool, and the tape's own pool back to the system.</summary>
    public void Dispose()
    {
        Reset();
        if (pool is null)
        {
            _pool.Dispose();
        }
    }

    private void Release(Tensor? tensor)
    {
        if (tensor?.TakeBuffer() is { } buffer)
        {
            _pool.Return(buffer);
        }
    }
}
