using System.Text.Json;
using Windtunnel.Experiments;
using Windtunnel.Experiments.Tuning;
using Windtunnel.Laws;
using Windtunnel.Runs.Config;

namespace Windtunnel.Cli;

/// <summary>What a sweep will run, and what it found.</summary>
internal static class SweepTables
{
    /// <summary>Every cell with the least that its search takes, and all that it may take.</summary>
    public static void WritePlan(Sweep sweep)
    {
        TextTable table = new("<cell", "tokens a run", "FLOP a run", "runs at least", "at most", "FLOP at least");
        double total = 0;
        foreach (Cell cell in sweep.Cells)
        {
            long repeats = sweep.Seeds.Count - 1, first = cell.Search.Replay(_ => null).Wanted.Count;
            bool isDescent = sweep.Search is DescentOptions;
            long least = repeats + (isDescent ? 1 + cell.Grid.Neighbours(cell.Start).Count() : first), most = repeats + (isDescent ? cell.Grid.Count : first);
            total += least * cell.Flops;
            table.Add(cell.ToString(), Quantity.Count(cell.Tokens), Quantity.Flops(cell.Flops), $"{least}", $"{most:N0}", Quantity.Flops(least * cell.Flops));
        }

        table.Write();
        Console.WriteLine();
        foreach (Cell cell in sweep.Cells.DistinctBy(cell => cell.Arm))
        {
            string from = sweep.Search.NeedsStart ? $"from {cell.Grid.Describe(cell.Start)}" : "over";
            Console.WriteLine($"{cell.Arm} {from}".TrimStart());
            foreach (Axis axis in cell.Grid.Axes)
            {
                Console.WriteLine($"  {axis.Key} {string.Join(", ", axis.Values)}");
            }
        }

        Console.WriteLine();
        Console.WriteLine(
            $"{Quantity.Of(sweep.Cells.Count, "cell")}{(sweep.Baseline.Length > 0 ? $", baseline {sweep.Baseline}" : "")}, {SearchName(sweep)} search, tolerance {sweep.Search.Tolerance:r} nats, "
            + $"seeds {string.Join(", ", sweep.Seeds)}; at least {Quantity.Flops(total)} in all");
    }

    /// <summary>The best of each cell, speedups, the noise, and the settings that can stay as they are.</summary>
    public static void Write(SweepResults results)
    {
        TextTable table = new("<cell", "runs", "diverged", "<searched", "loss", "sd", "seeds", "x tokens", "x time", "ms/step", "<best");
        foreach (CellResult cell in results.Cells.Where(cell => cell.Runs.Any(run => run.Outcome is not null)))
        {
            table.Add(
                cell.Cell.ToString(), $"{cell.Runs.Count(run => run.Loss is not null)}", $"{cell.Diverged}",
                cell.Missing > 0 ? $"{cell.Missing} left" : cell.Search.IsOptimum ? "yes" : "no optimum", Number(cell.Mean, "F4"),
                Number(cell.Deviation, "F4"), $"{cell.BestRuns.Count}", Number(results.SpeedupInTokens(cell), "F2"), Number(results.SpeedupInTime(cell), "F2"),
                Number(cell.BestRuns.Count > 0 ? 1e3 * cell.BestRuns[0].Outcome!.StepSeconds : null, "F1"),
                cell.Search.Best is { } best ? cell.Cell.Grid.Describe(best) : null);
        }

        Console.WriteLine();
        table.Write();
        Console.WriteLine();
        string[] arms = [.. results.Sweep.Cells.Select(cell => cell.Arm).Distinct()];
        foreach (string size in results.Cells.Select(cell => cell.Cell.Size).Distinct().Where(_ => arms.Length > 1))
        {
            Console.WriteLine(results.Baseline(size) is { } law
                ? $"{results.Sweep.Baseline} {size}: L(R) = {law.Alpha:F4} R^-{law.Exponent:F4} + {law.Beta:F4}; speedups are over it, in tokens for the same loss, and in time"
                : $"{results.Sweep.Baseline} {size}: no speedups yet, L(R) needs its loss at three lengths or more");
        }

        Console.WriteLine(double.IsFinite(results.NoiseNats)
            ? $"noise: a run's standard deviation over seeds is {results.NoiseNats:F4} nats, pooled; differences within {results.Sweep.Search.Tolerance:r} count as none in the search"
            : "noise: not known yet, no best has run with two seeds");
        foreach (string arm in arms)
        {
            IReadOnlyList<StableKeys> keys = results.Stable(arm);
            if (keys.Count > 0)
            {
                Console.WriteLine(
                    $"{arm}: stable {Words(keys.Where(key => key.IsStable))}; to tune at each size and length {Words(keys.Where(key => !key.IsStable))}".TrimStart(' ', ':'));
            }
        }
    }

    private static string SearchName(Sweep sweep) => JsonSerializer.SerializeToNode(sweep.Search, ConfigFile.JsonOptions)!["type"]!.GetValue<string>();

    private static string Words(IEnumerable<StableKeys> keys) =>
        string.Join(", ", keys.Select(key => $"{key.Key} {string.Join(" or ", key.Values)}").DefaultIfEmpty("none"));

    private static string? Number(double? value, string format) => value is { } number && double.IsFinite(number) ? number.ToString(format) : null;
}
