using Windtunnel.Tensors.Autograd;

namespace Windtunnel.Tensors.Ops;

/// <summary>Element-wise non-linearities.</summary>
public static class ActivationOps
{
    /// <summary>The tanh form of GELU, as GPT-2 uses it.</summary>
    public static Tensor Gelu(this Tape tape, Tensor x)
    {
        Tensor y = tape.New(x.Shape);
        tape.Backend.Gelu(y, x);
        tape.Record(y, () => tape.Backend.GeluGrad(tape.GradOf(x, out bool add), y.Grad!, x, add));
        return y;
    }

    /// <summary>y [.., F] = silu(gate) up for rows [gate | up] of width 2 F (Shazeer 2020).</summary>
    public static Tensor SwiGlu(this Tape tape, Tensor gateUp)
    {
        Tensor y = tape.New(gateUp.Shape.WithColumns(gateUp.Shape.Columns / 2));
        tape.Backend.SwiGlu(y, gateUp);
        tape.Record(y, () => tape.Backend.SwiGluGrad(tape.GradOf(gateUp, out bool add), y.Grad!, gateUp, add));
        return y;
    }
}
