using System.ComponentModel.DataAnnotations;
using Windtunnel.Experiments;
using Windtunnel.Experiments.Ladders;
using Windtunnel.Experiments.Reports;
using Windtunnel.Runs;

namespace Windtunnel.Cli;

/// <summary>What an experiment of any kind has found so far: on the terminal, as <c>results.csv</c>, and as a report.</summary>
internal static class ExperimentResults
{
    /// <summary>Prints tables, and writes one flat row a run.</summary>
    public static void Write(IExperiment experiment, ExperimentFolder folder, RunStore store)
    {
        switch (experiment)
        {
            case Sweep sweep:
                SweepResults found = SweepResults.Of(sweep, store.Find);
                SweepTables.Write(found);
                WriteCsv(folder, found.ToCsv());
                break;
            case Comparison comparison:
                ComparisonResults judged = comparison.Judge(store.Find);
                ComparisonTables.Write(judged);
                WriteCsv(folder, judged.ToCsv());
                break;
            case Ladder:
                Tunnel tunnel = new(folder, store);
                TunnelTables.Write(tunnel.Results(), tunnel.Ladder);
                WriteCsv(tunnel, folder);
                break;
            default:
                throw new ValidationException($"{folder.ExperimentPath}: there are no results of this kind of experiment");
        }

    }

    /// <summary>Writes one flat row a run of a ladder.</summary>
    public static void WriteCsv(Tunnel tunnel, ExperimentFolder folder) => WriteCsv(folder, tunnel.Results().ToCsv(tunnel.Ladder.Options.Count));

    /// <summary>Writes <c>report.html</c>, and prints its path.</summary>
    public static void WriteReport(ExperimentFolder folder, RunStore store)
    {
        ExperimentReport.Of(folder, store).Save(folder.ReportPath);
        Console.WriteLine($"report: {Relative(folder.ReportPath)}");
    }

    private static void WriteCsv(ExperimentFolder folder, string text)
    {
        AtomicFile.WriteText(folder.ResultsPath, text);
        Console.WriteLine($"written: {Relative(folder.ResultsPath)}");
    }

    private static string Relative(string path) => Path.GetRelativePath(Environment.CurrentDirectory, path);
}
