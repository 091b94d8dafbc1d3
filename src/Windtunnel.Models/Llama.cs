using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Memory;
using Windtunnel.Tensors.Ops;

namespace Windtunnel.Models;

/// <summary>
/// LLaMA (Touvron et al. 2023): pre-norm blocks, RMSNorm, rotary positions, SwiGLU, no biases; grouped-query heads (Ainslie et
/// al. 2023), QK-norm (Henry et al. 2020) and a tied head as options.
/// <code>B batch, T sequence, D width, H query heads, G key-value heads, K head width, F feed-forward, V vocabulary</code>
/// </summary>
public class Llama : Model
{
    private readonly LlamaOptions _options;
    private readonly LlamaScales _scales;
    private readonly Weight _tokens, _finalGain;
    private readonly Weight? _head;
    private readonly Block[] _blocks;
    private readonly DeviceBuffer _angles;
    private readonly Tensor _angleTable;

    internal Llama(LlamaOptions options, Backend backend, bool gradients)
        : this(options, options, new LlamaScales(), backend, gradients)
    {
    }

    /// <summary>A family that has LLaMA's blocks.</summary>
    /// <param name="family">What the model was built from.</param>
    /// <param name="options">The same, as LLaMA's.</param>
    /// <param name="scales">How it differs.</param>
    private protected Llama(ModelOptions family, LlamaOptions options, LlamaScales scales, Backend backend, bool gradients)
        : base(family, backend)
    {
        (_options, _scales) = (options, scales);
        ModelDimensions d = Dimensions;
        float deviation = options.InitializerRange, hiddenDeviation = deviation * scales.Deviation;
        int attention = d.Heads * d.HeadWidth, keyValue = d.KeyValueHeads * d.HeadWidth;
        _tokens = Parameters.Matrix("model.embed_tokens.weight", ParameterRole.Embedding, d.Vocabulary, d.Width, deviation);
        _blocks = new Block[d.Layers];
        for (int i = 0; i < d.Layers; i++)
        {
            string layer = $"model.layers.{i}";
            _blocks[i] = new Block(
                Parameters.Vector($"{layer}.input_layernorm.weight", ParameterRole.Norm, d.Width, 1),
                Parameters.Stacked(
                    ParameterRole.Hidden, d.Width, hiddenDeviation, scales.Rate, d.HeadWidth,
                    ($"{layer}.self_attn.q_proj.weight", attention, attention / d.KeyValueHeads), ($"{layer}.self_attn.k_proj.weight", keyValue, d.HeadWidth),
                    ($"{layer}.self_attn.v_proj.weight", keyValue, 0)),
                options.QkNorm ? Parameters.Vector($"{layer}.self_attn.q_norm.weight", ParameterRole.Norm, d.HeadWidth, 1) : null,
                options.QkNorm ? Parameters.Vector($"{layer}.self_attn.k_norm.weight", ParameterRole.Norm, d.HeadWidth, 1) : null,
                Parameters.Matrix($"{layer}.self_attn.o_proj.weight", ParameterRole.Hidden, d.Width, attention, hiddenDeviation, rateScale: scales.Rate),
                Parameters.Vector($"{layer}.post_attention_layernorm.weight", ParameterRole.Norm, d.Width, 1),
                Parameters.Stacked(
                    ParameterRole.Hidden, d.Width, hiddenDeviation, scales.Rate, 0,
                    ($"{layer}.mlp.gate_proj.weight", d.FeedForward, 0), ($"{layer}.mlp.up_proj.weight", d.FeedForward, 0)),
                Parameters.Matrix($"{layer}.mlp.down_proj.weight", ParameterRole.Hidden, d.Width, d.FeedForward, hiddenDeviation, rateScale: scales.Rate));
        }

        _finalGain = Parameters.Vector("model.norm.weight", ParameterRole.Norm, d.Width, 1);
        _head = options.Tied ? null : Parameters.Matrix("lm_head.weight", ParameterRole.Head, d.Vocabulary, d.Width, deviation);
        Parameters.Allocate(backend, gradients);

        Shape table = new(d.Context, d.HeadWidth);
        _angles = backend.Allocate(table.Count);
        _angleTable = new Tensor(_angles, 0, table);
        backend.Write(_angleTable, RotaryOp.Angles(d.Context, d.HeadWidth, options.RopeTheta));
    }

