namespace Windtunnel.Experiments.Tuning;

/// <summary>
/// The fine-grained coordinate descent of Wen et al. 2025, phase I: run every one-coordinate change of a baseline; if one is
/// better, it becomes the baseline and its own neighbours are completed; stop where all neighbours of a configuration have run and
/// its loss is within a tolerance of the best.
/// </summary>
/// <remarks>
/// What to run next follows from the grid, the start and the losses of the rounds so far, and from nothing else: whoever runs the
/// configurations of a round, and in whatever order. A descent that was stopped is replayed by finding what has been run.
/// </remarks>
/// <param name="grid">What may be tried.</param>
/// <param name="start">The first baseline.</param>
/// <param name="tolerance">Losses that differ by no more count as equal, in nats; the study's launcher has 3e-3.</param>
/// <param name="runsMax">Stop after so many configurations.</param>
public sealed class CoordinateDescent(Grid grid, GridPoint start, double tolerance = 3e-3, int runsMax = int.MaxValue)
{
    /// <summary>The baseline moves from the best configuration to another as good if that saves so many runs, as the study's launcher does.</summary>
    public const int MoveSavesMin = 10;

    /// <summary>What may be tried.</summary>
    public Grid Grid { get; } = grid;

    /// <summary>Where the descent stands.</summary>
    /// <param name="losses">
    /// Final losses by configuration, of whole rounds: all that was missing has run. Infinite, or not a number, where a run diverged,
    /// which counts as run.
    /// </param>
    public Descent At(IReadOnlyDictionary<GridPoint, double> losses)
    {
        if (!losses.ContainsKey(start))
        {
            return new Descent(start, null, [], Truncate([start], losses.Count), IsOptimum: false);
        }

        (GridPoint Point, double Loss)[] finite = [.. losses.Where(run => double.IsFinite(run.Value)).Select(run => (run.Key, run.Value))];
        double best = finite.Length > 0 ? finite.Min(run => run.Loss) : double.PositiveInfinity;
        GridPoint[] good = finite.Length > 0
            ? [.. finite.Where(run => run.Loss <= best + tolerance).OrderBy(run => run.Loss).ThenBy(run => run.Point).Select(run => run.Point)]
            : [start];
        GridPoint[][] missing = [.. good.Select(point => Grid.Neighbours(point).Where(neighbour => !losses.ContainsKey(neighbour)).ToArray())];

        // The best of those that lack the fewest.
        int nearest = Enumerable.Range(0, good.Length).MinBy(i => missing[i].Length);
        bool isOptimum = missing[nearest].Length == 0;
        int baseline = isOptimum || missing[0].Length - missing[nearest].Length >= MoveSavesMin ? nearest : 0;
        return new Descent(
            good[baseline], finite.Length > 0 ? good[0] : null, finite.Length > 0 ? good : [], Truncate(missing[baseline], losses.Count),
            isOptimum && finite.Length > 0);
    }

    /// <summary>Runs round after round until the descent ends, or a run is refused.</summary>
    /// <param name="evaluate">The final loss of a configuration, found or run; null to stop here.</param>
    /// <param name="losses">Receives each loss; empty.</param>
    public Descent Run(Func<Descent, GridPoint, double?> evaluate, Dictionary<GridPoint, double> losses)
    {
        while (true)
        {
            Descent now = At(losses);
            if (now.Missing.Count == 0)
            {
                return now;
            }

            foreach (GridPoint point in now.Missing)
            {
                if (evaluate(now, point) is not { } loss)
                {
                    return At(losses) with { Baseline = now.Baseline, Missing = [.. now.Missing.Where(each => !losses.ContainsKey(each))], IsOptimum = false };
                }

                losses[point] = loss;
            }
        }
    }

    private ArraySegment<GridPoint> Truncate(GridPoint[] points, int runs) => new(points, 0, Math.Clamp(runsMax - runs, 0, points.Length));
}

/// <summary>Where a coordinate descent stands.</summary>
/// <param name="Baseline">The configuration whose neighbours are being run; the local optimum at the end.</param>
/// <param name="Best">The configuration with the lowest loss; null while none has a loss.</param>
/// <param name="ApproximatelyBest">All whose loss is within the tolerance of the lowest, by loss.</param>
/// <param name="Missing">What to run next, in any order; nothing where the descent has ended, or may run no more.</param>
/// <param name="IsOptimum">
/// Whether all one-coordinate changes of the baseline have run and none is better by more than the tolerance. Where it is false and
/// nothing is missing, the descent has run all it may, or every configuration around the start diverged.
/// </param>
public sealed record Descent(
    GridPoint Baseline, GridPoint? Best, IReadOnlyList<GridPoint> ApproximatelyBest, IReadOnlyList<GridPoint> Missing, bool IsOptimum);
