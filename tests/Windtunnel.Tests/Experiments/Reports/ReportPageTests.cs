using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Windtunnel.Experiments.Reports;
using Windtunnel.Laws.Figures;

namespace Windtunnel.Tests.Experiments.Reports;

/// <summary>The page of a report: whole, closed in itself, and never anything but text where text was given.</summary>
public sealed partial class ReportPageTests : IDisposable
{
    private static readonly string[] s_payloads =
    [
        "<script>alert(1)</script>", "</script><script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'><svg onload=alert(1)>", "</title><script>alert(1)</script>",
        "</style><script>alert(1)</script>", "</pre><iframe src=javascript:alert(1)>", "<!--", "--><script>alert(1)</script>", "<![CDATA[", "]]><script>alert(1)</script>",
        "&lt;script&gt;alert(1)&lt;/script&gt;", "&#60;script&#62;", "<body onload=alert(1)>", "javascript:alert(1)", "<a href=\"javascript:alert(1)\">x</a>",
        "<base href=//evil.example/>", "<meta http-equiv=refresh content=0>", "<link rel=stylesheet href=//evil.example/x.css>", "<?xml version=\"1.0\"?>",
        "<!DOCTYPE html [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>", "</svg><script>alert(1)</script>", "<foreignObject><script>alert(1)</script></foreignObject>",
        "\0<scr\0ipt>", "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    ];

    private readonly TemporaryFolder _folder = new();

    public static IEnumerable<string> Hostile => s_payloads.SelectMany(payload => new[] { payload, payload.Replace('a', 'A') + "!", $"a \u202E{payload}\r\n", $"'\"`{payload}=\uD800 ^{{{payload}}}" });

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_page_is_one_whole_document_that_needs_and_runs_nothing()
    {
        string html = Page(Everything("text"));
        XElement page = Parse(html);

        Assert.Equal("html", page.Name.LocalName);
        Assert.DoesNotContain(page.Descendants(), element => element.Name.LocalName is "script" or "link" or "iframe" or "img" or "object" or "base");
        Assert.All(page.DescendantsAndSelf().Attributes().Where(attribute => attribute.Name.LocalName is "href" or "src" or "action"), reference =>
            Assert.Matches(@"\A(#s[0-9]+|data:text/csv;charset=utf-8;base64,[A-Za-z0-9+/=]*)\z", reference.Value));
        Assert.All(page.Descendants().Where(element => element.Name.LocalName == "style"), style => Assert.DoesNotMatch(@"url\(|@import|<|&|expression", style.Value));
        Assert.Contains(page.Descendants("meta"), meta => meta.Attribute("http-equiv")?.Value == "Content-Security-Policy" && meta.Attribute("content")!.Value.StartsWith("default-src 'none'", StringComparison.Ordinal));

        // Links within the page lead somewhere.
        HashSet<string> targets = [.. page.Descendants().Attributes("id").Select(id => "#" + id.Value)];
        Assert.All(page.Descendants("a").Attributes("href").Where(link => link.Value[0] == '#'), link => Assert.Contains(link.Value, targets));
        Assert.Equal(targets.Count, page.Descendants().Attributes("id").Count());
    }

    [Fact]
    public void Elements_of_HTML_are_closed_as_HTML_wants_it()
    {
        string html = OutsideSvg().Replace(Page(Everything("")), "");

        Assert.All(SelfClosed().Matches(html), match => Assert.Equal("meta", match.Groups[1].Value));
        Assert.DoesNotContain("</meta>", html);
        Assert.StartsWith("<!DOCTYPE html>\n<html lang=\"en\">", html);
    }

    [Fact]
    public void A_hundred_hostile_texts_stay_text_wherever_they_stand()
    {
        string[] shape = [.. Shape(Parse(Page(Everything("text"))))];
        Assert.Equal(100, Hostile.Distinct().Count());
        foreach (string text in Hostile)
        {
            XElement page = Parse(Page(Everything(text)));

            // No text adds, renames or takes an element or an attribute.
            Assert.Equal(shape, Shape(page));
            Assert.DoesNotContain(page.DescendantsAndSelf().Attributes(), attribute => attribute.Name.LocalName.StartsWith("on", StringComparison.OrdinalIgnoreCase));
            Assert.DoesNotContain('\u202E', page.Value);
        }
    }

    [Fact]
    public void Every_text_is_on_the_page_as_it_was_given()
    {
        const string text = "</title><b>\"5 < 6 & 7 > 'x'";
        XElement page = Parse(Page(Everything(text)));

        Assert.Equal(text, page.Descendants("title").First().Value);
        foreach (string name in new[] { "h1", "h2", "p", "dt", "dd", "th", "td", "li", "pre", "summary", "figcaption" })
        {
            Assert.Contains(page.Descendants(name), element => element.Value.Contains(text, StringComparison.Ordinal));
        }
    }

    [Fact]
    public void The_numbers_of_a_figure_are_in_its_file_and_in_the_page_and_are_those_that_are_drawn()
    {
        DataPoint[] points = [new(0.1, 1.0 / 3, 0.25, 0.5, "a, \"b\""), new(2, 1e-300), new(3, double.NaN)];
        Report report = new("r", "", [new ReportSection("s",
        [
            new ReportFigure("Loss & more", new Figure("f", [new Panel(new("x"), new("y"), [new LineMark("line", points)])])),
            new ReportFigure("loss-more", new Figure("g", [new Panel(new("x"), new("y"), [])])),
            new ReportFigure("../../etc", new Figure("h", [new Panel(new("x"), new("y"), [])])),
        ])]);

        string folder = report.Save(_folder.File("report.html"));

        Assert.Equal(_folder.File("report"), folder);
        Assert.Equal(["etc.csv", "loss-more-2.csv", "loss-more.csv"], Directory.GetFiles(folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        string csv = File.ReadAllText(Path.Combine(folder, "loss-more.csv"));
        Assert.Equal("panel,series,mark,x,y,low,high,note\ny against x,line,line,0.1,0.3333333333333333,0.25,0.5,\"a, \"\"b\"\"\"\ny against x,line,line,2,1E-300,,,\ny against x,line,line,3,,,,\n", csv);
        XElement link = Parse(File.ReadAllText(_folder.File("report.html"))).Descendants("a").First();
        Assert.Equal("loss-more.csv", link.Attribute("download")!.Value);
        Assert.Equal(csv, Encoding.UTF8.GetString(Convert.FromBase64String(link.Attribute("href")!.Value.Split("base64,")[1])));
    }

    [Fact]
    public void The_same_report_gives_the_same_bytes()
    {
        Assert.Equal(Page(Everything("text")), Page(Everything("text")));
    }

    /// <summary>A report with every kind of block, and one text in every place that takes any.</summary>
    internal static Report Everything(string text)
    {
        Figure figure = new(
            text, [new Panel(new(text, text), new(text), [new LineMark(text, [new(1, 2, Note: text), new(2, 3)]), new NoteMark(text, 1, 2), new RuleMark(2, text)], text)], text, text);
        ReportBlock[] blocks =
        [
            new ReportText(text), new ReportNotes([text]), new KeyFigures([new KeyFigure(text, text, text + "x")]),
            new ReportTable(text, ["x" + text, "<" + text], [new ReportRow([text, null]), new ReportRow([null, text], Strong: true)]), new ReportFigure(text, figure, text + "x"),
            new ReportFacts([(text, text + "x"), (text, null)]), new ReportTree(text, [new ReportBranch(text, text, [new ReportBranch(text, text, [])])]), new ReportListing(text, text),
            new ReportCommand(text),
        ];
        return new Report(text, text + "x", [.. Enumerable.Range(0, 4).Select(_ => new ReportSection(text, blocks))]);
    }

    internal static XElement Parse(string html) => XElement.Parse(html[(html.IndexOf('\n') + 1)..]);

    // What lines a figure breaks a text into, and what of it is raised, is the text's own affair.
    private static IEnumerable<string> Shape(XElement page) =>
        page.DescendantsAndSelf().Where(element => element.Name.NamespaceName.Length == 0).Select(element => $"{element.Name} {string.Join(' ', element.Attributes().Select(attribute => attribute.Name))}")
            .Concat(page.Descendants().Where(element => element.Name.NamespaceName.Length > 0).Select(element => element.Name.LocalName).Distinct().Except(["tspan"]).Order());

    private string Page(Report report)
    {
        report.Save(_folder.File("page.html"));
        return File.ReadAllText(_folder.File("page.html"));
    }

    [GeneratedRegex("<svg class=\"wt\".*?</svg>\\s*<figcaption", RegexOptions.Singleline)]
    private static partial Regex OutsideSvg();

    [GeneratedRegex("<([a-zA-Z0-9]+)[^<>]*/>")]
    private static partial Regex SelfClosed();
}
