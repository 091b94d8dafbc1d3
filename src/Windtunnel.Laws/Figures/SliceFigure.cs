namespace Windtunnel.Laws.Figures;

/// <summary>What came of the values that a search tried of one setting.</summary>
/// <param name="Setting">Its name.</param>
/// <param name="Values">All values, in their order.</param>
/// <param name="Runs">The place of the run's value among them, and its final loss; infinite where it diverged.</param>
/// <param name="Best">The place of the best run's value; -1 while there is none.</param>
public sealed record Slice(string Setting, IReadOnlyList<string> Values, IReadOnlyList<(int Value, double Loss)> Runs, int Best);

/// <summary>The loss against each setting of a search, at the best that was found of the others.</summary>
public static class SliceFigure
{
    // Values farther above the best than so many times the typical distance would flatten the valley.
    private const double Tallest = 4;

    /// <summary>Draws a panel a setting.</summary>
    /// <param name="title">What was searched.</param>
    /// <param name="loss">The axis of losses.</param>
    /// <param name="slices">The settings.</param>
    /// <param name="subtitle">The best values.</param>
    public static Figure Draw(string title, Axis loss, IReadOnlyList<Slice> slices, string subtitle = "") =>
        new(title, [.. slices.Select(slice => Draw(slice, loss))], subtitle, Columns: Math.Min(2, slices.Count));

    private static Panel Draw(Slice slice, Axis loss)
    {
        double[] numbers = [.. slice.Values.Select(value => double.TryParse(value, out double number) ? number : double.NaN)];
        bool isNumeric = slice.Values.Count > 1 && numbers.All(double.IsFinite);
        bool isLog = isNumeric && numbers.Min() > 0 && numbers.Max() >= 5 * numbers.Min();
        Axis x = new(slice.Setting, Log: isLog, Categories: isNumeric ? null : slice.Values);
        double At(int value) => isNumeric ? numbers[value] : value;

        DataPoint[] all = [.. slice.Runs.Where(run => double.IsFinite(run.Loss)).Select(run => new DataPoint(At(run.Value), run.Loss))];
        DataPoint[] lowest = [.. all.GroupBy(point => point.X).OrderBy(group => group.Key).Select(group => group.MinBy(point => point.Y))];
        Tone tone = Tone.Category(0);
        List<Mark> marks = [new PointMark("", all, tone, Size: 2.2, Opacity: 0.4), new PointMark("", lowest, tone)];

        // Names have no order that a line could follow.
        marks.AddRange(isNumeric ? [new LineMark("", lowest, tone)] : Array.Empty<Mark>());
        foreach (IGrouping<int, (int Value, double Loss)> diverged in slice.Runs.Where(run => !double.IsFinite(run.Loss)).GroupBy(run => run.Value))
        {
            int runs = slice.Runs.Count(run => run.Value == diverged.Key);
            string text = diverged.Count() == runs ? "diverged" : $"{diverged.Count()} of {runs} diverged";
            marks.Add(new RuleMark(At(diverged.Key), text, Vertical: true, Dash.Dotted, Tone.Category(1)));
        }

        if (slice.Best >= 0 && lowest.FirstOrDefault(point => point.X == At(slice.Best)) is { Y: > 0 } best)
        {
            bool atEdge = isNumeric && slice.Values.Count > 2 && (best.X <= numbers.Min() || best.X >= numbers.Max());
            marks.Add(new PointMark("", [best], Shape: MarkerShape.Circle, Hollow: true, Size: 5.5));
            marks.AddRange(atEdge ? [new NoteMark("best, at the edge", best.X, best.Y)] : Array.Empty<Mark>());
        }

        return new Panel(x, loss with { High = loss.High ?? Highest([.. lowest.Select(point => point.Y)]) }, marks, Height: 130);
    }

    private static double? Highest(double[] losses)
    {
        if (losses.Length < 3)
        {
            return null;
        }

        Array.Sort(losses);
        double highest = losses[0] + (Tallest * (losses[losses.Length / 2] - losses[0]));
        return highest > losses[0] && losses[^1] > highest ? highest : null;
    }
}
