using System.Globalization;
using System.Text;
using System.Xml;
using System.Xml.Linq;

namespace Windtunnel.Experiments.Reports;

/// <summary>
/// A report as one HTML file that needs nothing else: no script, no font, no network. It follows the reader's light or dark setting,
/// prints, and stays readable on a telephone. The page is built as a tree of elements, so that no text can become markup, and its
/// security policy forbids everything but its own style sheets all the same.
/// </summary>
internal static class HtmlPage
{
    private const string Policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

    public static string Write(Report report)
    {
        Dictionary<ReportFigure, (string Name, int Number)> figures = new(ReferenceEqualityComparer.Instance);
        foreach ((int i, (string name, ReportFigure figure)) in report.Figures.Index())
        {
            figures[figure] = (name, i + 1);
        }

        XElement page = Element(
            "html",
            new XAttribute("lang", "en"),
            Element(
                "head",
                Element("meta", new XAttribute("charset", "utf-8")),
                Element("meta", new XAttribute("http-equiv", "Content-Security-Policy"), new XAttribute("content", Policy)),
                Element("meta", new XAttribute("name", "viewport"), new XAttribute("content", "width=device-width, initial-scale=1")),
                Element("meta", new XAttribute("name", "color-scheme"), new XAttribute("content", "light dark")),
                Element("title", Text(report.Title)),
                Element("style", StyleSheet)),
            Element(
                "body",
                Element(
                    "header",
                    Element("p", Class("brand"), "Windtunnel report"),
                    Element("h1", Text(report.Title)),
                    report.Lead.Length > 0 ? Element("p", Class("lead"), Text(report.Lead)) : null,
                    report.Sections.Count > 3 ? Contents(report.Sections) : null),
                Element("main", report.Sections.Select((section, i) => Section(section, i, figures)))));

        StringBuilder html = new("<!DOCTYPE html>\n");
        using (XmlWriter writer = XmlWriter.Create(html, new XmlWriterSettings { OmitXmlDeclaration = true, Indent = true, IndentChars = " ", NewLineChars = "\n" }))
        {
            page.Save(writer);
        }

        return html.Append('\n').ToString();
    }

    private static XElement Contents(IReadOnlyList<ReportSection> sections) => Element(
        "nav",
        new XAttribute("aria-label", "Contents"),
        Element("ul", sections.Select((section, i) => Element("li", Element("a", new XAttribute("href", $"#s{i + 1}"), Text(section.Title))))));

    private static XElement Section(ReportSection section, int index, Dictionary<ReportFigure, (string, int)> figures)
    {
        XElement element = Element("section", new XAttribute("id", $"s{index + 1}"), Element("h2", Text(section.Title)));

        // Figures that follow one another stand side by side where there is room.
        XElement? row = null;
        foreach (ReportBlock block in section.Blocks)
        {
            if (block is ReportFigure figure)
            {
                if (row is null)
                {
                    element.Add(row = Element("div", Class("figures")));
                }

                row.Add(Figure(figure, figures[figure]));
            }
            else
            {
                row = null;
                element.Add(Block(block));
            }
        }

        return element;
    }

    private static IEnumerable<XElement> Block(ReportBlock block) => block is ReportTable table ? Table(table) : [Single(block)];

    private static XElement Single(ReportBlock block) => block switch
    {
        ReportText text => Element("p", Text(text.Text)),
        ReportNotes notes => Element("ul", Class("notes"), notes.Lines.Select(line => Element("li", Text(line)))),
        KeyFigures key => Element("dl", Class("key"), key.Figures.Select(figure => Element(
            "div",
            Element("dt", Text(figure.Label)),
            Element("dd", Text(figure.Value), figure.Detail.Length > 0 ? Element("small", Text(figure.Detail)) : null)))),
        ReportFacts facts => Element("dl", Class("facts"), facts.Facts.Where(fact => !string.IsNullOrEmpty(fact.Value)).Select(fact => Element(
            "div", Element("dt", Text(fact.Name)), Element("dd", Text(fact.Value!))))),
        ReportTree tree => Element("div", Class("tree"), Element("p", Class("caption"), Text(tree.Caption)), Branches(tree.Roots)),
        ReportListing listing => Element("details", Element("summary", Text(listing.Title)), Element("pre", Text(listing.Text))),
        ReportCommand command => Element("pre", Class("command"), Text(command.Command)),
        _ => throw new ArgumentException($"{block.GetType().Name}: no way to write it", nameof(block)),
    };

