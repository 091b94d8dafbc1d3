using System.ComponentModel.DataAnnotations;
using System.Globalization;

namespace Windtunnel.Models;

/// <summary>The size dial: from a parameter count, or a preset's name, to layers, width and heads.</summary>
public sealed record ModelSize
{
    private static readonly Dictionary<string, ModelSize> Presets = new(StringComparer.OrdinalIgnoreCase)
    {
        // Radford et al. 2019, table 2.
        ["gpt2"] = new() { Family = "gpt2", Layers = 12, Width = 768, Heads = 12, FeedForward = 3072 },
        ["gpt2-medium"] = new() { Family = "gpt2", Layers = 24, Width = 1024, Heads = 16, FeedForward = 4096 },
        ["gpt2-large"] = new() { Family = "gpt2", Layers = 36, Width = 1280, Heads = 20, FeedForward = 5120 },
        ["gpt2-xl"] = new() { Family = "gpt2", Layers = 48, Width = 1600, Heads = 25, FeedForward = 6400 },

        // Wen et al. 2025, table 1; Touvron et al. 2023, table 2.
        ["llama-130m"] = new() { Family = "llama", Layers = 32, Width = 512, Heads = 8, FeedForward = 2048 },
        ["llama-300m"] = new() { Family = "llama", Layers = 32, Width = 768, Heads = 12, FeedForward = 3072 },
        ["llama-520m"] = new() { Family = "llama", Layers = 32, Width = 1024, Heads = 16, FeedForward = 4096 },
        ["llama-1.2b"] = new() { Family = "llama", Layers = 32, Width = 1536, Heads = 24, FeedForward = 6144 },
        ["llama-7b"] = new() { Family = "llama", Layers = 32, Width = 4096, Heads = 32, FeedForward = 11008 },

        // Hu et al. 2024, tables 8 and 2.
        ["minicpm-9m"] = new() { Family = "minicpm", Layers = 8, Width = 320, Heads = 5, FeedForward = 800 },
        ["minicpm-30m"] = new() { Family = "minicpm", Layers = 12, Width = 512, Heads = 8, FeedForward = 1280 },
        ["minicpm-70m"] = new() { Family = "minicpm", Layers = 14, Width = 640, Heads = 10, FeedForward = 1600 },
        ["minicpm-0.1b"] = new() { Family = "minicpm", Layers = 16, Width = 768, Heads = 12, FeedForward = 1920 },
        ["minicpm-0.17b"] = new() { Family = "minicpm", Layers = 18, Width = 896, Heads = 14, FeedForward = 2240 },
        ["minicpm-0.2b"] = new() { Family = "minicpm", Layers = 20, Width = 1024, Heads = 16, FeedForward = 2560 },
        ["minicpm-0.5b"] = new() { Family = "minicpm", Layers = 24, Width = 1344, Heads = 21, FeedForward = 3360 },
        ["minicpm-1.2b"] = new() { Family = "minicpm", Layers = 52, Width = 1536, Heads = 24, KeyValueHeads = 8, FeedForward = 3840 },
        ["minicpm-2.4b"] = new() { Family = "minicpm", Layers = 40, Width = 2304, Heads = 36, FeedForward = 5760 },
    };

    private string Family { get; init; } = "";

    private double Target { get; init; }

    /// <summary>Blocks.</summary>
    public int Layers { get; private init; }

    /// <summary>Width of the residual stream.</summary>
    public int Width { get; private init; }

    /// <summary>Query heads.</summary>
    public int Heads { get; private init; }

    /// <summary>Key-value heads; null where there are as many as query heads.</summary>
    public int? KeyValueHeads { get; private init; }

    /// <summary>Width inside the feed-forward layer.</summary>
    public int FeedForward { get; private init; }

    /// <summary>The names of the presets of a family.</summary>
    public static IEnumerable<string> PresetsOf(string family) => Presets.Where(preset => preset.Value.Family == family).Select(preset => preset.Key);

    /// <summary>Reads a size: "20k", "1m", "0.15m", "1.2b", or a preset.</summary>
    /// <exception cref="ValidationException">It is neither.</exception>
    public static ModelSize Parse(string size, string family)
    {
        if (Presets.TryGetValue(size, out ModelSize? preset) && preset.Family == family)
        {
            return preset;
        }

        double unit = char.ToLowerInvariant(size.Length > 0 ? size[^1] : ' ') switch { 'k' => 1e3, 'm' => 1e6, 'b' => 1e9, _ => 0 };
        if (unit > 0 && double.TryParse(size[..^1], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double count)
            && count * unit is >= 1e3 and <= 1e12)
        {
            return new ModelSize { Family = family, Target = count * unit };
        }

        throw new ValidationException(
            $"model.size: '{size}' is neither a parameter count such as 20k, 1m or 1.2b nor one of {string.Join(", ", PresetsOf(family))}");
    }

    /// <summary>
    /// Fills in what was not given. Layers and width follow a width per layer that grows slowly with size, as published models
    /// do, and a feed-forward ratio near the family's own; the ratio's slack takes up what is left of the target.
    /// </summary>
    internal ModelSize Shaped(int? layers, int? width, int? heads, double feedForwardPerWidth, int matricesInFeedForward, int vectorsPerWidth)
    {
        if (Target == 0 || (layers is not null && width is not null))
        {
            int given = width ?? Width, query = heads ?? (given == Width ? Heads : HeadsOf(given));
            return this with
            {
                Layers = layers ?? Layers,
                Width = given,
                Heads = query,
                KeyValueHeads = query == Heads ? KeyValueHeads : null,
                FeedForward = given == Width ? FeedForward : ToSixteen(given * feedForwardPerWidth),
            };
        }

        // From about 24 a layer for the smallest models to 64 for GPT-2 small and 128 for LLaMA 7B.
        double aspect = 24 * Math.Pow(Math.Max(Target, 1e5) / 1e5, 0.15);
        ModelSize best = this;
        double bestCost = double.PositiveInfinity;
        for (int l = layers ?? 1; l <= (layers ?? 96); l++)
        {
            for (int w = width ?? 16; w <= (width ?? 16_384); w += HeadWidth(w))
            {
                double square = (4.0 * w * w) + ((double)vectorsPerWidth * w), column = (double)matricesInFeedForward * w;
                int inner = ToSixteen(((Target / l) - square) / column);
                double missed = Math.Abs(Math.Log(l * (square + (column * inner)) / Target));
                double cost = (20 * Math.Max(0, missed - 0.02)) + Math.Abs(Math.Log(inner / (feedForwardPerWidth * w)))
                    + Math.Abs(Math.Log((double)w / l / aspect));
                if (cost < bestCost)
                {
                    (bestCost, best) = (cost, best with { Layers = l, Width = w, FeedForward = inner });
                }
            }
        }

        return best with { Heads = heads ?? HeadsOf(best.Width) };
    }

    private static int HeadWidth(int width) => width < 64 ? 16 : width < 512 ? 32 : 64;

    /// <summary>The fewest heads that are no wider than usual, divide the width and leave an even one.</summary>
    private static int HeadsOf(int width)
    {
        int heads = Math.Max(1, (width + HeadWidth(width) - 1) / HeadWidth(width));
        while (heads < width && (width % heads != 0 || width / heads % 2 != 0))
        {
            heads++;
        }

        return heads;
    }

    private static int ToSixteen(double value) => Math.Max(16, (int)Math.Round(value / 16) * 16);
}
