using MathNet.Numerics.Distributions;

namespace Windtunnel.Experiments.Statistics;

/// <summary>By how much runs differ that differ in nothing but the seed.</summary>
/// <param name="Nats">The standard deviation of a run, pooled over samples; not a number where none has two runs.</param>
/// <param name="DegreesOfFreedom">The runs of each sample but the first.</param>
public sealed record SeedNoise(double Nats, int DegreesOfFreedom)
{
    /// <summary>Pools samples.</summary>
    /// <param name="samples">Final losses; each sample is of runs that differ in the seed only.</param>
    public static SeedNoise Of(IEnumerable<IReadOnlyList<double>> samples)
    {
        IReadOnlyList<double>[] repeated = [.. samples.Where(sample => sample.Count > 1)];
        int freedom = repeated.Sum(sample => sample.Count - 1);
        return new SeedNoise(Math.Sqrt(repeated.Sum(sample => TTest.Variance(sample) * (sample.Count - 1)) / freedom), freedom);
    }

    /// <summary>By how much two runs differ, root mean square: sqrt(2) times the deviation.</summary>
    public double Floor => Math.Sqrt(2) * Nats;

    /// <summary>Whether it is known at all.</summary>
    public bool IsKnown => DegreesOfFreedom > 0;

    /// <summary>Student's t of a difference of means, for the noise itself is known from few seeds only.</summary>
    /// <param name="difference">Of the means.</param>
    /// <param name="seeds">Of the one.</param>
    /// <param name="others">Of the other.</param>
    public TTest Test(double difference, int seeds, int others) => new(difference, Nats * Math.Sqrt((1.0 / seeds) + (1.0 / others)), DegreesOfFreedom);

    /// <summary>By how much the means of two equals differ by chance at most, nineteen times in twenty, in nats; not a number where the noise is not known.</summary>
    public double Chance(int seeds, int others) => IsKnown ? Test(0, seeds, others).Interval(0.95).High : double.NaN;

    /// <summary>A mean as it might have come out with other seeds.</summary>
    internal double Redraw(double mean, int seeds, Random random) => StudentT.Sample(random, mean, Nats / Math.Sqrt(seeds), DegreesOfFreedom);
}
