using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Experiments.Tuning;

/// <summary>The coordinate descent of <see cref="CoordinateDescent"/>.</summary>
/// <param name="Tolerance">Losses that differ by no more count as equal, in nats: to the search, unless it has a reach, and in saying which settings are stable.</param>
/// <param name="RunsMax">The most runs of a cell, without the repeated ones.</param>
/// <param name="Reach">How many values away on its axis a neighbour may be; any value when null, as in the study.</param>
public sealed record DescentOptions(double Tolerance = 3e-3, int RunsMax = 1000, int? Reach = null) : SearchOptions(Tolerance)
{
    /// <inheritdoc/>
    public override bool NeedsStart => true;

    /// <inheritdoc/>
    public override Search Build(Grid grid, GridPoint start) => new CoordinateDescent(grid, start, Tolerance, RunsMax, Reach);

    internal override void Validate()
    {
        base.Validate();
        if (RunsMax < 1)
        {
            throw new ValidationException($"search.runsMax: {RunsMax} must be at least 1");
        }

        if (Reach < 1)
        {
            throw new ValidationException($"search.reach: {Reach} must be at least 1, or null for any value of the axis");
        }
    }
}

/// <summary>
/// The fine-grained coordinate descent of Wen et al. 2025, phase I: run every one-coordinate change of a baseline; if one is
/// better, it becomes the baseline and its own neighbours are completed; stop where all neighbours of a configuration have run and
/// its loss is within a tolerance of the best. With a reach, the tolerance aside, where those of the best itself have run: what lies beyond them
/// is not known from a configuration that is nearly as good.
/// </summary>
/// <param name="grid">What may be tried.</param>
/// <param name="start">The first baseline.</param>
/// <param name="tolerance">Losses that differ by no more count as equal, in nats; the study's launcher has 3e-3.</param>
/// <param name="runsMax">Stop after so many configurations.</param>
/// <param name="reach">How many values away on its axis a neighbour may be; any value when null, as in the study.</param>
public sealed class CoordinateDescent(Grid grid, GridPoint start, double tolerance = 3e-3, int runsMax = int.MaxValue, int? reach = null) : Search(grid, tolerance)
{
    /// <summary>The baseline moves from the best configuration to another as good if that saves so many runs, as the study's launcher does.</summary>
    public const int MoveSavesMin = 10;

    /// <inheritdoc/>
    public override Descent At(IReadOnlyDictionary<GridPoint, double> losses)
    {
        if (!losses.ContainsKey(start))
        {
            return new Descent(start, null, [], Truncate([start], losses.Count), IsOptimum: false);
        }

        GridPoint[] best = ApproximatelyBest(losses), good = best.Length == 0 ? [start] : reach is null ? best : best[..1];
        GridPoint[][] missing = [.. good.Select(point => Grid.Neighbours(point, reach).Where(neighbour => !losses.ContainsKey(neighbour)).ToArray())];

        // The best of those that lack the fewest.
        int nearest = Enumerable.Range(0, good.Length).MinBy(i => missing[i].Length);
        bool isOptimum = missing[nearest].Length == 0;
        int baseline = isOptimum || missing[0].Length - missing[nearest].Length >= MoveSavesMin ? nearest : 0;
        return new Descent(
            good[baseline], best.Length > 0 ? best[0] : null, best, Truncate(missing[baseline], losses.Count),
            isOptimum && best.Length > 0);
    }

    private ArraySegment<GridPoint> Truncate(GridPoint[] points, int runs) => new(points, 0, Math.Clamp(runsMax - runs, 0, points.Length));
}

/// <summary>Where a coordinate descent stands.</summary>
/// <param name="Baseline">The configuration whose neighbours are being run; the local optimum at the end.</param>
/// <inheritdoc cref="SearchState"/>
public sealed record Descent(
    GridPoint Baseline, GridPoint? Best, IReadOnlyList<GridPoint> ApproximatelyBest, IReadOnlyList<GridPoint> Missing, bool IsOptimum)
    : SearchState(Best, ApproximatelyBest, Missing, IsOptimum);
