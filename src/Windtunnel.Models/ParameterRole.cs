namespace Windtunnel.Models;

/// <summary>What a parameter is for. Optimizers choose their rule by it and never guess from shapes.</summary>
public enum ParameterRole
{
    /// <summary>A matrix between hidden states: attention and feed-forward projections.</summary>
    Hidden,

    /// <summary>A table of vectors: tokens, positions.</summary>
    Embedding,

    /// <summary>The output projection, where it is not tied to the token embedding.</summary>
    Head,

    /// <summary>The choice of experts.</summary>
    Router,

    /// <summary>A gain or bias of a normalisation.</summary>
    Norm,

    /// <summary>A bias of a linear map.</summary>
    Bias,
}
