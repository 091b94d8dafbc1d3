using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws.Figures;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;

namespace Windtunnel.Experiments.Reports;

/// <summary>The sections that every report with runs has: their table, lineage and curves, how they were configured, where they are from.</summary>
internal static class RunSections
{
    private const int MostConfigs = 40, MostCompared = 6, MostProvenance = 8, MostCharacters = 100_000;

    /// <summary>A row a run, and why those that failed did.</summary>
    public static IEnumerable<ReportBlock> Table(IReadOnlyList<RunHistory> runs)
    {
        yield return new ReportTable(
            "Runs",
            ["<run", "<status", "parameters, non-embedding", "steps", "tokens", "operations", "time", "validation loss (nats/token)", "bits/byte"],
            [
                .. runs.Select(run => new ReportRow(
                [
                    run.Id, run.Row.Status, run.Record?.Model is { } model ? Quantity.Count(model.NonEmbedding) : null, $"{run.Row.Last?.Step:N0}",
                    run.Row.Last is { } last ? Quantity.Count(last.Tokens) : null, run.Row.Last is { } at ? Quantity.Flops(at.Flops) : null,
                    run.Row.Last is { } end ? Quantity.Time(end.WallSeconds) : null, Loss(run.Row.ValLoss), Loss(run.Row.ValBpb),
                ])),
            ]);
        string[] problems = [.. runs.Where(run => run.Row.Problem is not null).Select(run => $"{run.Id}: {run.Row.Problem}")];
        if (problems.Length > 0)
        {
            yield return new ReportNotes(problems);
        }
    }

    /// <summary>Trunks and their branches; nothing where no run sprang from another.</summary>
    public static IEnumerable<ReportBlock> Lineage(IReadOnlyList<RunHistory> runs)
    {
        HashSet<string> known = [.. runs.Select(run => run.Id)];
        ILookup<string, RunHistory> children = runs.Where(run => run.Record?.Parent is not null).ToLookup(run => run.Record!.Parent!.Run);
        RunHistory[] roots = [.. runs.Where(run => run.Record?.Parent is not { } parent || !known.Contains(parent.Run))];
        if (children.Count == 0)
        {
            return [];
        }

        // Where each run has a name of its own, as in a ladder, that says more than its id.
        bool named = runs.Select(run => run.Record?.Name).Distinct().Count() == runs.Count;

        // A file may call a run its own ancestor: every run is drawn once.
        HashSet<string> drawn = [];
        return [new ReportTree("Each branch takes weights, optimizer state and place in the data from its trunk.", [.. roots.Select(Branch)])];

        ReportBranch Branch(RunHistory run)
        {
            drawn.Add(run.Id);
            string origin = run.Record?.Parent is { } parent
                ? $"{parent.Kind.ToString().ToLowerInvariant()}{(known.Contains(parent.Run) ? "" : $" of {parent.Run}")} at step {parent.Step:N0}; "
                : "";
            string loss = run.Row.ValLoss is { } value ? $", {value:F4} nats/token" : "";
            bool byName = named && run.Record is { } record && record.Name != run.Id;
            return new ReportBranch(
                byName ? run.Record!.Name : run.Id, $"{(byName ? $"{run.Id}; " : "")}{origin}{(run.Row.Last is { } last ? $"{Quantity.Count(last.Tokens)} tokens, " : "")}{run.Row.Status}{loss}",
                [.. children[run.Id].Where(child => !drawn.Contains(child.Id)).OrderBy(child => child.Record!.Parent!.Step).ThenBy(child => child.Id, StringComparer.Ordinal).Select(Branch)]);
        }
    }

    /// <summary>The loss curves; a branch starts on its trunk.</summary>
    /// <param name="group">What runs of one colour have in common; empty for a colour each.</param>
    /// <param name="isOrdered">Whether these have an order, as sizes have.</param>
    public static IEnumerable<ReportBlock> Curves(IReadOnlyList<RunHistory> runs, string name, string title, Func<RunHistory, string> group, bool isOrdered = true)
    {
        RunHistory[] drawn = [.. runs.Where(run => run.Training.Count + run.Validation.Count > 0)];
        if (drawn.Length == 0)
        {
            return [];
        }

        Dictionary<string, RunHistory> byId = drawn.ToDictionary(run => run.Id);
        double[] lengths = [.. drawn.Select(run => (double)run.Row.Last!.Value.Tokens)];
        return
        [
            new ReportFigure(
                name,
                LossFigure.Draw(
                    title, new Axis("tokens", Log: lengths.Max() >= 8 * lengths.Min() && lengths.Min() > 0, Style: NumberStyle.Count), new Axis("loss", "nats/token"),
                    [.. drawn.Select(run => run.ForFigure(run.Record?.Parent is { } parent ? byId.GetValueOrDefault(parent.Run) : null, group(run)))], isOrdered),
                drawn.Any(run => run.Validation.Count > 0) ? "Validation loss as the runs trained; the learning rate below." : "Training loss, smoothed; the learning rate below."),
        ];
    }

