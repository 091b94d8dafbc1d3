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
        List<(double X, double Y)?> path = [];
        List<(double X, double Y)> run = [];
        foreach (DataPoint point in Points)
        {
            if (plot.Place(point.X, point.Y) is { } at)
            {
                run.Add(at);
            }
            else
            {
                Flush();
            }
        }

        Flush();
        if (path.Any(at => at is not null))
        {
            group.Add(Styled(Svg.Element("path", ("class", "wt-line"), ("d", Svg.Path(path)))));
        }

        void Flush()
        {
            List<(double X, double Y)> line = Polyline.Simplify(run);
            plot.Ink.Add(line);
            path.AddRange([.. line.Select(at => ((double, double)?)at), null]);
            run.Clear();
        }
    }

    /// <summary>A sample of the line.</summary>
    internal XElement Sample(double length) => Styled(Svg.Element("line", ("class", "wt-line"), ("x1", 0.0), ("y1", 0.0), ("x2", length), ("y2", 0.0)));

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
