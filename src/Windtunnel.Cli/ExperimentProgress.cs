using System.Diagnostics;
using Windtunnel.Experiments;

namespace Windtunnel.Cli;

/// <summary>A line for each run that ends while it watches: what came of it, how the others stand, and how long they may take.</summary>
/// <param name="store">Finds runs.</param>
/// <param name="queue">Knows who trains what.</param>
/// <param name="start">Where the experiment stood.</param>
internal sealed class ExperimentProgress(RunStore store, RunQueue queue, ExperimentStatus start)
{
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly HashSet<string> _shown = [.. start.Ended.Select(run => run.Outcome.Id), .. start.Failed.Select(store.IdOf)];
    private readonly bool _named = IsNamed(start);
    private double _flops;

    /// <summary>Shows what is new.</summary>
    /// <returns>Whether anything is.</returns>
    public bool Show(ExperimentStatus now)
    {
        (PlannedRun Run, RunOutcome Outcome)[] ended = [.. now.Ended.Where(run => _shown.Add(run.Outcome.Id))];
        PlannedRun[] failed = [.. now.Failed.Where(run => _shown.Add(store.IdOf(run)))];
        if (ended.Length + failed.Length == 0)
        {
            return false;
        }

        _flops += ended.Sum(run => store.FlopsOf(run.Run));
        int running = now.Open.Count(run => queue.HolderOf(store.IdOf(run)) is not null);
        double left = now.Open.Sum(store.FlopsOf) / _flops * _clock.Elapsed.TotalSeconds;
        string counts = $"{now.Ended.Count} done, {running} running, {now.Open.Count - running} waiting, {now.Failed.Count} failed"
            + (now.Open.Count > 0 && double.IsFinite(left) ? $", about {Quantity.Time(left)} left" : "");
        foreach ((PlannedRun run, RunOutcome outcome) in ended)
        {
            string loss = double.IsFinite(outcome.LossNats) ? $"{outcome.LossNats:F4}" : "diverged";
            Line(run, $"{loss,8}  {Quantity.Time(outcome.WallSeconds),5}");
        }

        foreach (PlannedRun run in failed)
        {
            Line(run, $"{"failed",8}       ");
        }

        return true;

        void Line(PlannedRun run, string what) =>
            Console.WriteLine($"{Quantity.Time(_clock.Elapsed.TotalSeconds),8}  {(_named ? run.Config.Name : store.IdOf(run)),-26}  {what}  {counts}");
    }

    // The runs of a ladder are named after what they are; those of a sweep all have its name.
    private static bool IsNamed(ExperimentStatus status)
    {
        string[] names = [.. status.Ended.Select(run => run.Run).Concat(status.Open).Concat(status.Failed).Select(run => run.Config.Name)];
        return names.Distinct().Count() == names.Length;
    }
}
