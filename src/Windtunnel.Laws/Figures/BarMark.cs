using System.Xml.Linq;

namespace Windtunnel.Laws.Figures;

/// <summary>Horizontal bars: from a base to each point's x, at the category of its y, with its interval in x.</summary>
/// <param name="Base">Where bars begin.</param>
public sealed record BarMark(string Name, IReadOnlyList<DataPoint> Points, double Base = 0, Tone Tone = default) : Mark(Name, Points, Tone)
{
    private const double Thickness = 0.62;

    /// <inheritdoc/>
    internal override string Kind => "bars";

    /// <inheritdoc/>
    internal override (IEnumerable<double> X, IEnumerable<double> Y) Extent =>
        ([Base, .. Points.SelectMany(point => new[] { point.X + (point.Note.Length > 0 ? 0.2 * (Longest - Base) : 0), point.Low, point.High })], Points.Select(point => point.Y));

    // Notes stand behind the bars' ends and need room there.
    private double Longest => Points.SelectMany(point => new[] { point.X, point.High }).Where(double.IsFinite).DefaultIfEmpty(Base).Max();

    /// <inheritdoc/>
    internal override IEnumerable<XElement> Key =>
        [Svg.Element("rect", ("x", 2.0), ("y", -4.0), ("width", Panel.KeyWidth - 4), ("height", 8.0), ("fill", "currentColor"))];

    /// <inheritdoc/>
    internal override void Draw(Plot plot, XElement group)
    {
        double thickness = Thickness * Math.Abs(plot.Y.Pixel(1) - plot.Y.Pixel(0));
        foreach (DataPoint point in Points)
        {
            if (plot.Place(point.X, point.Y) is not { } end || plot.Place(Base, point.Y) is not { } start)
            {
                continue;
            }

            Box bar = new(Math.Min(start.X, end.X), end.Y - (thickness / 2), Math.Abs(end.X - start.X), thickness);
            group.Add(Svg.Element(
                "rect", ("x", bar.X), ("y", bar.Y), ("width", bar.Width), ("height", bar.Height), ("fill", "currentColor"))
                .With(Svg.Plain("title", string.Join('\n', new[] { plot.Y.Axis.Short(point.Y), plot.X.Axis.Caption + " " + plot.X.Axis.Short(point.X), point.Note }
                    .Where(line => line.Length > 0)))));
            plot.Ink.Add(bar);
            double right = end.X;
            if (plot.Place(point.Low, point.Y) is { } low && plot.Place(point.High, point.Y) is { } high)
            {
                (double top, double bottom) = (end.Y - 3, end.Y + 3);
                group.Add(Svg.Element(
                    "path", ("class", "wt-line wt-ink"), ("stroke-width", 1.2),
                    ("d", Svg.Path([(low.X, top), (low.X, bottom), null, (low.X, end.Y), (high.X, end.Y), null, (high.X, top), (high.X, bottom)]))));
                plot.Ink.Add(low.X, end.Y, high.X, end.Y);
                right = Math.Max(right, high.X);
            }

            if (point.Note.Length > 0)
            {
                plot.Label(() => plot.Write(point.Note, (width, height) => [(right + 5, end.Y - (height / 2)), (bar.X + 4, end.Y - (height / 2))]));
            }
        }
    }
}
