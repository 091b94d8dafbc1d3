using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text.Json.Nodes;
using Windtunnel.Runs.Config;
using Windtunnel.Tensors;

namespace Windtunnel.Experiments.Tuning;

/// <summary>
/// Points drawn at random, none of them twice (Bergstra and Bengio 2012): the same ones in each cell. An axis may be a range,
/// <c>{from: 1e-4, to: 1e-2, scale: log}</c>, of which each point has a value of its own.
/// </summary>
/// <param name="Runs">How many; all of a smaller grid.</param>
/// <param name="Seed">Of the draws.</param>
/// <param name="Tolerance">Losses that differ by no more count as equal, in nats.</param>
public sealed record RandomOptions(int Runs = 20, ulong Seed = 1, double Tolerance = 3e-3) : SearchOptions(Tolerance)
{
    // Points that are no configurations are drawn, too; where most are none, the search ends with what it has.
    private const int DrawsARun = 100;

    /// <inheritdoc/>
    public override Search Build(Grid grid, GridPoint start) =>
        new ListSearch(grid, Tolerance, [.. Draw(grid).Take(DrawsARun * Runs).Where(grid.Contains).Take(Runs)]);

    internal override Axis AxisOf(string key, JsonNode values)
    {
        if (values is not JsonObject settings)
        {
            return base.AxisOf(key, values);
        }

        RangeOptions range = ConfigFile.Bind<RangeOptions>(settings, $"grid.{key}");
        if (!(range.From < range.To) || (range.Scale == RangeScale.Log && range.From <= 0))
        {
            throw new ValidationException($"grid.{key}: a range goes from a smaller number to a larger one, above 0 on a log scale");
        }

        Philox random = Philox.Named(Seed, key);
        return new Axis(key, [.. Enumerable.Range(0, Runs).Select(i => range.At(random.Uniform((ulong)i)).ToString("G4", CultureInfo.InvariantCulture))]) { IsRange = true };
    }

    internal override void Validate()
    {
        base.Validate();
        if (Runs is < 1 or > PointsMax)
        {
            throw new ValidationException($"search.runs: {Runs} must lie between 1 and {PointsMax:N0}");
        }
    }

    /// <summary>The points of the lists in a random order; with ranges again and again, each with the ranges' next values.</summary>
    private IEnumerable<GridPoint> Draw(Grid grid)
    {
        bool hasRanges = grid.Axes.Any(axis => axis.IsRange);
        int drawn = 0;
        for (int round = 0; round == 0 || (hasRanges && drawn < Runs); round++)
        {
            foreach (long index in Permuted(grid.ListCount, Philox.Named(Seed, $"points.{round}")).TakeWhile(_ => !hasRanges || drawn < Runs))
            {
                yield return grid.PointAt(index, drawn++);
            }
        }
    }

    /// <summary>0 to <paramref name="count"/> - 1 in a random order (Fisher and Yates), in as much memory as values have been taken.</summary>
    private static IEnumerable<long> Permuted(long count, Philox random)
    {
        Dictionary<long, long> moved = [];
        for (long i = 0; i < count; i++)
        {
            long at = i + (long)(random.Uniform((ulong)i) * (count - i));
            yield return moved.GetValueOrDefault(at, at);
            moved[at] = moved.GetValueOrDefault(i, i);
        }
    }
}

/// <summary>How values of a range are spread.</summary>
internal enum RangeScale
{
    /// <summary>Evenly.</summary>
    Linear,

    /// <summary>Their logarithms evenly.</summary>
    Log,
}

/// <summary>A range of values.</summary>
internal sealed record RangeOptions(double From = 0, double To = 0, RangeScale Scale = RangeScale.Linear)
{
    /// <summary>The value that a share of the range lies below.</summary>
    public double At(double share) => Scale == RangeScale.Log ? From * Math.Pow(To / From, share) : From + (share * (To - From));
}
