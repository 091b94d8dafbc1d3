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
            (long least, long most) = Searched(sweep.Search, cell);
            (least, most) = (least + sweep.Seeds.Count - 1, most + sweep.Seeds.Count - 1);
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

    // How many runs a search takes at least and at most: a descent the neighbours of its start, others what they want at once.
    private static (long Least, long Most) Searched(SearchOptions search, Cell cell)
    {
        if (search is DescentOptions descent)
        {
            return (Math.Min(descent.RunsMax, 1 + cell.Grid.Neighbours(cell.Start, descent.Reach).Count()), Math.Min(descent.RunsMax, cell.Grid.Count));
        }

        long wanted = cell.Search.Replay(_ => null).Wanted.Count;
        return (wanted, wanted);
    }

    /// <summary>The best of each cell, against the baseline, the noise, and the settings that can stay as they are.</summary>
    public static void Write(SweepResults results)
    {
        CellResult[] begun = [.. results.Cells.Where(cell => cell.Runs.Any(run => run.Outcome is not null))];
        bool hasArms = begun.Select(cell => cell.Cell.Arm).Distinct().Count() > 1;
        TextTable table = new(
            [
                "<cell", "runs", "diverged", "<searched", "loss", "sd", "seeds",
                .. hasArms ? [$"less {results.Sweep.Baseline}", "<verdict", "x tokens", "95 % from", "to", "x time"] : Array.Empty<string>(), "ms/step", "<best",
            ]);
        foreach (CellResult cell in begun)
        {
            SpeedupEstimate? speedup = results.SpeedupInTokens(cell);
            table.Add(
                [
                    cell.Cell.ToString(), $"{cell.Runs.Count(run => run.Loss is not null)}", $"{cell.Diverged}", cell.Progress, Number(cell.Mean, "F4"), Number(cell.Deviation, "F4"),
                    $"{cell.BestRuns.Count}", .. hasArms ? Against(results, cell, speedup) : Array.Empty<string?>(), Number(1e3 * cell.StepSeconds, "F1"),
                    cell.Search.Best is { } best ? cell.Cell.Grid.Describe(best) : null,
                ]);
        }

        Console.WriteLine();
        table.Write();
        Console.WriteLine();
        foreach (string size in hasArms ? results.Cells.Select(cell => cell.Cell.Size).Distinct() : [])
        {
            WriteBaseline(results, size);
        }

        double chance = results.Noise.Chance(1, 1), tolerance = results.Sweep.Search.Tolerance;
        Console.WriteLine(results.Noise.IsKnown
            ? $"noise: a run's standard deviation over seeds is {results.Noise.Nats:F4} nats, pooled; losses within {tolerance:r} of a best count as good as it"
                + (chance > tolerance ? $", and two equal runs differ by up to {chance:F4}: which of near values is best is chance" : "")
            : "noise: not known yet, no best has run with two seeds");
        foreach (string arm in results.Sweep.Cells.Select(cell => cell.Arm).Distinct())
        {
            IReadOnlyList<StableKeys> keys = results.Stable(arm);
            if (keys.Count > 0)
            {
                Console.WriteLine(
                    $"{arm}: stable {Words(keys.Where(key => key.IsStable), " or ")}; to tune at each size and length {Words(keys.Where(key => !key.IsStable), ", ")}".TrimStart(' ', ':'));
            }
        }
    }

    private static string?[] Against(SweepResults results, CellResult cell, SpeedupEstimate? speedup) =>
    [
        results.Contrast(cell)?.Difference, results.Verdict(cell), speedup is null ? null : End(speedup.Times) + (speedup.IsExtrapolated ? "*" : ""),
        End(speedup?.Range?.Low), End(speedup?.Range?.High), Number(results.SpeedupInTime(cell), "F2"),
    ];

    private static void WriteBaseline(SweepResults results, string size)
    {
        string name = $"{results.Sweep.Baseline} {size}".TrimEnd();
        if (results.Baseline(size) is not { } curve)
        {
            Console.WriteLine($"{name}: no speedups yet, L(R) needs its loss at three lengths or more");
            return;
        }

        Console.WriteLine(
            $"{name}: L(R) = {curve.Law.Alpha:F4} R^-{curve.Law.Exponent:F4} + {curve.Law.Beta:F4}; speedups are over it, in tokens for the same loss, and in time");
        Console.WriteLine(
            $"*: more tokens than {curve.Longest:0.###}x, or fewer than {curve.Shortest:0.###}x: L(R) extrapolated" + (curve.IsExact ? "; three lengths fix its three parameters, and nothing is left to judge it by" : ""));
    }

    private static string SearchName(Sweep sweep) => JsonSerializer.SerializeToNode(sweep.Search, ConfigFile.JsonOptions)!["type"]!.GetValue<string>();

    private static string Words(IEnumerable<StableKeys> keys, string separator) =>
        string.Join(", ", keys.Select(key => $"{key.Key} {string.Join(separator, key.Values)}").DefaultIfEmpty("none"));

    private static string? End(double? end) => end is { } value ? Quantity.Limit(value, "F2") : null;

    private static string? Number(double? value, string format) => value is { } number && double.IsFinite(number) ? number.ToString(format) : null;
}
