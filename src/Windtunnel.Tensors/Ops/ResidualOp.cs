using Windtunnel.Tensors.Autograd;

namespace Windtunnel.Tensors.Ops;

/// <summary>The residual connection.</summary>
public static class ResidualOp
{
    /// <summary>y = x + scale branch.</summary>
    public static Tensor Residual(this Tape tape, Tensor x, Tensor branch, float scale = 1)
    {
        Tensor y = tape.New(x.Shape);
        tape.Backend.AddScaled(y, x, branch, scale);
        tape.Record(y, () =>
        {
            tape.Backend.Add(tape.GradOf(branch, out bool add), y.Grad!, scale, add);
            tape.PassGrad(y, x);
        });
        return y;
    }
}
