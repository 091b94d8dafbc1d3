using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Models.Inheritance;

/// <summary>
/// All blocks at half the width: the first half of the residual stream, of the heads and of the feed-forward layer (Sanyal et al.,
/// appendix D). Heads keep their width.
/// </summary>
/// <param name="From">The reference.</param>
/// <param name="Copy">What is copied outside the blocks.</param>
/// <param name="Blocks">What is copied of a block.</param>
/// <param name="Norms">Whether the norms in the blocks are copied too.</param>
/// <param name="Sha256">Of the reference's weights; filled in.</param>
public sealed record HalfWidthOptions(
    string From = "", InheritedParts Copy = InheritedParts.All, InheritedBlocks Blocks = InheritedBlocks.All, bool Norms = true,
    string? Sha256 = null)
    : InheritanceOptions(From, Copy, Blocks, Norms, Sha256)
{
    /// <inheritdoc/>
    public override IReadOnlyList<InheritedLayer> Taken(IReadOnlyList<int> depths) => [.. Enumerable.Range(0, depths[0]).Select(layer => new InheritedLayer(layer))];

    /// <inheritdoc/>
    public override ModelOptions Target(IReadOnlyList<ModelOptions> references)
    {
        ModelDimensions d = references[0].Dimensions;
        ModelOptions halved = references[0] with { Width = Half(d.Width, "width"), Heads = Half(d.Heads, "heads"), FeedForward = Half(d.FeedForward, "feedForward") };
        int keyValueHeads = d.KeyValueHeads == 1 ? 1 : Half(d.KeyValueHeads, "keyValueHeads");
        return halved switch
        {
            LlamaOptions llama => llama with { KeyValueHeads = keyValueHeads },

            // What is scaled by width / baseWidth stays what it was.
            MiniCpmOptions miniCpm => miniCpm with { KeyValueHeads = keyValueHeads, BaseWidth = Half(miniCpm.BaseWidth, "baseWidth") },
            _ => halved,
        };

        static int Half(int size, string name) =>
            size % 2 == 0 ? size / 2 : throw new ValidationException($"inheritance.from: the reference's {name} is {size}, which has no half");
    }
}