    /// <inheritdoc/>
    protected override Tensor Head => _head ?? _tokens;

    /// <inheritdoc/>
    protected override float LogitScale => _scales.Logits;

    /// <inheritdoc/>
    public override Tensor Hidden(Tape tape, Tensor tokens, KeyValueCache? cache = null)
    {
        HeadLayout heads = new(Dimensions.Heads, Dimensions.KeyValueHeads, Dimensions.HeadWidth);
        float epsilon = _options.Epsilon;
        int start = cache?.Length ?? 0;
        Tensor x = tape.Embedding(tokens, _tokens, scale: _scales.Embedding);                           // [B, T, D]
        Observe("embedding", x);
        for (int i = 0; i < _blocks.Length; i++)
        {
            Block block = _blocks[i];
            Tensor qkv = tape.Linear(tape.RmsNorm(x, block.Gain1, epsilon), block.Qkv);                 // [B, T, (H + 2 G) K]
            if (block.QueryGain is not null && block.KeyGain is not null)
            {
                qkv = tape.HeadNorm(qkv, block.QueryGain, block.KeyGain, heads, epsilon);
            }

            Tensor mixed = Attend(tape, tape.Rotary(qkv, _angleTable, heads, start), heads, cache, i);  // [B, T, H K]
            Tensor attended = tape.Linear(mixed, block.Output);                                         // [B, T, D]
            x = tape.Residual(x, attended, _scales.Residual);

            Tensor gateUp = tape.Linear(tape.RmsNorm(x, block.Gain2, epsilon), block.GateUp);           // [B, T, 2 F]
            Tensor fed = tape.Linear(tape.SwiGlu(gateUp), block.Down);                                  // [B, T, D]
            x = tape.Residual(x, fed, _scales.Residual);
            Observe(i, attended, fed, x);
        }

        return tape.RmsNorm(x, _finalGain, epsilon);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _angles.Free();
        base.Dispose(disposing);
    }

    private sealed record Block(
        Weight Gain1, Weight Qkv, Weight? QueryGain, Weight? KeyGain, Weight Output, Weight Gain2, Weight GateUp, Weight Down);
}

/// <summary>Where a family with LLaMA's blocks differs from LLaMA: numbers that are 1 there.</summary>
/// <param name="Embedding">Multiplies the embedded tokens.</param>
/// <param name="Residual">Multiplies what attention and feed-forward add to the residual stream.</param>
/// <param name="Logits">Multiplies the logits.</param>
/// <param name="Deviation">Multiplies the initial standard deviation of the hidden matrices.</param>
/// <param name="Rate">Multiplies the learning rate of the hidden matrices.</param>
public sealed record LlamaScales(float Embedding = 1, float Residual = 1, float Logits = 1, float Deviation = 1, double Rate = 1);

