namespace Windtunnel.Laws.Figures;

/// <summary>Leaves out the points of a line that the eye can't tell from their neighbours.</summary>
internal static class Polyline
{
    private const double Tolerance = 0.1;

    /// <summary>The points that matter, within a tenth of a pixel, of a line from left to right; another order is only thinned less.</summary>
    public static List<(double X, double Y)> Simplify(IReadOnlyList<(double X, double Y)> points)
    {
        List<(double X, double Y)> thin = Thin(points);
        bool[] kept = new bool[thin.Count];
        Stack<(int First, int Last)> open = new();
        if (thin.Count > 0)
        {
            kept[0] = kept[^1] = true;
            open.Push((0, thin.Count - 1));
        }

        // Douglas and Peucker 1973: a stretch is its chord unless a point lies off it; then the farthest one splits it.
        while (open.TryPop(out (int First, int Last) stretch))
        {
            (double farthest, int split) = (Tolerance, -1);
            for (int i = stretch.First + 1; i < stretch.Last; i++)
            {
                double distance = Distance(thin[i], thin[stretch.First], thin[stretch.Last]);
                (farthest, split) = distance > farthest ? (distance, i) : (farthest, split);
            }

            if (split >= 0)
            {
                kept[split] = true;
                open.Push((stretch.First, split));
                open.Push((split, stretch.Last));
            }
        }

        return [.. thin.Where((_, i) => kept[i])];
    }

    /// <summary>From a point to the line between two others.</summary>
    public static double Distance((double X, double Y) point, (double X, double Y) from, (double X, double Y) to)
    {
        double dx = to.X - from.X, dy = to.Y - from.Y, squared = (dx * dx) + (dy * dy);
        double share = squared == 0 ? 0 : Math.Clamp((((point.X - from.X) * dx) + ((point.Y - from.Y) * dy)) / squared, 0, 1);
        return Math.Sqrt(Math.Pow(point.X - from.X - (share * dx), 2) + Math.Pow(point.Y - from.Y - (share * dy), 2));
    }

    // Of the points in one column of half a pixel, the first, lowest, highest and last.
    private static List<(double X, double Y)> Thin(IReadOnlyList<(double X, double Y)> points)
    {
        List<(double X, double Y)> kept = [];
        for (int first = 0, next; first < points.Count; first = next)
        {
            int lowest = first, highest = first;
            for (next = first + 1; next < points.Count && Math.Floor(2 * points[next].X) == Math.Floor(2 * points[first].X); next++)
            {
                lowest = points[next].Y < points[lowest].Y ? next : lowest;
                highest = points[next].Y > points[highest].Y ? next : highest;
            }

            kept.AddRange(new SortedSet<int> { first, lowest, highest, next - 1 }.Select(i => points[i]));
        }

        return kept;
    }
}
