using System.Text;
using MathNet.Numerics.Distributions;
using Windtunnel.Experiments.Statistics;
using Windtunnel.Experiments.Tuning;
using Windtunnel.Laws;
using Windtunnel.Runs;

namespace Windtunnel.Experiments;

/// <summary>What a sweep has found so far.</summary>
/// <param name="Sweep">Which.</param>
/// <param name="Cells">In the order in which they run.</param>
public sealed record SweepResults(Sweep Sweep, IReadOnlyList<CellResult> Cells)
{
    /// <summary>Everything that follows from the results so far.</summary>
    /// <param name="find">The result of a run; null where it has none yet.</param>
    public static SweepResults Of(Sweep sweep, Func<PlannedRun, RunOutcome?> find) =>
        new(sweep, [.. sweep.Cells.Select(cell => CellResult.Of(cell, sweep.Seeds, find))]);

    // L(R) has three parameters.
    private const int BaselinePointsMin = 3;

    /// <summary>The standard deviation of a run over seeds, pooled over the cells. Not a number where no cell has two seeds.</summary>
    public double NoiseNats
    {
        get
        {
            CellResult[] repeated = [.. Cells.Where(cell => cell.BestRuns.Count > 1)];
            return Math.Sqrt(repeated.Sum(cell => cell.Deviation * cell.Deviation * (cell.BestRuns.Count - 1)) / NoiseDegreesOfFreedom);
        }
    }

    /// <summary>Of <see cref="NoiseNats"/>: the seeds of each cell but the first.</summary>
    public int NoiseDegreesOfFreedom => Cells.Sum(cell => Math.Max(0, cell.BestRuns.Count - 1));

    /// <summary>
    /// By how much the means of two equals differ by chance at most, nineteen times in twenty, in nats: Student's t, for the noise itself is
    /// known from few seeds only. Not a number where it is not known at all.
    /// </summary>
    /// <param name="seeds">Of the one.</param>
    /// <param name="others">Of the other.</param>
    public double ChanceNats(int seeds, int others) => NoiseDegreesOfFreedom == 0 ? double.NaN
        : StudentT.InvCDF(0, 1, NoiseDegreesOfFreedom, 0.975) * NoiseNats * Math.Sqrt((1.0 / seeds) + (1.0 / others));

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

    /// <summary>
    /// The same in time, by the time of a step (<see cref="StepTime"/>) where both are equally long, else at the nearest length. It is
    /// processor time where both have it: that hardly changes with what else the machine does.
    /// </summary>
    public double? SpeedupInTime(CellResult cell)
    {
        CellResult? baseline = Cells.Where(other => IsBaseline(other) && other.Cell.Size == cell.Cell.Size && other.BestRuns.Count > 0)
            .MinBy(other => Math.Abs(Math.Log(other.Cell.Ratio / cell.Cell.Ratio)));
        if (SpeedupInTokens(cell) is not { } tokens || baseline is null)
        {
            return null;
        }

        double processor = baseline.CpuSecondsAToken / cell.CpuSecondsAToken;
        return tokens * (double.IsFinite(processor) ? processor : baseline.SecondsAToken / cell.SecondsAToken);
    }

    /// <summary>Which settings of an arm one value does for in all of its searched cells; empty with fewer than two of these, or with ranges.</summary>
    public IReadOnlyList<StableKeys> Stable(string arm)
    {
        CellResult[] searched = [.. Cells.Where(cell => cell.Cell.Arm == arm && cell.Search.IsOptimum && !cell.Cell.Grid.Axes.Any(axis => axis.IsRange))];
        return searched.Length > 1 ? StableKeys.Of(searched[0].Cell.Grid.Axes, [.. searched.Select(cell => cell.Search.ApproximatelyBest)]) : [];
    }

