using System.Globalization;
using System.Text;
using MathNet.Numerics.Statistics;
using Windtunnel.Experiments.Statistics;
using Windtunnel.Experiments.Tuning;
using Windtunnel.Runs;

namespace Windtunnel.Experiments;

/// <summary>What a sweep has found so far.</summary>
public sealed class SweepResults
{
    // With fewer degrees of freedom, the noise of a size and length is known worse than what it has in common with the others'.
    private const int NoiseDegreesMin = 4;

    private readonly Dictionary<(string Size, double Ratio), SeedNoise> _noise;
    private readonly Dictionary<string, BaselineCurve?> _baselines;
    private readonly Dictionary<CellResult, ArmContrast> _contrasts;

    private SweepResults(Sweep sweep, IReadOnlyList<CellResult> cells)
    {
        (Sweep, Cells) = (sweep, cells);
        Noise = NoiseOf(cells);
        _noise = cells.GroupBy(Place).ToDictionary(group => group.Key, group => NoiseOf(group) is { DegreesOfFreedom: >= NoiseDegreesMin } own ? own : Noise);
        _baselines = cells.Select(cell => cell.Cell.Size).Distinct().ToDictionary(
            size => size, size => BaselineCurve.Of([.. cells.Where(cell => IsBaseline(cell) && cell.Cell.Size == size && cell.IsComparable)], NoiseAt));
        _contrasts = cells.GroupBy(Place).SelectMany(Contrasts).ToDictionary();
    }

    /// <summary>Which.</summary>
    public Sweep Sweep { get; }

    /// <summary>In the order in which they run.</summary>
    public IReadOnlyList<CellResult> Cells { get; }

    /// <summary>What seeds do to a run, pooled over the bests of all cells.</summary>
    public SeedNoise Noise { get; }

    /// <summary>Everything that follows from the results so far.</summary>
    /// <param name="find">The result of a run; null where it has none yet.</param>
    public static SweepResults Of(Sweep sweep, Func<PlannedRun, RunOutcome?> find) =>
        new(sweep, [.. sweep.Cells.Select(cell => CellResult.Of(cell, sweep.Seeds, find))]);

    /// <summary>What seeds do to a run of a cell, pooled over the bests of its size and length; over all where these have few.</summary>
    public SeedNoise NoiseAt(CellResult cell) => _noise[Place(cell)];

    /// <summary>The baseline's loss over tokens at a size, fitted to its tuned means; null with fewer than three searched lengths.</summary>
    public BaselineCurve? Baseline(string size) => _baselines.GetValueOrDefault(size);

    /// <summary>An arm against the baseline at the same size and length; null for the baseline, and while one of both is not searched and repeated to the end.</summary>
    public ArmContrast? Contrast(CellResult cell) => _contrasts.GetValueOrDefault(cell);

    /// <summary>How an arm stands against the baseline, in a word; null where that is not known.</summary>
    public string? Verdict(CellResult cell) => IsBaseline(cell) ? "baseline" : cell.DivergedSeeds > 0 ? "diverges" : Contrast(cell)?.Verdict.Word();

    /// <summary>
    /// How many times the cell's tokens the tuned baseline needs for its loss; null for the baseline, where its loss over tokens is not known, and
    /// where a seed of the cell's best diverged: the mean is of those that did not.
    /// </summary>
    public SpeedupEstimate? SpeedupInTokens(CellResult cell) => cell.IsComparable && !IsBaseline(cell) ? Baseline(cell.Cell.Size)?.At(cell, NoiseAt(cell)) : null;

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
        return tokens.Times * (double.IsFinite(processor) ? processor : baseline.SecondsAToken / cell.SecondsAToken);
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

    private static (string, double) Place(CellResult cell) => (cell.Cell.Size, cell.Cell.Ratio);

    private static SeedNoise NoiseOf(IEnumerable<CellResult> cells) => SeedNoise.Of(cells.Select(cell => cell.BestLosses));

    private bool IsBaseline(CellResult cell) => cell.Cell.Arm == Sweep.Baseline;

