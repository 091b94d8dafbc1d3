using System.Collections.Concurrent;
using Windtunnel.Experiments.Tuning;
using Windtunnel.Training;

namespace Windtunnel.Experiments;

/// <summary>Runs a sweep: tunes each cell, then repeats its best with the other seeds.</summary>
/// <param name="sweep">What to run.</param>
/// <param name="train">
/// Trains a configuration or finds its result; null where it was stopped, and then for every configuration without a result.
/// </param>
/// <param name="progress">Is told of each run that has ended, one at a time.</param>
public sealed class SweepRunner(Sweep sweep, Func<RunConfig, RunOutcome?> train, Action<SweepProgress>? progress = null)
{
    private readonly Lock _telling = new();

    /// <summary>Goes through all cells in order; after a stop, the results of later cells are still collected.</summary>
    /// <param name="workers">How many cells are tuned at once: with one thread a run, small models train faster side by side.</param>
    public SweepResults Run(int workers = 1)
    {
        CellResult[] results = new CellResult[sweep.Cells.Count];
        Parallel.ForEach(
            Partitioner.Create(Enumerable.Range(0, results.Length), EnumerablePartitionerOptions.NoBuffering),
            new ParallelOptions { MaxDegreeOfParallelism = workers }, i => results[i] = Run(sweep.Cells[i]));
        return new SweepResults(sweep, results);
    }

    private CellResult Run(Cell cell)
    {
        List<SweepRun> runs = [];
        Dictionary<GridPoint, double> losses = [];
        Descent descent = cell.Descent.Run((now, point) => Train(now, point, sweep.Seeds[0]), losses);
        if (descent.Best is { } best && descent.Missing.Count == 0)
        {
            foreach (ulong seed in sweep.Seeds.Skip(1))
            {
                Train(descent, best, seed);
            }
        }

        return new CellResult(cell, descent, losses, runs);

        double? Train(Descent now, GridPoint point, ulong seed)
        {
            if (train(cell.Config(point, seed)) is not { } outcome)
            {
                return null;
            }

            runs.Add(new SweepRun(point, seed, outcome));
            lock (_telling)
            {
                progress?.Invoke(new SweepProgress(cell, now, losses, point, seed, outcome));
            }

            return outcome.LossNats;
        }
    }
}

/// <summary>A run of a sweep has ended.</summary>
/// <param name="Cell">Where.</param>
/// <param name="Descent">How its tuning stood when the run was chosen.</param>
/// <param name="Losses">Those before the run.</param>
/// <param name="Point">The configuration.</param>
/// <param name="Seed">Its seed.</param>
/// <param name="Outcome">How it ended.</param>
public sealed record SweepProgress(Cell Cell, Descent Descent, IReadOnlyDictionary<GridPoint, double> Losses, GridPoint Point, ulong Seed, RunOutcome Outcome);

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
