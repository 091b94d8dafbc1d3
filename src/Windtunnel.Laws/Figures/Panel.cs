using System.Xml.Linq;

namespace Windtunnel.Laws.Figures;

/// <summary>Where a panel names its marks.</summary>
public enum Legend
{
    /// <summary>In the corner where it hides nothing, else below.</summary>
    Auto,

    /// <summary>Below the panel.</summary>
    Below,

    /// <summary>Lines at their right ends where their names are short, the rest as <see cref="Auto"/>.</summary>
    LineEnds,

    /// <summary>Nowhere.</summary>
    None,
}

/// <summary>A pair of axes with marks.</summary>
/// <param name="Title">Its title, empty for none.</param>
/// <param name="Height">Of the plot alone, in pixels.</param>
public sealed record Panel(Axis X, Axis Y, IReadOnlyList<Mark> Marks, string Title = "", double Height = 230, Legend Legend = Legend.Auto)
{
    /// <summary>The width of a sample in the legend.</summary>
    internal const double KeyWidth = 22;

    /// <summary>The width of a sample before a name at a line's end.</summary>
    internal const double ShortKeyWidth = 12;

    private const double Line = 15, LongestName = 300, LongestEndName = 110;

    /// <summary>What the panel shows, in words.</summary>
    internal string Subject => Title.Length > 0 ? Title : Y.Label.Length > 0 ? $"{Y.Caption} against {X.Caption}" : X.Caption;

    /// <summary>The marks that the legend names, in the order in which the names come up.</summary>
    internal IEnumerable<IGrouping<string, Mark>> Named => Marks.Where(mark => mark.Name.Length > 0).GroupBy(mark => mark.Name);

    /// <summary>The room that names take at the right of the plot.</summary>
    internal double EndWidth(Scale x) => EndLines(x).Select(line => Svg.Width(line.Name, Theme.TickSize) + ShortKeyWidth + 12).DefaultIfEmpty().Max();

    internal Scale YScale() => new(Y, Marks.SelectMany(mark => mark.Extent.Y), Height, upward: true);

    /// <summary>Draws the panel.</summary>
    /// <param name="parent">Takes the elements.</param>
    /// <param name="left">Where the panel begins.</param>
    /// <param name="top">Where the panel begins.</param>
    /// <param name="margin">The room for labels at the left of the plot.</param>
    /// <param name="xScale">The horizontal scale; its length is the width of the plot.</param>
    /// <param name="labelX">Whether the horizontal axis is labelled.</param>
    /// <returns>The height taken.</returns>
    internal double Draw(XElement parent, double left, double top, double margin, Scale xScale, Scale yScale, bool labelX)
    {
        double y = top;
        if (Title.Length > 0)
        {
            parent.Add(Svg.Text(left, y + 12, Title, "wt-head"));
            y += 19;
        }

        if (Y.Label.Length > 0)
        {
            parent.Add(Svg.Text(left, y + 12, Y.Caption, "wt-label"));
            y += 21;
        }

        double plotLeft = left + margin, width = xScale.Length;
        XElement frame = Svg.Element("g", ("transform", Svg.Translation(plotLeft, y)));
        parent.Add(frame);
        DrawAxes(frame, margin, xScale, yScale, labelX);

        Plot plot = new(xScale, yScale);
        foreach (Mark mark in Marks.OrderBy(mark => mark.Layer))
        {
            XElement group = Svg.Element("g", ("class", mark.Tone.Style));
            mark.Draw(plot, group);
            if (group.HasElements || mark is NoteMark)
            {
                (mark.Layer < 4 ? plot.Content : plot.Over).Add(group);
            }
        }

        HashSet<string> atEnds = DrawEndLabels(frame, plot);
        plot.DrawLabels();
        List<IGrouping<string, Mark>> entries = Legend == Legend.None ? [] : [.. Named.Where(entry => !atEnds.Contains(entry.Key))];
        if (Legend != Legend.Below && entries.Count > 0 && InsideBox(plot, entries) is { } box)
        {
            plot.Over.Add(Svg.Element("rect", ("class", "wt-box"), ("x", box.X), ("y", box.Y), ("width", box.Width), ("height", box.Height), ("rx", 3.0), ("fill-opacity", 0.85)));
            foreach ((int row, IGrouping<string, Mark> entry) in entries.Index())
            {
                plot.Over.Add(Entry(entry, box.X + 6, box.Y + 4 + (Line * (row + 0.5))));
            }

            entries.Clear();
        }

        // A document within the document clips what leaves the plot, and unlike a clipping path needs no name unique in the page.
        frame.Add(Svg.Element("svg", ("width", width), ("height", Height)).With(plot.Content), plot.Over);

        y += Height + (labelX ? (X.Label.Length > 0 ? 38 : 22) : 12);
        double entryWidth = entries.Select(EntryWidth).DefaultIfEmpty().Max() + 12;
        int inRow = Math.Max(1, (int)((margin + width + 12) / entryWidth));
        foreach ((int i, IGrouping<string, Mark> entry) in entries.Index())
        {
            parent.Add(Entry(entry, left + (i % inRow * entryWidth), y + (Line * ((i / inRow) + 0.5))));
        }

        return y - top + (entries.Count > 0 ? (Line * ((entries.Count + inRow - 1) / inRow)) + 4 : 0);
    }

