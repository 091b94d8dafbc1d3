namespace Windtunnel.Models.Inheritance;

/// <summary>Blocks spread evenly over the reference, every other one for half of them (DistilBERT, Sanh et al. 2019).</summary>
/// <param name="From">The reference.</param>
/// <param name="Layers">How many blocks, n; half of the reference's when null. Block i is its block floor(i L / n).</param>
/// <param name="Copy">What is copied outside the blocks.</param>
/// <param name="Blocks">What is copied of a block.</param>
/// <param name="Norms">Whether the norms in the blocks are copied too.</param>
/// <param name="Sha256">Of the reference's weights; filled in.</param>
public sealed record AlternateOptions(
    string From = "", int? Layers = null, InheritedParts Copy = InheritedParts.All, InheritedBlocks Blocks = InheritedBlocks.All, bool Norms = true,
    string? Sha256 = null)
    : InheritanceOptions(From, Copy, Blocks, Norms, Sha256)
{
    /// <inheritdoc/>
    public override IReadOnlyList<InheritedLayer> Taken(IReadOnlyList<int> depths)
    {
        int count = Count(Layers, depths[0]);
        return [.. Enumerable.Range(0, count).Select(layer => new InheritedLayer((int)((long)layer * depths[0] / count)))];
    }
}
