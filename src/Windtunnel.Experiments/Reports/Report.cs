using System.Text;
using System.Text.RegularExpressions;
using Windtunnel.Laws.Figures;
using Windtunnel.Runs;

namespace Windtunnel.Experiments.Reports;

/// <summary>What a report says, in its order, and nothing of how it looks. All texts are plain: whoever writes them out escapes them.</summary>
/// <param name="Title">What the report is about.</param>
/// <param name="Lead">Its outcome in a sentence or two, for those who read no further.</param>
/// <param name="Sections">The rest.</param>
public sealed partial record Report(string Title, string Lead, IReadOnlyList<ReportSection> Sections)
{
    /// <summary>Every figure, in order, with a file name of its own.</summary>
    public IReadOnlyList<(string FileName, ReportFigure Figure)> Figures { get; } = Named(Sections);

    /// <summary>
    /// Writes the page, and beside it, in a folder that is called like the page, the numbers of each figure:
    /// <c>report.html</c> and <c>report/loss.csv</c>.
    /// </summary>
    /// <param name="path">The page.</param>
    /// <returns>The folder of the numbers.</returns>
    public string Save(string path)
    {
        path = Path.GetFullPath(path);
        string folder = Path.Combine(Path.GetDirectoryName(path)!, $"{Path.GetFileNameWithoutExtension(path)}{(Path.HasExtension(path) ? "" : ".csv")}");
        Directory.CreateDirectory(folder);
        foreach ((string name, ReportFigure figure) in Figures)
        {
            AtomicFile.WriteText(Path.Combine(folder, name), figure.Figure.ToCsv());
        }

        AtomicFile.WriteText(path, HtmlPage.Write(this));
        return folder;
    }

    // Names hold what users call things, which may be anything, and the same twice.
    private static (string, ReportFigure)[] Named(IReadOnlyList<ReportSection> sections)
    {
        HashSet<string> taken = new(StringComparer.OrdinalIgnoreCase);
        return [.. sections.SelectMany(section => section.Blocks).OfType<ReportFigure>().Select(figure =>
        {
            string stem = Unsafe().Replace(figure.Name.ToLowerInvariant(), "-").Trim('-', '.');
            stem = stem.Length == 0 ? "figure" : stem[..Math.Min(60, stem.Length)];
            string name = $"{stem}.csv";
            for (int next = 2; !taken.Add(name); next++)
            {
                name = $"{stem}-{next}.csv";
            }

            return (name, figure);
        })];
    }

    [GeneratedRegex("[^a-z0-9.]+")]
    private static partial Regex Unsafe();
}

/// <summary>A part of a report with a heading.</summary>
public sealed record ReportSection(string Title, IReadOnlyList<ReportBlock> Blocks);

/// <summary>A piece of a section.</summary>
public abstract record ReportBlock;

/// <summary>A paragraph.</summary>
public sealed record ReportText(string Text) : ReportBlock;

/// <summary>What a careful reader should know, one line each.</summary>
public sealed record ReportNotes(IReadOnlyList<string> Lines) : ReportBlock;

/// <summary>The few numbers that matter most, large.</summary>
public sealed record KeyFigures(IReadOnlyList<KeyFigure> Figures) : ReportBlock;

/// <summary>A number that matters.</summary>
/// <param name="Label">What it is.</param>
/// <param name="Value">With its unit.</param>
/// <param name="Detail">What to compare it with, empty for nothing.</param>
public sealed record KeyFigure(string Label, string Value, string Detail = "");

/// <summary>A table.</summary>
/// <param name="Caption">What its rows are.</param>
/// <param name="Headings">One a column, with its unit, in the words of the report itself; a leading <c>&lt;</c> aligns the column to the left, and is not shown.</param>
public sealed record ReportTable(string Caption, IReadOnlyList<string> Headings, IReadOnlyList<ReportRow> Rows) : ReportBlock;

/// <summary>A row of a table.</summary>
/// <param name="Cells">One a column; a dash where it is null or empty.</param>
/// <param name="Strong">Whether the row stands out.</param>
public sealed record ReportRow(IReadOnlyList<string?> Cells, bool Strong = false);

/// <summary>A figure, whose numbers are in a file beside the report and in the report itself.</summary>
/// <param name="Name">Of the file, without ending.</param>
/// <param name="Figure">What is drawn.</param>
/// <param name="Caption">What to see in it.</param>
public sealed record ReportFigure(string Name, Figure Figure, string Caption = "") : ReportBlock;

/// <summary>Names and values: where something comes from.</summary>
public sealed record ReportFacts(IReadOnlyList<(string Name, string? Value)> Facts) : ReportBlock;

/// <summary>Things that spring from one another.</summary>
public sealed record ReportTree(string Caption, IReadOnlyList<ReportBranch> Roots) : ReportBlock;

/// <summary>A thing in a tree.</summary>
/// <param name="Name">What it is called.</param>
/// <param name="Detail">What else is to be said of it.</param>
/// <param name="Branches">What springs from it.</param>
public sealed record ReportBranch(string Name, string Detail, IReadOnlyList<ReportBranch> Branches);

/// <summary>Text as a file has it, folded away until it is asked for; whole in print.</summary>
public sealed record ReportListing(string Title, string Text) : ReportBlock;

/// <summary>What to type.</summary>
public sealed record ReportCommand(string Command) : ReportBlock;
