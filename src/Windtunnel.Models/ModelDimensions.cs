namespace Windtunnel.Models;

/// <summary>The sizes of a decoder-only transformer.</summary>
/// <param name="Layers">L, blocks.</param>
/// <param name="Width">D, the width of the residual stream.</param>
/// <param name="Heads">H, query heads.</param>
/// <param name="KeyValueHeads">G, key-value heads.</param>
/// <param name="HeadWidth">K, the width of a head.</param>
/// <param name="FeedForward">F, the width inside the feed-forward layer.</param>
/// <param name="Vocabulary">V, token ids.</param>
/// <param name="Context">The longest sequence.</param>
public readonly record struct ModelDimensions(
    int Layers, int Width, int Heads, int KeyValueHeads, int HeadWidth, int FeedForward, int Vocabulary, int Context);
