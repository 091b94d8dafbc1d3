using System.Text;
using Windtunnel.Experiments.Tuning;
using Windtunnel.Laws;

namespace Windtunnel.Experiments;

/// <summary>What a sweep has found so far.</summary>
/// <param name="Sweep">Which.</param>
/// <param name="Cells">In the order in which they run.</param>
public sealed record SweepResults(Sweep Sweep, IReadOnlyList<CellResult> Cells)
{
    // L(R) has three parameters.
    private const int BaselinePointsMin = 3;

    /// <summary>
    /// The standard deviation of a run over seeds, pooled over the cells: two means of n seeds differ by chance by less than 2 sqrt(2/n)
    /// of it, nineteen times in twenty. Not a number where no cell has two seeds.
    /// </summary>
    public double NoiseNats
    {
        get
        {
            CellResult[] repeated = [.. Cells.Where(cell => cell.BestRuns.Count > 1)];
            double freedom = repeated.Sum(cell => cell.BestRuns.Count - 1);
            return Math.Sqrt(repeated.Sum(cell => cell.Deviation * cell.Deviation * (cell.BestRuns.Count - 1)) / freedom);
        }
    }

    /// <summary>The baseline's loss over tokens at a size, fitted to its tuned means; null with fewer than three lengths.</summary>
    public Speedup? Baseline(string size)
    {
        (double Ratio, double Loss)[] points =
            [.. Cells.Where(cell => IsBaseline(cell) && cell.Cell.Size == size && double.IsFinite(cell.Mean)).Select(cell => (cell.Cell.Ratio, cell.Mean))];
        return points.Length >= BaselinePointsMin ? Speedup.Over(points) : null;
    }

    /// <summary>How many times the cell's tokens the tuned baseline needs for its loss; null where its loss over tokens is not known.</summary>
    public double? SpeedupInTokens(CellResult cell) =>
        double.IsFinite(cell.Mean) ? Baseline(cell.Cell.Size)?.At(cell.Cell.Ratio, cell.Mean) : null;

    /// <summary>The same in time, by the median time of a step where both are equally long, else at the nearest length.</summary>
    public double? SpeedupInTime(CellResult cell)
    {
        CellResult? baseline = Cells.Where(other => IsBaseline(other) && other.Cell.Size == cell.Cell.Size && other.BestRuns.Count > 0)
            .MinBy(other => Math.Abs(Math.Log(other.Cell.Ratio / cell.Cell.Ratio)));
        return SpeedupInTokens(cell) is { } tokens && baseline is not null ? tokens * baseline.SecondsAToken / cell.SecondsAToken : null;
    }

    /// <summary>Which settings of an optimizer one value does for in all of its tuned cells; empty with fewer than two of these.</summary>
    public IReadOnlyList<StableKeys> Stable(string optimizer)
    {
        CellResult[] tuned = [.. Cells.Where(cell => cell.Cell.Optimizer == optimizer && cell.Descent.IsOptimum)];
        return tuned.Length > 1 ? StableKeys.Of(tuned[0].Cell.Grid.Axes, [.. tuned.Select(cell => cell.Descent.ApproximatelyBest)]) : [];
    }

    /// <summary>One flat row a run; a column for every setting that any optimizer's grid has.</summary>
    public string ToCsv()
    {
        string[] keys = [.. Cells.SelectMany(cell => cell.Cell.Grid.Axes).Select(axis => axis.Key).Distinct()];
        StringBuilder csv = new();
        Line(
        [
            "sweep", "optimizer", "size", "nonembed_params", "chinchilla", "run", "status", "seed", "best", "loss", "bits_per_byte", "steps", "tokens", "flops",
            "wall_s", "step_s", .. keys,
        ]);
        foreach (CellResult cell in Cells)
        {
            foreach (SweepRun run in cell.Runs)
            {
                RunOutcome outcome = run.Outcome;
                Grid grid = cell.Cell.Grid;
                Dictionary<string, string> settings = grid.Axes.Select((axis, i) => (axis.Key, Value: grid.Value(run.Point, i).Trim('"'))).ToDictionary(pair => pair.Key, pair => pair.Value);
                Line(
                [
                    Sweep.Name, cell.Cell.Optimizer, cell.Cell.Size, $"{outcome.NonEmbedding}", $"{cell.Cell.Ratio:r}", outcome.Id, outcome.Status.ToString().ToLowerInvariant(),
                    $"{run.Seed}", cell.Descent.Best == run.Point ? "1" : "0", Number(outcome.LossNats), Number(outcome.BitsPerByte), $"{outcome.Steps}",
                    $"{outcome.Tokens}", Number(outcome.Flops), Number(outcome.WallSeconds), Number(outcome.StepSeconds),
                    .. keys.Select(key => settings.GetValueOrDefault(key, "")),
                ]);
            }
        }

        return csv.ToString();

        void Line(IEnumerable<string> cells) => csv.AppendJoin(',', cells.Select(Quote)).Append('\n');

        static string Number(double value) => double.IsFinite(value) ? $"{value:r}" : "";

        static string Quote(string text) => text.AsSpan().ContainsAny(',', '"', '\n') ? $"\"{text.Replace("\"", "\"\"")}\"" : text;
    }

    private bool IsBaseline(CellResult cell) => cell.Cell.Optimizer == Sweep.Baseline;
}

/// <summary>A finished run of a sweep.</summary>
/// <param name="Point">The configuration.</param>
/// <param name="Seed">Its seed.</param>
/// <param name="Outcome">How it ended.</param>
public sealed record SweepRun(GridPoint Point, ulong Seed, RunOutcome Outcome);

/// <summary>What is known of a cell.</summary>
/// <param name="Cell">Which.</param>
/// <param name="Descent">How far its tuning is.</param>
/// <param name="Losses">Final losses of the seed that tunes.</param>
/// <param name="Runs">All its runs, in order.</param>
public sealed record CellResult(Cell Cell, Descent Descent, IReadOnlyDictionary<GridPoint, double> Losses, IReadOnlyList<SweepRun> Runs)
{
    /// <summary>The runs of the best configuration, one a seed, without those that diverged.</summary>
    public IReadOnlyList<SweepRun> BestRuns { get; } =
        [.. Runs.Where(run => Descent.Best is { } best && run.Point == best && double.IsFinite(run.Outcome.LossNats))];

    /// <summary>The mean final loss of the best configuration over its seeds.</summary>
    public double Mean => BestRuns.Count > 0 ? BestRuns.Average(run => run.Outcome.LossNats) : double.NaN;

    /// <summary>The standard deviation of a run over seeds; not a number with fewer than two.</summary>
    public double Deviation => BestRuns.Count > 1
        ? Math.Sqrt(BestRuns.Sum(run => Math.Pow(run.Outcome.LossNats - Mean, 2)) / (BestRuns.Count - 1))
        : double.NaN;

    /// <summary>The median seconds that a training token takes the best configuration, over its runs.</summary>
    public double SecondsAToken
    {
        get
        {
            double[] each = [.. BestRuns.Select(run => run.Outcome.StepSeconds * run.Outcome.Steps / run.Outcome.Tokens).Order()];
            return each.Length > 0 ? each[each.Length / 2] : double.NaN;
        }
    }
}
