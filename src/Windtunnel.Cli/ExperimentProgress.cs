using System.Diagnostics;
using Windtunnel.Experiments;
using Windtunnel.Runs;

namespace Windtunnel.Cli;

/// <summary>
/// A line for each run that ends while it watches: what came of it, how the others stand, and how long they may take. On a terminal one
/// more below them, rewritten in place: what is in training now.
/// </summary>
/// <param name="store">Finds runs.</param>
/// <param name="queue">Knows who trains what.</param>
/// <param name="start">Where the experiment stood.</param>
internal sealed class ExperimentProgress(RunStore store, RunQueue queue, ExperimentStatus start)
{
    private const string ClearLine = "\r\e[K";

    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly HashSet<string> _shown = [.. start.Ended.Select(run => run.Outcome.Id), .. start.Failed.Select(store.IdOf)];
    private readonly bool _named = IsNamed(start), _live = !Console.IsOutputRedirected;
    private double _flops;

    /// <summary>Shows what is new.</summary>
    /// <returns>Whether a run has ended.</returns>
    public bool Show(ExperimentStatus now)
    {
        (PlannedRun Run, RunOutcome Outcome)[] ended = [.. now.Ended.Where(run => _shown.Add(run.Outcome.Id))];
        PlannedRun[] failed = [.. now.Failed.Where(run => _shown.Add(store.IdOf(run)))];
        Running[] running = [.. now.Open.Where(run => queue.HolderOf(store.IdOf(run)) is not null).Select(Look)];
        _flops += ended.Sum(run => store.FlopsOf(run.Run));
        string left = Left(now, running);
        if (_live)
        {
            Console.Write(ClearLine);
        }

        if (ended.Length + failed.Length > 0)
        {
            string counts = $"{now.Ended.Count} done, {running.Length} running, {now.Open.Count - running.Length} waiting, {now.Failed.Count} failed{left}";
            foreach ((PlannedRun run, RunOutcome outcome) in ended)
            {
                string loss = double.IsFinite(outcome.LossNats) ? $"{outcome.LossNats:F4}" : "diverged";
                Line(run, $"{loss,8}  {Quantity.Time(outcome.WallSeconds),5}  {counts}");
            }

            foreach (PlannedRun run in failed)
            {
                Line(run, $"{"failed",8}         {counts}");
            }
        }

        if (_live && running.Length > 0)
        {
            string text = $"{Quantity.Time(_clock.Elapsed.TotalSeconds),8}  training {string.Join(", ", running.Select(run => $"{NameOf(run.Run)} {run.Share:P0}"))}{left}";
            Console.Write(text[..Math.Min(text.Length, Math.Max(20, Console.WindowWidth - 1))]);
        }

        return ended.Length + failed.Length > 0;

        void Line(PlannedRun run, string what) => Console.WriteLine($"{Quantity.Time(_clock.Elapsed.TotalSeconds),8}  {NameOf(run),-26}  {what}");
    }

    private string NameOf(PlannedRun run) => _named ? run.Config.Name : store.IdOf(run);

    private string Left(ExperimentStatus now, Running[] running)
    {
        double partly = running.Sum(run => run.Share * store.FlopsOf(run.Run));
        double seconds = (now.Open.Sum(store.FlopsOf) - partly) / (_flops + partly) * _clock.Elapsed.TotalSeconds;
        return now.Open.Count > 0 && double.IsFinite(seconds) ? $", about {Quantity.Time(seconds)} left" : "";
    }

    private Running Look(PlannedRun run)
    {
        long step = MetricsLog.Last(Path.Combine(store.Places.Runs, store.IdOf(run), "metrics.jsonl"))?.At.Step ?? 0;
        return new Running(run, Math.Clamp((double)(step - run.TrunkStep) / (run.Config.TotalSteps - run.TrunkStep), 0, 1));
    }

    // The runs of a ladder are named after what they are; those of a sweep all have its name.
    private static bool IsNamed(ExperimentStatus status)
    {
        string[] names = [.. status.Ended.Select(run => run.Run).Concat(status.Open).Concat(status.Failed).Select(run => run.Config.Name)];
        return names.Distinct().Count() == names.Length;
    }

    private readonly record struct Running(PlannedRun Run, double Share);
}
