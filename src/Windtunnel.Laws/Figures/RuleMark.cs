using System.Xml.Linq;

namespace Windtunnel.Laws.Figures;

/// <summary>A line across the panel at one value, with a text beside it.</summary>
/// <param name="Value">Where.</param>
/// <param name="Text">The text, empty for none.</param>
/// <param name="Vertical">Whether it stands at a value of x instead of lying at one of y.</param>
public sealed record RuleMark(double Value, string Text = "", bool Vertical = false, Dash Dash = Dash.Dashed, Tone Tone = default)
    : Mark("", [new(Vertical ? Value : double.NaN, Vertical ? double.NaN : Value, Note: Text)], Tone)
{
    /// <inheritdoc/>
    internal override string Kind => Vertical ? "vertical rule" : "horizontal rule";

    /// <inheritdoc/>
    internal override int Layer => 2;

    /// <inheritdoc/>
    internal override void Draw(Plot plot, XElement group)
    {
        if (!(Vertical ? plot.X : plot.Y).Accepts(Value))
        {
            return;
        }

        double at = (Vertical ? plot.X : plot.Y).Pixel(Value), width = plot.X.Length, height = plot.Y.Length;
        DataPoint[] ends = Vertical ? [new(at, 0), new(at, height)] : [new(0, at), new(width, at)];
        XElement line = Svg.Element("line", ("class", "wt-line"), ("x1", ends[0].X), ("y1", ends[0].Y), ("x2", ends[1].X), ("y2", ends[1].Y), ("stroke-width", 1.0));
        if (Dash != Dash.Solid)
        {
            line.SetAttributeValue("stroke-dasharray", Dash == Dash.Dotted ? "1 3" : "4 3");
        }

        group.Add(line);
        plot.Ink.Add(ends[0].X, ends[0].Y, ends[1].X, ends[1].Y);
        if (Text.Length > 0)
        {
            plot.Label(() => plot.Write(Text, (textWidth, textHeight) => Vertical
                ? from y in new[] { 3, height - textHeight - 3, (height - textHeight) / 2 } from x in new[] { at + 5, at - textWidth - 5 } select (x, y)
                : from x in new[] { width - textWidth - 4, 4, (width - textWidth) / 2 } from y in new[] { at - textHeight - 2, at + 2 } select (x, y)));
        }
    }
}

/// <summary>A shaded stretch of x over the whole height, with a text at its top or bottom.</summary>
/// <param name="From">Where it begins.</param>
/// <param name="To">Where it ends.</param>
public sealed record RegionMark(double From, double To, string Text = "", Tone Tone = default)
    : Mark("", [new(From, double.NaN, Note: Text), new(To, double.NaN, Note: Text)], Tone)
{
    /// <inheritdoc/>
    internal override string Kind => "region";

    /// <inheritdoc/>
    internal override int Layer => 0;

    /// <inheritdoc/>
    internal override void Draw(Plot plot, XElement group)
    {
        if (!plot.X.Accepts(From) || !plot.X.Accepts(To))
        {
            return;
        }

        double left = plot.X.Pixel(Math.Min(From, To)), right = plot.X.Pixel(Math.Max(From, To));
        group.Add(Svg.Element("rect", ("x", left), ("y", 0.0), ("width", right - left), ("height", plot.Y.Length), ("fill", "currentColor"), ("fill-opacity", 0.06)));
        if (Text.Length > 0)
        {
            plot.Label(() => plot.Write(Text, (width, height) =>
                from y in new[] { 3, plot.Y.Length - height - 3 } from x in new[] { left + 4, right - width - 4, (left + right - width) / 2 } select (x, y)));
        }
    }
}
