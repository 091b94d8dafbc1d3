using MathNet.Numerics.Distributions;
using MathNet.Numerics.Random;
using MathNet.Numerics.Statistics;

namespace Windtunnel.Laws.IsoFlop;

/// <summary>How the best size of a profile is found.</summary>
public enum ProfileMethod
{
    /// <summary>The vertex of a parabola in log N through all losses (Hoffmann et al. 2022, approach 2). Biased: see <see cref="ProfileBias"/>.</summary>
    Parabola,

    /// <summary>The lowest of 25 points a gap on Akima's curve through log N, log loss (Porian et al. 2024).</summary>
    Akima,
}

/// <summary>Models of several sizes that were given the same compute: one curve of approach 2 of Hoffmann et al. 2022.</summary>
public sealed class IsoFlopProfile
{
    private const int GridAGap = 25;

    private readonly double[] _logSizes;

    private IsoFlopProfile(double flops, double[] sizes, double[] losses)
    {
        (Flops, Sizes, Losses) = (flops, sizes, losses);
        _logSizes = [.. sizes.Select(size => Math.Log(size))];
    }

    /// <summary>The compute of all models.</summary>
    public double Flops { get; }

    /// <summary>Their sizes, ascending.</summary>
    public IReadOnlyList<double> Sizes { get; }

    /// <summary>Their losses; of several runs of one size the lowest.</summary>
    public IReadOnlyList<double> Losses { get; }

    /// <summary>The profiles of a table of runs, by compute ascending.</summary>
    /// <param name="tolerance">Computes that differ by no more than this share belong together; the profile's is their geometric mean.</param>
    public static IReadOnlyList<IsoFlopProfile> Group(IEnumerable<ComputeRun> runs, double tolerance = 0.05)
    {
        List<List<ComputeRun>> groups = [];
        foreach (ComputeRun run in runs.OrderBy(run => run.Flops))
        {
            if (groups.Count == 0 || run.Flops > groups[^1][0].Flops * (1 + tolerance))
            {
                groups.Add([]);
            }

            groups[^1].Add(run);
        }

        return [.. groups.Select(Of)];
    }

    /// <summary>The same budget and sizes with other losses.</summary>
    /// <param name="losses">One a size.</param>
    public IsoFlopProfile With(IEnumerable<double> losses) => new(Flops, [.. Sizes], [.. losses]);

    /// <summary>The best size, or null where there is none inside the range of sizes or there are fewer than three sizes.</summary>
    public ComputeOptimum? Minimum(ProfileMethod method) => Sizes.Count < 3 ? null : method == ProfileMethod.Parabola ? Vertex() : Lowest([.. Losses]);

    /// <summary>
    /// How far noise in the losses moves the best size on Akima's curve, as Porian et al. 2024 measure it: the median over noisy copies,
    /// and the standard deviation of its logarithm, which is at least a third of the gap between sizes and larger by the share of
    /// copies without a minimum inside. Null where that is half of them.
    /// </summary>
    /// <param name="noise">Standard deviation of a loss from seed to seed, in nats.</param>
    public (double Size, double LogDeviation)? Resample(double noise, int copies = 1000, int seed = 0)
    {
        if (Sizes.Count < 3)
        {
            return null;
        }

        MersenneTwister random = new(seed, threadSafe: false);
        List<double> sizes = new(copies);
        for (int i = 0; i < copies; i++)
        {
            if (Lowest([.. Losses.Select(loss => loss + Normal.Sample(random, 0, noise))]) is { } optimum)
            {
                sizes.Add(optimum.Size);
            }
        }

        double gap = (_logSizes[^1] - _logSizes[0]) * GridAGap / ((GridAGap * (Sizes.Count - 1)) - 1);
        return sizes.Count < (copies / 2) || sizes.Count == 0
            ? null
            : (sizes.Median(), Math.Max(sizes.Select(size => Math.Log(size)).PopulationStandardDeviation(), 0.33 * gap) * copies / sizes.Count);
    }

    private static IsoFlopProfile Of(List<ComputeRun> runs)
    {
        ComputeRun[] best = [.. runs.GroupBy(run => run.Size).Select(size => size.MinBy(run => run.Loss)).OrderBy(run => run.Size)];
        double flops = runs[0].Flops == runs[^1].Flops ? runs[0].Flops : Math.Exp(runs.Average(run => Math.Log(run.Flops)));
        return new IsoFlopProfile(flops, [.. best.Select(run => run.Size)], [.. best.Select(run => run.Loss)]);
    }

    private ComputeOptimum? Vertex()
    {
        double center = _logSizes.Average();
        double[] c = MathNet.Numerics.Fit.Polynomial([.. _logSizes.Select(x => x - center)], [.. Losses], 2);
        double vertex = -c[1] / (2 * c[2]);
        return c[2] > 0 && vertex + center >= _logSizes[0] && vertex + center <= _logSizes[^1]
            ? new ComputeOptimum(Flops, Math.Exp(vertex + center), c[0] + (c[1] * vertex / 2))
            : null;
    }

    private ComputeOptimum? Lowest(double[] losses)
    {
        Akima curve = new(_logSizes, [.. losses.Select(loss => Math.Log(loss))]);
        int last = (GridAGap * (Sizes.Count - 1)) - 1, best = 0;
        double lowest = double.PositiveInfinity;
        for (int i = 0; i <= last; i++)
        {
            double value = curve.At(LogSize(i));
            if (value < lowest)
            {
                (lowest, best) = (value, i);
            }
        }

        return best > 0 && best < last ? new ComputeOptimum(Flops, Math.Exp(LogSize(best)), Math.Exp(lowest)) : null;

        double LogSize(int i) => _logSizes[0] + ((_logSizes[^1] - _logSizes[0]) * i / last);
    }
}
