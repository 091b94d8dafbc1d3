using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Models;

/// <summary>
/// What a model is built from. One dial, <paramref name="Size"/>, sets every dimension; each can be overridden.
/// </summary>
/// <param name="Size">Non-embedding parameters ("1m", "0.15m", "124m") or the name of a preset.</param>
/// <param name="Layers">Blocks.</param>
/// <param name="Width">Width of the residual stream.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="FeedForward">Width inside the feed-forward layer.</param>
/// <param name="Vocabulary">Token ids; the tokenizer's when null.</param>
/// <param name="Context">The longest sequence; the training sequence length when null.</param>
/// <param name="Tied">Whether the output projection is the token embedding.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(Gpt2Options), "gpt2")]
[JsonDerivedType(typeof(LlamaOptions), "llama")]
[JsonDerivedType(typeof(MiniCpmOptions), "minicpm")]
public abstract record ModelOptions(
    string Size, int? Layers, int? Width, int? Heads, int? FeedForward, int? Vocabulary, int? Context, bool Tied)
{
    /// <summary>The name of its type in a config.</summary>
    [JsonIgnore]
    public string Family => (string)typeof(ModelOptions).GetCustomAttributes<JsonDerivedTypeAttribute>().Single(type => type.DerivedType == GetType()).TypeDiscriminator!;

    /// <summary>The sizes, once <see cref="Resolve"/> has filled them in.</summary>
    [JsonIgnore]
    public abstract ModelDimensions Dimensions { get; }

    /// <summary>These options with every dimension filled in and checked.</summary>
    /// <param name="vocabulary">The tokenizer's vocabulary.</param>
    /// <param name="sequenceLength">The training sequence length.</param>
    /// <exception cref="ValidationException">A dimension is impossible.</exception>
    public abstract ModelOptions Resolve(int vocabulary, int sequenceLength);

    /// <summary>The model, with memory but without values; the options are resolved.</summary>
    /// <param name="backend">Where it lives.</param>
    /// <param name="gradients">False for a model that only samples or evaluates.</param>
    public abstract Model Build(Backend backend, bool gradients = true);

    /// <summary>Counts parameters and operations without building anything.</summary>
    public abstract ModelCounts Count();

    /// <summary>The model's Hugging Face config.json, by which other tools load the weights.</summary>
    /// <param name="endOfText">The token that starts and ends documents.</param>
    public abstract JsonObject ToHuggingFace(int endOfText);

    /// <summary>The members of <see cref="object.ToString"/>: without the sizes, which options have only once they are resolved.</summary>
    protected virtual bool PrintMembers(StringBuilder builder)
    {
        builder.Append(
            $"Size = {Size}, Layers = {Layers}, Width = {Width}, Heads = {Heads}, FeedForward = {FeedForward}, Vocabulary = {Vocabulary}, Context = {Context}, Tied = {Tied}");
        return true;
    }

    /// <summary>A dimension that <see cref="Resolve"/> has filled in.</summary>
    protected static int Resolved(int? value, string name) =>
        value ?? throw new InvalidOperationException($"model.{name} is not resolved");

    /// <summary>Throws unless every dimension that was given is in a sensible range: 1 to 2^20; 2^24 for a vocabulary.</summary>
    protected static void CheckGiven(params ReadOnlySpan<(int? Value, string Name)> dimensions)
    {
        foreach ((int? value, string name) in dimensions)
        {
            int most = name == "vocabulary" ? 1 << 24 : 1 << 20;
            if (value < 1 || value > most)
            {
                throw new ValidationException($"model.{name}: {value} must be between 1 and {most}");
            }
        }
    }

    /// <summary>Throws unless a number that is no dimension makes sense.</summary>
    protected static void Require(bool holds, string name, double value, string expected)
    {
        if (!holds)
        {
            throw new ValidationException($"model.{name}: {value} must be {expected}");
        }
    }

    /// <summary>Vocabulary and context against what the tokenizer and the training sequences need.</summary>
    protected static void CheckText(int modelVocabulary, int vocabulary, int context, int sequenceLength)
    {
        if (modelVocabulary < vocabulary)
        {
            throw new ValidationException(
                $"model.vocabulary: {modelVocabulary} is smaller than the tokenizer's {vocabulary}; leave it out or make it at least {vocabulary}");
        }

        if (context < sequenceLength)
        {
            throw new ValidationException(
                $"model.context: {context} is shorter than training.sequenceLength {sequenceLength}; leave it out or make it at least {sequenceLength}");
        }
    }
}

/// <summary>Exact counts by formula.</summary>
/// <param name="Total">All parameters.</param>
/// <param name="Embedding">Token and position embeddings, and the output projection where it is not tied.</param>
/// <param name="MatrixProducts">Weights that a token is multiplied by: all matrices but look-up tables; a tied head counts.</param>
/// <param name="AttentionWidth">L H K: the summed width of all heads of all layers.</param>
public readonly record struct ModelCounts(long Total, long Embedding, long MatrixProducts, long AttentionWidth)
{
    /// <summary>N of the scaling laws that exclude embeddings.</summary>
    public long NonEmbedding => Total - Embedding;

    /// <summary>
    /// Operations of forward and backward pass for one token: 6 a weight in a matrix product, 12 L H K T for attention scores
    /// and values over the whole T x T square (Chowdhery et al. 2022, appendix B).
    /// </summary>
    public double TrainingFlopsAToken(int sequenceLength) => (6.0 * MatrixProducts) + (12.0 * AttentionWidth * sequenceLength);
}
