using Windtunnel.Models;

namespace Windtunnel.Cli;

/// <summary>Analyses of what models make of their context, as a table.</summary>
internal sealed class ContextReport
{
    private readonly List<(string Model, ContextAnalysis Analysis)> _models = [];

    /// <summary>Adds a model; all read the same sequences.</summary>
    public void Add(string model, ContextAnalysis analysis) => _models.Add((model, analysis));

    /// <summary>Writes a row a model.</summary>
    public void Write()
    {
        ContextAnalysis first = _models[0].Analysis;
        Console.WriteLine($"loss in nats of {first.All.Targets:N0} tokens: of all, by how many were read before, and of the {100.0 * first.Repeats.Targets / first.All.Targets:F1} %");
        Console.WriteLine("that, with the two before them, repeat three of the same sequence");
        Console.WriteLine();
        TextTable table = new(["<model", "all", .. first.Positions.Select(band => band.From == band.To ? $"{band.From}" : $"{band.From}-{band.To}"), "repeats", "others"]);
        foreach ((string model, ContextAnalysis analysis) in _models)
        {
            table.Add([model, Nats(analysis.All.Mean), .. analysis.Positions.Select(band => Nats(band.Loss)), Nats(analysis.Repeats.Mean), Nats(analysis.Others.Mean)]);
        }

        table.Write();
    }

    private static string? Nats(double loss) => double.IsNaN(loss) ? null : $"{loss:F3}";
}
