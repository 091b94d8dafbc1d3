using System.Globalization;
using System.Text;
using Windtunnel.Laws.Figures;
using Windtunnel.Models;

namespace Windtunnel.Cli;

/// <summary>An analysis of attention as words, a figure and a table.</summary>
internal static class AttentionReport
{
    /// <summary>Says which layers have collapsed.</summary>
    public static void Write(AttentionAnalysis analysis)
    {
        Console.WriteLine($"{Quantity.Of(analysis.Sequences, "sequence")} of {Quantity.Of(analysis.Length, "token")}");
        Console.WriteLine();
        TextTable table = new("layer", "highest rank", "mean mass", "<rank of each head", "<");
        foreach (LayerAttention layer in analysis.Layers)
        {
            string ranks = string.Join("  ", analysis.Heads.Where(head => head.Layer == layer.Layer).Select(head => $"{head.Rank,5:F1}"));
            table.Add($"{layer.Layer}", $"{layer.MaxRank:F1}", $"{layer.AverageMass:F1}", ranks, layer.IsLazy ? "lazy" : " ");
        }

        table.Write();
        Console.WriteLine();
        int[] lazy = [.. analysis.Layers.Where(layer => layer.IsLazy).Select(layer => layer.Layer)];
        int collapsed = analysis.Heads.Count(head => head.Rank < LayerAttention.LazyRank);
        Console.WriteLine(lazy.Length == 0
            ? $"no layer is lazy; {collapsed} of {Quantity.Of(analysis.Heads.Count, "head")} have rank 1"
            : $"{lazy.Length} of {Quantity.Of(analysis.Layers.Count, "layer")} are lazy ({string.Join(", ", lazy)}); {collapsed} of {Quantity.Of(analysis.Heads.Count, "head")} have rank 1");
    }

    /// <summary>Draws rank and mass as heat maps, layers downwards and heads across.</summary>
    /// <param name="analysis">What was measured.</param>
    /// <param name="model">Of what.</param>
    public static Figure Draw(AttentionAnalysis analysis, string model)
    {
        int heads = analysis.Heads.Count / analysis.Layers.Count;
        Axis x = new("head", Categories: [.. Enumerable.Range(0, heads).Select(head => $"{head}")]);
        Axis y = new("layer", Categories: [.. analysis.Layers.Select(layer => $"{layer.Layer}")]);
        double height = Math.Clamp(20.0 * analysis.Layers.Count, 60, 900);
        return new Figure(
            $"Attention of {model}",
            [
                new Panel(x, y, [Cells(head => head.Rank)], Title: "approximate rank", Height: height),
                new Panel(x, y, [Cells(head => head.Mass)], Title: "column mass", Height: height),
            ],
            $"Means over {Quantity.Of(analysis.Sequences, "sequence")} of {Quantity.Of(analysis.Length, "token")}; a rank near 1 has collapsed", Columns: 2,
            Width: Math.Clamp(44.0 * heads, 460, 1400));

        HeatMark Cells(Func<HeadAttention, double> value) =>
            new([.. analysis.Heads.GroupBy(head => head.Layer).Select(layer => (IReadOnlyList<double>)[.. layer.Select(value)])]);
    }

    /// <summary>All that was measured.</summary>
    public static string ToCsv(AttentionAnalysis analysis)
    {
        StringBuilder csv = new("layer,head,rank,mass,first_token,max_rank,lazy\n");
        foreach (HeadAttention head in analysis.Heads)
        {
            LayerAttention layer = analysis.Layers[head.Layer];
            csv.Append(
                CultureInfo.InvariantCulture,
                $"{head.Layer},{head.Head},{head.Rank:R},{head.Mass:R},{head.FirstToken:R},{layer.MaxRank:R},{(layer.IsLazy ? "true" : "false")}\n");
        }

        return csv.ToString();
    }
}
