using System.Globalization;
using System.Xml.Linq;
using Windtunnel.Laws.Figures;

namespace Windtunnel.Tests.Laws.Figures;

public sealed class FigureTests
{
    private static readonly double[] s_hostile =
        [double.NaN, double.PositiveInfinity, double.NegativeInfinity, double.MaxValue, double.MinValue, double.Epsilon, 0, -1, 1e-300, 1e300, 1, 1, 2.5];

    [Fact]
    public void Points_lie_where_their_values_say()
    {
        Figure figure = new("Squares", [new Panel(new("x", Low: 0, High: 10), new("y", Log: true, Low: 1, High: 100), [new PointMark("a", [new(0, 1), new(5, 10), new(10, 100)])], Height: 200)]);
        XElement[] circles = [.. Tooltipped(figure)];
        double width = double.Parse(circles[2].Attribute("cx")!.Value);
        Assert.Equal([(0, 200), (width / 2, 100), (width, 0)], circles.Select(circle => (Number(circle, "cx"), Number(circle, "cy"))));
        Assert.InRange(width, 350, 440);
        Assert.Equal("a\nx 5\ny 10", circles[1].Value);
    }

    [Fact]
    public void The_same_figure_gives_the_same_bytes_and_needs_nothing_from_outside()
    {
        string svg = Everything().ToSvg();
        Assert.Equal(svg, Everything().ToSvg());
        Assert.DoesNotContain('\r', svg);
        Assert.DoesNotContain("<script", svg);
        Assert.DoesNotContain("url(", svg);
        Assert.DoesNotContain(" id=", svg);
        Assert.Equal(svg.IndexOf("http", StringComparison.Ordinal), svg.LastIndexOf("http", StringComparison.Ordinal));
        Assert.Contains("@media screen and (prefers-color-scheme:dark)", svg);
    }

    [Fact]
    public void Every_number_written_is_finite_and_every_class_has_a_style()
    {
        XElement root = XElement.Parse(Everything().ToSvg());
        Assert.All(root.DescendantsAndSelf(), Whole);
        string style = root.Elements().Single(element => element.Name.LocalName == "style").Value;
        Assert.All(root.DescendantsAndSelf().Attributes("class").SelectMany(attribute => attribute.Value.Split(' ')).Distinct(), name => Assert.Contains("." + name, style));
    }

    [Fact]
    public void Values_that_cannot_be_shown_are_left_out()
    {
        List<DataPoint> points = [.. from x in s_hostile from y in s_hostile select new DataPoint(x, y, y, x)];
        Mark[] marks =
        [
            new LineMark("line", points), new PointMark("points", points), new BandMark("band", points), new NoteMark("note", double.NaN, 1),
            .. s_hostile.SelectMany(value => new Mark[] { new RuleMark(value, "rule"), new RuleMark(value, "rule", true), new RegionMark(value, 1, "region"), new NoteMark("note", value, 1, true) }),
        ];
        foreach ((bool logX, bool logY) in new[] { (false, false), (true, true), (false, true) })
        {
            XElement root = XElement.Parse(new Figure("Hostile", [new Panel(new("x", Log: logX), new("y", Log: logY), marks, Legend: Legend.LineEnds)]).ToSvg());
            Assert.All(root.DescendantsAndSelf(), Whole);
        }

        XElement logarithmic = XElement.Parse(new Figure("", [new Panel(new("x", Log: true), new("y"), [new PointMark("a", [.. s_hostile.Select(x => new DataPoint(x, 1))])])]).ToSvg());
        Assert.Equal(s_hostile.Count(x => x is >= 1e-300 and <= 1e300), logarithmic.Descendants().Count(element => element.Name.LocalName == "circle" && element.HasElements));
    }

