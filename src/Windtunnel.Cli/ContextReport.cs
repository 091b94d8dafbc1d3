using Windtunnel.Models;

namespace Windtunnel.Cli;

/// <summary>What models make of their context, as a table.</summary>
internal static class ContextReport
{
    /// <summary>Writes a row a model; all have read the same sequences.</summary>
    public static void Write(IReadOnlyList<(string Model, ContextAnalysis Analysis)> models)
    {
        ContextAnalysis first = models[0].Analysis;
        Console.WriteLine($"loss in nats of {first.All.Targets:N0} tokens: of all, and by how many the model had read before");
        Console.WriteLine($"repeats    {100.0 * first.Repeats.Targets / first.All.Targets:F1} %: those that, with the two before them, repeat three of the same sequence");
        Console.WriteLine("two alone  the same tokens, where the model reads only the two before each");
        Console.WriteLine("gain       what the rest of the sequence tells it: two alone less repeats");
        Console.WriteLine();
        TextTable table = new(["<model", "all", .. first.Positions.Select(band => band.From == band.To ? $"{band.From}" : $"{band.From}-{band.To}"), "repeats", "two alone", "gain"]);
        MeanLoss[][] rows = [.. models.Select(model => Columns(model.Analysis))];
        foreach ((string model, MeanLoss[] row) in models.Zip(rows, (model, row) => (model.Model, row)))
        {
            table.Add([model, .. row.Select(loss => Nats(loss.Mean))]);
        }

        table.Add(["standard error", .. rows[0].Select((_, column) => Nats(rows.Max(row => row[column].Error)))]);
        table.Write();
    }

    private static MeanLoss[] Columns(ContextAnalysis analysis) =>
        [analysis.All, .. analysis.Positions.Select(band => band.Loss), analysis.Repeats, analysis.Pairs, analysis.Gain];

    private static string? Nats(double nats) => double.IsFinite(nats) ? $"{nats:F3}" : null;
}
