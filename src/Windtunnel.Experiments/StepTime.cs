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
    public static double Of(IReadOnlyList<MetricsRow> rows)
    {
        List<double> seconds = [];
        long window = rows.Count > 0 ? Math.Min(WindowSteps, rows[^1].At.Step - rows[0].At.Step) : 0;
        for (int from = 0, to = 0; to < rows.Count; to++)
        {
            while (from < to && rows[to].At.Step - rows[from + 1].At.Step >= window)
            {
                from++;
            }

            long steps = rows[to].At.Step - rows[from].At.Step;
            double elapsed = rows[to].At.WallSeconds - rows[from].At.WallSeconds;
            if (steps > 0 && steps >= window && elapsed > 0)
            {
                seconds.Add(elapsed / steps);
            }
        }

        seconds.Sort();
        return seconds.Count > 0 ? seconds[(int)(Quantile * (seconds.Count - 1))] : double.NaN;
    }
}