    private static XElement Figure(ReportFigure figure, (string Name, int Number) named)
    {
        string data = Convert.ToBase64String(Encoding.UTF8.GetBytes(figure.Figure.ToCsv()));
        return Element(
            "figure",
            XElement.Parse(figure.Figure.ToSvg()),
            Element(
                "figcaption",
                Element("b", $"Figure {named.Number}. "),
                figure.Caption.Length > 0 ? Text(figure.Caption) + " " : null,
                Element("a", new XAttribute("download", named.Name), new XAttribute("href", $"data:text/csv;charset=utf-8;base64,{data}"), "CSV")));
    }

    // A caption within would be as wide as the table, and leave the screen with it.
    private static IEnumerable<XElement> Table(ReportTable table)
    {
        bool[] left = [.. table.Headings.Select(heading => heading.StartsWith('<'))];
        yield return Element("p", Class("caption"), Text(table.Caption));
        yield return Element(
            "div",
            Class("scroll"), new XAttribute("role", "region"), new XAttribute("tabindex", "0"), new XAttribute("aria-label", Text(table.Caption)),
            Element(
                "table",
                Element("thead", Element("tr", table.Headings.Select((heading, i) => Element("th", new XAttribute("scope", "col"), left[i] ? Class("left") : null, Text(left[i] ? heading[1..] : heading))))),
                Element("tbody", table.Rows.Select(row => Element(
                    "tr", row.Strong ? Class("strong") : null,
                    row.Cells.Select((cell, i) => Element("td", left[i] ? Class("left") : null, cell is { Length: > 0 } ? Text(cell) : "–")))))));
    }

    private static XElement Branches(IReadOnlyList<ReportBranch> branches) => Element("ul", branches.Select(branch => Element(
        "li",
        Element("b", Text(branch.Name)), " ", Element("span", Text(branch.Detail)),
        branch.Branches.Count > 0 ? Branches(branch.Branches) : null)));

    // An element without content would be written as <td/>, which HTML takes for one that was left open.
    private static XElement Element(string name, params object?[] content) => name == "meta" ? new XElement(name, content) : new XElement(name, "", content);

    private static XAttribute Class(string name) => new("class", name);

    // What XML can't hold, and what would turn the text around it, becomes the replacement character.
    private static string Text(string text) => string.Concat(text.ReplaceLineEndings("\n").EnumerateRunes().Select(rune =>
        (rune.IsBmp && !XmlConvert.IsXmlChar((char)rune.Value)) || (Rune.IsControl(rune) && rune.Value is not ('\n' or '\t')) || Rune.GetUnicodeCategory(rune) == UnicodeCategory.Format
            ? "\uFFFD"
            : rune.ToString()));

