using System.Xml.Linq;

namespace Windtunnel.Laws.Figures;

/// <summary>The area between the lower and upper ends of the points' intervals.</summary>
public sealed record BandMark(string Name, IReadOnlyList<DataPoint> Points, Tone Tone = default) : Mark(Name, Points, Tone)
{
    /// <inheritdoc/>
    internal override string Kind => "band";

    /// <inheritdoc/>
    internal override IEnumerable<XElement> Key =>
        [Svg.Element("rect", ("x", 0.0), ("y", -4.0), ("width", Panel.KeyWidth), ("height", 8.0), ("fill", "currentColor"), ("fill-opacity", 0.18))];

    /// <inheritdoc/>
    internal override void Draw(Plot plot, XElement group)
    {
        List<((double X, double Y) Low, (double X, double Y) High)> run = [];
        foreach (DataPoint point in Points)
        {
            if (plot.Place(point.X, point.Low) is { } low && plot.Place(point.X, point.High) is { } high)
            {
                run.Add((low, high));
            }
            else
            {
                Flush();
            }
        }

        Flush();

        void Flush()
        {
            if (run.Count > 1)
            {
                List<(double X, double Y)> lower = Polyline.Simplify([.. run.Select(ends => ends.Low)]), upper = Polyline.Simplify([.. run.Select(ends => ends.High)]);
                IEnumerable<(double X, double Y)> outline = [.. lower, .. upper.AsEnumerable().Reverse()];
                group.Add(Svg.Element("path", ("d", Svg.Path(outline.Select(at => ((double, double)?)at)) + "Z"), ("fill", "currentColor"), ("fill-opacity", 0.18)));
                plot.Ink.Add(lower);
                plot.Ink.Add(upper);
            }

            run.Clear();
        }
    }
}
