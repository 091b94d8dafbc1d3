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
                IEnumerable<(double X, double Y)?> outline = [.. run.Select(ends => ends.Low), .. run.AsEnumerable().Reverse().Select(ends => ends.High)];
                group.Add(Svg.Element("path", ("d", Svg.Path(outline) + "Z"), ("fill", "currentColor"), ("fill-opacity", 0.18)));
                foreach ((((double X, double Y) Low, (double X, double Y) High) a, ((double X, double Y) Low, (double X, double Y) High) b) in run.Zip(run.Skip(1)))
                {
                    plot.Ink.Add(a.Low.X, a.Low.Y, b.Low.X, b.Low.Y);
                    plot.Ink.Add(a.High.X, a.High.Y, b.High.X, b.High.Y);
                }
            }

            run.Clear();
        }
    }
}