    private const string StyleSheet = """

        :root{color-scheme:light dark;--paper:#fff;--ink:#1f2328;--muted:#59636e;--line:#d8dde3;--soft:#f4f6f8;--accent:#0062a3;--warn:#8a5a00}
        @media screen and (prefers-color-scheme:dark){:root{--paper:#14171c;--ink:#e8eaed;--muted:#a3acb7;--line:#333a43;--soft:#1c2127;--accent:#6cc0f2;--warn:#f0bd45}}
        *{box-sizing:border-box}
        html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
        body{margin:0 auto;padding:2.5rem 1.5rem 5rem;max-width:64rem;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Liberation Sans",sans-serif;overflow-wrap:break-word}
        a{color:var(--accent);text-underline-offset:.15em}
        .brand{margin:0;color:var(--muted);font-size:.8rem;letter-spacing:.08em;text-transform:uppercase}
        h1{margin:.1rem 0 .6rem;font-size:2rem;line-height:1.2;letter-spacing:-.01em}
        .lead{margin:0 0 1.2rem;max-width:46rem;font-size:1.15rem}
        nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:0;padding:0;list-style:none;font-size:.9rem}
        h2{margin:2.75rem 0 1rem;padding-top:1rem;border-top:1px solid var(--line);font-size:1.3rem;line-height:1.3}
        p{max-width:46rem;margin:.75rem 0}
        .key{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.75rem;margin:1.25rem 0}
        .key div{padding:.8rem 1rem;border-radius:.5rem;background:var(--soft)}
        .key dt{color:var(--muted);font-size:.85rem}
        .key dd{margin:0;font-size:1.5rem;font-weight:600;line-height:1.3;font-variant-numeric:tabular-nums}
        .key small{display:block;color:var(--muted);font-size:.8rem;font-weight:400;line-height:1.4}
        .scroll{overflow-x:auto;margin:.4rem 0 1.25rem}
        table{border-collapse:collapse;min-width:100%;font-size:.875rem;font-variant-numeric:tabular-nums}
        th,td{padding:.35rem 0 .35rem 1rem;text-align:right;vertical-align:baseline;white-space:nowrap}
        th:first-child,td:first-child{padding-left:0}
        th{border-bottom:1px solid var(--ink);font-weight:600;line-height:1.3;vertical-align:bottom;white-space:normal}
        td{border-bottom:1px solid var(--line)}
        .left{text-align:left}
        .strong td{font-weight:600;background:var(--soft)}
        .figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,27rem),1fr));gap:1.5rem;margin:1.25rem 0;align-items:start}
        figure{margin:0;min-width:0}
        figure .wt{display:block;width:100%;max-width:36rem}
        figcaption{margin-top:.25rem;padding-left:10px;max-width:36rem;color:var(--muted);font-size:.85rem}
        .facts{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.25rem;margin:1rem 0;font-size:.9rem}
        .facts div{display:contents}
        .facts dt{color:var(--muted)}
        .facts dd{margin:0;min-width:0;overflow-wrap:anywhere}
        .caption{margin:1.25rem 0 .4rem;max-width:none;color:var(--muted);font-size:.875rem}
        .tree ul{margin:0;padding-left:1.1rem;list-style:none;border-left:1px solid var(--line);font-size:.9rem}
        .tree .caption+ul{padding-left:0;border:0}
        .tree li{margin:.3rem 0}
        .tree span{color:var(--muted)}
        .notes{margin:1rem 0;padding:.7rem 1rem .7rem 2rem;border-left:3px solid var(--warn);background:var(--soft);font-size:.9rem}
        pre{margin:.75rem 0;padding:.8rem 1rem;border-radius:.5rem;background:var(--soft);font:.8rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;white-space:pre-wrap;overflow-wrap:anywhere}
        details{margin:.5rem 0}
        summary{cursor:pointer;font-size:.9rem;overflow-wrap:anywhere}
        @media (max-width:40rem){body{padding:1.25rem 1rem 3rem}h1{font-size:1.6rem}.lead{font-size:1.05rem}.key{grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr))}.key dd{font-size:1.25rem}.facts{grid-template-columns:1fr;gap:0}.facts dd{margin-bottom:.5rem}}
        @page{margin:16mm 14mm}
        @media print{body{max-width:none;padding:0;font-size:10.5pt}nav{display:none}h2{break-after:avoid}figure,.key,tr,.notes{break-inside:avoid}.scroll{overflow:visible}table{font-size:8.5pt}th,td{padding-left:.7rem;white-space:normal}.figures{grid-template-columns:1fr 1fr;gap:1rem}a{color:inherit}details::details-content{content-visibility:visible;block-size:auto}.key div,pre,.notes,.strong td{print-color-adjust:exact;-webkit-print-color-adjust:exact}}

        """;
}
