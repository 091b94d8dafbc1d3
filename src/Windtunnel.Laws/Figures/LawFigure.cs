namespace Windtunnel.Laws.Figures;

/// <summary>One run of a law's figure.</summary>
/// <param name="X">Compute, tokens or parameters.</param>
/// <param name="Actual">What was measured.</param>
/// <param name="Predicted">What the law says; NaN where it isn't known.</param>
/// <param name="Fitted">Whether the law was fitted to this run.</param>
/// <param name="Note">What else identifies it.</param>
public readonly record struct LawPoint(double X, double Actual, double Predicted = double.NaN, bool Fitted = true, string Note = "");

/// <summary>Runs that belong together, such as those of one size, and the law's line through them.</summary>
/// <param name="Name">In the legend.</param>
/// <param name="Points">The runs.</param>
/// <param name="Line">The law, with its prediction interval where it is known.</param>
public sealed record LawGroup(string Name, IReadOnlyList<LawPoint> Points, IReadOnlyList<DataPoint>? Line = null);

/// <summary>A run that the law predicted without having seen it.</summary>
/// <param name="Name">Written beside it.</param>
/// <param name="Predicted">The prediction.</param>
/// <param name="Low">The lower end of the prediction interval; NaN for none.</param>
/// <param name="High">The upper end of the prediction interval; NaN for none.</param>
/// <param name="Actual">What was measured; NaN while it isn't known.</param>
public sealed record LawTarget(string Name, double X, double Predicted, double Low = double.NaN, double High = double.NaN, double Actual = double.NaN);

/// <summary>A scaling law with the runs it was fitted to, those it has to predict, and what is left over.</summary>
public static class LawFigure
{
    // More names than this hide each other; tooltips have them all.
    private const int MostNamed = 6;

    /// <summary>Draws the law over its input and, below, the relative errors of its predictions.</summary>
    /// <param name="title">What was fitted to what.</param>
    /// <param name="x">The input, as a rule logarithmic.</param>
    /// <param name="y">The loss or error.</param>
    /// <param name="groups">The runs, in the order of their size or of whatever tells the groups apart.</param>
    /// <param name="targets">The runs predicted.</param>
    /// <param name="subtitle">The law.</param>
    public static Figure Draw(
        string title, Axis x, Axis y, IReadOnlyList<LawGroup> groups, IReadOnlyList<LawTarget>? targets = null, string subtitle = "")
    {
        targets ??= [];
        List<Mark> law = [], errors = [new RuleMark(0, Dash: Dash.Solid, Tone: Tone.Muted)];
        double[] fitted = [.. groups.SelectMany(group => group.Points).Where(point => point.Fitted && double.IsFinite(point.X)).Select(point => point.X)];
        if (fitted.Length > 0 && targets.Count > 0)
        {
            law.Add(new RegionMark(fitted.Min(), fitted.Max(), "fitted", Tone.Muted));
            errors.Add(new RegionMark(fitted.Min(), fitted.Max(), Tone: Tone.Muted));
        }

        // Where there are many runs, smaller marks leave the law to be seen.
        double size = groups.Sum(group => group.Points.Count) > 80 ? 2.4 : 3.4;
        foreach ((int i, LawGroup group) in groups.Index())
        {
            Tone tone = Tone.Ordered(i, groups.Count);
            MarkerShape shape = PointMark.ShapeOf(i);
            if (group.Line is { } line)
            {
                law.Add(new BandMark("", line, tone));
                law.Add(new LineMark(group.Name, line, tone, (Dash)(i % 4)));
            }

            // Runs that the fit didn't see stand back.
            foreach (bool seen in new[] { true, false })
            {
                LawPoint[] points = [.. group.Points.Where(point => point.Fitted == seen)];
                if (points.Length > 0)
                {
                    double opacity = seen ? 1 : 0.5;
                    law.Add(new PointMark(group.Name, [.. points.Select(point => new DataPoint(point.X, point.Actual, Note: point.Note))], tone, shape, Size: size, Opacity: opacity));
                    errors.Add(new PointMark(
                        group.Name, [.. points.Select(point => new DataPoint(point.X, Percent(point.Predicted, point.Actual), Note: point.Note))], tone, shape, Size: size, Opacity: opacity));
                }
            }
        }

        if (targets.Count > 0)
        {
            law.Add(new PointMark(
                "predicted", [.. targets.Select(target => new DataPoint(target.X, target.Predicted, target.Low, target.High, target.Name))],
                Shape: MarkerShape.Circle, Hollow: true, Size: 4.6));
            DataPoint[] actual = [.. targets.Where(target => double.IsFinite(target.Actual)).Select(target => new DataPoint(target.X, target.Actual, Note: target.Name))];
            law.AddRange(actual.Length > 0 ? [new PointMark("actual", actual, Shape: MarkerShape.Cross, Size: 4)] : Array.Empty<Mark>());
            errors.Add(new PointMark(
                "predicted",
                [.. targets.Select(target => new DataPoint(
                    target.X, Percent(target.Predicted, target.Actual), Percent(target.Low, target.Actual), Percent(target.High, target.Actual), target.Name))],
                Shape: MarkerShape.Circle, Hollow: true, Size: 4.6));
            foreach (LawTarget target in targets.Count <= MostNamed ? targets : [])
            {
                double error = Percent(target.Predicted, target.Actual);
                string text = (double.IsFinite(error) ? $"{target.Name} {error:+0.00;−0.00} %" : target.Name).Trim();
                law.AddRange(text.Length > 0 ? [new NoteMark(text, target.X, target.Predicted, Arrow: true)] : Array.Empty<Mark>());
            }
        }

        Panel[] panels = [new(x, y, law)];
        return new(title, errors.OfType<PointMark>().SelectMany(mark => mark.Points).Any(point => double.IsFinite(point.Y))
            ? [.. panels, new Panel(x, new("prediction error", "%"), errors, Height: 90, Legend: Legend.None)]
            : panels, subtitle, SharedX: true);
    }

    private static double Percent(double predicted, double actual) => actual == 0 ? double.NaN : 100 * (predicted - actual) / actual;
}
