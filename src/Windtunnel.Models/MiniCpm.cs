using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Models;

/// <summary>
/// MiniCPM (Hu et al. 2024): LLaMA's blocks, parametrised so that the learning rate found at one width serves every width (tensor
/// programs, Yang et al. 2022; table 7 of the paper, where its text and its code differ as in the code).
/// <code>
/// embedded tokens                  x scaleEmbedding
/// what a branch adds               x scaleDepth / sqrt(layers)
/// logits                           / (width / baseWidth)
/// initial hidden matrices          N(0, initializerRange^2 / (width / baseWidth))
/// initial embedding and head       N(0, initializerRange^2)
/// learning rate, hidden matrices   / (width / baseWidth)
/// </code>
/// Attention scores keep 1 / sqrt(head width).
/// </summary>
public sealed class MiniCpm : Llama
{
    private readonly MiniCpmOptions _options;

    internal MiniCpm(MiniCpmOptions options, Backend backend, bool gradients)
        : base(options, options.Blocks, options.Scales, backend, gradients) => _options = options;

    /// <summary>
    /// The same function as a plain LLaMA on the same backend, without gradients, for tools that don't know MiniCPM: the scales are
    /// multiplied into the embedding, the head, which is then of its own, and the projections into the residual stream.
    /// </summary>
    public Llama ToLlama()
    {
        Llama llama = new(_options.ToLlama(), Backend, gradients: false);
        Dictionary<string, Parameter> mine = Parameters.Parameters.ToDictionary(parameter => parameter.Name);
        Parameter embedding = Parameters.Parameters.Single(parameter => parameter.Role == ParameterRole.Embedding);
        foreach (Parameter folded in llama.Parameters.Parameters)
        {
            Backend.Add(folded.Value, mine.GetValueOrDefault(folded.Name, embedding).Value, Scale(folded), accumulate: false);
        }

        return llama;
    }

    private float Scale(Parameter folded) => folded.Role switch
    {
        ParameterRole.Embedding => _options.Scales.Embedding,
        ParameterRole.Head => _options.Scales.Logits,
        _ when folded.Name.EndsWith(".o_proj.weight", StringComparison.Ordinal) || folded.Name.EndsWith(".down_proj.weight", StringComparison.Ordinal) =>
            _options.Scales.Residual,
        _ => 1,
    };
}

