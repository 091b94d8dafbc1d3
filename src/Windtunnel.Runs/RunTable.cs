using System.ComponentModel.DataAnnotations;
using System.Text.RegularExpressions;

namespace Windtunnel.Runs;

/// <summary>One run, as a table shows it. Losses are nats a token; bpb is bits per byte.</summary>
/// <param name="Status">As in run.json, but <c>killed</c> where it says running and no process holds the run, and <c>unreadable</c>.</param>
/// <param name="Last">How far the run got; null before its first row of metrics.</param>
/// <param name="ValLoss">The last <c>val/&lt;set&gt;/loss</c>.</param>
/// <param name="Problem">Why the run could not be read; null when it could.</param>
public sealed record RunRow(
    string Id,
    string Status,
    RunRecord? Record = null,
    Progress? Last = null,
    double? ValLoss = null,
    double? ValLossBest = null,
    double? ValBpb = null,
    double? ValBpbBest = null,
    string? Problem = null);

/// <summary>The runs under a folder, one row each, for listing and comparing.</summary>
public static partial class RunTable
{
    private static readonly (string Name, Func<RunRow, IComparable?> Value)[] s_columns =
    [
        ("id", row => row.Id),
        ("name", row => row.Record?.Name),
        ("status", row => row.Status),
        ("parent", row => row.Record?.Parent?.Run),
        ("created", row => row.Record?.Created),
        ("params", row => row.Record?.Model?.Parameters),
        ("params_non_embedding", row => row.Record?.Model?.NonEmbedding),
        ("steps", row => row.Last?.Step),
        ("tokens", row => row.Last?.Tokens),
        ("flops", row => row.Last?.Flops),
        ("wall_s", row => row.Last?.WallSeconds),
        ("val_loss", row => row.ValLoss),
        ("val_loss_best", row => row.ValLossBest),
        ("val_bpb", row => row.ValBpb),
        ("val_bpb_best", row => row.ValBpbBest),
    ];

    /// <summary>What rows can be sorted and filtered by.</summary>
    public static IReadOnlyList<string> Columns { get; } = [.. s_columns.Select(column => column.Name)];

    /// <summary>Reads every run under <paramref name="root"/>, by id; a run that cannot be read is a row that says why.</summary>
    /// <param name="validationSet">Which <c>val/&lt;set&gt;</c> the losses are of; without it, the first set by name in each run.</param>
    public static IReadOnlyList<RunRow> Read(string root, string? validationSet = null)
    {
        return Directory.Exists(root)
            ? [.. Directory.EnumerateDirectories(root)
                .Where(path => RunFolder.IsValidId(Path.GetFileName(path)) && File.Exists(Path.Combine(path, "run.json")))
                .Order(StringComparer.Ordinal)
                .Select(path => ReadRow(root, Path.GetFileName(path), validationSet))]
            : [];
    }

    /// <summary>The value of a column; null where the run has none.</summary>
    /// <exception cref="ValidationException">There is no such column.</exception>
    public static IComparable? Value(RunRow row, string column)
    {
        foreach ((string name, Func<RunRow, IComparable?> value) in s_columns)
        {
            if (name == column)
            {
                return value(row);
            }
        }

        throw new ValidationException($"'{column}' is not a column of runs; the columns are {string.Join(", ", Columns)}");
    }

    /// <summary>Rows in the order of a column, those without a value last, ties by id.</summary>
    public static IReadOnlyList<RunRow> Sort(IEnumerable<RunRow> rows, string column, bool descending = false)
    {
        IOrderedEnumerable<RunRow> filled = rows.OrderBy(row => Value(row, column) is null);
        return [.. (descending ? filled.ThenByDescending(row => Value(row, column)) : filled.ThenBy(row => Value(row, column)))
            .ThenBy(row => row.Id, StringComparer.Ordinal)];
    }

    /// <summary>Rows that meet a condition, as <see cref="RowCondition"/> reads it.</summary>
    /// <exception cref="ValidationException">The condition cannot be read, or compares a number with text.</exception>
    public static IReadOnlyList<RunRow> Where(IEnumerable<RunRow> rows, string condition)
    {
        RowCondition parsed = RowCondition.Parse(condition);
        return [.. rows.Where(row => parsed.Holds(Value(row, parsed.Column)))];
    }

    /// <summary>How a run stands: as its record says, but <c>killed</c> where that says running and no process holds the run.</summary>
    public static string StatusOf(RunFolder folder, RunRecord record) =>
        record.Status == RunStatus.Running && !folder.IsLocked ? "killed" : record.Status.ToString().ToLowerInvariant();

    /// <summary>Reads one run; where it cannot be read, the row says why.</summary>
    /// <param name="validationSet">Which <c>val/&lt;set&gt;</c> the losses are of; without it, the first set by name.</param>
    public static RunRow ReadRow(string root, string id, string? validationSet = null)
    {
        try
        {
            RunFolder folder = RunFolder.Open(root, id);
            RunRecord record = RunRecord.Load(folder.RecordPath);
            RunRow row = new(id, StatusOf(folder, record), record);
            if (!File.Exists(folder.MetricsPath))
            {
                return row;
            }

            foreach (MetricsRow metrics in MetricsLog.Read(folder.MetricsPath))
            {
                validationSet ??= FirstSet(metrics.Values.Keys);
                row = row with { Last = metrics.At };
                if (metrics.Values.TryGetValue($"val/{validationSet}/loss", out double loss))
                {
                    row = row with { ValLoss = loss, ValLossBest = Best(row.ValLossBest, loss) };
                }

                if (metrics.Values.TryGetValue($"val/{validationSet}/bpb", out double bpb))
                {
                    row = row with { ValBpb = bpb, ValBpbBest = Best(row.ValBpbBest, bpb) };
                }
            }

            return row;
        }
        catch (Exception e) when (e is InvalidDataException or ValidationException or IOException or UnauthorizedAccessException)
        {
            return new RunRow(id, "unreadable", Problem: e.Message);
        }
    }

    private static double Best(double? before, double value) => before is null || double.IsNaN(before.Value) || value < before ? value : before.Value;

    private static string? FirstSet(IEnumerable<string> names)
    {
        return names.Select(name => ValidationMetric().Match(name)).Where(match => match.Success)
            .Select(match => match.Groups[1].Value).Order(StringComparer.Ordinal).FirstOrDefault();
    }

    [GeneratedRegex(@"\Aval/([^/]+)/(loss|bpb)\z")]
    private static partial Regex ValidationMetric();
}
