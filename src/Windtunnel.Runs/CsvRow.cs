using System.Globalization;

namespace Windtunnel.Runs;

/// <summary>A row of comma-separated values as this tool writes them (RFC 4180, lines end with a line feed).</summary>
public static class CsvRow
{
    /// <summary>The row with its line end; what would break it is quoted, and what a spreadsheet would take for a formula begins with an apostrophe.</summary>
    public static string Of(params IEnumerable<string> fields) => $"{string.Join(',', fields.Select(Quoted))}\n";

    /// <summary>With as many digits as it takes to read the same double back; empty for NaN and infinities.</summary>
    public static string Number(double value) => double.IsFinite(value) ? value.ToString("R", CultureInfo.InvariantCulture) : "";

    private static string Quoted(string field)
    {
        string text = IsFormula(field) ? $"'{field}" : field;
        return text.AsSpan().ContainsAny("\",\r\n") ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : text;
    }

    private static bool IsFormula(string field) =>
        field.Length > 0 && field[0] is '=' or '+' or '-' or '@' && !double.TryParse(field, NumberStyles.Float, CultureInfo.InvariantCulture, out _);
}
