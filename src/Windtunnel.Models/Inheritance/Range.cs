namespace Windtunnel.Models.Inheritance;

/// <summary>Neighbouring blocks from anywhere: the middle of the reference, or its lazy last ones.</summary>
/// <param name="From">The reference.</param>
/// <param name="Start">The first block that is taken, from 0.</param>
/// <param name="End">The first after them; the reference's end when null.</param>
/// <param name="Copy">What is copied outside the blocks.</param>
/// <param name="Blocks">What is copied of a block.</param>
/// <param name="Norms">Whether the norms in the blocks are copied too.</param>
/// <param name="Sha256">Of the reference's weights; filled in.</param>
public sealed record RangeOptions(
    string From = "", int Start = 0, int? End = null, InheritedParts Copy = InheritedParts.All, InheritedBlocks Blocks = InheritedBlocks.All, bool Norms = true,
    string? Sha256 = null)
    : InheritanceOptions(From, Copy, Blocks, Norms, Sha256)
{
    /// <inheritdoc/>
    public override IReadOnlyList<InheritedLayer> Taken(IReadOnlyList<int> depths)
    {
        int end = End ?? depths[0];
        Require(Start >= 0 && Start < end, "start", $"{Start} must be at least 0 and below {end}, where the range ends");
        Require(end <= depths[0], "end", $"{end} must be at most the reference's {depths[0]} layers");
        return [.. Enumerable.Range(Start, end - Start).Select(layer => new InheritedLayer(layer))];
    }
}
