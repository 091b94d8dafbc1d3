using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Training.Checkpoints;

namespace Windtunnel.Cli.Verbs;

/// <summary>Lists runs, shows one, compares several.</summary>
internal static class RunsVerb
{
    private static readonly Option<string> s_runs = new("--runs") { Description = "the folder of runs", DefaultValueFactory = _ => "runs", HelpName = "DIR", Recursive = true };
    private static readonly Option<string> s_sort = new("--sort") { Description = $"a column: {string.Join(", ", RunTable.Columns)}", DefaultValueFactory = _ => "created", HelpName = "COLUMN" };
    private static readonly Option<string[]> s_where = new("--where") { Description = "only runs that meet a condition, such as status=completed, \"val_loss<3.2\" or name~llama", HelpName = "CONDITION" };
    private static readonly Argument<string> s_id = new("id") { Description = "the run" };
    private static readonly Argument<string[]> s_ids = new("ids") { Description = "the runs, two or more", Arity = new ArgumentArity(2, 1000) };

    public static Command Command
    {
        get
        {
            Command list = new("list", "a line for each run, branches under the run that they left") { s_sort, s_where };
            list.SetAction(List);
            Command show = new("show", "all about one run: how it ended, its curve, its checkpoints, its config") { s_id };
            show.SetAction(Show);
            Command compare = new("compare", "final losses side by side, and the settings that differ") { s_ids };
            compare.SetAction(Compare);
            return new Command("runs", "list runs, show one, compare several") { list, show, compare, s_runs };
        }
    }

    private static int List(ParseResult parsed)
    {
        string root = parsed.GetValue(s_runs)!;
        IReadOnlyList<RunRow> rows = RunTable.Read(root);
        foreach (string condition in parsed.GetValue(s_where) ?? [])
        {
            rows = RunTable.Where(rows, condition);
        }

        if (rows.Count == 0)
        {
            Console.WriteLine($"no runs in {Path.GetFullPath(root)}");
            return 0;
        }

        TextTable table = new("<id", "<status", "steps", "tokens", "time", "val loss", "bits/byte", "<parent");
        foreach ((RunRow row, int depth) in Tree(RunTable.Sort(rows, parsed.GetValue(s_sort)!)))
        {
            table.Add(
                depth > 0 ? $"{new string(' ', 2 * (depth - 1))}└ {row.Id}" : row.Id, row.Status, $"{row.Last?.Step:N0}", row.Last is { } last ? Quantity.Count(last.Tokens) : null,
                row.Last is { } at ? Quantity.Time(at.WallSeconds) : null, $"{row.ValLoss:F4}", $"{row.ValBpb:F4}",
                row.Record?.Parent is { } parent ? depth > 0 ? $"@{parent.Step}" : $"{parent.Run}@{parent.Step}" : null);
        }

        table.Write();
        foreach (RunRow row in rows.Where(row => row.Problem is not null))
        {
            Console.WriteLine(PlainText.Line($"{row.Id}: {row.Problem}"));
        }

        return 0;
    }

    /// <summary>Each run under its parent, in the order given, and how deep; under none where its parent is not among them.</summary>
    private static IEnumerable<(RunRow Row, int Depth)> Tree(IReadOnlyList<RunRow> rows)
    {
        HashSet<string> ids = [.. rows.Select(row => row.Id)], shown = [];
        ILookup<string?, RunRow> children = rows.ToLookup(row => row.Record?.Parent?.Run is { } parent && ids.Contains(parent) ? parent : null);

        // Files may say that runs descend from each other: what no root leads to comes last.
        Stack<(RunRow Row, int Depth)> next = new(children[null].Concat(rows).Reverse().Select(row => (row, 0)));
        while (next.TryPop(out (RunRow Row, int Depth) at))
        {
            if (shown.Add(at.Row.Id))
            {
                yield return at;
                foreach (RunRow child in children[at.Row.Id].Reverse())
                {
                    next.Push((child, at.Depth + 1));
                }
            }
        }
    }

