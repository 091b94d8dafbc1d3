using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Tensors;

namespace Windtunnel.Models.Inheritance;

/// <summary>Which of a reference's weights outside its blocks are copied.</summary>
public enum InheritedParts
{
    /// <summary>Token and position embeddings, the final norm, the output projection.</summary>
    All,

    /// <summary>Token embedding and output projection, as the text of Inheritune says.</summary>
    Paper,

    /// <summary>
    /// The output projection, as the released scripts do: with it the token embedding where the two are tied, and no embedding where they are not.
    /// </summary>
    Code,
}

/// <summary>Which parts of a block are copied.</summary>
public enum InheritedBlocks
{
    /// <summary>Attention and feed-forward layer.</summary>
    All,

    /// <summary>Attention, with the norm before it.</summary>
    Attention,

    /// <summary>The feed-forward layer, with the norm before it.</summary>
    FeedForward,
}

/// <summary>
/// How a model starts from the weights of another, the reference (Inheritune, Sanyal et al., arXiv 2404.08634): which of the reference's
/// blocks it takes, and what of them. What is not copied is drawn anew. Factors that depend on the depth stay what they were in the
/// reference, so that a block does what it did there.
/// </summary>
/// <param name="From">
/// The reference: the folder of a run, <c>runs/ID</c> or <c>runs/ID@STEP</c>, or a folder of weights with its config.json and tokenizer.json.
/// </param>
/// <param name="Copy">What is copied outside the blocks.</param>
/// <param name="Blocks">What is copied of a block.</param>
/// <param name="Norms">Whether the norms in the blocks are copied too.</param>
/// <param name="Sha256">Of the reference's weights: what a run is known by in place of a path. Filled in when the config is resolved.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(FirstOptions), "first")]
[JsonDerivedType(typeof(RangeOptions), "range")]
[JsonDerivedType(typeof(AlternateOptions), "alternate")]
[JsonDerivedType(typeof(RandomOptions), "random")]
[JsonDerivedType(typeof(ListedOptions), "listed")]
[JsonDerivedType(typeof(StackOptions), "stack")]
[JsonDerivedType(typeof(GrowOptions), "grow")]
[JsonDerivedType(typeof(HalfWidthOptions), "half-width")]
public abstract record InheritanceOptions(string From, InheritedParts Copy, InheritedBlocks Blocks, bool Norms, string? Sha256)
{
    /// <summary>The references' paths, the first of them <see cref="From"/>.</summary>
    [JsonIgnore]
    public virtual IReadOnlyList<string> Sources => [From];

    /// <summary>The same with other paths, one for each of <see cref="Sources"/>, and a hash of what is there.</summary>
    public virtual InheritanceOptions At(IReadOnlyList<string> sources, string? sha256) => this with { From = sources[0], Sha256 = sha256 };

    /// <summary>Where each block of the target comes from, from its first.</summary>
    /// <param name="depths">How many blocks each reference has.</param>
    /// <exception cref="ValidationException">The references have no such blocks.</exception>
    public abstract IReadOnlyList<InheritedLayer> Taken(IReadOnlyList<int> depths);

    /// <summary>The model that inherits.</summary>
    /// <param name="references">The references' options, resolved.</param>
    /// <exception cref="ValidationException">The references have no such blocks, or differ in more than their depth.</exception>
    public virtual ModelOptions Target(IReadOnlyList<ModelOptions> references)
    {
        ModelOptions first = references[0];
        int depth = first.Dimensions.Layers, layers = Taken([.. references.Select(reference => reference.Dimensions.Layers)]).Count;
        foreach (ModelOptions other in references.Skip(1))
        {
            Require(Deepened(other, depth) with { Size = first.Size } == first, "from", $"{string.Join(" and ", Sources)} differ in more than their depth");
        }

        return Deepened(references[^1], layers) with { Size = first.Size };
    }

    /// <summary>Copies weights into a model whose own have been drawn.</summary>
    /// <param name="target">A model of the options that <see cref="Target"/> gave.</param>
    /// <param name="references">The references, of which only what is taken is read.</param>
    /// <param name="taken">What <see cref="Taken"/> gave.</param>
    /// <returns>Each parameter of the target, and whether it was copied.</returns>
    /// <exception cref="ValidationException">The target is not made for these references.</exception>
    public IReadOnlyList<InheritedParameter> Fill(Model target, IReadOnlyList<StoredModel> references, IReadOnlyList<InheritedLayer> taken)
    {
        List<InheritedParameter> inherited = [];
        foreach (Parameter parameter in target.Parameters.Parameters)
        {
            ParameterPlace place = ParameterPlace.Of(parameter);
            InheritedLayer from = place.Layer is { } layer ? taken[layer] : new InheritedLayer(0);
            string name = ParameterPlace.InBlock(parameter.Name, from.Layer);
            bool copied = Takes(place, target.Options.Tied);
            if (copied)
            {
                (float[] values, Shape shape) = references[from.Reference].Read(name);
                CopyTo(target, parameter, values, shape, QueryFactor(target.Options, place.Layer ?? 0, from.Layer));
            }

            inherited.Add(new InheritedParameter(parameter, copied ? Sources[from.Reference] : null, copied ? name : null));
        }

        return inherited;
    }

