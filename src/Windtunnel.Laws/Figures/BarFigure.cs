namespace Windtunnel.Laws.Figures;

/// <summary>A bar with its interval.</summary>
/// <param name="Name">Beside it.</param>
/// <param name="Value">Where it ends; NaN for no bar.</param>
/// <param name="Low">The lower end of its interval; NaN for none.</param>
/// <param name="High">The upper end of its interval; NaN for none.</param>
/// <param name="Note">Why there is no bar.</param>
public sealed record Bar(string Name, double Value, double Low = double.NaN, double High = double.NaN, string Note = "");

/// <summary>Things compared with one of them, or with nothing: differences of losses, speedups.</summary>
public static class BarFigure
{
    /// <summary>Draws a bar a thing.</summary>
    /// <param name="title">What is compared.</param>
    /// <param name="x">What the bars show.</param>
    /// <param name="bars">From the top.</param>
    /// <param name="origin">Where bars begin: 0 for differences, 1 for ratios.</param>
    /// <param name="noise">What counts as no difference, on either side of the origin; NaN where that is not known.</param>
    /// <param name="subtitle">What else is to be said.</param>
    public static Figure Draw(string title, Axis x, IReadOnlyList<Bar> bars, double origin = 0, double noise = double.NaN, string subtitle = "")
    {
        List<Mark> marks = [new BarMark("", [.. bars.Select((bar, i) => new DataPoint(bar.Value, i, bar.Low, bar.High))], origin, Tone.Category(0))];
        marks.AddRange(bars.Index().Where(bar => !double.IsFinite(bar.Item.Value) && bar.Item.Note.Length > 0).Select(bar => new NoteMark(bar.Item.Note, origin, bar.Index)));
        marks.Add(new RuleMark(origin, Vertical: true, Dash: Dash.Solid, Tone: Tone.Muted));
        if (noise > 0 && double.IsFinite(noise))
        {
            marks.Add(new RegionMark(origin - noise, origin + noise, Tone: Tone.Muted));
        }

        return new(title, [new Panel(x, new Axis("", Categories: [.. bars.Select(bar => bar.Name)]), marks, Height: 12 + (24 * Math.Max(1, bars.Count)))], subtitle);
    }
}
