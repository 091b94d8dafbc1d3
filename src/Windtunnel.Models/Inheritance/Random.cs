using Windtunnel.Tensors;

namespace Windtunnel.Models.Inheritance;

/// <summary>Blocks drawn without replacement, in the reference's order.</summary>
/// <param name="From">The reference.</param>
/// <param name="Layers">How many blocks; half of the reference's when null.</param>
/// <param name="Seed">Of the draw.</param>
/// <param name="Copy">What is copied outside the blocks.</param>
/// <param name="Blocks">What is copied of a block.</param>
/// <param name="Norms">Whether the norms in the blocks are copied too.</param>
/// <param name="Sha256">Of the reference's weights; filled in.</param>
public sealed record RandomOptions(
    string From = "", int? Layers = null, ulong Seed = 1, InheritedParts Copy = InheritedParts.All, InheritedBlocks Blocks = InheritedBlocks.All, bool Norms = true,
    string? Sha256 = null)
    : InheritanceOptions(From, Copy, Blocks, Norms, Sha256)
{
    /// <inheritdoc/>
    public override IReadOnlyList<InheritedLayer> Taken(IReadOnlyList<int> depths)
    {
        int count = Count(Layers, depths[0]);
        Philox random = Philox.Named(Seed, "inheritance");
        return
        [
            .. Enumerable.Range(0, depths[0]).OrderBy(layer => random.Uniform((ulong)layer)).Take(count).Order()
                .Select(layer => new InheritedLayer(layer)),
        ];
    }
}
