using System.Xml.Linq;

namespace Windtunnel.Laws.Figures;

/// <summary>The shapes of points, in the order in which groups take them.</summary>
public enum MarkerShape
{
    /// <summary>Circle.</summary>
    Circle,

    /// <summary>Square.</summary>
    Square,

    /// <summary>Triangle on its base.</summary>
    Triangle,

    /// <summary>Diamond.</summary>
    Diamond,

    /// <summary>Triangle on its tip.</summary>
    TriangleDown,

    /// <summary>Plus sign.</summary>
    Plus,

    /// <summary>Diagonal cross.</summary>
    Cross,

    /// <summary>Hexagon.</summary>
    Hexagon,
}

/// <summary>Points, each with its interval as a vertical bar where it has one, and a tooltip.</summary>
/// <param name="Hollow">Whether only the outline is drawn.</param>
/// <param name="Size">Radius in pixels.</param>
/// <param name="Opacity">From 0 to 1.</param>
public sealed record PointMark(
    string Name, IReadOnlyList<DataPoint> Points, Tone Tone = default, MarkerShape Shape = MarkerShape.Circle, bool Hollow = false,
    double Size = 3.4, double Opacity = 1) : Mark(Name, Points, Tone)
{
    /// <inheritdoc/>
    internal override string Kind => Hollow ? "hollow points" : "points";

    /// <inheritdoc/>
    internal override int Layer => 4;

    /// <inheritdoc/>
    internal override IEnumerable<XElement> Key => [Marker(Panel.KeyWidth / 2, 0)];

    /// <summary>The shape of the group at a place.</summary>
    public static MarkerShape ShapeOf(int index) => (MarkerShape)((uint)index % (uint)Enum.GetValues<MarkerShape>().Length);

    /// <inheritdoc/>
    internal override void Draw(Plot plot, XElement group)
    {
        foreach (DataPoint point in Points)
        {
            if (plot.Place(point.X, point.Y) is not { } at || at.X < -1 || at.X > plot.X.Length + 1 || at.Y < -1 || at.Y > plot.Y.Length + 1)
            {
                continue;
            }

            if (plot.Place(point.X, point.Low) is { } low && plot.Place(point.X, point.High) is { } high)
            {
                (double left, double right) = (at.X - 3, at.X + 3);
                (low.Y, high.Y) = (Math.Clamp(low.Y, 0, plot.Y.Length), Math.Clamp(high.Y, 0, plot.Y.Length));
                group.Add(Svg.Element(
                    "path", ("class", "wt-line"), ("stroke-width", 1.2),
                    ("d", Svg.Path([(left, low.Y), (right, low.Y), null, (at.X, low.Y), (at.X, high.Y), null, (left, high.Y), (right, high.Y)]))));
                plot.Ink.Add(at.X, low.Y, at.X, high.Y);
            }

            group.Add(Marker(at.X, at.Y).With(plot.Tooltip(this, point)));
            plot.Ink.Add(new Box(at.X - Size, at.Y - Size, 2 * Size, 2 * Size));
        }
    }

    private XElement Marker(double x, double y)
    {
        // Radii that give the shapes about the same area.
        double r = Size, s = 0.88 * r, t = 1.25 * r, d = 1.2 * r;
        bool stroked = Shape is MarkerShape.Plus or MarkerShape.Cross;
        XElement marker = Shape switch
        {
            MarkerShape.Circle => Svg.Element("circle", ("cx", x), ("cy", y), ("r", r)),
            MarkerShape.Square => Svg.Element("rect", ("x", x - s), ("y", y - s), ("width", 2 * s), ("height", 2 * s)),
            MarkerShape.Triangle => Closed((0, -t), (t, 0.8 * t), (-t, 0.8 * t)),
            MarkerShape.TriangleDown => Closed((0, t), (t, -0.8 * t), (-t, -0.8 * t)),
            MarkerShape.Diamond => Closed((0, -d), (d, 0), (0, d), (-d, 0)),
            MarkerShape.Hexagon => Closed((-r, 0), (-r / 2, -d * 0.8), (r / 2, -d * 0.8), (r, 0), (r / 2, d * 0.8), (-r / 2, d * 0.8)),
            MarkerShape.Plus => Svg.Element("path", ("d", Svg.Path([(x - r, y), (x + r, y), null, (x, y - r), (x, y + r)]))),
            _ => Svg.Element("path", ("d", Svg.Path([(x - s, y - s), (x + s, y + s), null, (x - s, y + s), (x + s, y - s)]))),
        };
        marker.SetAttributeValue("class", stroked ? "wt-line" : Hollow ? "wt-hollow" : "wt-mark");
        marker.SetAttributeValue("stroke-width", stroked ? (Hollow ? 1.2 : 2.2) : Hollow ? 1.5 : 0.5);
        if (Opacity < 1)
        {
            marker.SetAttributeValue("opacity", Opacity);
        }

        return marker;

        XElement Closed(params (double X, double Y)[] corners) =>
            Svg.Element("path", ("d", Svg.Path(corners.Select(corner => ((double, double)?)(x + corner.X, y + corner.Y))) + "Z"));
    }
}
