namespace Windtunnel.Laws.Planning;

/// <summary>Which parameters a law counts as N.</summary>
public enum ParameterCount
{
    /// <summary>All of them.</summary>
    All,

    /// <summary>All but token and position embeddings and an output projection of its own.</summary>
    NonEmbedding,
}

/// <summary>A model that can be built: what a plan needs to know of it.</summary>
/// <param name="Size">As the size dial takes it.</param>
/// <param name="Parameters">All.</param>
/// <param name="NonEmbedding">Without embeddings.</param>
/// <param name="FlopsAToken">Operations of a training token, attention and output projection included.</param>
/// <param name="Layers">Blocks.</param>
/// <param name="Width">Of the residual stream.</param>
/// <param name="Vocabulary">Token ids.</param>
/// <param name="SequenceLength">Tokens of a training sequence.</param>
public sealed record ModelShape(
    string Size, long Parameters, long NonEmbedding, double FlopsAToken, int Layers, int Width, int Vocabulary, int SequenceLength)
{
    /// <summary>N, as a law counts it.</summary>
    public double Count(ParameterCount count) => count == ParameterCount.All ? Parameters : NonEmbedding;
}
