using System.Xml.Linq;

namespace Windtunnel.Laws.Figures;

/// <summary>A text at a point, beside it where there is room.</summary>
/// <param name="Arrow">Whether the text stands off and points there.</param>
public sealed record NoteMark(string Text, double X, double Y, bool Arrow = false, Tone Tone = default)
    : Mark("", [new(X, Y, Note: Text)], Tone)
{
    /// <inheritdoc/>
    internal override string Kind => "note";

    /// <inheritdoc/>
    internal override int Layer => 5;

    /// <inheritdoc/>
    internal override void Draw(Plot plot, XElement group)
    {
        if (plot.Place(X, Y) is { } at)
        {
            if (Arrow)
            {
                plot.Aims.Add(at);
            }

            plot.Label(() => Write(plot, group, at.X, at.Y));
        }
    }

    private void Write(Plot plot, XElement group, double x, double y)
    {
        Box box = plot.Write(Text, (width, height) =>
            Plot.Around(x, y, width, height, Arrow ? [22, 36, 52, 72, 96] : [7, 14, 21]), Surcharge);
        (double fromX, double fromY, double length) = Tail(box);
        if (Arrow && length > 12)
        {
            plot.Ink.Add(fromX, fromY, x, y);

            // The head ends short of the point, so that it doesn't cover it.
            (double dx, double dy) = ((x - fromX) / length, (y - fromY) / length);
            (double tipX, double tipY) = (x - (5 * dx), y - (5 * dy));
            (double baseX, double baseY) = (tipX - (6 * dx), tipY - (6 * dy));
            group.Add(
                Svg.Element("line", ("class", "wt-line"), ("x1", fromX + (2 * dx)), ("y1", fromY + (2 * dy)), ("x2", baseX), ("y2", baseY), ("stroke-width", 1.0)),
                Svg.Element("path", ("class", "wt-mark"), ("stroke-width", 0.5),
                    ("d", Svg.Path([(tipX, tipY), (baseX - (2.5 * dy), baseY + (2.5 * dx)), (baseX + (2.5 * dy), baseY - (2.5 * dx))]) + "Z")));
        }

        // An arrow that passes another's aim misleads, one that crosses what is drawn is ugly, and a long one is hard to follow.
        double Surcharge(Box place)
        {
            (double tailX, double tailY, double distance) = Tail(place);
            double clear = Math.Max(0, 1 - (9 / distance));
            int passed = plot.Aims.Count(aim => aim != (x, y) && Polyline.Distance(aim, (tailX, tailY), (x, y)) < 7);
            return Arrow ? distance + (500 * passed) + (12 * plot.Ink.Cost(tailX, tailY, tailX + (clear * (x - tailX)), tailY + (clear * (y - tailY)))) : 0;
        }

        (double X, double Y, double Distance) Tail(Box place)
        {
            (double tailX, double tailY) = (Math.Clamp(x, place.X, place.Right), Math.Clamp(y, place.Y, place.Bottom));
            return (tailX, tailY, Math.Sqrt(Math.Pow(x - tailX, 2) + Math.Pow(y - tailY, 2)));
        }
    }
}
