using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using Windtunnel.Experiments;
using Windtunnel.Experiments.Tuning;
using Windtunnel.Runs;
using Windtunnel.Training;
using Windtunnel.Training.Checkpoints;

namespace Windtunnel.Cli.Verbs;

/// <summary>Tunes optimizers by coordinate descent, and compares the tuned ones.</summary>
internal static class TuneVerb
{
    private static readonly Argument<string[]> s_words = ConfigWords.Argument();
    private static readonly Option<string> s_runs = RunSession.RunsOption(), s_data = RunSession.DataOption();
    private static readonly Option<double?> s_minutes = new("--budget-minutes") { Description = "stop after so long; the same command goes on from there", HelpName = "M" };
    private static readonly Option<int> s_workers = new("--workers") { Description = "cells tuned at once; with threads: 1 in the sweep, one for each core", DefaultValueFactory = _ => 1, HelpName = "N" };
    private static readonly Option<bool> s_dryRun = new("--dry-run") { Description = "print what would be run, and run nothing" };

    public static Command Command
    {
        get
        {
            s_words.Description = "a sweep file, and settings of it such as --tolerance=5e-3";
            Verb tune = new("tune", "tune optimizers by coordinate descent over a grid, then compare them; finished runs are never repeated", """
                windtunnel tune configs/sweeps/dotnet-docs-optimizers.yaml --dry-run
                windtunnel tune configs/sweeps/dotnet-docs-optimizers.yaml --workers 2 --budget-minutes 60
                windtunnel tune configs/sweeps/study-phase-1.yaml --overrides=["data.corpus={type: files, path: my-text}"] --dry-run
                """)
            { s_words, s_workers, s_minutes, s_runs, s_data, s_dryRun };
            tune.SetAction(Run);
            return tune;
        }
    }

    private static int Run(ParseResult parsed)
    {
        ConfigWords words = ConfigWords.Parse(parsed, s_words);
        Sweep sweep = Sweep.Load(words.File ?? throw new ValidationException("tune: name a sweep file, such as configs/sweeps/dotnet-docs-optimizers.yaml"), words.Overrides);
        if (parsed.GetValue(s_dryRun))
        {
            TuneReport.WritePlan(sweep);
            return 0;
        }

        double? minutes = parsed.GetValue(s_minutes);
        if (minutes is not null and not (> 0 and < 1e6))
        {
            throw new ValidationException($"--budget-minutes {minutes}: must be positive");
        }

        int workers = parsed.GetValue(s_workers);
        if (workers is < 1 or > 1024)
        {
            throw new ValidationException($"--workers {workers}: must lie between 1 and 1024");
        }

        RunPlaces places = new(parsed.GetValue(s_runs)!, parsed.GetValue(s_data)!);
        using StopSignal stop = StopSignal.Listen();
        using Timer? timer = minutes is { } budget ? new Timer(_ => stop.Request(TimeIsUp), null, TimeSpan.FromMinutes(budget), Timeout.InfiniteTimeSpan) : null;
        RunStore store = new(places, new Notices());
        SweepRunner runner = new(sweep, config => stop.ExitCode is null ? store.Train(config, stop) : store.Find(config), new ProgressLines(sweep).Show);
        SweepResults results = runner.Run(workers);
        string csv = Path.Combine(places.Runs, $"{sweep.Name}.csv");
        Directory.CreateDirectory(places.Runs);
        AtomicFile.WriteText(csv, results.ToCsv());
        TuneReport.Write(results);
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

    /// <summary>A line for each run.</summary>
    private sealed class ProgressLines(Sweep sweep)
    {
        private readonly Stopwatch _clock = Stopwatch.StartNew();
        private readonly int _width = sweep.Cells.Max(cell => cell.ToString().Length);

        public void Show(SweepProgress at)
        {
            (Cell cell, RunOutcome outcome) = (at.Cell, at.Outcome);
            bool tunes = at.Seed == sweep.Seeds[0];
            double best = at.Losses.Values.Append(tunes ? outcome.LossNats : double.PositiveInfinity).Min();
            int left = at.Descent.Missing.Count(point => point != at.Point && !at.Losses.ContainsKey(point));
            string loss = double.IsFinite(outcome.LossNats) ? $"{outcome.LossNats:F4}" : "diverged";
            Console.WriteLine(
                $"{Quantity.Time(_clock.Elapsed.TotalSeconds),8}  {cell.ToString().PadRight(_width)}  {loss,8}  best {best:F4}  {Quantity.Time(outcome.WallSeconds),5}  "
                + (tunes ? $"run {at.Losses.Count + 1}, {left} left of this round: {cell.Grid.Describe(at.Point)}" : $"the best again, seed {at.Seed}"));
        }
    }

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
