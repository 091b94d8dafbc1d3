using System.Xml.Linq;

namespace Windtunnel.Laws.Figures;

/// <summary>The inside of a panel while its marks are drawn: (0, 0) is its upper left corner.</summary>
internal sealed class Plot(Scale x, Scale y)
{
    // Right, left, above, below, then between, in parts of 15 degrees.
    private static readonly double[] s_angles = [.. new[] { 0, 12, 18, 6, 21, 15, 3, 9, 22, 14, 2, 10, 20, 16, 4, 8, 23, 1, 11, 13 }.Select(part => part * Math.PI / 12)];

    private readonly List<Action> _labels = [];

    public Scale X => x;

    public Scale Y => y;

    /// <summary>The group of areas and lines, which end where the plot does.</summary>
    public XElement Content { get; } = Svg.Element("g");

    /// <summary>The group of points and texts, which are whole or not there.</summary>
    public XElement Over { get; } = Svg.Element("g");

    public Occupancy Ink { get; } = new(x.Length, y.Length);

    /// <summary>The points that arrows point to.</summary>
    public List<(double X, double Y)> Aims { get; } = [];

    /// <summary>Where a value lies; null where it can't be shown.</summary>
    public (double X, double Y)? Place(double xValue, double yValue) =>
        x.Accepts(xValue) && y.Accepts(yValue) ? (x.Pixel(xValue), y.Pixel(yValue)) : null;

    /// <summary>Upper left corners for a box beside a point, in all directions, the nearest first.</summary>
    public static IEnumerable<(double X, double Y)> Around(double x, double y, double width, double height, params IEnumerable<double> reaches) =>
        from reach in reaches
        from angle in s_angles
        let dx = Math.Cos(angle)
        let dy = Math.Sin(angle)
        select (x + (reach * dx) - ((1 - dx) / 2 * width), y + (reach * dy) - ((1 - dy) / 2 * height));

    /// <summary>Leaves a label until all marks are drawn, so that it can keep clear of them.</summary>
    public void Label(Action draw) => _labels.Add(draw);

    public void DrawLabels() => _labels.ForEach(draw => draw());

    /// <summary>Writes a text into whichever of the given places hides the least; the first of equals.</summary>
    /// <param name="places">Upper left corners, best first, of a box as large as the text.</param>
    /// <param name="surcharge">What else speaks against a place, in pixels hidden.</param>
    /// <param name="key">A sample to stand before the text, from (0, 0) to (<see cref="Panel.ShortKeyWidth"/>, 0).</param>
    public Box Write(
        string text, Func<double, double, IEnumerable<(double X, double Y)>> places, Func<Box, double>? surcharge = null, XElement? key = null)
    {
        double indent = key is null ? 0 : Panel.ShortKeyWidth + 4;
        double width = Svg.Width(text, Theme.TickSize) + indent, height = Theme.TickSize + 3;
        Box best = places(width, height).Select(place => new Box(place.X, place.Y, width, height)).MinBy(box => Ink.Cost(box) + (surcharge?.Invoke(box) ?? 0));
        Ink.Add(best);
        key?.SetAttributeValue("transform", Svg.Translation(best.X, best.Y + (height / 2)));
        Over.Add(key, Svg.Text(best.X + indent, best.Bottom - 3.5, text, "wt-note"));
        return best;
    }

    /// <summary>A tooltip that says what and where a mark is.</summary>
    public XElement Tooltip(Mark mark, DataPoint point)
    {
        string interval = double.IsFinite(point.Low) && double.IsFinite(point.High) ? $" ({y.Axis.Short(point.Low)} to {y.Axis.Short(point.High)})" : "";
        string[] lines =
        [
            string.Join(": ", new[] { mark.Name, point.Note }.Where(part => part.Length > 0)),
            $"{x.Axis.Label} {x.Axis.Short(point.X)}",
            $"{y.Axis.Label} {y.Axis.Short(point.Y)}{interval}",
        ];
        return Svg.Plain("title", string.Join('\n', lines.Where(line => line.Length > 0)));
    }
}
