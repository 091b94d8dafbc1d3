namespace Windtunnel.Tensors;

/// <summary>Element types of a <see cref="Tensor"/>; both take four bytes.</summary>
public enum DType
{
    /// <summary>IEEE 754 single precision: weights, activations, gradients, optimizer state.</summary>
    F32,

    /// <summary>Signed 32-bit integers: token ids and targets.</summary>
    I32,
}