    /// <summary>Throws unless a setting makes sense.</summary>
    protected static void Require(bool holds, string name, string problem)
    {
        if (!holds)
        {
            throw new ValidationException($"inheritance.{name}: {problem}");
        }
    }

    /// <summary>How many blocks to take: half of them where it was not said.</summary>
    protected static int Count(int? layers, int of)
    {
        int count = layers ?? Math.Max(1, of / 2);
        Require(count >= 1 && count <= of, "layers", $"{count} must be between 1 and the reference's {of}");
        return count;
    }

    // MiniCPM multiplies a branch by scaleDepth / sqrt(layers): what it was in the reference it stays.
    private static ModelOptions Deepened(ModelOptions reference, int layers) => reference is MiniCpmOptions miniCpm
        ? miniCpm with { Layers = layers, ScaleDepth = layers == miniCpm.Layers ? miniCpm.ScaleDepth : miniCpm.ScaleDepth * Math.Sqrt((double)layers / miniCpm.Dimensions.Layers) }
        : reference with { Layers = layers };

    // Where GPT-2 divides the scores of block i by i + 1, a block that moves carries the difference in its queries.
    private static float QueryFactor(ModelOptions options, int layer, int from) =>
        options is Gpt2Options { InverseLayerScale: true } ? (float)(layer + 1) / (from + 1) : 1;

    private bool Takes(ParameterPlace place, bool tied) => place.Part switch
    {
        ModelPart.Tokens => Copy != InheritedParts.Code || tied,
        ModelPart.Head => true,
        ModelPart.Positions or ModelPart.FinalNorm => Copy == InheritedParts.All,
        ModelPart.Attention => Blocks != InheritedBlocks.FeedForward && (Norms || !place.IsNorm),
        _ => Blocks != InheritedBlocks.Attention && (Norms || !place.IsNorm),
    };

    // The first rows and columns of each stacked matrix, which are all of them but where the target is narrower.
    private static void CopyTo(Model target, Parameter parameter, float[] from, Shape source, float queryFactor)
    {
        int rows = parameter.Shape.Rows, columns = parameter.Shape.Columns, sourceRows = source.Rows, sourceColumns = source.Columns;
        int parts = parameter.Parts;
        if (parameter.Shape.Rank == 1)
        {
            // The bias of stacked matrices is stacked as they are.
            parts = parameter.Name.EndsWith(".c_attn.bias", StringComparison.Ordinal) ? 3 : 1;
            (rows, columns, sourceRows, sourceColumns) = (columns, 1, sourceColumns, 1);
        }

        if (rows > sourceRows || columns > sourceColumns)
        {
            throw new ValidationException($"inheritance.from: its {parameter.Name} has shape {source}, which {parameter.Shape} can't be taken from");
        }

        float[] to = new float[parameter.Shape.Count];
        for (int row = 0; row < rows; row++)
        {
            (int part, int within) = Math.DivRem(row, rows / parts);
            int at = ((part * (sourceRows / parts)) + within) * sourceColumns;
            from.AsSpan(at, columns).CopyTo(to.AsSpan(row * columns));
        }

        if (parts == 3 && queryFactor != 1)
        {
            foreach (ref float value in to.AsSpan(0, to.Length / 3))
            {
                value *= queryFactor;
            }
        }

        target.Backend.Write(parameter.Value, to);
    }
}

/// <summary>A block of a reference.</summary>
/// <param name="Layer">From 0.</param>
/// <param name="Reference">Which of the references.</param>
public readonly record struct InheritedLayer(int Layer, int Reference = 0);

/// <summary>What became of a parameter of the target.</summary>
/// <param name="Parameter">The target's.</param>
/// <param name="Reference">The path of the reference that it was copied from; null where it was drawn anew.</param>
/// <param name="Source">Its name there.</param>
public sealed record InheritedParameter(Parameter Parameter, string? Reference, string? Source);