    private static double EntryWidth(IGrouping<string, Mark> entry) => KeyWidth + 5 + Svg.Width(EntryName(entry), Theme.TickSize);

    private static string EntryName(IGrouping<string, Mark> entry) => Svg.Fit(entry.Key, Theme.TickSize, LongestName);

    private static XElement Entry(IGrouping<string, Mark> entry, double x, double y)
    {
        XElement group = Svg.Element("g", ("transform", Svg.Translation(x, y)));
        foreach (Mark mark in entry.DistinctBy(mark => mark.Kind).OrderBy(mark => mark.Layer))
        {
            group.Add(Svg.Element("g", ("class", mark.Tone.Style)).With(mark.Key));
        }

        group.Add(Svg.Text(KeyWidth + 5, 4, EntryName(entry), "wt-legend"));
        return group;
    }

    private static Box? InsideBox(Plot plot, List<IGrouping<string, Mark>> entries)
    {
        double width = entries.Max(EntryWidth) + 12, height = (Line * entries.Count) + 8;
        double right = plot.X.Length - width - 5, bottom = plot.Y.Length - height - 5, middle = (right + 5) / 2;
        Box best = new[] { (right, 5), (5, bottom), (5, 5), (right, bottom), (middle, 5), (middle, bottom), (right, (5 + bottom) / 2), (5, (5 + bottom) / 2) }
            .Select(corner => new Box(corner.Item1, corner.Item2, width, height)).MinBy(plot.Ink.Cost);
        return plot.Ink.Cost(best) < 1 ? best : null;
    }

    // The lines that end near the right edge, so that a name there can only mean them.
    private List<LineMark> EndLines(Scale x)
    {
        List<LineMark> lines = [.. NamedLines().Where(line => line.Points.Any(point => x.Accepts(point.X) && x.Pixel(point.X) > 0.88 * x.Length))];
        return lines.Count * Line > Height ? [] : lines;
    }

    // Long names would leave no room for the lines: those go to the legend, all of them.
    private LineMark[] NamedLines()
    {
        LineMark[] lines = [.. Marks.OfType<LineMark>().Where(line => line.Name.Length > 0 && line.Points.Count > 0).DistinctBy(line => line.Name)];
        return Legend == Legend.LineEnds && lines.All(line => Svg.Width(line.Name, Theme.TickSize) <= LongestEndName) ? lines : [];
    }

