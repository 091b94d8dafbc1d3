using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Windtunnel.Experiments;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Training;
using Windtunnel.Training.Checkpoints;

namespace Windtunnel.Cli.Verbs;

/// <summary>Tunes optimizers by coordinate descent, and compares the tuned ones.</summary>
internal static class TuneVerb
{
    private static readonly Argument<string[]> s_words = ConfigWords.Argument();
    private static readonly Option<string> s_runs = RunSession.RunsOption(), s_data = RunSession.DataOption();
    private static readonly Option<double?> s_minutes = new("--budget-minutes") { Description = "stop after so long; the same command goes on from there", HelpName = "M" };
    private static readonly Option<bool> s_dryRun = new("--dry-run") { Description = "print what would be run, and run nothing" };

    public static Command Command
    {
        get
        {
            s_words.Description = "a sweep file, and settings of it such as --tolerance=5e-3";
            Verb tune = new("tune", "tune optimizers by coordinate descent over a grid, then compare them; finished runs are never repeated", """
                windtunnel tune configs/sweeps/dotnet-docs-optimizers.yaml --dry-run
                windtunnel tune configs/sweeps/dotnet-docs-optimizers.yaml --budget-minutes 60
                windtunnel tune configs/sweeps/study-phase-1.yaml --overrides=["data.corpus={type: files, path: my-text}"] --dry-run
                """)
            { s_words, s_minutes, s_runs, s_data, s_dryRun };
            tune.SetAction(Run);
            return tune;
        }
    }

    private static int Run(ParseResult parsed)
    {
        ConfigWords words = ConfigWords.Parse(parsed, s_words);
        string file = words.File ?? throw new ValidationException("tune: name a sweep file, such as configs/sweeps/dotnet-docs-optimizers.yaml");
        Sweep sweep = (Sweep)ConfigFile.Load<ExperimentOptions>(file, words.Overrides).Build(file);
        if (parsed.GetValue(s_dryRun))
        {
            SweepReport.WritePlan(sweep);
            return 0;
        }

        double? minutes = parsed.GetValue(s_minutes);
        if (minutes is not null and not (> 0 and < 1e6))
        {
            throw new ValidationException($"--budget-minutes {minutes}: must be positive");
        }

        RunPlaces places = new(parsed.GetValue(s_runs)!, parsed.GetValue(s_data)!);
        using StopSignal stop = StopSignal.Listen();
        using Timer? timer = minutes is { } budget ? new Timer(_ => stop.Request(TimeIsUp), null, TimeSpan.FromMinutes(budget), Timeout.InfiniteTimeSpan) : null;
        RunStore store = new(places, new Notices());
        while (stop.ExitCode is null && sweep.Plan(run => store.Find(run.Config)).FirstOrDefault(run => store.Find(run.Config) is null) is { } next)
        {
            store.Train(next.Config, stop);
        }

        SweepResults results = SweepResults.Of(sweep, run => store.Find(run.Config));
        string csv = Path.Combine(places.Runs, $"{sweep.Name}.csv");
        Directory.CreateDirectory(places.Runs);
        AtomicFile.WriteText(csv, results.ToCsv());
        SweepReport.Write(results);
        Console.WriteLine($"written: {csv}");
        if (stop.ExitCode is { } code)
        {
            Console.WriteLine("stopped; the same command goes on from here");
            return code == TimeIsUp ? 0 : code;
        }

        return 0;
    }

    // A budget that is spent is no failure; the value only has to differ from those of signals.
    private const int TimeIsUp = 1;

    /// <summary>Hundreds of runs: only what a person should know of one.</summary>
    private sealed class Notices : ITrainingListener
    {
        public void Stepped(in StepReport step)
        {
        }

        public void Validated(Progress at, IReadOnlyList<ValidationScore> scores)
        {
        }

        public void Saved(Checkpoint checkpoint)
        {
        }

        public void Noticed(string message) => Console.WriteLine($"  {message.ReplaceLineEndings(" ")}");
    }
}
