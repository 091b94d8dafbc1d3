using Windtunnel.Tensors;

namespace Windtunnel.Models;

/// <summary>One named weight of a model, with what optimizers, checkpoints and exports need to know of it.</summary>
/// <param name="Name">Its Hugging Face name.</param>
/// <param name="Role">What it is for.</param>
/// <param name="Shape">[out, in] for matrices, [n] for vectors.</param>
/// <param name="Parts">How many matrices of equal height are stacked in it: 3 for GPT-2's fused queries, keys and values.</param>
/// <param name="HeadWidth">Rows of one attention head where the rows are heads, else 0.</param>
/// <param name="Scores">Which of its rows make attention scores.</param>
/// <param name="StandardDeviation">Of its normal initialisation; 0 means the constant <paramref name="Constant"/>.</param>
/// <param name="Constant">Its initial value where it is not random.</param>
/// <param name="RateScale">
/// What the optimizer multiplies its learning rate by, so that one rate serves every width: MiniCPM's base width over width for matrices.
/// It is meant for updates whose elements are of size one whatever the width, as Adam's are.
/// </param>
public sealed record Parameter(
    string Name, ParameterRole Role, Shape Shape, int Parts, int HeadWidth, ScoreRows Scores, float StandardDeviation, float Constant,
    double RateScale = 1)
{
    /// <summary>The weights.</summary>
    public Tensor Value { get; internal set; } = null!;

    /// <summary>The gradient of the last step, valid between the backward pass and the next step.</summary>
    public Tensor Grad { get; internal set; } = null!;

    /// <summary>Where it starts in the flat buffers of its set, in elements.</summary>
    public long Offset { get; internal set; }

    /// <summary>True for matrices: weight decay applies to them and not to norms and biases.</summary>
    public bool IsMatrix => Shape.Rank == 2;
}

/// <summary>The rows of a projection that are queries or keys: Adam-mini gives those of one key-value head one second moment.</summary>
/// <param name="Rows">How many, from the first; 0 for none.</param>
/// <param name="HeadRows">Those of one key-value head.</param>
public readonly record struct ScoreRows(int Rows, int HeadRows);
