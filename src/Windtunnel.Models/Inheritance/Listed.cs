namespace Windtunnel.Models.Inheritance;

/// <summary>The blocks that are named, in that order; a block may be named twice.</summary>
/// <param name="From">The reference.</param>
/// <param name="Layers">The reference's blocks, from 0.</param>
/// <param name="Copy">What is copied outside the blocks.</param>
/// <param name="Blocks">What is copied of a block.</param>
/// <param name="Norms">Whether the norms in the blocks are copied too.</param>
/// <param name="Sha256">Of the reference's weights; filled in.</param>
public sealed record ListedOptions(
    string From = "", int[]? Layers = null, InheritedParts Copy = InheritedParts.All, InheritedBlocks Blocks = InheritedBlocks.All, bool Norms = true,
    string? Sha256 = null)
    : InheritanceOptions(From, Copy, Blocks, Norms, Sha256)
{
    /// <inheritdoc/>
    public override IReadOnlyList<InheritedLayer> Taken(IReadOnlyList<int> depths)
    {
        Require(Layers is { Length: > 0 }, "layers", "names no block; give some, such as [0, 2, 4]");
        foreach (int layer in Layers!)
        {
            Require(layer >= 0 && layer < depths[0], "layers", $"{layer} is none of the reference's blocks, 0 to {depths[0] - 1}");
        }

        return [.. Layers.Select(layer => new InheritedLayer(layer))];
    }
}