    // Of one size and length.
    private IEnumerable<KeyValuePair<CellResult, ArmContrast>> Contrasts(IEnumerable<CellResult> cells)
    {
        CellResult[] ended = [.. cells.Where(cell => cell.Missing == 0 && double.IsFinite(cell.Mean))];
        if (ended.FirstOrDefault(IsBaseline) is not { } baseline || NoiseAt(baseline) is not { IsKnown: true } noise)
        {
            return [];
        }

        (CellResult Cell, TTest Test)[] tests =
            [.. ended.Where(cell => cell != baseline).Select(cell => (cell, noise.Test(cell.Mean - baseline.Mean, cell.BestRuns.Count, baseline.BestRuns.Count)))];
        return tests.Zip(TTest.Holm([.. tests.Select(test => test.Test.PValue)]), (test, pValue) => KeyValuePair.Create(
            test.Cell, new ArmContrast(test.Test, pValue, ComparisonResults.Judge(test.Test.Difference, pValue, noise, test.Cell.DivergedSeeds, baseline.DivergedSeeds))));
    }
}

/// <summary>An arm against the baseline, each at its best, by the noise of all arms of that size and length.</summary>
/// <param name="Test">The arm's mean loss less the baseline's, in nats.</param>
/// <param name="PValue">Two-sided, Holm's correction for the number of arms of that size and length included.</param>
/// <param name="Verdict">By the rule of <see cref="ComparisonResults"/>.</param>
public sealed record ArmContrast(TTest Test, double PValue, Verdict Verdict)
{
    /// <summary>The difference in words, with its sign.</summary>
    public string Difference => $"{Test.Difference:+0.0000;-0.0000;0.0000}";
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

    /// <summary>Their final losses.</summary>
    public IReadOnlyList<double> BestLosses => [.. BestRuns.Select(run => run.Loss!.Value)];

    /// <summary>With how many seeds the best configuration diverged.</summary>
    public int DivergedSeeds => Runs.Count(run => run.Point == Search.Best && run.Outcome?.Status == RunStatus.Diverged);

    /// <summary>Whether its mean can stand for it: everything wanted has run, and no seed of the best diverged.</summary>
    public bool IsComparable => Missing == 0 && DivergedSeeds == 0 && double.IsFinite(Mean);

    /// <summary>Settings whose best value is the lowest or the highest of three or more numbers: beyond it may be a better one.</summary>
    public IReadOnlyList<string> AtEdge => Search.Best is not { } best || Search.Missing.Count > 0 ? [] :
    [
        .. from axis in Cell.Grid.Axes.Index()
           where !axis.Item.IsRange && axis.Item.Values.Count > 2
           let numbers = axis.Item.Values.Select(value => double.TryParse(value, CultureInfo.InvariantCulture, out double number) ? number : double.NaN).ToArray()
           where numbers.All(double.IsFinite) && (numbers[best[axis.Index]] == numbers.Min() || numbers[best[axis.Index]] == numbers.Max())
           select axis.Item.Name,
    ];

    /// <summary>What its search lacks, for people; null where it is over and its best is inside the grid.</summary>
    public string? Lacks => this switch
    {
        { Missing: > 0 } => $"{Missing:N0} to come",
        { Search.IsOptimum: false } => "no optimum",
        { AtEdge: { Count: > 0 } edge } => $"at the edge of {string.Join(", ", edge)}",
        _ => null,
    };

    /// <summary>How far its search is, for people.</summary>
    public string Progress => Lacks ?? "yes";

    /// <summary>How many runs diverged: results, but in no mean.</summary>
    public int Diverged => Runs.Count(run => run.Outcome?.Status == RunStatus.Diverged);

    /// <summary>How many runs are wanted and have no result.</summary>
    public int Missing => Runs.Count(run => run.Loss is null);

    /// <summary>The mean final loss of the best configuration over its seeds.</summary>
    public double Mean => BestRuns.Count > 0 ? BestLosses.Average() : double.NaN;

    /// <summary>The standard deviation of a run over seeds; not a number with fewer than two.</summary>
    public double Deviation => BestRuns.Count > 1 ? Math.Sqrt(TTest.Variance(BestLosses)) : double.NaN;

    /// <summary>The seconds that a training token takes the best configuration, the median of its seeds.</summary>
    public double SecondsAToken => Median(outcome => outcome.StepSeconds * outcome.Steps / outcome.Tokens);

    /// <summary>The same in processor seconds, of all threads; not a number where a run has none on record.</summary>
    public double CpuSecondsAToken => Median(outcome => outcome.CpuSeconds * outcome.Steps / outcome.Tokens);

    /// <summary>The seconds of a step, of processor time where that is on record; not a number where neither is.</summary>
    public double StepSeconds => Median(outcome => outcome.CpuSeconds) is var processor && double.IsFinite(processor) ? processor : Median(outcome => outcome.StepSeconds);

    private double Median(Func<RunOutcome, double> value) => BestRuns.Count > 0 ? BestRuns.Select(run => value(run.Outcome!)).Median() : double.NaN;
}