    private HashSet<string> DrawEndLabels(XElement frame, Plot plot)
    {
        (LineMark Line, double Y)[] labels =
        [
            .. (from line in EndLines(plot.X)
                let end = End(line)
                where end is not null
                select (line, Math.Clamp(end.Value.Y, 0, Height))).OrderBy(label => label.Item2),
        ];

        // Downwards, then back up from the bottom: each label keeps its line's height where the others leave it.
        for (int i = 1; i < labels.Length; i++)
        {
            labels[i].Y = Math.Max(labels[i].Y, labels[i - 1].Y + Line - 1);
        }

        double lowest = Height;
        for (int i = labels.Length - 1; i >= 0; i--, lowest -= Line - 1)
        {
            labels[i].Y = Math.Min(labels[i].Y, lowest);
            XElement key = ShortKey(labels[i].Line);
            key.SetAttributeValue("transform", Svg.Translation(plot.X.Length + 5, labels[i].Y));
            frame.Add(key, Svg.Text(plot.X.Length + ShortKeyWidth + 9, labels[i].Y + 4, labels[i].Line.Name, "wt-legend"));
        }

        string[] named = [.. labels.Select(label => label.Line.Name)];
        LineMark[] within = [.. NamedLines().Where(line => !named.Contains(line.Name) && End(line) is not null)];
        foreach (LineMark line in within)
        {
            (double x, double y) = End(line)!.Value;
            plot.Label(() => plot.Write(line.Name, (width, height) => Plot.Around(x, y, width, height, 6, 10, 16), key: ShortKey(line)));
        }

        return [.. named, .. within.Select(line => line.Name)];

        static XElement ShortKey(LineMark line) => Svg.Element("g", ("class", line.Tone.Style)).With(line.Sample(ShortKeyWidth));

        (double X, double Y)? End(LineMark line)
        {
            (double X, double Y)[] places = [.. line.Points.Select(point => plot.Place(point.X, point.Y)).OfType<(double X, double Y)>()];
            return places.Length == 0 ? null : places.MaxBy(place => place.X);
        }
    }

    private void DrawAxes(XElement frame, double margin, Scale x, Scale y, bool labelX)
    {
        double width = x.Length, height = Height;
        foreach (double at in X.Categories is null ? x.Values.Select(x.Pixel) : [])
        {
            frame.Add(Rule("wt-grid", at, 0, at, height));
        }

        foreach (double at in Y.Categories is null ? y.Values.Select(y.Pixel) : [])
        {
            frame.Add(Rule("wt-grid", 0, at, width, at));
        }

        if (!Marks.Any(mark => mark is HeatMark))
        {
            frame.Add(Rule("wt-frame", 0, height, width, height), Rule("wt-frame", 0, 0, 0, height));
            frame.Add(x.Minor.Select(value => Rule("wt-frame", x.Pixel(value), height, x.Pixel(value), height + 2)));
            frame.Add(y.Minor.Select(value => Rule("wt-frame", -2, y.Pixel(value), 0, y.Pixel(value))));
        }

        foreach ((double value, string label) in y.Values.Zip(y.Labels))
        {
            double at = y.Pixel(value);
            frame.Add(Y.Categories is null ? Rule("wt-frame", -4, at, 0, at) : null, Svg.Text(-7, at + 4, Svg.Fit(label, Theme.TickSize, margin - 8), anchor: "end"));
        }

        double free = double.NegativeInfinity;
        foreach ((double value, string label) in x.Values.Zip(x.Labels))
        {
            double at = x.Pixel(value), half = Svg.Width(label, Theme.TickSize) / 2;
            frame.Add(X.Categories is null ? Rule("wt-frame", at, height, at, height + 4) : null);
            if (labelX && at - half > free)
            {
                frame.Add(Svg.Text(at, height + 17, label, anchor: "middle"));
                free = at + half + 3;
            }
        }

        if (labelX && X.Label.Length > 0)
        {
            frame.Add(Svg.Text(width / 2, height + 33, X.Caption, "wt-label", "middle"));
        }

        static XElement Rule(string style, double x1, double y1, double x2, double y2) =>
            Svg.Element("line", ("class", style), ("x1", x1), ("y1", y1), ("x2", x2), ("y2", y2));
    }
}
