namespace Windtunnel.Experiments.Tuning;

/// <summary>
/// Which hyperparameters need no tuning at another size or length (Wen et al. 2025, phase II). A key is stable if one value of it
/// lies in the approximately best sets of all cells; of another key, the smallest set of values is kept that has one from each.
/// </summary>
/// <param name="Key">The setting.</param>
/// <param name="Values">Values that lie in all cells' sets where it is stable, else a smallest covering subset; in the axis's order.</param>
/// <param name="IsStable">Whether one value does for all cells.</param>
public sealed record StableKeys(string Key, IReadOnlyList<string> Values, bool IsStable)
{
    /// <summary>Looks at every setting.</summary>
    /// <param name="axes">The settings.</param>
    /// <param name="approximatelyBest">For each cell, the points that are as good as its best; see <see cref="Descent.ApproximatelyBest"/>.</param>
    public static IReadOnlyList<StableKeys> Of(IReadOnlyList<Axis> axes, IReadOnlyList<IReadOnlyList<GridPoint>> approximatelyBest) =>
    [
        .. axes.Select((axis, i) =>
        {
            HashSet<int>[] sets = [.. approximatelyBest.Select(points => points.Select(point => point[i]).ToHashSet())];
            int[] common = [.. Enumerable.Range(0, axis.Values.Count).Where(value => sets.All(set => set.Contains(value)))];
            int[] kept = common.Length > 0 ? common : SmallestCover(sets, axis.Values.Count);
            return new StableKeys(axis.Key, [.. kept.Select(value => axis.Values[value])], common.Length > 0);
        }),
    ];

    /// <summary>The first, in the order of values, of the smallest sets of values 0 to <paramref name="count"/> - 1 that meet every given set.</summary>
    internal static int[] SmallestCover(IReadOnlyList<IReadOnlySet<int>> sets, int count)
    {
        for (int size = 1; size <= Math.Min(count, sets.Count); size++)
        {
            if (Extend([], size) is { } cover)
            {
                return cover;
            }
        }

        throw new ArgumentException("a cell has no approximately best values", nameof(sets));

        int[]? Extend(int[] chosen, int more)
        {
            if (more == 0)
            {
                return sets.All(set => set.Overlaps(chosen)) ? chosen : null;
            }

            for (int value = chosen.Length == 0 ? 0 : chosen[^1] + 1; value <= count - more; value++)
            {
                if (Extend([.. chosen, value], more - 1) is { } cover)
                {
                    return cover;
                }
            }

            return null;
        }
    }
}