    [Theory]
    [InlineData(0.0)]
    [InlineData(1.0)]
    [InlineData(-3e200)]
    [InlineData(1e-200)]
    [InlineData(null)]
    public void A_panel_of_nothing_or_of_one_value_has_axes(double? value)
    {
        DataPoint[] points = value is { } only ? [new(only, only), new(only, only)] : [];
        foreach (bool log in new[] { false, true })
        {
            Figure figure = new("One", [new Panel(new("x", Log: log), new("y", Log: log), [new PointMark("a", points)])]);
            XElement root = XElement.Parse(figure.ToSvg());
            Assert.All(root.DescendantsAndSelf(), Whole);
            Assert.InRange(Texts(root, "wt-tick").Count(), 6, 18);
            Assert.Equal(!log || value > 0 ? points.Length : 0, Tooltipped(figure).Count());
        }
    }

    [Fact]
    public void Text_is_escaped_and_cleaned()
    {
        Figure figure = new("a < b & \"c\" \0\ud800", [new Panel(new("x]]>"), new("<y>"), [new PointMark("<script>alert(1)</script>", [new(1, 1, Note: "\u0001&")])])]);
        XElement root = XElement.Parse(figure.ToSvg());
        Assert.Equal("a < b & \"c\" \uFFFD\uFFFD", root.Elements().First().Value);
        Assert.Contains("<script>alert(1)</script>", Texts(root, "wt-legend"));
        Assert.Contains("<script>alert(1)</script>: \uFFFD&", Tooltipped(figure).Single().Value);
        Assert.DoesNotContain(root.Descendants(), element => element.Name.LocalName == "script");
    }

    [Fact]
    public void Screen_readers_get_a_title_and_a_description()
    {
        XElement root = XElement.Parse(Everything().ToSvg());
        Assert.Equal("img", root.Attribute("role")!.Value);
        Assert.Equal(["title", "desc"], root.Elements().Take(2).Select(element => element.Name.LocalName));
        Assert.Contains("loss (nats) against compute (FLOP): runs, law, band", root.Elements().ElementAt(1).Value);
        Assert.Equal("As told.", XElement.Parse((Everything() with { Description = "As told." }).ToSvg()).Elements().ElementAt(1).Value);
    }

    [Fact]
    public void Powers_are_raised()
    {
        Figure figure = new("Powers", [new Panel(new("compute", "FLOP", Log: true), new("y"), [new PointMark("", [new(1e15, 1), new(1e21, 2)])])], Subtitle: "L = A N^-alpha + E");
        XElement root = XElement.Parse(figure.ToSvg());
        string[] raised = [.. root.Descendants().Where(element => element.Attribute("class")?.Value == "wt-up").Select(element => element.Value)];
        Assert.Equal("-alpha", raised[0]);
        Assert.Equal(["15", "16", "17", "18", "19", "20", "21"], raised[1..]);
        Assert.Contains("1018", Texts(root, "wt-tick"));
        Assert.Contains("L = A N-alpha + E", Texts(root, "wt-label"));
    }

    [Fact]
    public void A_legend_keeps_clear_of_the_marks_or_goes_below()
    {
        DataPoint[] falling = [.. Enumerable.Range(0, 50).Select(i => new DataPoint(i, 1 / (1.0 + i)))];
        DataPoint[] everywhere = [.. from x in Enumerable.Range(0, 60) from y in Enumerable.Range(0, 40) select new DataPoint(x, y)];
        Assert.Single(Of(falling).Descendants(), element => element.Attribute("class")?.Value == "wt-box");
        XElement crowded = Of(everywhere);
        Assert.DoesNotContain(crowded.Descendants(), element => element.Attribute("class")?.Value == "wt-box");
        Assert.Contains("name", Texts(crowded, "wt-legend"));
        Assert.True(Number(crowded, "height") > Number(Of(falling), "height"));

        static XElement Of(DataPoint[] points) => XElement.Parse(new Figure("", [new Panel(new("x"), new("y"), [new PointMark("name", points)])]).ToSvg());
    }

