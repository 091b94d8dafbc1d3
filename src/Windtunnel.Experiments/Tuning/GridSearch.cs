using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Experiments.Tuning;

/// <summary>Every point of the grid.</summary>
/// <param name="Tolerance">Losses that differ by no more count as equal, in nats.</param>
public sealed record GridOptions(double Tolerance = 3e-3) : SearchOptions(Tolerance)
{
    /// <inheritdoc/>
    public override Search Build(Grid grid, GridPoint start) => grid.Count <= PointsMax
        ? new ListSearch(grid, Tolerance, [.. grid.Points().Where(grid.Contains)])
        : throw new ValidationException($"grid: has {grid.Count:N0} points, more than {PointsMax:N0}; use search: descent or random, or fewer values");
}
