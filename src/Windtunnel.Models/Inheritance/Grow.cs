namespace Windtunnel.Models.Inheritance;

/// <summary>
/// A model that has inherited and been trained, with more of the reference's blocks on top: the next round of Inheritune's growth, which keeps
/// what was trained. To start each round from the reference instead, as the released logs do, inherit more of its <c>first</c> blocks.
/// </summary>
/// <param name="From">The model that grows; embeddings, final norm and output projection are its own.</param>
/// <param name="Reference">Where its next blocks come from: those from its depth on.</param>
/// <param name="Layers">How many they are.</param>
/// <param name="Copy">What is copied outside the blocks.</param>
/// <param name="Blocks">What is copied of a block.</param>
/// <param name="Norms">Whether the norms in the blocks are copied too.</param>
/// <param name="Sha256">Of both models' weights; filled in.</param>
public sealed record GrowOptions(
    string From = "", string Reference = "", int Layers = 2, InheritedParts Copy = InheritedParts.All, InheritedBlocks Blocks = InheritedBlocks.All, bool Norms = true,
    string? Sha256 = null)
    : InheritanceOptions(From, Copy, Blocks, Norms, Sha256)
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> Sources => [From, Reference];

    /// <inheritdoc/>
    public override InheritanceOptions At(IReadOnlyList<string> sources, string? sha256) => this with { From = sources[0], Reference = sources[1], Sha256 = sha256 };

    /// <inheritdoc/>
    public override IReadOnlyList<InheritedLayer> Taken(IReadOnlyList<int> depths)
    {
        int own = depths[0], most = depths[1] - own;
        Require(Layers >= 1 && Layers <= most, "layers", $"{Layers} must be between 1 and {most}: the reference has {depths[1]} layers, the model that grows {own}");
        return
        [
            .. Enumerable.Range(0, own).Select(layer => new InheritedLayer(layer)),
            .. Enumerable.Range(own, Layers).Select(layer => new InheritedLayer(layer, Reference: 1)),
        ];
    }
}
