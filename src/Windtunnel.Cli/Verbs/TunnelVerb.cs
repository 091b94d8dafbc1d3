using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using Windtunnel.Experiments;
using Windtunnel.Experiments.Ladders;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Training;

namespace Windtunnel.Cli.Verbs;

/// <summary>Trains a ladder, predicts larger runs from it, trains those, and compares.</summary>
internal static class TunnelVerb
{
    // What a thread more is worth to a small model: 0.55 to 0.85, as near as the cores are to each other.
    private const double ThreadEfficiency = 0.7;

    private static readonly Argument<string[]> s_words = ConfigWords.Argument("ladder");
    private static readonly Option<string> s_runs = RunSession.RunsOption(), s_data = RunSession.DataOption();
    private static readonly Option<string> s_experiments = ExperimentSession.ExperimentsOption();
    private static readonly Option<int> s_workers = ExperimentSession.WorkersOption();
    private static readonly Option<double?> s_minutes = ExperimentSession.BudgetOption();
    private static readonly Option<bool> s_dryRun = new("--dry-run") { Description = "prepare the data, print every run with its dimensions and cost, and run nothing" };

    public static Command Command
    {
        get
        {
            s_words.Description = "a ladder file, and settings of it such as --seeds=[1,2]";
            Verb tunnel = new("tunnel", "train a ladder of small models, predict larger ones, train those, and compare; goes on where it stopped", """
                windtunnel tunnel configs/ladders/miniature.yaml --dry-run
                windtunnel tunnel configs/ladders/miniature.yaml --workers 2
                windtunnel tunnel configs/ladders/synthetic.yaml --name=other-seeds --seeds=[2,3]
                """)
            { s_words, s_workers, s_minutes, s_runs, s_data, s_experiments, s_dryRun };
            tunnel.SetAction(Run);
            return tunnel;
        }
    }

    private static int Run(ParseResult parsed)
    {
        (ExperimentOptions options, Ladder ladder, string file) = ExperimentSession.Read<Ladder>(ConfigWords.Parse(parsed, s_words), "configs/ladders/miniature.yaml");
        int workers = parsed.GetValue(s_workers) is > 0 and int given ? given : throw new ValidationException($"--workers {parsed.GetValue(s_workers)}: must be at least 1");
        ExperimentSession.RequireBudget(parsed.GetValue(s_minutes));
        RunPlaces places = new(parsed.GetValue(s_runs)!, parsed.GetValue(s_data)!);
        if (parsed.GetValue(s_dryRun))
        {
            RunStore store = new(places, Notices.OnConsole);
            TunnelTables.WritePlan(ladder.WithData(store), store, workers);
            return 0;
        }

        return Run(ExperimentFolder.Create(parsed.GetValue(s_experiments)!, options, file), places, workers, parsed.GetValue(s_minutes));
    }

    /// <summary>Goes through the loop, says what is predicted when it is, and at the end, unless it was stopped or runs failed, what came.</summary>
    /// <param name="show">Shows the targets before that; whatever becomes of it, what came is told and written.</param>
    /// <returns>What to end with.</returns>
    internal static int Run(ExperimentFolder folder, RunPlaces places, int workers, double? budgetMinutes, Action<Tunnel, RunStore>? show = null)
    {
        ExperimentSession session = new(folder.Load(), folder, places);
        Tunnel tunnel = new(folder, session.Store);
        long started = Stopwatch.GetTimestamp();
        int exitCode = 0;
        if (tunnel.Run(Train, (prediction, sha256) => TunnelTables.Write(prediction, tunnel.PredictionPath, sha256)) is { } check)
        {
            try
            {
                show?.Invoke(tunnel, session.Store);
            }
            finally
            {
                Tell(tunnel, check, folder, session.Store);
            }
        }

        return exitCode;

        bool Train(IReadOnlyList<LadderRun> runs)
        {
            // Where one target takes most of the time, the other workers would be idle: then each target has all cores in turn.
            bool alone = ReferenceEquals(runs, tunnel.Ladder.Targets) && runs.Count > 0
                && runs.Max(run => run.Flops) > runs.Sum(run => run.Flops) / (ThreadEfficiency * workers);
            double? left = budgetMinutes is { } minutes ? Math.Max(1e-6, minutes - Stopwatch.GetElapsedTime(started).TotalMinutes) : null;
            exitCode = alone ? session.Run(1, left, threads: 0) : session.Run(workers, left);
            return session.Status is { HasEnded: true, Failed.Count: 0 };
        }
    }

    /// <summary>Prints predicted against actual, and writes the files that keep it.</summary>
    private static void Tell(Tunnel tunnel, TunnelCheck check, ExperimentFolder folder, RunStore store)
    {
        TunnelTables.Write(check);
        Console.WriteLine($"written: {tunnel.CheckPath}");
        ExperimentResults.WriteCsv(tunnel, folder);
        ExperimentResults.WriteReport(folder, store);
    }
}
