using Windtunnel.Tensors.Autograd;

namespace Windtunnel.Tensors.Ops;

/// <summary>Tokens to vectors.</summary>
public static class EmbeddingOp
{
    /// <summary>
    /// y [B, T, D] = scale table[tokens] + positions[start ..], for tokens [B, T] (integers), table [V, D] and optional
    /// learned positions [.., D].
    /// </summary>
    public static Tensor Embedding(this Tape tape, Tensor tokens, Tensor table, Tensor? positions = null, int start = 0, float scale = 1)
    {
        int length = tokens.Shape.Columns;
        if (positions is not null && start + length > positions.Shape.Rows)
        {
            throw new ArgumentException($"positions {start} to {start + length} of a table for {positions.Shape.Rows}", nameof(tokens));
        }

        Tensor y = tape.New(new Shape(tokens.Shape.Rows, length, table.Shape.Columns));
        tape.Backend.Embedding(y, tokens, table, positions, length, start, scale);
        tape.Record(y, () =>
        {
            tape.Backend.EmbeddingGrad(tape.GradOf(table, out bool addTable), y.Grad!, tokens, scale, addTable);
            if (positions is not null)
            {
                tape.Backend.PositionGrad(tape.GradOf(positions, out bool addPositions), y.Grad!, length, start, addPositions);
            }
        });
        return y;
    }
}
