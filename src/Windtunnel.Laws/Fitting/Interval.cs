namespace Windtunnel.Laws.Fitting;

/// <summary>A confidence or prediction interval; an end is infinite where the data set no limit.</summary>
public readonly record struct Interval(double Low, double High)
{
    /// <summary>No limit on either side.</summary>
    public static Interval Unlimited { get; } = new(double.NegativeInfinity, double.PositiveInfinity);

    /// <summary>Whether a value lies inside.</summary>
    public bool Contains(double value) => value >= Low && value <= High;

    /// <summary>The central interval of a sample: its quantiles (Hyndman and Fan's type 7).</summary>
    /// <param name="confidence">The share of the sample that lies inside, 0.95 for 2.5 % on each side.</param>
    public static Interval OfSample(IEnumerable<double> sample, double confidence)
    {
        double[] sorted = [.. sample.Where(value => !double.IsNaN(value)).Order()];
        double At(double share)
        {
            double position = share * (sorted.Length - 1);
            int below = (int)position;
            double above = sorted[Math.Min(below + 1, sorted.Length - 1)];
            return sorted[below] == above ? above : sorted[below] + ((position - below) * (above - sorted[below]));
        }

        return sorted.Length == 0 ? Unlimited : new Interval(At((1 - confidence) / 2), At((1 + confidence) / 2));
    }
}
