using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Ops;

namespace Windtunnel.Models;

/// <summary>
/// GPT-2 (Radford et al. 2019): pre-norm blocks, LayerNorm, learned positions, tanh GELU, biases, tied head.
/// <code>B batch, T sequence, D width, H heads, K head width, F feed-forward, V vocabulary</code>
/// </summary>
public sealed class Gpt2 : Model
{
    private const float Deviation = 0.02f;

    private readonly Weight _tokens, _positions, _finalGain, _finalBias;
    private readonly Block[] _blocks;
    private readonly float _epsilon;
    private readonly bool _inverseLayerScale;

    internal Gpt2(Gpt2Options options, Backend backend, bool gradients)
        : base(options, backend)
    {
        (int layers, int width, int feedForward) = (Dimensions.Layers, Dimensions.Width, Dimensions.FeedForward);
        (_epsilon, _inverseLayerScale) = (options.Epsilon, options.InverseLayerScale);
        _tokens = Parameters.Matrix("transformer.wte.weight", ParameterRole.Embedding, Dimensions.Vocabulary, width, Deviation);
        _positions = Parameters.Matrix("transformer.wpe.weight", ParameterRole.Embedding, Dimensions.Context, width, Deviation);

        // Projections into the residual stream start smaller, by the number of them (section 2.3 of the paper).
        float residual = Deviation / MathF.Sqrt(2 * layers);
        _blocks = new Block[layers];
        for (int i = 0; i < layers; i++)
        {
            string h = $"transformer.h.{i}";
            _blocks[i] = new Block(
                Vector($"{h}.ln_1.weight", ParameterRole.Norm, width, 1), Vector($"{h}.ln_1.bias", ParameterRole.Norm, width, 0),
                Parameters.Matrix(
                    $"{h}.attn.c_attn.weight", ParameterRole.Hidden, 3 * width, width, Deviation, parts: 3, Dimensions.HeadWidth,
                    new ScoreRows(2 * width, Dimensions.HeadWidth)),
                Vector($"{h}.attn.c_attn.bias", ParameterRole.Bias, 3 * width, 0),
                Parameters.Matrix($"{h}.attn.c_proj.weight", ParameterRole.Hidden, width, width, residual),
                Vector($"{h}.attn.c_proj.bias", ParameterRole.Bias, width, 0),
                Vector($"{h}.ln_2.weight", ParameterRole.Norm, width, 1), Vector($"{h}.ln_2.bias", ParameterRole.Norm, width, 0),
                Parameters.Matrix($"{h}.mlp.c_fc.weight", ParameterRole.Hidden, feedForward, width, Deviation),
                Vector($"{h}.mlp.c_fc.bias", ParameterRole.Bias, feedForward, 0),
                Parameters.Matrix($"{h}.mlp.c_proj.weight", ParameterRole.Hidden, width, feedForward, residual),
                Vector($"{h}.mlp.c_proj.bias", ParameterRole.Bias, width, 0));
        }

        _finalGain = Vector("transformer.ln_f.weight", ParameterRole.Norm, width, 1);
        _finalBias = Vector("transformer.ln_f.bias", ParameterRole.Norm, width, 0);
        Parameters.Allocate(backend, gradients);
    }

    /// <inheritdoc/>
    protected override Tensor Head => _tokens;

    /// <inheritdoc/>
    public override bool IsStoredTransposed(Parameter parameter) => parameter.Role == ParameterRole.Hidden;

    /// <inheritdoc/>
    public override Tensor Hidden(Tape tape, Tensor tokens, KeyValueCache? cache = null)
    {
        HeadLayout heads = new(Dimensions.Heads, Dimensions.Heads, Dimensions.HeadWidth);
        Tensor x = tape.Embedding(tokens, _tokens, _positions, cache?.Length ?? 0);                     // [B, T, D]
        Observe("embedding", x);
        for (int i = 0; i < _blocks.Length; i++)
        {
            Block block = _blocks[i];
            Tensor normed = tape.LayerNorm(x, block.Gain1, block.Bias1, _epsilon);
            Tensor qkv = tape.Linear(normed, block.Qkv, block.QkvBias);                                 // [B, T, 3 H K]
            Tensor mixed = Attend(tape, qkv, heads, cache, i, _inverseLayerScale ? 1f / (i + 1) : 1);    // [B, T, H K]
            Tensor attended = tape.Linear(mixed, block.Output, block.OutputBias);                       // [B, T, D]
            x = tape.Residual(x, attended);

            normed = tape.LayerNorm(x, block.Gain2, block.Bias2, _epsilon);
            Tensor wide = tape.Gelu(tape.Linear(normed, block.Up, block.UpBias));                       // [B, T, F]
            Tensor fed = tape.Linear(wide, block.Down, block.DownBias);                                 // [B, T, D]
            x = tape.Residual(x, fed);
            Observe(i, attended, fed, x);
        }

        return tape.LayerNorm(x, _finalGain, _finalBias, _epsilon);
    }

    private Weight Vector(string name, ParameterRole role, int length, float constant) => Parameters.Vector(name, role, length, constant);

    private sealed record Block(
        Weight Gain1, Weight Bias1, Weight Qkv, Weight QkvBias, Weight Output, Weight OutputBias,
        Weight Gain2, Weight Bias2, Weight Up, Weight UpBias, Weight Down, Weight DownBias);
}