/// <summary>Options of <see cref="MiniCpm"/>. Heads are as wide as width / heads.</summary>
/// <param name="Size">
/// Non-embedding parameters ("1m") or a preset: minicpm-9m, -30m, -70m, -0.1b, -0.17b, -0.2b, -0.5b, the paper's wind tunnel, or its
/// releases minicpm-1.2b and minicpm-2.4b.
/// </param>
/// <param name="Layers">Blocks.</param>
/// <param name="Width">Width of the residual stream.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KeyValueHeads">Key-value heads; as many as query heads when null.</param>
/// <param name="FeedForward">About 5/2 x width, from the size, when null.</param>
/// <param name="Vocabulary">The tokenizer's when null.</param>
/// <param name="Context">The training sequence length when null.</param>
/// <param name="Tied">Whether the output projection is the token embedding.</param>
/// <param name="ScaleEmbedding">Multiplies the embedded tokens.</param>
/// <param name="ScaleDepth">Multiplies, over the root of the layers, what attention and feed-forward add.</param>
/// <param name="BaseWidth">The width at which nothing else is scaled: that of the search for the learning rate.</param>
/// <param name="RopeTheta">Base of the rotary frequencies.</param>
/// <param name="Epsilon">Added to the mean square in RMSNorm.</param>
/// <param name="InitializerRange">Standard deviation of the initial matrices at the base width; of embedding and head at any.</param>
public sealed record MiniCpmOptions(
    string Size = "1m", int? Layers = null, int? Width = null, int? Heads = null, int? KeyValueHeads = null, int? FeedForward = null,
    int? Vocabulary = null, int? Context = null, bool Tied = true, double ScaleEmbedding = 12, double ScaleDepth = 1.4, int BaseWidth = 256,
    double RopeTheta = 10_000, float Epsilon = 1e-5f, float InitializerRange = 0.1f)
    : ModelOptions(Size, Layers, Width, Heads, FeedForward, Vocabulary, Context, Tied)
{
    /// <inheritdoc/>
    public override ModelDimensions Dimensions => Blocks.Dimensions;

    /// <summary>The blocks of a resolved model, as LLaMA's.</summary>
    internal LlamaOptions Blocks => Given with { HeadWidth = Resolved(Width, "width") / Resolved(Heads, "heads") };

    /// <summary>What a resolved model multiplies, and by what.</summary>
    [JsonIgnore]
    public LlamaScales Scales
    {
        get
        {
            double scaleWidth = (double)Resolved(Width, "width") / BaseWidth;
            return new LlamaScales(
                Embedding: (float)ScaleEmbedding, Residual: (float)(ScaleDepth / Math.Sqrt(Resolved(Layers, "layers"))), Logits: (float)(1 / scaleWidth),
                Deviation: (float)(1 / Math.Sqrt(scaleWidth)), Rate: 1 / scaleWidth);
        }
    }

    private LlamaOptions Given => new(
        Size, Layers, Width, Heads, KeyValueHeads, HeadWidth: null, FeedForward, Vocabulary, Context, Tied, QkNorm: false, RopeTheta, Epsilon,
        InitializerRange);

    /// <inheritdoc/>
    public override ModelOptions Resolve(int vocabulary, int sequenceLength)
    {
        Require(ScaleEmbedding is > 0 and <= 1e4, "scaleEmbedding", ScaleEmbedding, "positive and at most 10000");
        Require(ScaleDepth is > 0 and <= 1e4, "scaleDepth", ScaleDepth, "positive and at most 10000");
        CheckGiven((BaseWidth, "baseWidth"));
        LlamaOptions blocks = Given.Resolve("minicpm", feedForwardPerWidth: 2.5, vocabulary, sequenceLength);
        return this with
        {
            Layers = blocks.Layers,
            Width = blocks.Width,
            Heads = blocks.Heads,
            KeyValueHeads = blocks.KeyValueHeads,
            FeedForward = blocks.FeedForward,
            Vocabulary = blocks.Vocabulary,
            Context = blocks.Context,
        };
    }

    /// <inheritdoc/>
    public override Model Build(Backend backend, bool gradients = true) => new MiniCpm(this, backend, gradients);

    /// <summary>The options of <see cref="MiniCpm.ToLlama"/>.</summary>
    public LlamaOptions ToLlama() => Blocks with { Tied = false };

    /// <inheritdoc/>
    /// <remarks>As openbmb's models have it; <see cref="MiniCpm.ToLlama"/> is for tools that do not know them.</remarks>
    public override JsonObject ToHuggingFace(int endOfText)
    {
        JsonObject config = Blocks.ToHuggingFace(endOfText);
        config["architectures"] = new JsonArray("MiniCPMForCausalLM");
        config["model_type"] = "minicpm";
        config["scale_emb"] = ScaleEmbedding;
        config["scale_depth"] = ScaleDepth;
        config["dim_model_base"] = BaseWidth;
        return config;
    }

    /// <summary>The options that a config.json describes.</summary>
    internal static MiniCpmOptions FromHuggingFace(HuggingFaceConfig config)
    {
        LlamaOptions blocks = LlamaOptions.FromHuggingFace(config);
        config.Only("head_dim", $"{blocks.Width / Math.Max(1, blocks.Heads ?? 1)}");
        return new MiniCpmOptions(
            Layers: blocks.Layers, Width: blocks.Width, Heads: blocks.Heads, KeyValueHeads: blocks.KeyValueHeads, FeedForward: blocks.FeedForward,
            Vocabulary: blocks.Vocabulary, Context: blocks.Context, Tied: config.Flag("tie_word_embeddings", true), ScaleEmbedding: config.Number("scale_emb"),
            ScaleDepth: config.Number("scale_depth"), BaseWidth: config.Integer("dim_model_base"), RopeTheta: blocks.RopeTheta, Epsilon: blocks.Epsilon,
            InitializerRange: blocks.InitializerRange);
    }

    /// <inheritdoc/>
    public override ModelCounts Count() => Blocks.Count();
}
