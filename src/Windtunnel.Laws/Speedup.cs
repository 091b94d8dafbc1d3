using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws;

/// <summary>
/// How much faster an optimizer is than a baseline (Wen et al. 2025): the baseline's loss over tokens is fitted by
/// L(R) = alpha R^-B + beta for one model size, and R_eff = ((L - beta) / alpha)^(-1/B) are the tokens it would need to reach another's loss.
/// The speedup R_eff / R is in tokens, not in time.
/// </summary>
public sealed class Speedup
{
    private Speedup(double alpha, double exponent, double beta) => (Alpha, Exponent, Beta) = (alpha, exponent, beta);

    /// <summary>The loss at R = 1 above <see cref="Beta"/>.</summary>
    public double Alpha { get; }

    /// <summary>B.</summary>
    public double Exponent { get; }

    /// <summary>The loss that the baseline never gets below.</summary>
    public double Beta { get; }

    /// <summary>Fits the baseline by least squares.</summary>
    /// <param name="baseline">Tokens as a multiple of 20 N, and the loss; three points or more, which three meet exactly.</param>
    public static Speedup Over(IReadOnlyCollection<(double Ratio, double Loss)> baseline)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(baseline.Count, 3);
        PowerLaw law = new();
        PointProblem problem = PointProblem.Bind(law, [.. baseline.Select(point => point.Ratio)], [.. baseline.Select(point => point.Loss)]);
        double[] fitted = new Fitter(problem, law.Objective).Search()[0].Parameters;
        return new Speedup(fitted[1], fitted[2], fitted[0]);
    }

    /// <summary>The tokens that the baseline needs to reach a loss; infinite where it never does.</summary>
    public double EffectiveRatio(double loss) => loss > Beta ? Math.Pow((loss - Beta) / Alpha, -1 / Exponent) : double.PositiveInfinity;

    /// <summary>The speedup of an optimizer that reaches a loss with so many tokens.</summary>
    public double At(double ratio, double loss) => EffectiveRatio(loss) / ratio;
}
