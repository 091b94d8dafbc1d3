using System.Xml.Linq;

namespace Windtunnel.Laws.Figures;

/// <summary>How a line is dashed.</summary>
public enum Dash
{
    /// <summary>Not at all.</summary>
    Solid,

    /// <summary>Long dashes.</summary>
    Dashed,

    /// <summary>Dots.</summary>
    Dotted,

    /// <summary>Long and short in turn.</summary>
    DashDot,
}

/// <summary>A line through values, in their order; it breaks where one can't be shown.</summary>
/// <param name="Width">In pixels.</param>
/// <param name="Opacity">From 0 to 1.</param>
public sealed record LineMark(
    string Name, IReadOnlyList<DataPoint> Points, Tone Tone = default, Dash Dash = Dash.Solid, double Width = 1.6, double Opacity = 1)
    : Mark(Name, Points, Tone)
{
    /// <inheritdoc/>
    internal override string Kind => "line";

    /// <inheritdoc/>
    internal override int Layer => 3;

    /// <inheritdoc/>
    internal override IEnumerable<XElement> Key => [Sample(Panel.KeyWidth)];

    /// <inheritdoc/>
    internal override (IEnumerable<double> X, IEnumerable<double> Y) Extent => (Points.Select(point => point.X), Points.Select(point => point.Y));

    /// <inheritdoc/>
    internal override void Draw(Plot plot, XElement group)
    {
        List<(double X, double Y)?> path = Thin(Points.Select(point => plot.Place(point.X, point.Y)));
        if (path.Any(point => point is not null))
        {
            group.Add(Styled(Svg.Element("path", ("class", "wt-line"), ("d", Svg.Path(path)))));
        }

        foreach (((double X, double Y)? from, (double X, double Y)? to) in path.Zip(path.Skip(1)))
        {
            if (from is { } a && to is { } b)
            {
                plot.Ink.Add(a.X, a.Y, b.X, b.Y);
            }
        }
    }

    /// <summary>A sample of the line.</summary>
    internal XElement Sample(double length) => Styled(Svg.Element("line", ("class", "wt-line"), ("x1", 0.0), ("y1", 0.0), ("x2", length), ("y2", 0.0)));

    /// <summary>Of the points in one column of half a pixel, keeps the first, lowest, highest and last: what the eye sees.</summary>
    private static List<(double X, double Y)?> Thin(IEnumerable<(double X, double Y)?> points)
    {
        List<(double X, double Y)?> kept = [];
        List<(double X, double Y)> column = [];
        foreach ((double X, double Y)? point in points)
        {
            if (column.Count > 0 && (point is not { } next || Math.Floor(2 * next.X) != Math.Floor(2 * column[0].X)))
            {
                Flush();
            }

            if (point is { } at)
            {
                column.Add(at);
            }
            else if (kept.Count > 0 && kept[^1] is not null)
            {
                kept.Add(null);
            }
        }

        Flush();
        return kept;

        void Flush()
        {
            int lowest = 0, highest = 0;
            for (int i = 1; i < column.Count; i++)
            {
                lowest = column[i].Y < column[lowest].Y ? i : lowest;
                highest = column[i].Y > column[highest].Y ? i : highest;
            }

            foreach (int i in new SortedSet<int> { 0, lowest, highest, column.Count - 1 }.Where(i => i >= 0 && i < column.Count))
            {
                kept.Add(column[i]);
            }

            column.Clear();
        }
    }

    private XElement Styled(XElement element)
    {
        element.SetAttributeValue("stroke-width", Width);
        if (Opacity < 1)
        {
            element.SetAttributeValue("stroke-opacity", Opacity);
        }

        if (Dash != Dash.Solid)
        {
            element.SetAttributeValue("stroke-dasharray", Dash switch { Dash.Dashed => "6 4", Dash.Dotted => "1 4", _ => "7 3.5 1 3.5" });
        }

        return element;
    }
}
