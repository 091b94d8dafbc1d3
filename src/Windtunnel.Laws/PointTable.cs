using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Security.Cryptography;
using CsvHelper;
using Windtunnel.Laws.Curves;
using Windtunnel.Runs;

namespace Windtunnel.Laws;

/// <summary>Rows of runs with named columns, from a CSV file or a folder of runs.</summary>
public sealed class PointTable
{
    private const long MaxBytes = 256L << 20;
    private const int MostNamed = 30, MostQuoted = 60;

    private static readonly CsvReaderOptions s_csv = new()
    {
        TrimWhitespace = true,
        TrackLineNumbers = true,
        MaxRecordSize = 1 << 20,
        MalformedData = CsvMalformedDataHandling.Throw,
    };

    // What tables call the inputs and outputs of laws.
    private static readonly Dictionary<string, string[]> s_aliases = new()
    {
        ["n"] = ["N", "params", "parameters", "param_count"],
        ["d"] = ["D", "tokens"],
        ["unique"] = ["unique_tokens"],
        ["loss"] = ["val_loss", "L"],
        ["error"] = ["err", "err_avg17"],
        ["lr"] = ["learning_rate"],
        ["r"] = ["chinchilla"],
        ["c"] = ["C", "flops", "compute"],
        ["m"] = ["M", "multiplier", "tokens_per_param"],
    };

    private readonly IReadOnlyList<Row> _rows;

    private PointTable(string source, string? sha256, IReadOnlyList<string> columns, IReadOnlyList<Row> rows) =>
        (Source, Sha256, Columns, _rows) = (source, sha256, columns, rows);

    /// <summary>The file or folder.</summary>
    public string Source { get; }

    /// <summary>Of the file, lowercase hexadecimal; null for a folder of runs.</summary>
    public string? Sha256 { get; }

    /// <summary>The names of the columns.</summary>
    public IReadOnlyList<string> Columns { get; }

    /// <summary>How messages name each row: a line of the file, the id of a run.</summary>
    public IReadOnlyList<string> Labels => field ??= [.. _rows.Select(row => row.Label)];

    /// <summary>Number of rows.</summary>
    public int Count => _rows.Count;

    /// <summary>Reads a CSV file with a line of headings, or every run under a folder.</summary>
    /// <exception cref="ValidationException">There is no such file or folder.</exception>
    /// <exception cref="InvalidDataException">The file is no table.</exception>
    public static PointTable Read(string path) =>
        Directory.Exists(path) ? ReadRuns(path)
        : File.Exists(path) ? ReadCsv(path)
        : throw new ValidationException($"{path}: no such file or folder");

    /// <summary>The rows that meet a condition such as <c>dataset=C4</c>.</summary>
    /// <exception cref="ValidationException">It is no condition, or its column is not there.</exception>
    public PointTable Where(string condition)
    {
        RowCondition parsed = RowCondition.Parse(condition);
        int column = ColumnOf(parsed.Column);
        return new PointTable(Source, Sha256, Columns, [.. _rows.Where(row => parsed.Holds(Comparable(row.Cells[column])))]);
    }

    /// <summary>The tables of each value of a column, in order of first appearance.</summary>
    public IEnumerable<(string Group, PointTable Table)> GroupBy(string column)
    {
        int index = ColumnOf(column);
        return _rows.GroupBy(row => row.Cells[index]).Select(group => (group.Key, new PointTable(Source, Sha256, Columns, [.. group])));
    }

    /// <summary>The column that holds a quantity: as mapped, else by its own name, else by a usual other name.</summary>
    /// <param name="mapping">Column by quantity.</param>
    /// <exception cref="ValidationException">There is none.</exception>
    public string ColumnFor(string quantity, IReadOnlyDictionary<string, string> mapping) =>
        FindColumn(quantity, mapping) ?? throw new ValidationException($"{Source}: no column '{quantity}'; name one with --{quantity}: {NamesOfColumns()}");

    /// <summary>The column that holds a quantity, as <see cref="ColumnFor"/> finds it; null where none is mapped or has a usual name.</summary>
    /// <param name="mapping">Column by quantity.</param>
    /// <exception cref="ValidationException">One is mapped that is not there.</exception>
    public string? FindColumn(string quantity, IReadOnlyDictionary<string, string> mapping) => mapping.TryGetValue(quantity, out string? named)
        ? Columns[ColumnOf(named)]
        : new[] { quantity }.Concat(s_aliases.GetValueOrDefault(quantity, [])).FirstOrDefault(Columns.Contains);

    /// <summary>The rows as inputs and output of a law. Runs that diverged or did not finish are left out, and listed.</summary>
    /// <param name="mapping">Column by quantity; quantities that are not mapped go by their usual names.</param>
    /// <exception cref="ValidationException">A column is missing.</exception>
    /// <exception cref="InvalidDataException">An input is no number, or not positive where it must be.</exception>
    public Observations Observe(PointLaw law, IReadOnlyDictionary<string, string> mapping)
    {
        Quantity[] quantities = [.. law.Inputs, law.Output];
        string[] names = [.. quantities.Select(quantity => ColumnFor(quantity.Name, mapping))];
        int[] columns = [.. names.Select(ColumnOf)];
        int status = Columns.ToList().IndexOf("status");
        List<double> inputs = [], observed = [];
        List<string> labels = [];
        List<ExcludedRow> excluded = [];
        foreach (Row row in _rows)
        {
            if (Exclusion(row, status, columns[^1]) is { } reason)
            {
                excluded.Add(new ExcludedRow(row.Label, reason));
                continue;
            }

            for (int i = 0; i < columns.Length; i++)
            {
                double value = Number(row, columns[i], quantities[i]);
                (i < columns.Length - 1 ? inputs : observed).Add(value);
            }

            labels.Add(row.Label);
        }

        return new Observations(
            Source, Sha256, quantities.Zip(names).ToDictionary(pair => pair.First.Name, pair => pair.Second), labels, [.. inputs], [.. observed], excluded);
    }

