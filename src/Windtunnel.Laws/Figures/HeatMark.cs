using System.Xml.Linq;

namespace Windtunnel.Laws.Figures;

/// <summary>A table of coloured cells: rows and columns are categories, the deeper the colour the higher the value, which is written in.</summary>
/// <param name="Values">Rows from the top, of as many values as there are columns; a value that is not a number leaves its cell empty.</param>
/// <param name="Format">How values are written, as .NET spells it.</param>
public sealed record HeatMark(IReadOnlyList<IReadOnlyList<double>> Values, string Format = "0.0", Tone? Colour = null)
    : Mark("", [.. from row in Values.Index() from cell in row.Item.Index() select new DataPoint(cell.Index, row.Index, Note: double.IsFinite(cell.Item) ? cell.Item.ToString("R") : "")], Colour ?? Tone.Category(0))
{
    /// <inheritdoc/>
    internal override string Kind => "cell";

    /// <inheritdoc/>
    internal override void Draw(Plot plot, XElement group)
    {
        double[] shown = [.. Values.SelectMany(row => row).Where(double.IsFinite)];
        if (shown.Length == 0)
        {
            return;
        }

        double low = shown.Min(), span = shown.Max() - low;
        double width = plot.X.Pixel(1) - plot.X.Pixel(0), height = plot.Y.Pixel(1) - plot.Y.Pixel(0);
        foreach ((int row, IReadOnlyList<double> cells) in Values.Index())
        {
            foreach ((int column, double value) in cells.Index())
            {
                if (!double.IsFinite(value))
                {
                    continue;
                }

                // The deepest colour still lets the text be read, on light ground and on dark.
                double share = span > 0 && double.IsFinite(span) ? (value - low) / span : 0.5;
                double x = plot.X.Pixel(column), y = plot.Y.Pixel(row);
                string text = value.ToString(Format);
                group.Add(Svg.Element(
                    "rect", ("x", x - (width / 2) + 0.5), ("y", y - (height / 2) + 0.5), ("width", width - 1), ("height", height - 1), ("rx", 1.5),
                    ("fill", "currentColor"), ("fill-opacity", 0.04 + (0.56 * share)))
                    .With(Svg.Plain("title", $"{plot.Y.Axis.Short(row)}, {plot.X.Axis.Short(column)}: {text}")));
                if (Svg.Width(text, Theme.TickSize) <= width && Theme.TickSize <= height)
                {
                    group.Add(Svg.Text(x, y + 4, text, "wt-legend", "middle"));
                }
            }
        }
    }
}
