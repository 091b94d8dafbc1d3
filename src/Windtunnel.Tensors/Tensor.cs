using Windtunnel.Tensors.Memory;

namespace Windtunnel.Tensors;

/// <summary>
/// A densely packed row-major view into a <see cref="DeviceBuffer"/>. It never owns memory: activations belong to the
/// <see cref="Autograd.Tape"/> that made them, parameters to their parameter set.
/// </summary>
public sealed class Tensor
{
    /// <summary>A view of <paramref name="shape"/> at <paramref name="offset"/> elements into <paramref name="buffer"/>.</summary>
    public Tensor(DeviceBuffer buffer, long offset, Shape shape, DType dtype = DType.F32) => Reset(buffer, offset, shape, dtype);

    /// <summary>The memory behind this view.</summary>
    public DeviceBuffer Buffer { get; private set; } = null!;

    /// <summary>Where the view starts, in elements.</summary>
    public long Offset { get; private set; }

    /// <summary>Sizes, outermost first.</summary>
    public Shape Shape { get; private set; }

    /// <summary>Element type.</summary>
    public DType DType { get; private set; }

    /// <summary>The gradient of the root with respect to this tensor; null where none has been made.</summary>
    public Tensor? Grad { get; internal set; }

    /// <summary>True when <see cref="Grad"/> holds a value; false when the next backward op has to overwrite it.</summary>
    public bool HasGrad { get; internal set; }

    /// <summary>Gives a parameter the memory for its gradient; <see cref="ClearGrad"/> empties it before each step.</summary>
    public void AttachGrad(Tensor grad)
    {
        if (grad.Shape != Shape)
        {
            throw new ArgumentException($"a gradient of shape {grad.Shape} for a tensor of shape {Shape}");
        }

        (Grad, HasGrad) = (grad, false);
    }

    /// <summary>Forgets the gradient's value without touching memory: the next backward op overwrites it.</summary>
    public void ClearGrad() => HasGrad = false;

    /// <summary>Rows <paramref name="start"/> to <paramref name="start"/> + <paramref name="count"/> of the matrix that this tensor is when flattened to two dimensions.</summary>
    public Tensor SliceRows(int start, int count)
    {
        if (start < 0 || count < 1 || start + count > Shape.Rows)
        {
            throw new ArgumentOutOfRangeException(nameof(start), $"rows {start} to {start + count} of a tensor of shape {Shape}");
        }

        return new Tensor(Buffer, Offset + ((long)start * Shape.Columns), new Shape(count, Shape.Columns), DType);
    }

    /// <summary>The same memory under another shape with as many elements.</summary>
    public Tensor Reshape(Shape shape) => shape.Count == Shape.Count
        ? new Tensor(Buffer, Offset, shape, DType)
        : throw new ArgumentException($"shape {Shape} can't be read as {shape}");

    /// <inheritdoc/>
    public override string ToString() => $"{DType}{Shape}";

    /// <summary>The buffer of a tensor that a tape owns, once; null for parameters and views, and after the first call.</summary>
    internal DeviceBuffer? TakeBuffer()
    {
        DeviceBuffer? buffer = Owned ? Buffer : null;
        Owned = false;
        return buffer;
    }

    internal bool Owned { get; set; }

    internal void Reset(DeviceBuffer buffer, long offset, Shape shape, DType dtype)
    {
        if (offset < 0 || offset + shape.Count > buffer.Elements)
        {
            throw new ArgumentException($"shape {shape} at element {offset} does not fit a buffer of {buffer.Elements} elements");
        }

        (Buffer, Offset, Shape, DType) = (buffer, offset, shape, dtype);
        (Grad, HasGrad, Owned) = (null, false, false);
    }
}
