using System.Text;
using System.Xml.Linq;
using Windtunnel.Runs;

namespace Windtunnel.Laws.Figures;

/// <summary>
/// Panels in rows, written as one SVG document that needs nothing else: it follows the reader's light or dark setting, prints,
/// says what it shows to screen readers, and stays readable in a column of 340 pixels. The same figure gives the same bytes.
/// </summary>
/// <param name="Title">What the figure shows.</param>
/// <param name="Panels">The panels, row by row.</param>
/// <param name="Subtitle">A line under the title: the law, the data. What follows ^ in it is raised.</param>
/// <param name="Description">For those who can't see the figure; made from the panels where it is empty.</param>
/// <param name="Columns">How many panels stand side by side.</param>
/// <param name="SharedX">Whether the panels of a column share their horizontal axis, labelled under the last.</param>
/// <param name="Width">In pixels.</param>
public sealed record Figure(
    string Title, IReadOnlyList<Panel> Panels, string Subtitle = "", string Description = "", int Columns = 1, bool SharedX = false, double Width = 460)
{
    private const double Border = 10, Gap = 18;

    /// <summary>The figure as an SVG document.</summary>
    public string ToSvg()
    {
        int columns = Math.Clamp(Columns, 1, Math.Max(1, Panels.Count));
        double inner = Width - (2 * Border), columnWidth = (inner - ((columns - 1) * Gap)) / columns;
        XElement content = Svg.Element("g");
        double y = Border;
        foreach (string line in Svg.Wrap(Title, Theme.TitleSize * 1.15, inner))
        {
            content.Add(Svg.Text(Border, y + 13, line, "wt-title"));
            y += 18;
        }

        foreach (string line in Svg.Wrap(Subtitle, Theme.LabelSize, inner))
        {
            content.Add(Svg.Text(Border, y + 12, line, "wt-label"));
            y += 16;
        }

        y += 6;
        Scale[] yScales = [.. Panels.Select(panel => panel.YScale())];
        double[] left = new double[columns], right = new double[columns];
        foreach ((int i, Panel panel) in Panels.Index())
        {
            int column = i % columns;
            double labels = yScales[i].Labels.Select(label => Svg.Width(label, Theme.TickSize)).DefaultIfEmpty().Max();
            left[column] = Math.Max(left[column], Math.Min(labels, 0.4 * columnWidth) + 9);
            right[column] = Math.Max(right[column], Math.Max(14, panel.EndWidth(XScale(i, 100))));
        }

        for (int row = 0; row * columns < Panels.Count; row++)
        {
            double height = 0;
            for (int column = 0; column < columns && (row * columns) + column < Panels.Count; column++)
            {
                int i = (row * columns) + column;
                Panel panel = Panels[i];
                double width = Math.Max(40, columnWidth - left[column] - right[column]);
                bool last = i + columns >= Panels.Count;
                double x = Border + (column * (columnWidth + Gap));
                height = Math.Max(height, panel.Draw(content, x, y, left[column], XScale(i, width), yScales[i], labelX: !SharedX || last));
            }

            y += height + 6;
        }

        y += Border - 6;
        string box = $"0 0 {Math.Round(Width, 2)} {Math.Round(y, 2)}";
        return Svg.Write(Svg.Element("svg", ("class", "wt"), ("role", "img"), ("viewBox", box), ("width", Width), ("height", y)).With(
            Svg.Plain("title", Title),
            Svg.Plain("desc", Description.Length > 0 ? Description : Describe()),
            Svg.Plain("style", Theme.StyleSheet),
            Svg.Element("rect", ("class", "wt-paper"), ("width", Width), ("height", y)),
            content));

        Scale XScale(int i, double length)
        {
            IEnumerable<Panel> sharing = SharedX ? Panels.Where((_, other) => other % columns == i % columns) : [Panels[i]];
            return new(Panels[i].X, sharing.SelectMany(panel => panel.Marks).SelectMany(mark => mark.Extent.X), length, upward: false);
        }
    }

    /// <summary>What the figure shows, as comma-separated values at full precision.</summary>
    public string ToCsv()
    {
        StringBuilder csv = new("panel,series,mark,x,y,low,high,note\n");
        foreach (Panel panel in Panels)
        {
            foreach (Mark mark in panel.Marks)
            {
                foreach (DataPoint point in mark.Points)
                {
                    string[] fields =
                    [
                        panel.Subject, mark.Name, mark.Kind, Position(panel.X, point.X), Position(panel.Y, point.Y), CsvRow.Number(point.Low), CsvRow.Number(point.High), point.Note,
                    ];
                    csv.Append(CsvRow.Of(fields));
                }
            }
        }

        return csv.ToString();

        static string Position(Axis axis, double value) => axis.Categories is null ? CsvRow.Number(value) : axis.Short(value);
    }

    private string Describe() => string.Join(" ", Panels.Select(panel =>
        string.Join(", ", panel.Named.Select(entry => entry.Key)) is { Length: > 0 } names ? $"{panel.Subject}: {names}." : $"{panel.Subject}."));
}