    /// <summary>A column as numbers, for groups and figures; NaN where a cell is no number.</summary>
    public IReadOnlyList<double> Numbers(string column)
    {
        int index = ColumnOf(column);
        return [.. _rows.Select(row => double.TryParse(row.Cells[index], NumberStyles.Float, CultureInfo.InvariantCulture, out double value) ? value : double.NaN)];
    }

    /// <summary>A column as it stands.</summary>
    public IReadOnlyList<string> Texts(string column)
    {
        int index = ColumnOf(column);
        return [.. _rows.Select(row => row.Cells[index])];
    }

    /// <summary>What stands in a cell, as a message may quote it.</summary>
    public static string Quote(string text) => text.Length <= MostQuoted ? $"'{text}'" : $"'{text[..MostQuoted]}...'";

    private static PointTable ReadCsv(string path)
    {
        FileInfo file = new(path);
        if (file.Length > MaxBytes)
        {
            throw new InvalidDataException($"{path}: {file.Length:N0} bytes are more than a table of runs should have ({MaxBytes:N0})");
        }

        byte[] bytes = File.ReadAllBytes(path);
        using CsvReader reader = CsvReader.Create(bytes, s_csv);
        try
        {
            reader.ReadHeader();
            string[] columns = [.. reader.Headers];
            if (columns.Length == 0)
            {
                throw new InvalidDataException($"{path}: empty; it needs a line of headings");
            }

            if (columns.GroupBy(column => column).FirstOrDefault(group => group.Count() > 1) is { } twice)
            {
                throw new InvalidDataException($"{path}: line 1: column {Quote(twice.Key)} is there twice");
            }

            List<Row> rows = [];
            while (reader.Read())
            {
                rows.Add(reader.FieldCount == columns.Length
                    ? new Row($"line {reader.LineNumber}", [.. Enumerable.Range(0, columns.Length).Select(reader.GetString)])
                    : throw new InvalidDataException($"{path}: line {reader.LineNumber}: {reader.FieldCount} values under {columns.Length} headings"));
            }

            return new PointTable(path, Convert.ToHexStringLower(SHA256.HashData(bytes)), columns, rows);
        }
        catch (CsvFormatException e)
        {
            throw new InvalidDataException($"{path}: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    private static PointTable ReadRuns(string path)
    {
        Row[] rows = [.. RunTable.Read(path).Select(run => new Row(run.Id, [.. RunTable.Columns.Select(column => Text(RunTable.Value(run, column)))]))];
        return rows.Length > 0
            ? new PointTable(path, null, RunTable.Columns, rows)
            : throw new ValidationException($"{path}: holds no runs");
    }

    private static string Text(IComparable? value) => value is DateTimeOffset time ? time.ToString("O") : Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";

    private static IComparable Comparable(string cell) =>
        double.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? number : cell;

    private static string? Exclusion(Row row, int status, int output)
    {
        string state = status < 0 ? "completed" : row.Cells[status];
        string loss = row.Cells[output];
        return state is not ("completed" or "finished" or "") ? $"its status is {(state.Length <= MostQuoted ? state : Quote(state))}"
            : loss.Length == 0 ? "it has no result"
            : double.TryParse(loss, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && !double.IsFinite(value) ? $"it diverged: its result is {loss}"
            : null;
    }

    private double Number(Row row, int column, Quantity quantity)
    {
        string cell = row.Cells[column];
        return !double.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) || !double.IsFinite(value)
            ? throw new InvalidDataException($"{Source}: {row.Label}: {Columns[column]}: {Quote(cell)} is not a number")
            : quantity.Positive && value <= 0
                ? throw new InvalidDataException($"{Source}: {row.Label}: {Columns[column]}: {cell} must be positive")
                : value;
    }

    private int ColumnOf(string name)
    {
        int index = Columns.ToList().IndexOf(name);
        return index >= 0 ? index : throw new ValidationException($"{Source}: no column {Quote(name)}; it has {NamesOfColumns()}");
    }

    private string NamesOfColumns() =>
        string.Join(", ", Columns.Take(MostNamed)) + (Columns.Count > MostNamed ? $", and {Columns.Count - MostNamed:N0} more" : "");

    /// <param name="Label">How messages name the row: a line of the file, the id of a run.</param>
    private sealed record Row(string Label, string[] Cells);
}

/// <summary>A row that was not fitted, and why.</summary>
public sealed record ExcludedRow(string Row, string Reason);

/// <summary>What a law is fitted to.</summary>
/// <param name="Source">The file or folder.</param>
/// <param name="Sha256">Of the file.</param>
/// <param name="Columns">The column that held each quantity.</param>
/// <param name="Labels">[row]: how messages name the row.</param>
/// <param name="Inputs">[row, input], in the order of the law.</param>
/// <param name="Observed">[row].</param>
/// <param name="Excluded">Rows that were left out.</param>
/// <param name="Curves">What loss curves covered; null for rows of runs.</param>
public sealed record Observations(
    string Source,
    string? Sha256,
    IReadOnlyDictionary<string, string> Columns,
    IReadOnlyList<string> Labels,
    double[] Inputs,
    double[] Observed,
    IReadOnlyList<ExcludedRow> Excluded,
    CurveRange? Curves = null);
