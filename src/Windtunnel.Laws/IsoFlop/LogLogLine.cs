using MathNet.Numerics.Distributions;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws.IsoFlop;

/// <summary>A power law y = coefficient x^exponent: the line of (weighted) least squares through the logarithms.</summary>
/// <param name="StandardError">Of the exponent, the scale of the noise taken from the scatter; infinite for two points.</param>
/// <param name="RSquared">The share of the variance of log y that the line explains, unweighted.</param>
/// <param name="Points">How many points it goes through.</param>
public sealed record LogLogLine(double Exponent, double Coefficient, double StandardError, double RSquared, int Points)
{
    /// <summary>The line through points.</summary>
    /// <param name="points">Positive x and y, two different x or more.</param>
    /// <param name="weights">One a point, 1 / variance of log y up to a factor; equal where null.</param>
    public static LogLogLine Through(IReadOnlyList<(double X, double Y)> points, IReadOnlyList<double>? weights = null)
    {
        double[] x = [.. points.Select(point => Math.Log(point.X))], y = [.. points.Select(point => Math.Log(point.Y))];
        double[] w = weights is null ? [.. x.Select(_ => 1.0)] : [.. weights];
        double total = w.Sum(), meanX = Dot(w, x) / total, meanY = Dot(w, y) / total;
        double spread = 0, product = 0;
        for (int i = 0; i < x.Length; i++)
        {
            spread += w[i] * (x[i] - meanX) * (x[i] - meanX);
            product += w[i] * (x[i] - meanX) * (y[i] - meanY);
        }

        double exponent = product / spread, constant = meanY - (exponent * meanX), plainMean = y.Average();
        double[] squares = [.. x.Select((value, i) => Square(y[i] - constant - (exponent * value)))];
        double variance = x.Length > 2 ? Dot(w, squares) / (x.Length - 2) : double.PositiveInfinity;
        return new LogLogLine(
            exponent, Math.Exp(constant), Math.Sqrt(variance / spread), 1 - (squares.Sum() / y.Sum(value => Square(value - plainMean))), x.Length);
    }

    /// <summary>The value of the line.</summary>
    public double At(double x) => Coefficient * Math.Pow(x, Exponent);

    /// <summary>Student's interval of the exponent.</summary>
    public Interval ExponentInterval(double confidence = 0.95)
    {
        double reach = Points > 2 ? StudentT.InvCDF(0, 1, Points - 2, (1 + confidence) / 2) * StandardError : double.PositiveInfinity;
        return new Interval(Exponent - reach, Exponent + reach);
    }

    private static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();

    private static double Square(double value) => value * value;
}
