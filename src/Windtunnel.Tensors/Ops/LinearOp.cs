using Windtunnel.Tensors.Autograd;

namespace Windtunnel.Tensors.Ops;

/// <summary>The affine map of a layer.</summary>
public static class LinearOp
{
    /// <summary>y [.., out] = x [.., in] weight^T + bias, weight [out, in], bias [out].</summary>
    public static Tensor Linear(this Tape tape, Tensor x, Tensor weight, Tensor? bias = null)
    {
        Tensor y = tape.New(x.Shape.WithColumns(weight.Shape.Rows));
        tape.Backend.MatMul(y, x, false, weight, true, bias: bias);
        tape.Record(y, () =>
        {
            Tensor dy = y.Grad!;
            tape.Backend.MatMul(tape.GradOf(weight, out bool addWeight), dy, true, x, false, accumulate: addWeight);
            if (bias is not null)
            {
                tape.Backend.ColumnSum(tape.GradOf(bias, out bool addBias), dy, addBias);
            }

            tape.Backend.MatMul(tape.GradOf(x, out bool add), dy, false, weight, false, accumulate: add);
        });
        return y;
    }
}