    private static int Show(ParseResult parsed)
    {
        RunFolder folder = RunFolder.Open(parsed.GetValue(s_runs)!, parsed.GetValue(s_id)!);
        RunRecord record = RunRecord.Load(folder.RecordPath);
        Console.WriteLine($"run          {PlainText.Line(record.Id)} ({RunTable.StatusOf(folder, record)}{(record.ExitCode is { } code ? $", exit code {code}" : "")})");
        Console.WriteLine($"folder       {folder.Path}");
        Console.WriteLine($"started      {record.Created:yyyy-MM-dd HH:mm:ss} UTC on {PlainText.Line(record.Host ?? "?")}{(record.Ended is { } ended ? $", ended {ended:yyyy-MM-dd HH:mm:ss}" : "")}");
        Console.WriteLine(PlainText.Line($"version      {record.ToolVersion}{(record.GitSha is { } sha ? $", commit {sha[..Math.Min(10, sha.Length)]}" : "")}"));
        if (record.Parent is { } parent)
        {
            Console.WriteLine($"parent       {PlainText.Line(parent.Run)} at step {parent.Step:N0} ({parent.Kind.ToString().ToLowerInvariant()})");
        }

        Console.WriteLine($"checkpoints  {string.Join(", ", CheckpointStore.Reader(folder.CheckpointsPath).Steps)}");
        Console.WriteLine();
        if (File.Exists(folder.MetricsPath))
        {
            Console.WriteLine(LossChart.Draw(MetricsLog.Read(folder.MetricsPath), LossChart.TerminalWidth));
        }

        ShowMetrics(folder);
        Console.Write(ConfigFile.ToYaml(ConfigFile.Read(folder.ConfigPath)));
        return 0;
    }

    /// <summary>Every validation, with the training loss of the logged step before it.</summary>
    private static void ShowMetrics(RunFolder folder)
    {
        TextTable table = new("step", "tokens", "time", "train loss", "lr", "<validation", "loss", "bits/byte");
        double trainLoss = double.NaN, rate = double.NaN;
        foreach (MetricsRow row in File.Exists(folder.MetricsPath) ? MetricsLog.Read(folder.MetricsPath) : [])
        {
            trainLoss = row.Values.GetValueOrDefault("train/loss_ema", trainLoss);
            rate = row.Values.GetValueOrDefault("train/lr", rate);
            foreach ((string name, double loss) in row.Values.Where(value => value.Key.StartsWith("val/", StringComparison.Ordinal) && value.Key.EndsWith("/loss", StringComparison.Ordinal)))
            {
                string set = name[..^"/loss".Length];
                table.Add(
                    $"{row.At.Step:N0}", Quantity.Count(row.At.Tokens), Quantity.Time(row.At.WallSeconds), $"{trainLoss:F4}", $"{rate:0.00e+00}",
                    set["val/".Length..], $"{loss:F4}", row.Values.TryGetValue($"{set}/bpb", out double bitsPerByte) ? $"{bitsPerByte:F4}" : null);
            }
        }

        table.Write();
        Console.WriteLine();
    }

    private static int Compare(ParseResult parsed)
    {
        string root = parsed.GetValue(s_runs)!;
        string[] ids = parsed.GetValue(s_ids)!;
        RunFolder[] folders = [.. ids.Select(id => RunFolder.Open(root, id))];
        Dictionary<string, RunRow> rows = RunTable.Read(root).ToDictionary(row => row.Id);
        IReadOnlyDictionary<string, string>[] settings = [.. folders.Select(folder => ConfigFile.Flat(ConfigFile.Read(folder.ConfigPath)))];

        TextTable table = new(["<", .. ids]);
        Line("status", row => row.Status);
        Line("steps", row => $"{row.Last?.Step:N0}");
        Line("tokens", row => $"{row.Last?.Tokens:N0}");
        Line("operations", row => row.Last is { } last ? Quantity.Flops(last.Flops) : null);
        Line("time", row => row.Last is { } last ? Quantity.Time(last.WallSeconds) : null);
        Line("train loss, smoothed", row => row.Record?.Summary?.TryGetValue("train/loss_ema", out double loss) == true ? $"{loss:F4}" : null);
        Line("validation loss", row => $"{row.ValLoss:F4}");
        Line("best", row => $"{row.ValLossBest:F4}");
        Line("bits per byte", row => $"{row.ValBpb:F4}");
        Line("best", row => $"{row.ValBpbBest:F4}");
        foreach (string key in settings.SelectMany(each => each.Keys).Distinct().Where(key => settings.Select(each => each.GetValueOrDefault(key)).Distinct().Count() > 1))
        {
            table.Add([key, .. settings.Select(each => each.GetValueOrDefault(key))]);
        }

        table.Write();
        return 0;

        void Line(string name, Func<RunRow, string?> value) => table.Add(
            [name, .. ids.Select(id => value(rows.GetValueOrDefault(id) ?? throw new ValidationException($"{id}: has no run.json")))]);
    }
}
