using Windtunnel.Runs;

namespace Windtunnel.Experiments;

/// <summary>
/// How long a step of a run takes when nothing else wants the machine: the time of windows of steps, of which a low quantile. Windows
/// share out what an optimizer does every few steps only; other processes only ever add time, so that the fastest windows say most. Over ten
/// runs of one model on a machine that was sometimes shared it varies by 1.2 % (standard deviation). A run that was disturbed from
/// its first step to its last looks slow all the same.
/// </summary>
internal static class StepTime
{
    private const int WindowSteps = 50;
    private const double Quantile = 0.05;

    /// <summary>Seconds a step; not a number with fewer than two rows.</summary>
    /// <param name="rows">The metrics of a run.</param>
    public static double Of(IReadOnlyList<MetricsRow> rows) => Of([.. rows.Select(row => (row.At.Step, row.At.WallSeconds))]);

    /// <summary>Processor seconds a step, of all threads; not a number with fewer than two rows that have them.</summary>
    /// <param name="rows">The metrics of a run.</param>
    public static double OfProcessor(IReadOnlyList<MetricsRow> rows)
    {
        List<(long Step, double Seconds)> clock = [];
        foreach (MetricsRow row in rows)
        {
            if (row.Values.TryGetValue("time/cpu_s", out double seconds))
            {
                (long step, double sum) = clock.Count > 0 ? clock[^1] : (row.At.Step, 0);
                clock.Add((row.At.Step, sum + (seconds * (row.At.Step - step))));
            }
        }

        return Of(clock);
    }

    private static double Of(List<(long Step, double Seconds)> clock)
    {
        List<double> seconds = [];
        long window = clock.Count > 0 ? Math.Min(WindowSteps, clock[^1].Step - clock[0].Step) : 0;
        for (int from = 0, to = 0; to < clock.Count; to++)
        {
            while (from < to && clock[to].Step - clock[from + 1].Step >= window)
            {
                from++;
            }

            long steps = clock[to].Step - clock[from].Step;
            double elapsed = clock[to].Seconds - clock[from].Seconds;
            if (steps > 0 && steps >= window && elapsed > 0)
            {
                seconds.Add(elapsed / steps);
            }
        }

        seconds.Sort();
        return seconds.Count > 0 ? seconds[(int)(Quantile * (seconds.Count - 1))] : double.NaN;
    }
}