    [Fact]
    public void Names_at_the_ends_of_lines_never_overlap()
    {
        LineMark[] lines = [.. Enumerable.Range(0, 8).Select(i => new LineMark($"line {i}", [new(0, 1), new(1, i < 4 ? 0 : 1 + (0.001 * i))]))];
        XElement root = XElement.Parse(new Figure("", [new Panel(new("x"), new("y"), lines, Legend: Legend.LineEnds)]).ToSvg());
        double[] heights = [.. root.Descendants().Where(element => element.Attribute("class")?.Value == "wt-legend").Select(element => Number(element, "y")).Order()];
        Assert.Equal(8, heights.Length);
        Assert.All(heights.Zip(heights.Skip(1)), pair => Assert.True(pair.Second - pair.First >= 13.9));
        Assert.InRange(heights[0], 0, heights[^1]);
        Assert.InRange(heights[^1], 0, 235);
    }

    [Fact]
    public void Long_names_go_to_the_legend_and_leave_the_lines_their_room()
    {
        LineMark[] lines = [new("short", [new(0, 1), new(1, 2)]), new("a name as long as a path of a file", [new(0, 2), new(1, 1)])];
        XElement root = XElement.Parse(new Figure("", [new Panel(new("x"), new("y"), lines, Legend: Legend.LineEnds)]).ToSvg());
        Assert.Equal(["short", "a name as long as a path of a file"], Texts(root, "wt-legend"));
        Assert.True(Number(root.Descendants().First(element => element.Attribute("class")?.Value == "wt-frame"), "x2") > 380);
    }

    [Fact]
    public void A_line_of_a_million_points_is_drawn_with_those_that_can_be_seen()
    {
        DataPoint[] points = [.. Enumerable.Range(0, 1_000_000).Select(i => new DataPoint(i, i == 500_123 ? 9 : Math.Sin(i)))];
        string svg = new Figure("", [new Panel(new("step"), new("loss"), [new LineMark("", points)])]).ToSvg();
        Assert.InRange(svg.Length, 20_000, 80_000);

        // The one high value survives, at the top but for the margin.
        string path = XElement.Parse(svg).Descendants().Single(element => element.Name.LocalName == "path").Attribute("d")!.Value;
        Assert.InRange(path.Split('M', 'L').Skip(1).Min(point => double.Parse(point.Split(' ')[1])), 8, 9);
    }

    [Fact]
    public void A_line_breaks_where_a_value_is_missing()
    {
        DataPoint[] points = [new(0, 1), new(1, 2), new(2, double.NaN), new(3, 1), new(4, 2)];
        string svg = new Figure("", [new Panel(new("x"), new("y"), [new LineMark("", points)])]).ToSvg();
        Assert.Equal(2, XElement.Parse(svg).Descendants().Single(element => element.Name.LocalName == "path").Attribute("d")!.Value.Count(letter => letter == 'M'));
    }

    [Fact]
    public void Panels_that_share_their_axis_show_the_same_stretch_of_it()
    {
        Panel upper = new(new("x"), new("y"), [new PointMark("", [new(0, 1), new(1, 2)])]), lower = new(new("x"), new("z"), [new PointMark("", [new(0, 1), new(4, 2)])]);
        double Right(bool shared) => Tooltipped(new("", [upper, lower], SharedX: shared)).Select(circle => Number(circle, "cx")).ElementAt(1);
        Assert.InRange(Right(false) / Right(true), 3, 5);
    }

    [Fact]
    public void A_smooth_curve_needs_few_points_and_a_kinked_one_keeps_its_kinks()
    {
        (double X, double Y)[] smooth = [.. Enumerable.Range(0, 5_000).Select(i => (i * 0.08, 200 * Math.Exp(-0.001 * i)))];
        List<(double X, double Y)> few = Polyline.Simplify(smooth);
        Assert.InRange(few.Count, 10, 60);
        Assert.Equal((smooth[0], smooth[^1]), (few[0], few[^1]));
        Assert.All(smooth, point =>
        {
            int right = Math.Max(1, few.FindIndex(at => at.X >= point.X));
            double share = (point.X - few[right - 1].X) / (few[right].X - few[right - 1].X);
            Assert.Equal(point.Y, few[right - 1].Y + (share * (few[right].Y - few[right - 1].Y)), 0.35);
        });

        (double X, double Y)[] kinked = [(0, 0), (10, 0), (10, 50), (20, 50), (30, 50), (40, 20)];
        Assert.Equal([(0, 0), (10, 0), (10, 50), (30, 50), (40, 20)], Polyline.Simplify(kinked));
        Assert.Empty(Polyline.Simplify([]));
    }

