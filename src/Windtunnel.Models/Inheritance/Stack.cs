namespace Windtunnel.Models.Inheritance;

/// <summary>
/// The first blocks several times over. All blocks of a shallow model that was trained from scratch: stacking (Gong et al. 2019). Those of
/// a deep reference: hybrid stacking, a quarter of its blocks twice for half of its depth (Sanyal et al., appendix D).
/// </summary>
/// <param name="From">The reference.</param>
/// <param name="Layers">How many of its first blocks; all when null.</param>
/// <param name="Times">How often.</param>
/// <param name="Copy">What is copied outside the blocks.</param>
/// <param name="Blocks">What is copied of a block.</param>
/// <param name="Norms">Whether the norms in the blocks are copied too.</param>
/// <param name="Sha256">Of the reference's weights; filled in.</param>
public sealed record StackOptions(
    string From = "", int? Layers = null, int Times = 2, InheritedParts Copy = InheritedParts.All, InheritedBlocks Blocks = InheritedBlocks.All, bool Norms = true,
    string? Sha256 = null)
    : InheritanceOptions(From, Copy, Blocks, Norms, Sha256)
{
    /// <inheritdoc/>
    public override IReadOnlyList<InheritedLayer> Taken(IReadOnlyList<int> depths)
    {
        int count = Count(Layers ?? depths[0], depths[0]);
        Require(Times is >= 1 and <= 1024, "times", $"{Times} must be between 1 and 1024");
        return [.. Enumerable.Range(0, Times * count).Select(layer => new InheritedLayer(layer % count))];
    }
}
