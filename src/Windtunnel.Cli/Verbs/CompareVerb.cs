using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Windtunnel.Experiments;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Training;

namespace Windtunnel.Cli.Verbs;

/// <summary>Says whether variants of a run differ from a baseline by more than seeds do.</summary>
internal static class CompareVerb
{
    private const string Example = "configs/comparisons/wsd-against-cosine.yaml";

    private static readonly Argument<string[]> s_words = ConfigWords.Argument("comparison");
    private static readonly Option<string[]> s_against = new("--against") { Description = "compare finished runs with these", HelpName = "RUN", AllowMultipleArgumentsPerToken = true };
    private static readonly Option<string> s_runs = RunSession.RunsOption(), s_data = RunSession.DataOption(), s_experiments = ExperimentSession.ExperimentsOption();
    private static readonly Option<int> s_workers = ExperimentSession.WorkersOption();
    private static readonly Option<double?> s_minutes = ExperimentSession.BudgetOption();
    private static readonly Option<bool> s_dryRun = new("--dry-run") { Description = "print what would be run, and run nothing" };

    public static Command Command
    {
        get
        {
            s_words.Description = "a comparison's file and settings of it, such as --seeds=[1,2,3,4,5]; or finished runs, with --against";
            Verb compare = new("compare", "train variants of a run with several seeds, and say which are better than the baseline; finished runs are never repeated", $"""
                windtunnel compare {Example} --dry-run
                windtunnel compare {Example} --workers 2
                windtunnel compare wide-1 wide-2 wide-3 --against deep-1 deep-2 deep-3
                """)
            { s_words, s_against, s_workers, s_minutes, s_runs, s_data, s_experiments, s_dryRun };
            compare.SetAction(Run);
            return compare;
        }
    }

    private static int Run(ParseResult parsed)
    {
        RunPlaces places = new(parsed.GetValue(s_runs)!, parsed.GetValue(s_data)!);
        if (parsed.GetValue(s_against) is { Length: > 0 } against)
        {
            ComparisonTables.Write(ComparisonResults.Of(Finished(places, ("against", against), ("runs", parsed.GetValue(s_words)!))));
            return 0;
        }

        (ExperimentOptions options, Comparison comparison, string file) = ExperimentSession.Read<Comparison>(ConfigWords.Parse(parsed, s_words), Example);
        if (parsed.GetValue(s_dryRun))
        {
            ComparisonTables.WritePlan(comparison);
            return 0;
        }

        ExperimentFolder folder = ExperimentFolder.Create(parsed.GetValue(s_experiments)!, options, file);
        ExperimentSession session = new(comparison, folder, places);
        int exitCode = session.Run(parsed.GetValue(s_workers), parsed.GetValue(s_minutes));
        ExperimentResults.Write(comparison, folder, session.Store);
        ExperimentResults.WriteReport(folder, session.Store);
        return exitCode;
    }

    /// <summary>Finished runs as samples, of which each is one more throw of the dice, for the same length, judged by the same text.</summary>
    private static Sample[] Finished(RunPlaces places, params (string Name, string[] Ids)[] groups)
    {
        RunStore store = new(places, Notices.OnConsole);
        Dictionary<string, string> known = [];
        (string Id, RunConfig Config)? first = null;
        return [.. groups.Select(group => new Sample(group.Name, [.. group.Ids.Select(id => Replicate(id, group.Ids[0]))]))];

        Replicate Replicate(string id, string leader)
        {
            RunConfig config = Config(id);
            string key = $"{config.Fingerprint()} {InitOf(id)}";
            if (!known.TryAdd(key, id))
            {
                string other = known[key];
                throw new ValidationException(other == id ? $"{id}: is named twice, and counts once; leave it out" : $"{id}: has all settings of {other}, the seed included, and says nothing more; leave it out");
            }

            first ??= (id, config);
            ComparisonResults.RequireSameData(id, config.Data, first.Value.Id, first.Value.Config.Data);
            return Difference(id, leader) is { } setting
                ? throw new ValidationException($"{id}: {setting} is not that of {leader}; runs on one side differ in nothing but the seed")
                : new Replicate(config, store.OutcomeOf(id) ?? throw new ValidationException($"{id}: has not ended yet, or failed"));
        }

        // Of two runs that should be throws of the same dice: the first setting that is another.
        string? Difference(string id, string leader)
        {
            RunConfig[] both = [.. new[] { id, leader }.Select(run => Config(run) with { Seed = 0, Name = "", Threads = 0, Logging = new LoggingOptions(), Checkpoints = new CheckpointOptions() })];
            if (both[0].Fingerprint() == both[1].Fingerprint())
            {
                return InitOf(id) == InitOf(leader) ? null : "what it starts from";
            }

            IReadOnlyDictionary<string, string>[] settings = [.. both.Select(config => ConfigFile.Flat(JsonSerializer.SerializeToNode(config, ConfigFile.JsonOptions)!.AsObject()))];
            return settings[0].Keys.Union(settings[1].Keys).First(key => settings[0].GetValueOrDefault(key) != settings[1].GetValueOrDefault(key));
        }

        RunConfig Config(string id) => ConfigFile.Load<RunConfig>(RunFolder.Open(places.Runs, id).ConfigPath);

        string? InitOf(string id) => RunRecord.Load(RunFolder.Open(places.Runs, id).RecordPath).Init?.Sha256;
    }
}