/// <summary>Options of <see cref="Gpt2"/>.</summary>
/// <param name="Size">Non-embedding parameters ("1m") or gpt2, gpt2-medium, gpt2-large, gpt2-xl.</param>
/// <param name="Layers">Blocks.</param>
/// <param name="Width">Width of the residual stream; a multiple of the heads.</param>
/// <param name="Heads">Attention heads.</param>
/// <param name="FeedForward">About 4 x width, from the size, when null.</param>
/// <param name="Vocabulary">The tokenizer's when null.</param>
/// <param name="Context">The training sequence length when null.</param>
/// <param name="Epsilon">Added to the variance in LayerNorm.</param>
/// <param name="InverseLayerScale">Whether the attention scores of block i, from 0, are divided by i + 1.</param>
public sealed record Gpt2Options(
    string Size = "1m", int? Layers = null, int? Width = null, int? Heads = null, int? FeedForward = null, int? Vocabulary = null,
    int? Context = null, float Epsilon = 1e-5f, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool InverseLayerScale = false)
    : ModelOptions(Size, Layers, Width, Heads, FeedForward, Vocabulary, Context, Tied: true)
{
    /// <inheritdoc/>
    public override ModelDimensions Dimensions
    {
        get
        {
            int width = Resolved(Width, "width"), heads = Resolved(Heads, "heads");
            return new ModelDimensions(
                Resolved(Layers, "layers"), width, heads, heads, width / heads, Resolved(FeedForward, "feedForward"),
                Resolved(Vocabulary, "vocabulary"), Resolved(Context, "context"));
        }
    }

    /// <inheritdoc/>
    public override ModelOptions Resolve(int vocabulary, int sequenceLength)
    {
        CheckGiven(
            (Layers, "layers"), (Width, "width"), (Heads, "heads"), (FeedForward, "feedForward"), (Vocabulary, "vocabulary"), (Context, "context"));
        Require(Epsilon is > 0 and < 1, "epsilon", Epsilon, "positive and below 1");
        if (!Tied)
        {
            throw new ValidationException("model.tied: must be true, for GPT-2's output projection is the token embedding; llama may have one of its own");
        }

        ModelSize size = ModelSize.Parse(Size, "gpt2").Shaped(Layers, Width, Heads, feedForwardPerWidth: 4, matricesInFeedForward: 2, vectorsPerWidth: 13);
        Gpt2Options resolved = this with
        {
            Layers = size.Layers,
            Width = size.Width,
            Heads = size.Heads,
            FeedForward = FeedForward ?? size.FeedForward,
            Vocabulary = Vocabulary ?? vocabulary,
            Context = Context ?? sequenceLength,
        };
        if (size.Width % size.Heads != 0)
        {
            throw new ValidationException($"model.width: {size.Width} is not a multiple of model.heads {size.Heads}");
        }

        CheckText(resolved.Vocabulary ?? 0, vocabulary, resolved.Context ?? 0, sequenceLength);
        return resolved;
    }

    /// <inheritdoc/>
    public override Model Build(Backend backend, bool gradients = true) => new Gpt2(this, backend, gradients);

    /// <inheritdoc/>
    public override JsonObject ToHuggingFace(int endOfText) => new()
    {
        ["architectures"] = new JsonArray("GPT2LMHeadModel"),
        ["model_type"] = "gpt2",
        ["activation_function"] = "gelu_new",
        ["n_embd"] = Width,
        ["n_head"] = Heads,
        ["n_layer"] = Layers,
        ["n_positions"] = Context,
        ["n_ctx"] = Context,
        ["n_inner"] = FeedForward,
        ["vocab_size"] = Vocabulary,
        ["layer_norm_epsilon"] = Epsilon,
        ["scale_attn_by_inverse_layer_idx"] = InverseLayerScale,
        ["initializer_range"] = 0.02,
        ["resid_pdrop"] = 0,
        ["embd_pdrop"] = 0,
        ["attn_pdrop"] = 0,
        ["bos_token_id"] = endOfText,
        ["eos_token_id"] = endOfText,
        ["tie_word_embeddings"] = true,
        ["torch_dtype"] = "float32",
        ["dtype"] = "float32",
    };

    /// <summary>The options that a config.json describes.</summary>
    internal static Gpt2Options FromHuggingFace(HuggingFaceConfig config)
    {
        int width = config.Integer("n_embd"), context = config.Integer("n_positions", 1024);
        config.Only("n_ctx", $"{context}");
        config.Only("activation_function", "gelu_new", "gelu_pytorch_tanh");
        config.Only("scale_attn_weights", "true");
        config.Only("add_cross_attention", "false");
        config.Only("tie_word_embeddings", "true");
        return new Gpt2Options(
            Layers: config.Integer("n_layer"), Width: width, Heads: config.Integer("n_head"), FeedForward: config.Integer("n_inner", (int)Math.Min(4L * width, int.MaxValue)),
            Vocabulary: config.Integer("vocab_size"), Context: context, Epsilon: (float)config.Number("layer_norm_epsilon", 1e-5),
            InverseLayerScale: config.Flag("scale_attn_by_inverse_layer_idx", false));
    }

    /// <inheritdoc/>
    public override ModelCounts Count()
    {
        ModelDimensions d = Dimensions;
        long width = d.Width, feedForward = d.FeedForward;
        long matrices = (4 * width * width) + (2 * width * feedForward);
        long vectors = (4 * width) + (4 * width) + feedForward + width;
        long embedding = (d.Vocabulary + (long)d.Context) * width;
        return new ModelCounts(
            (d.Layers * (matrices + vectors)) + (2 * width) + embedding, embedding,
            (d.Layers * matrices) + (d.Vocabulary * width), d.Layers * width);
    }
}