    /// <summary>The settings in which a few runs differ; nothing where they are too many for a table, or where none differs.</summary>
    public static IEnumerable<ReportBlock> Differences(IReadOnlyList<RunHistory> runs)
    {
        if (runs.Count is < 2 or > MostCompared || runs.Any(run => run.Config.Length == 0))
        {
            return [];
        }

        IReadOnlyDictionary<string, string>[] settings;
        try
        {
            settings = [.. runs.Select(run => ConfigFile.Flat(ConfigFile.Read(run.ConfigPath)))];
        }
        catch (ValidationException error)
        {
            return [new ReportNotes([error.Message])];
        }

        string[] keys = [.. settings.SelectMany(each => each.Keys).Distinct().Where(key => settings.Select(each => each.GetValueOrDefault(key)).Distinct().Count() > 1)];
        return keys.Length == 0 ? [] :
        [
            new ReportTable(
                "Settings that differ", ["<setting", .. runs.Select(run => run.Id)],
                [.. keys.Select(key => new ReportRow([key, .. settings.Select(each => each.GetValueOrDefault(key))]))]),
        ];
    }

    /// <summary>The configs, folded; equal ones once.</summary>
    public static IEnumerable<ReportBlock> Configs(IReadOnlyList<RunHistory> runs)
    {
        IGrouping<string, RunHistory>[] configs = [.. runs.Where(run => run.Config.Length > 0).GroupBy(run => run.Config)];
        foreach (IGrouping<string, RunHistory> config in configs.Take(MostConfigs))
        {
            yield return new ReportListing(string.Join(", ", config.Select(run => run.Id)), config.Key);
        }

        if (configs.Length > MostConfigs)
        {
            yield return new ReportText($"{configs.Length - MostConfigs:N0} more are in the folders of their runs.");
        }
    }

    /// <summary>Which program made the runs, where, when, of which data and seeds; and how to make them again.</summary>
    public static ReportSection Provenance(IReadOnlyList<RunHistory> runs, IReadOnlyList<string> commands)
    {
        RunRecord[] records = [.. runs.Select(run => run.Record).OfType<RunRecord>()];
        DateTimeOffset? first = records.Length > 0 ? records.Min(record => record.Created) : null, last = records.Max(record => record.Ended);
        return new ReportSection("Where this comes from",
        [
            new ReportFacts(
            [
                ("version", Distinct(records.Select(record => record.ToolVersion))),
                ("commit", Distinct(records.Select(record => record.GitSha))),
                ("host", Distinct(records.Select(record => record.Host))),
                ("first run started", first is { } start ? $"{start:yyyy-MM-dd HH:mm:ss} UTC" : null),
                ("last run ended", last is { } end ? $"{end:yyyy-MM-dd HH:mm:ss} UTC" : null),
                ("data key", Distinct(records.Select(record => record.Data?.Key))),
                ("seeds", Distinct(records.Select(record => $"{record.Seed}"))),
                ("total compute", Quantity.Flops(runs.Sum(run => run.OwnFlops))),
                ("total time of runs", Quantity.Time(runs.Sum(run => run.OwnSeconds))),
            ]),
            .. commands.Count > 0 ? [new ReportText("To make it again:"), new ReportCommand(string.Join('\n', commands))] : Array.Empty<ReportBlock>(),
        ]);

        static string Distinct(IEnumerable<string?> values)
        {
            string[] different = [.. values.OfType<string>().Distinct()];
            return string.Join(", ", different.Take(MostProvenance)) + (different.Length > MostProvenance ? $" and {different.Length - MostProvenance:N0} more" : "");
        }
    }

    /// <summary>What to type to make an experiment's runs and its report again.</summary>
    /// <param name="verb">What trains it.</param>
    public static IReadOnlyList<string> Again(ExperimentFolder folder, string verb) =>
        [$"windtunnel {verb} {Path.GetRelativePath(Environment.CurrentDirectory, folder.ExperimentPath)}", $"windtunnel report {folder.Name}"];

    /// <summary>The experiment's file with every setting spelled out, folded.</summary>
    public static ReportBlock Experiment(ExperimentFolder folder) => new ReportListing("experiment.yaml", ReadText(folder.ExperimentPath));

    /// <summary>Runs that failed, with what was recorded of it; nothing where none did.</summary>
    public static IEnumerable<ReportBlock> Failures(ExperimentFolder folder)
    {
        string[] lines =
        [
            .. folder.Queue.Failed.Order(StringComparer.Ordinal).Select(id => folder.Queue.FailureOf(id) is { } failure
                ? $"{id} failed at {failure.Time:yyyy-MM-dd HH:mm} UTC on {failure.Host}, attempt {failure.Attempts}: {failure.Error}"
                : $"{id} failed"),
        ];
        return lines.Length > 0 ? [new ReportNotes(lines)] : [];
    }

    /// <summary>The sections that say anything.</summary>
    public static IReadOnlyList<ReportSection> WithBlocks(params IEnumerable<ReportSection> sections) => [.. sections.Where(section => section.Blocks.Count > 0)];

    /// <summary>A loss with four decimals; null where there is none.</summary>
    public static string? Loss(double? loss) => loss is { } value && !double.IsNaN(value) ? double.IsFinite(value) ? $"{value:F4}" : "diverged" : null;

    /// <summary>A text file, or as much of it as anybody reads.</summary>
    public static string ReadText(string path)
    {
        char[] text = new char[MostCharacters];
        using StreamReader file = new(path);
        return new string(text, 0, file.ReadBlock(text));
    }
}