    /// <summary>One flat row for each run that has ended; a column for every setting that any arm's grid has.</summary>
    public string ToCsv()
    {
        string[] keys = [.. Cells.SelectMany(cell => cell.Cell.Grid.Axes).Select(axis => axis.Key).Distinct()];
        StringBuilder csv = new(CsvRow.Of(
        [
            "sweep", "arm", "size", "nonembed_params", "chinchilla", "run", "status", "seed", "best", "loss", "bits_per_byte", "steps", "tokens", "flops",
            "wall_s", "step_s", "cpu_s", .. keys,
        ]));
        foreach (CellResult cell in Cells)
        {
            Grid grid = cell.Cell.Grid;
            foreach ((GridPoint point, ulong seed, _, RunOutcome? outcome) in cell.Runs)
            {
                if (outcome is null)
                {
                    continue;
                }

                Dictionary<string, string> settings = grid.Axes.Select((axis, i) => KeyValuePair.Create(axis.Key, grid.Value(point, i).Trim('"'))).ToDictionary();
                csv.Append(CsvRow.Of(
                [
                    Sweep.Name, cell.Cell.Arm, cell.Cell.Size, $"{outcome.NonEmbedding}", $"{cell.Cell.Ratio:r}", outcome.Id, outcome.Status.ToString().ToLowerInvariant(),
                    $"{seed}", cell.Search.Best == point ? "1" : "0", CsvRow.Number(outcome.LossNats), CsvRow.Number(outcome.BitsPerByte), $"{outcome.Steps}",
                    $"{outcome.Tokens}", CsvRow.Number(outcome.Flops), CsvRow.Number(outcome.WallSeconds), CsvRow.Number(outcome.StepSeconds), CsvRow.Number(outcome.CpuSeconds),
                    .. keys.Select(key => settings.GetValueOrDefault(key, "")),
                ]));
            }
        }

        return csv.ToString();
    }

    private bool IsBaseline(CellResult cell) => cell.Cell.Arm == Sweep.Baseline;
}

/// <summary>A run of a sweep.</summary>
/// <param name="Point">The configuration.</param>
/// <param name="Seed">Its seed.</param>
/// <param name="Run">What is to be trained.</param>
/// <param name="Outcome">How it ended; null where it has not.</param>
public sealed record SweepRun(GridPoint Point, ulong Seed, PlannedRun Run, RunOutcome? Outcome)
{
    /// <summary>Its final loss, infinite where it diverged; null where it has no result.</summary>
    public double? Loss => Outcome?.LossNats;
}

/// <summary>What is known of a cell.</summary>
/// <param name="Cell">Which.</param>
/// <param name="Search">How far its search is.</param>
/// <param name="Runs">All that the search has wanted so far, in order, then its best with the other seeds.</param>
public sealed record CellResult(Cell Cell, SearchState Search, IReadOnlyList<SweepRun> Runs)
{
    /// <summary>Replays the cell's search; once that has ended, its best is wanted with the other seeds.</summary>
    public static CellResult Of(Cell cell, IReadOnlyList<ulong> seeds, Func<PlannedRun, RunOutcome?> find)
    {
        Dictionary<GridPoint, SweepRun> searched = [];
        SearchReplay replay = cell.Search.Replay(point => (searched[point] = Run(point, seeds[0])).Loss);
        IEnumerable<SweepRun> repeated = replay.State is { Best: { } best, Missing.Count: 0 } ? seeds.Skip(1).Select(seed => Run(best, seed)) : [];
        return new CellResult(cell, replay.State, [.. replay.Wanted.Select(point => searched[point]), .. repeated]);

        SweepRun Run(GridPoint point, ulong seed)
        {
            PlannedRun run = cell.Run(point, seed);
            return new SweepRun(point, seed, run, find(run));
        }
    }

    /// <summary>The runs of the best configuration, one a seed, without those that diverged.</summary>
    public IReadOnlyList<SweepRun> BestRuns { get; } =
        [.. Runs.Where(run => Search.Best is { } best && run.Point == best && run.Loss is { } loss && double.IsFinite(loss))];

    /// <summary>How many runs diverged: results, but in no mean.</summary>
    public int Diverged => Runs.Count(run => run.Outcome?.Status == RunStatus.Diverged);

    /// <summary>How many runs are wanted and have no result.</summary>
    public int Missing => Runs.Count(run => run.Loss is null);

    /// <summary>The mean final loss of the best configuration over its seeds.</summary>
    public double Mean => BestRuns.Count > 0 ? BestRuns.Average(run => run.Loss!.Value) : double.NaN;

    /// <summary>The standard deviation of a run over seeds; not a number with fewer than two.</summary>
    public double Deviation => BestRuns.Count > 1 ? Math.Sqrt(TTest.Variance([.. BestRuns.Select(run => run.Loss!.Value)])) : double.NaN;

    /// <summary>The least seconds that a training token takes the best configuration: what disturbs a run only ever makes it slower.</summary>
    public double SecondsAToken => Least(outcome => outcome.StepSeconds);

    /// <summary>The same in processor seconds, of all threads; not a number where a run has none on record.</summary>
    public double CpuSecondsAToken => Least(outcome => outcome.CpuSeconds);

    private double Least(Func<RunOutcome, double> step) =>
        BestRuns.Select(run => step(run.Outcome!) * run.Outcome!.Steps / run.Outcome.Tokens).DefaultIfEmpty(double.NaN).Min();
}
