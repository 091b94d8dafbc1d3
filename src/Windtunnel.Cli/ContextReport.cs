using Windtunnel.Models;

namespace Windtunnel.Cli;

/// <summary>What models make of their context, as a table.</summary>
internal static class ContextReport
{
    /// <summary>Writes a row a model; all have read the same sequences.</summary>
    public static void Write(IReadOnlyList<(string Model, ContextAnalysis Analysis)> models)
    {
        ContextAnalysis first = models[0].Analysis;
        Console.WriteLine($"nats a token, of {first.All.Targets:N0}: of all; by how many tokens were read before; of the {100.0 * first.Repeats.Targets / first.All.Targets:F1} % that");
        Console.WriteLine("repeat, with the two tokens before them, three of the same sequence; of these after the two alone; what the rest of the sequence gains");
        Console.WriteLine();
        TextTable table = new(["<model", "all", .. first.Positions.Select(band => band.From == band.To ? $"{band.From}" : $"{band.From}-{band.To}"), "repeats", "two alone", "gain"]);
        foreach ((string model, ContextAnalysis analysis) in models)
        {
            table.Add([model, .. Columns(analysis).Select(loss => Nats(loss.Mean))]);
        }

        IEnumerable<double> errors = Enumerable.Range(0, Columns(first).Count()).Select(column => models.Max(model => Columns(model.Analysis).ElementAt(column).Error));
        table.Add(["standard error", .. errors.Select(Nats)]);
        table.Write();
    }

    private static IEnumerable<MeanLoss> Columns(ContextAnalysis analysis) =>
        [analysis.All, .. analysis.Positions.Select(band => band.Loss), analysis.Repeats, analysis.Pairs, analysis.Gain];

    private static string? Nats(double nats) => double.IsFinite(nats) ? $"{nats:F3}" : null;
}
