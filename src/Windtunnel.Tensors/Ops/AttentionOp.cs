using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Tensors.Ops;

/// <summary>Causal self-attention with grouped-query heads.</summary>
public static class AttentionOp
{
    /// <summary>y [B, T, H K] for qkv [B, T, (H + 2 G) K], scores multiplied by scale / sqrt(K) (Vaswani et al. 2017; Ainslie et al. 2023).</summary>
    public static Tensor Attention(this Tape tape, Tensor qkv, HeadLayout heads, float scale = 1)
    {
        (int batch, int length) = (qkv.Shape[0], qkv.Shape[1]);
        scale /= MathF.Sqrt(heads.Width);
        Tensor y = tape.New(qkv.Shape.WithColumns(heads.Heads * heads.Width)), lse = tape.New(new Shape(batch, heads.Heads, length));
        tape.Backend.Attention(y, lse, qkv, heads, length, scale);
        tape.Record(y, () => tape.Backend.AttentionGrad(tape.GradOf(qkv, out bool add), add, y.Grad!, qkv, y, lse, heads, length, scale));
        return y;
    }

    /// <summary>The same for rows that continue a cached sequence, batch 1; nothing is recorded.</summary>
    public static Tensor CachedAttention(this Tape tape, Tensor qkv, Tensor keys, Tensor values, int length, HeadLayout heads, float scale = 1)
    {
        Tensor y = tape.New(qkv.Shape.WithColumns(heads.Heads * heads.Width));
        tape.Backend.CachedAttention(y, qkv, keys, values, length, heads, scale / MathF.Sqrt(heads.Width));
        return y;
    }
}
