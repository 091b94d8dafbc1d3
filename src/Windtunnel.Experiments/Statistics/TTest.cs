using MathNet.Numerics.Distributions;
using MathNet.Numerics.Integration;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Experiments.Statistics;

/// <summary>Student's t of a difference of means, two-sided.</summary>
/// <param name="Difference">The estimate.</param>
/// <param name="StandardError">Of the estimate.</param>
/// <param name="DegreesOfFreedom">Need not be whole.</param>
public sealed record TTest(double Difference, double StandardError, double DegreesOfFreedom)
{
    /// <summary>How probable so large a difference is where there is none. Without any spread, a difference is certain.</summary>
    public double PValue => Difference == 0 ? 1 : StandardError == 0 ? 0 : 2 * StudentT.CDF(0, 1, DegreesOfFreedom, -Math.Abs(Difference) / StandardError);

    /// <summary>Covers the true difference with this probability.</summary>
    public Interval Interval(double confidence)
    {
        double reach = StudentT.InvCDF(0, 1, DegreesOfFreedom, (1 + confidence) / 2) * StandardError;
        return new Interval(Difference - reach, Difference + reach);
    }

    /// <summary>a - b from values that belong together pair by pair; two pairs or more.</summary>
    public static TTest Paired(IReadOnlyList<double> a, IReadOnlyList<double> b)
    {
        double[] differences = [.. a.Zip(b, (x, y) => x - y)];
        return new TTest(differences.Average(), Math.Sqrt(Variance(differences) / differences.Length), differences.Length - 1);
    }

    /// <summary>a - b from independent values whose variances may differ (Welch 1947); two values or more of each.</summary>
    public static TTest Welch(IReadOnlyList<double> a, IReadOnlyList<double> b)
    {
        double ofA = Variance(a) / a.Count, ofB = Variance(b) / b.Count, both = ofA + ofB;
        double freedom = both == 0 ? a.Count + b.Count - 2 : both * both / ((ofA * ofA / (a.Count - 1)) + (ofB * ofB / (b.Count - 1)));
        return new TTest(a.Average() - b.Average(), Math.Sqrt(both), freedom);
    }

    /// <summary>The probability that a test finds a difference that is there.</summary>
    /// <param name="noncentrality">The true difference in its standard errors.</param>
    /// <param name="freedom">Degrees of freedom.</param>
    /// <param name="significance">The largest p-value that counts as found.</param>
    public static double Power(double noncentrality, double freedom, double significance)
    {
        // |Z + delta| > t sqrt(V / freedom), Z normal, V chi-squared with that freedom: over the quantiles of V.
        double critical = StudentT.InvCDF(0, 1, freedom, 1 - (significance / 2));
        return GaussLegendreRule.Integrate(
            share =>
            {
                double bar = critical * Math.Sqrt(ChiSquared.InvCDF(freedom, share) / freedom);
                return Normal.CDF(0, 1, noncentrality - bar) + Normal.CDF(0, 1, -noncentrality - bar);
            },
            0, 1, 64);
    }

    /// <summary>The unbiased variance of a sample.</summary>
    public static double Variance(IReadOnlyCollection<double> values)
    {
        double mean = values.Average();
        return values.Sum(value => (value - mean) * (value - mean)) / (values.Count - 1);
    }

    /// <summary>
    /// The difference of means in standard deviations of one value, pooled over both samples, corrected for its bias in small samples:
    /// Hedges' g (1981), with the exact factor.
    /// </summary>
    public static double HedgesG(IReadOnlyCollection<double> a, IReadOnlyCollection<double> b)
    {
        double freedom = a.Count + b.Count - 2;
        double pooled = Math.Sqrt((((a.Count - 1) * Variance(a)) + ((b.Count - 1) * Variance(b))) / freedom);
        double bias = Math.Exp(MathNet.Numerics.SpecialFunctions.GammaLn(freedom / 2) - MathNet.Numerics.SpecialFunctions.GammaLn((freedom - 1) / 2)) / Math.Sqrt(freedom / 2);
        return bias * (a.Average() - b.Average()) / pooled;
    }

    /// <summary>
    /// p-values of several tests, so that one of them is below a level by chance no more often than that level (Holm 1979).
    /// </summary>
    public static double[] Holm(IReadOnlyList<double> pValues)
    {
        double[] adjusted = new double[pValues.Count];
        double largest = 0;
        foreach ((int rank, int i) in Enumerable.Range(0, pValues.Count).OrderBy(i => pValues[i]).Index())
        {
            adjusted[i] = largest = Math.Max(largest, Math.Min(1, (pValues.Count - rank) * pValues[i]));
        }

        return adjusted;
    }
}
