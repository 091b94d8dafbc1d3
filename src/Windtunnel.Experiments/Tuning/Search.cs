using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Windtunnel.Experiments.Tuning;

/// <summary>How the best point of a grid is looked for.</summary>
/// <param name="Tolerance">Losses that differ by no more count as equal, in nats.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(DescentOptions), "descent")]
[JsonDerivedType(typeof(GridOptions), "grid")]
[JsonDerivedType(typeof(RandomOptions), "random")]
public abstract record SearchOptions(double Tolerance)
{
    /// <summary>The most points that are listed before any has run.</summary>
    internal const int PointsMax = 10_000;

    /// <summary>Whether the search starts from the run's own settings, which then have to be a point of the grid.</summary>
    [JsonIgnore]
    public virtual bool NeedsStart => false;

    /// <summary>The search of a grid.</summary>
    /// <param name="grid">What may be tried.</param>
    /// <param name="start">Where to begin.</param>
    /// <exception cref="ValidationException">The grid is too large.</exception>
    public abstract Search Build(Grid grid, GridPoint start);

    /// <summary>An axis as a file gives it: a list of values.</summary>
    /// <exception cref="ValidationException">It is something else.</exception>
    internal virtual Axis AxisOf(string key, JsonNode values) => values is JsonArray list
        ? new Axis(key, [.. list.Select(value => value?.ToJsonString() ?? "null")])
        : throw new ValidationException($"grid.{key}: must be a list of values; a range is for search: random");

    internal virtual void Validate()
    {
        if (!(Tolerance >= 0))
        {
            throw new ValidationException($"search.tolerance: {Tolerance.ToString(CultureInfo.InvariantCulture)} must be at least 0");
        }
    }
}

/// <summary>
/// Looks for the best point of a grid. What to run next follows from the grid, the options and the losses of the rounds so far, and from
/// nothing else: whoever runs the points of a round, and in whatever order.
/// </summary>
/// <param name="grid">What may be tried.</param>
/// <param name="tolerance">Losses that differ by no more count as equal, in nats.</param>
public abstract class Search(Grid grid, double tolerance)
{
    /// <summary>What may be tried.</summary>
    public Grid Grid { get; } = grid;

    /// <summary>Losses that differ by no more count as equal, in nats.</summary>
    public double Tolerance { get; } = tolerance;

    /// <summary>Where the search stands.</summary>
    /// <param name="losses">
    /// Final losses by point, of whole rounds: all that was missing has run. Infinite, or not a number, where a run diverged, which
    /// counts as run.
    /// </param>
    public abstract SearchState At(IReadOnlyDictionary<GridPoint, double> losses);

    /// <summary>Goes through the rounds for as long as all points of a round have losses.</summary>
    /// <param name="find">The final loss of a point; null while it is not known.</param>
    public SearchReplay Replay(Func<GridPoint, double?> find)
    {
        List<GridPoint> wanted = [];
        Dictionary<GridPoint, double> losses = [];
        while (true)
        {
            SearchState now = At(losses);
            wanted.AddRange(now.Missing);
            foreach (GridPoint point in now.Missing)
            {
                if (find(point) is { } loss)
                {
                    losses[point] = loss;
                }
            }

            GridPoint[] missing = [.. now.Missing.Where(point => !losses.ContainsKey(point))];
            if (missing.Length > 0 || now.Missing.Count == 0)
            {
                return new SearchReplay(wanted, losses, missing.Length == 0 ? now : At(losses) with { Missing = missing, IsOptimum = false });
            }
        }
    }

    /// <summary>All points whose loss is within the tolerance of the lowest, by loss.</summary>
    protected GridPoint[] ApproximatelyBest(IReadOnlyDictionary<GridPoint, double> losses)
    {
        (GridPoint Point, double Loss)[] finite = [.. losses.Where(run => double.IsFinite(run.Value)).Select(run => (run.Key, run.Value))];
        double best = finite.Select(run => run.Loss).DefaultIfEmpty(double.PositiveInfinity).Min();
        return [.. finite.Where(run => run.Loss <= best + Tolerance).OrderBy(run => run.Loss).ThenBy(run => run.Point).Select(run => run.Point)];
    }
}

/// <summary>Where a search stands.</summary>
/// <param name="Best">The point with the lowest loss; null while none has a loss.</param>
/// <param name="ApproximatelyBest">All whose loss is within the tolerance of the lowest, by loss.</param>
/// <param name="Missing">What to run next, in any order; nothing where the search has ended.</param>
/// <param name="IsOptimum">
/// Whether the best is what the search looks for: of a grid or a sample, which have been run, or of a point's neighbours. Where it is
/// false and nothing is missing, the search has run all it may, or all that it ran diverged.
/// </param>
public record SearchState(GridPoint? Best, IReadOnlyList<GridPoint> ApproximatelyBest, IReadOnlyList<GridPoint> Missing, bool IsOptimum);

/// <summary>What a search has asked for so far, and what came of it.</summary>
/// <param name="Wanted">Every point, in the order in which it was wanted.</param>
/// <param name="Losses">Those that are known.</param>
/// <param name="State">Where the search stands.</param>
public sealed record SearchReplay(IReadOnlyList<GridPoint> Wanted, IReadOnlyDictionary<GridPoint, double> Losses, SearchState State);

/// <summary>A search that knows all its points from the start.</summary>
internal sealed class ListSearch(Grid grid, double tolerance, IReadOnlyList<GridPoint> points) : Search(grid, tolerance)
{
    public override SearchState At(IReadOnlyDictionary<GridPoint, double> losses)
    {
        GridPoint[] best = ApproximatelyBest(losses), missing = [.. points.Where(point => !losses.ContainsKey(point))];
        return new SearchState(best.Length > 0 ? best[0] : null, best, missing, missing.Length == 0 && best.Length > 0);
    }
}