/// <summary>Options of <see cref="Llama"/>.</summary>
/// <param name="Size">Non-embedding parameters ("1m") or a preset: llama-130m, llama-300m, llama-520m, llama-1.2b (Wen et al. 2025), llama-7b.</param>
/// <param name="Layers">Blocks.</param>
/// <param name="Width">Width of the residual stream.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KeyValueHeads">Key-value heads; as many as query heads when null.</param>
/// <param name="HeadWidth">Width of a head, even; width / heads when null.</param>
/// <param name="FeedForward">About 8/3 x width, from the size, when null.</param>
/// <param name="Vocabulary">The tokenizer's when null.</param>
/// <param name="Context">The training sequence length when null.</param>
/// <param name="Tied">Whether the output projection is the token embedding.</param>
/// <param name="QkNorm">RMSNorm on every query and key head.</param>
/// <param name="RopeTheta">Base of the rotary frequencies.</param>
/// <param name="Epsilon">Added to the mean square in RMSNorm.</param>
/// <param name="InitializerRange">Standard deviation of the initial matrices.</param>
public sealed record LlamaOptions(
    string Size = "1m", int? Layers = null, int? Width = null, int? Heads = null, int? KeyValueHeads = null, int? HeadWidth = null,
    int? FeedForward = null, int? Vocabulary = null, int? Context = null, bool Tied = true, bool QkNorm = false, double RopeTheta = 10_000,
    float Epsilon = 1e-5f, float InitializerRange = 0.02f)
    : ModelOptions(Size, Layers, Width, Heads, FeedForward, Vocabulary, Context, Tied)
{
    private const int WidthMax = 1 << 20, AnglesMax = 1 << 25;

    /// <inheritdoc/>
    public override ModelDimensions Dimensions => new(
        Resolved(Layers, "layers"), Resolved(Width, "width"), Resolved(Heads, "heads"), Resolved(KeyValueHeads, "keyValueHeads"),
        Resolved(HeadWidth, "headWidth"), Resolved(FeedForward, "feedForward"), Resolved(Vocabulary, "vocabulary"), Resolved(Context, "context"));

    /// <inheritdoc/>
    public override ModelOptions Resolve(int vocabulary, int sequenceLength) => Resolve("llama", 8.0 / 3, vocabulary, sequenceLength);

    /// <summary>These options filled in as those of a family with LLaMA's blocks.</summary>
    internal LlamaOptions Resolve(string family, double feedForwardPerWidth, int vocabulary, int sequenceLength)
    {
        CheckGiven(
            (Layers, "layers"), (Width, "width"), (Heads, "heads"), (KeyValueHeads, "keyValueHeads"), (HeadWidth, "headWidth"),
            (FeedForward, "feedForward"), (Vocabulary, "vocabulary"), (Context, "context"));
        Require(RopeTheta is > 1 and < 1e12, "ropeTheta", RopeTheta, "above 1 and below 1e12");
        Require(Epsilon is > 0 and < 1, "epsilon", Epsilon, "positive and below 1");
        Require(InitializerRange is > 0 and <= 10, "initializerRange", InitializerRange, "positive and at most 10");
        ModelSize size = ModelSize.Parse(Size, family).Shaped(Layers, Width, Heads, feedForwardPerWidth, matricesInFeedForward: 3, vectorsPerWidth: 2);
        int headWidth = HeadWidth ?? size.Width / size.Heads;
        LlamaOptions resolved = this with
        {
            Layers = size.Layers,
            Width = size.Width,
            Heads = size.Heads,
            KeyValueHeads = KeyValueHeads ?? size.KeyValueHeads ?? size.Heads,
            HeadWidth = headWidth,
            FeedForward = FeedForward ?? size.FeedForward,
            Vocabulary = Vocabulary ?? vocabulary,
            Context = Context ?? sequenceLength,
        };
        if (HeadWidth is null && size.Width % size.Heads != 0)
        {
            throw new ValidationException($"model.width: {size.Width} is not a multiple of model.heads {size.Heads}; {(family == "llama" ? "set model.headWidth or " : "")}change one");
        }

        if (headWidth % 2 != 0)
        {
            throw new ValidationException($"model.headWidth: {headWidth} is odd; rotary positions turn pairs");
        }

        if (size.Heads % (resolved.KeyValueHeads ?? 1) != 0)
        {
            throw new ValidationException($"model.keyValueHeads: {resolved.KeyValueHeads} does not divide model.heads {size.Heads}");
        }

        if ((long)size.Heads * headWidth > WidthMax || (long)(resolved.Context ?? 0) * headWidth > AnglesMax)
        {
            throw new ValidationException(
                $"model.headWidth: {headWidth} is too wide for {size.Heads} heads, which may be {WidthMax} wide together, or for a context of {resolved.Context}, which may have {AnglesMax} rotary angles");
        }

        CheckText(resolved.Vocabulary ?? 0, vocabulary, resolved.Context ?? 0, sequenceLength);
        return resolved;
    }

    /// <inheritdoc/>
    public override Model Build(Backend backend, bool gradients = true) => new Llama(this, backend, gradients);

    /// <inheritdoc/>
    /// <remarks>Hugging Face calls this architecture with QK-norm Qwen3.</remarks>
    public override JsonObject ToHuggingFace(int endOfText) => new()
    {
        ["architectures"] = new JsonArray(QkNorm ? "Qwen3ForCausalLM" : "LlamaForCausalLM"),
        ["model_type"] = QkNorm ? "qwen3" : "llama",
        ["hidden_size"] = Width,
        ["intermediate_size"] = FeedForward,
        ["num_hidden_layers"] = Layers,
        ["num_attention_heads"] = Heads,
        ["num_key_value_heads"] = KeyValueHeads,
        ["head_dim"] = HeadWidth,
        ["hidden_act"] = "silu",
        ["max_position_embeddings"] = Context,
        ["rms_norm_eps"] = Epsilon,
        ["rope_theta"] = RopeTheta,
        ["rope_scaling"] = null,
        ["rope_parameters"] = new JsonObject { ["rope_theta"] = RopeTheta, ["rope_type"] = "default" },
        ["attention_bias"] = false,
        ["mlp_bias"] = false,
        ["tie_word_embeddings"] = Tied,
        ["vocab_size"] = Vocabulary,
        ["initializer_range"] = InitializerRange,
        ["bos_token_id"] = endOfText,
        ["eos_token_id"] = endOfText,
        ["torch_dtype"] = "float32",
        ["dtype"] = "float32",
    };

    /// <summary>The options that a config.json describes.</summary>
    /// <param name="config">The file.</param>
    /// <param name="qkNorm">Whether its architecture has QK-norm.</param>
    internal static LlamaOptions FromHuggingFace(HuggingFaceConfig config, bool qkNorm = false)
    {
        int width = config.Integer("hidden_size"), heads = config.Integer("num_attention_heads");
        config.Only("hidden_act", "silu", "swish");
        config.Only("attention_bias", "false");
        config.Only("mlp_bias", "false");
        config.Only("rope_interleaved", "false");
        config.RequireFullAttention();
        return new LlamaOptions(
            Layers: config.Integer("num_hidden_layers"), Width: width, Heads: heads, KeyValueHeads: config.Integer("num_key_value_heads", heads),
            HeadWidth: config.Integer("head_dim", qkNorm ? 128 : width / Math.Max(1, heads)), FeedForward: config.Integer("intermediate_size"),
            Vocabulary: config.Integer("vocab_size"), Context: config.Integer("max_position_embeddings", 2048), Tied: config.Flag("tie_word_embeddings", false),
            QkNorm: qkNorm, RopeTheta: config.RopeTheta(), Epsilon: (float)config.Number("rms_norm_eps", 1e-6),
            InitializerRange: (float)config.Number("initializer_range", 0.02));
    }

    /// <inheritdoc/>
    public override ModelCounts Count()
    {
        ModelDimensions d = Dimensions;
        long width = d.Width, attention = (long)d.Heads * d.HeadWidth, keyValue = (long)d.KeyValueHeads * d.HeadWidth;
        long matrices = (2 * width * attention) + (2 * width * keyValue) + (3 * width * d.FeedForward);
        long vectors = (2 * width) + (QkNorm ? 2 * d.HeadWidth : 0);
        long table = d.Vocabulary * width, embedding = Tied ? table : 2 * table;
        return new ModelCounts(
            (d.Layers * (matrices + vectors)) + width + embedding, embedding, (d.Layers * matrices) + table, d.Layers * attention);
    }
}
