namespace Windtunnel.Models.Inheritance;

/// <summary>The first blocks: Inheritune itself (algorithm 1).</summary>
/// <param name="From">The reference.</param>
/// <param name="Layers">How many blocks; half of the reference's when null.</param>
/// <param name="Copy">What is copied outside the blocks.</param>
/// <param name="Blocks">What is copied of a block.</param>
/// <param name="Norms">Whether the norms in the blocks are copied too.</param>
/// <param name="Sha256">Of the reference's weights; filled in.</param>
public sealed record FirstOptions(
    string From = "", int? Layers = null, InheritedParts Copy = InheritedParts.All, InheritedBlocks Blocks = InheritedBlocks.All, bool Norms = true,
    string? Sha256 = null)
    : InheritanceOptions(From, Copy, Blocks, Norms, Sha256)
{
    /// <inheritdoc/>
    public override IReadOnlyList<InheritedLayer> Taken(IReadOnlyList<int> depths) =>
        [.. Enumerable.Range(0, Count(Layers, depths[0])).Select(layer => new InheritedLayer(layer))];
}
