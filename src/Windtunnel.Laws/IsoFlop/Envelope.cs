namespace Windtunnel.Laws.IsoFlop;

/// <summary>
/// Approach 1 of Hoffmann et al. 2022: the loss curves of all sizes over compute, and at each of many computes the size whose curve is lowest.
/// </summary>
public static class Envelope
{
    /// <summary>
    /// The winners at computes that are equally spaced in the logarithm. Where the smallest or the largest size wins, the best one may
    /// lie beyond: those computes are left out.
    /// </summary>
    /// <param name="runs">Points of loss curves, or ends of runs of several lengths. Those of one size are one curve, interpolated linearly in logarithms; of equal compute the lowest counts.</param>
    /// <param name="count">How many computes, 1,500 in the paper.</param>
    public static IReadOnlyList<ComputeOptimum> Of(IEnumerable<ComputeRun> runs, int count = 1500)
    {
        Curve[] curves = [.. runs.GroupBy(run => run.Size).Select(Curve.Of).Where(curve => curve.LogFlops.Length > 1).OrderBy(curve => curve.Size)];
        if (curves.Length < 3)
        {
            return [];
        }

        double low = curves.Min(curve => curve.LogFlops[0]), high = curves.Max(curve => curve.LogFlops[^1]);
        List<ComputeOptimum> envelope = [];
        for (int i = 0; i < count; i++)
        {
            double at = low + ((high - low) * i / (count - 1));
            Curve winner = curves.MinBy(curve => curve.At(at))!;
            if (winner != curves[0] && winner != curves[^1])
            {
                envelope.Add(new ComputeOptimum(Math.Exp(at), winner.Size, Math.Exp(winner.At(at))));
            }
        }

        return envelope;
    }

    private sealed record Curve(double Size, double[] LogFlops, double[] LogLosses)
    {
        public static Curve Of(IGrouping<double, ComputeRun> runs)
        {
            ComputeRun[] points = [.. runs.GroupBy(run => run.Flops).Select(same => same.MinBy(run => run.Loss)).OrderBy(run => run.Flops)];
            return new Curve(runs.Key, [.. points.Select(run => Math.Log(run.Flops))], [.. points.Select(run => Math.Log(run.Loss))]);
        }

        public double At(double logFlops)
        {
            if (!(logFlops >= LogFlops[0] && logFlops <= LogFlops[^1]))
            {
                return double.PositiveInfinity;
            }

            int found = Array.BinarySearch(LogFlops, logFlops);
            int left = Math.Min(found >= 0 ? found : ~found - 1, LogFlops.Length - 2);
            double share = (logFlops - LogFlops[left]) / (LogFlops[left + 1] - LogFlops[left]);
            return LogLosses[left] + (share * (LogLosses[left + 1] - LogLosses[left]));
        }
    }
}