    [Fact]
    public void The_table_holds_what_the_figure_shows()
    {
        Assert.Equal(
            """"
            panel,series,mark,x,y,low,high,note
            loss (nats) against compute (FLOP),runs,points,1E+18,3.25,,,"one, ""first"""
            loss (nats) against compute (FLOP),runs,points,1E+19,3,2.9,3.1,
            loss (nats) against compute (FLOP),law,line,1E+18,3.2,,,
            loss (nats) against compute (FLOP),law,line,1E+20,2.9,,,
            loss (nats) against compute (FLOP),band,band,1E+18,,3.1,3.3,
            loss (nats) against compute (FLOP),band,band,1E+20,,2.8,3,
            loss (nats) against compute (FLOP),,horizontal rule,,3,,,floor
            loss (nats) against compute (FLOP),,region,1E+18,,,,fitted
            loss (nats) against compute (FLOP),,region,1E+19,,,,fitted
            loss (nats) against compute (FLOP),,note,1E+19,3,,,here
            speedup,muon,bars,1.3,Muon,1.2,1.4,1.30
            speedup,muon,bars,1,AdamW,,,
            errors,,cell,small,first,,,1.5
            errors,,cell,large,first,,,

            """".ReplaceLineEndings("\n"),
            Everything().ToCsv());
    }

    private static Figure Everything() => new(
        "Everything",
        [
            new Panel(
                new("compute", "FLOP", Log: true), new("loss", "nats"),
                [
                    new PointMark("runs", [new(1e18, 3.25, Note: "one, \"first\""), new(1e19, 3, 2.9, 3.1)], Tone.Ordered(0, 2)),
                    new LineMark("law", [new(1e18, 3.2), new(1e20, 2.9)], Tone.Category(0), Dash.Dashed),
                    new BandMark("band", [new(1e18, double.NaN, 3.1, 3.3), new(1e20, double.NaN, 2.8, 3)], Tone.Muted),
                    new RuleMark(3, "floor"), new RegionMark(1e18, 1e19, "fitted"), new NoteMark("here", 1e19, 3, Arrow: true),
                ]),
            new Panel(new("speedup"), new("", Categories: ["Muon", "AdamW"]), [new BarMark("muon", [new(1.3, 0, 1.2, 1.4, "1.30"), new(1, 1)], 1, Tone.Category(8))], "speedup", 60),
            new Panel(new("size", Categories: ["small", "large"]), new("set", Categories: ["first"]), [new HeatMark([[1.5, double.NaN]])], "errors", 40),
        ],
        Columns: 2);

    private static IEnumerable<XElement> Tooltipped(Figure figure) =>
        XElement.Parse(figure.ToSvg()).Descendants().Where(element => element.Name.LocalName == "circle" && element.HasElements);

    private static IEnumerable<string> Texts(XElement root, string style) =>
        root.Descendants().Where(element => element.Name.LocalName == "text" && element.Attribute("class")?.Value == style).Select(element => element.Value);

    private static double Number(XElement element, string name) => double.Parse(element.Attribute(name)!.Value, CultureInfo.InvariantCulture);

    private static void Whole(XElement element)
    {
        foreach (XAttribute attribute in element.Attributes().Where(attribute => !attribute.IsNamespaceDeclaration))
        {
            Assert.DoesNotContain("NaN", attribute.Value);
            Assert.DoesNotContain("∞", attribute.Value);
            Assert.DoesNotContain("Infinity", attribute.Value);
            Assert.DoesNotContain("E+", attribute.Value);
        }
    }
}
