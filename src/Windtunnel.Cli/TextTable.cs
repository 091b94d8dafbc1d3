namespace Windtunnel.Cli;

/// <summary>Rows in aligned columns, without frames: the same on a terminal and in a pipe.</summary>
/// <param name="headings">One a column; a leading <c>&lt;</c> aligns the column to the left, and is not shown.</param>
internal sealed class TextTable(params string[] headings)
{
    private readonly List<string[]> _rows = [[.. headings.Select(heading => heading.TrimStart('<'))]];

    /// <summary>Adds a row; nulls are shown as a dash.</summary>
    public void Add(params ReadOnlySpan<string?> cells)
    {
        string[] row = new string[headings.Length];
        for (int i = 0; i < row.Length; i++)
        {
            row[i] = cells[i] is { Length: > 0 } text ? PlainText.Line(text) : "-";
        }

        _rows.Add(row);
    }

    /// <summary>Writes the table to the console.</summary>
    public void Write()
    {
        int[] widths = [.. headings.Select((_, column) => _rows.Max(row => row[column].Length))];
        foreach (string[] row in _rows)
        {
            IEnumerable<string> cells = row.Select((cell, column) => headings[column].StartsWith('<') ? cell.PadRight(widths[column]) : cell.PadLeft(widths[column]));
            Console.WriteLine(string.Join("  ", cells).TrimEnd());
        }
    }
}
