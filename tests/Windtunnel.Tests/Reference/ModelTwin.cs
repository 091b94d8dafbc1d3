namespace Windtunnel.Tests.Reference;

/// <summary>A model in double precision: weights by Hugging Face name, every matrix [out, in], to logits and loss.</summary>
public abstract record ModelTwin
{
    /// <summary>The length T of a sequence.</summary>
    public int Length { get; init; } = 13;

    /// <summary>The width D of the residual stream.</summary>
    public int Width { get; init; } = 32;

    /// <summary>The number of layers.</summary>
    public int Layers { get; init; } = 2;

    /// <summary>The number of query heads.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>The number added inside the square root of every norm.</summary>
    public double NormEps { get; init; } = 1e-5;

    /// <summary>The factor on the logits.</summary>
    public double LogitScale { get; init; } = 1;

    /// <summary>The weight of logsumexp^2 in the loss.</summary>
    public double ZLoss { get; init; }

    /// <summary>tokens [B * T] to the normalised hidden state that the head reads [B * T, D].</summary>
    public abstract double[] Hidden(IReadOnlyDictionary<string, double[]> weights, int[] tokens);

    /// <summary>The matrix [V, D] that turns hidden states to logits.</summary>
    public abstract double[] Head(IReadOnlyDictionary<string, double[]> weights);

    /// <summary>tokens [B * T] to logits [B * T, V].</summary>
    public double[] Logits(IReadOnlyDictionary<string, double[]> weights, int[] tokens) =>
        Twin.Logits(Hidden(weights, tokens), Head(weights), Width, LogitScale);

    /// <summary>The mean loss in nats over the targets [B * T] that are not -1.</summary>
    public double Loss(IReadOnlyDictionary<string, double[]> weights, int[] tokens, int[] targets) =>
        Twin.CrossEntropy(Hidden(weights, tokens), Head(weights), targets, Width, LogitScale, ZLoss);
}

/// <summary>GPT-2 (Radford et al. 2019): pre-LN, learned positions, fused qkv with bias, GELU in its tanh form, tied head.</summary>
public sealed record Gpt2Twin : ModelTwin
{
    /// <inheritdoc/>
    public override double[] Hidden(IReadOnlyDictionary<string, double[]> weights, int[] tokens)
    {
        double[] x = Twin.Embedding(
            tokens, weights["transformer.wte.weight"], weights["transformer.wpe.weight"], Width, Length);
        for (int layer = 0; layer < Layers; layer++)
        {
            string at = $"transformer.h.{layer}.";
            double[] qkv = Linear(Norm(x, at + "ln_1"), at + "attn.c_attn", Width);
            double[] mixed = Twin.Attention(qkv, Length, Heads, Heads, Width / Heads);
            x = Twin.AddScaled(x, Linear(mixed, at + "attn.c_proj", Width), 1);
            double[] wide = Twin.Gelu(Linear(Norm(x, at + "ln_2"), at + "mlp.c_fc", Width));
            x = Twin.AddScaled(x, Linear(wide, at + "mlp.c_proj", 4 * Width), 1);
        }

        return Norm(x, "transformer.ln_f");

        double[] Norm(double[] rows, string name) =>
            Twin.LayerNorm(rows, weights[name + ".weight"], weights[name + ".bias"], Width, NormEps);

        double[] Linear(double[] rows, string name, int inputs) =>
            Twin.Linear(rows, weights[name + ".weight"], weights[name + ".bias"], inputs);
    }

    /// <inheritdoc/>
    public override double[] Head(IReadOnlyDictionary<string, double[]> weights) => weights["transformer.wte.weight"];
}

/// <summary>
/// LLaMA (Touvron et al. 2023): pre-RMSNorm, rotate-half RoPE, GQA, SwiGLU. QK-norm where the weights hold q_norm, a tied
/// head where they hold no lm_head; the scales are MiniCPM's (Hu et al. 2024).
/// </summary>
public sealed record LlamaTwin : ModelTwin
{
    /// <summary>The number of key-value heads.</summary>
    public int KvHeads { get; init; } = 2;

    /// <summary>The width of a head.</summary>
    public int HeadDim { get; init; } = 8;

    /// <summary>The width of gate and of up.</summary>
    public int Ffn { get; init; } = 56;

    /// <summary>The base of RoPE's frequencies.</summary>
    public double RopeTheta { get; init; } = 10000;

    /// <summary>The factor on the token embedding.</summary>
    public double EmbeddingScale { get; init; } = 1;

    /// <summary>The factor on the output of each attention and feed-forward branch.</summary>
    public double ResidualScale { get; init; } = 1;

    /// <inheritdoc/>
    public override double[] Hidden(IReadOnlyDictionary<string, double[]> weights, int[] tokens)
    {
        double[] x = Twin.Embedding(tokens, weights["model.embed_tokens.weight"], null, Width, Length, EmbeddingScale);
        for (int layer = 0; layer < Layers; layer++)
        {
            string at = $"model.layers.{layer}.", attention = at + "self_attn.", mlp = at + "mlp.";
            double[] qkv = Twin.Linear(
                Norm(x, at + "input_layernorm"),
                [.. Weight(attention + "q_proj"), .. Weight(attention + "k_proj"), .. Weight(attention + "v_proj")], null, Width);
            if (weights.ContainsKey(attention + "q_norm.weight"))
            {
                qkv = Twin.HeadNorm(
                    qkv, Weight(attention + "q_norm"), Weight(attention + "k_norm"), Heads, KvHeads, HeadDim, NormEps);
            }

            qkv = Twin.Rotary(qkv, Length, Heads, KvHeads, HeadDim, RopeTheta);
            double[] mixed = Twin.Attention(qkv, Length, Heads, KvHeads, HeadDim);
            x = Twin.AddScaled(x, Twin.Linear(mixed, Weight(attention + "o_proj"), null, Heads * HeadDim), ResidualScale);

            double[] gateUp = Twin.Linear(
                Norm(x, at + "post_attention_layernorm"), [.. Weight(mlp + "gate_proj"), .. Weight(mlp + "up_proj")], null, Width);
            double[] gated = Twin.SwiGlu(gateUp, Ffn);
            x = Twin.AddScaled(x, Twin.Linear(gated, Weight(mlp + "down_proj"), null, Ffn), ResidualScale);
        }

        return Norm(x, "model.norm");

        double[] Weight(string name) => weights[name + ".weight"];

        double[] Norm(double[] rows, string name) => Twin.RmsNorm(rows, Weight(name), Width, NormEps);
    }

    /// <inheritdoc/>
    public override double[] Head(IReadOnlyDictionary<string, double[]> weights) =>
        weights.GetValueOrDefault("lm_head.weight") ?? weights["model.embed_tokens.weight"];
}
