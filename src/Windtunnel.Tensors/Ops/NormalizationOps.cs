using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Tensors.Ops;

/// <summary>Normalisation over the last dimension.</summary>
public static class NormalizationOps
{
    /// <summary>Layer normalisation of x [.., D] with gain [D] and bias [D] (Ba et al. 2016).</summary>
    public static Tensor LayerNorm(this Tape tape, Tensor x, Tensor gain, Tensor bias, float epsilon)
    {
        Tensor y = tape.New(x.Shape), mean = tape.New(new Shape(x.Shape.Rows)), rstd = tape.New(new Shape(x.Shape.Rows));
        tape.Backend.LayerNorm(y, mean, rstd, x, gain, bias, epsilon);
        tape.Record(y, () =>
        {
            Tensor dGain = tape.GradOf(gain, out bool addWeights), dBias = tape.GradOf(bias, out _);
            tape.Backend.LayerNormGrad(tape.GradOf(x, out bool add), add, dGain, dBias, addWeights, y.Grad!, x, mean, rstd, gain);
        });
        return y;
    }

    /// <summary>Root-mean-square normalisation of x [.., D] with gain [D] (Zhang and Sennrich 2019).</summary>
    public static Tensor RmsNorm(this Tape tape, Tensor x, Tensor gain, float epsilon)
    {
        Tensor y = tape.New(x.Shape), rstd = tape.New(new Shape(x.Shape.Rows));
        tape.Backend.RmsNorm(y, rstd, x, gain, epsilon);
        tape.Record(y, () =>
        {
            Tensor dGain = tape.GradOf(gain, out bool addWeights);
            tape.Backend.RmsNormGrad(tape.GradOf(x, out bool add), add, dGain, addWeights, y.Grad!, x, rstd, gain);
        });
        return y;
    }

    /// <summary>QK-norm: RMSNorm of every query and key head of rows [H q | G k | G v], with one gain [K] for queries and one for keys.</summary>
    public static Tensor HeadNorm(this Tape tape, Tensor qkv, Tensor queryGain, Tensor keyGain, HeadLayout heads, float epsilon)
    {
        Tensor y = tape.New(qkv.Shape), rstd = tape.New(new Shape(qkv.Shape.Rows, heads.Heads + heads.KeyValueHeads));
        tape.Backend.HeadNorm(y, rstd, qkv, queryGain, keyGain, heads, epsilon);
        tape.Record(y, () =>
        {
            Tensor dQuery = tape.GradOf(queryGain, out bool addWeights), dKey = tape.GradOf(keyGain, out _);
            tape.Backend.HeadNormGrad(tape.GradOf(qkv, out bool add), add, dQuery, dKey, addWeights, y.Grad!, qkv, rstd, queryGain, keyGain, heads);
        });
        return y;
    }
}
