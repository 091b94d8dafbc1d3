using System.Text.Json.Serialization;

namespace Windtunnel.Laws.Fitting;

/// <summary>
/// What a fit minimises: the sum over rows of rho(r), with r the residual predicted - observed, of the values or of their logarithms.
/// Always the sum and never the mean, which stops searches early.
/// </summary>
/// <param name="Log">Whether residuals are of logarithms.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(LeastSquaresObjective), "least-squares")]
[JsonDerivedType(typeof(HuberObjective), "huber")]
[JsonDerivedType(typeof(AsymmetricObjective), "asymmetric")]
public abstract record Objective(bool Log)
{
    /// <summary>The loss of one residual, its first derivative, and its second (zero on a straight part).</summary>
    public abstract (double Value, double Slope, double Curvature) Rho(double residual);

    /// <summary>
    /// A sequence of smoother objectives that ends with this one: a search follows their minima, and so is not caught by the kinks of
    /// the last. <paramref name="scale"/> is the typical size of a residual.
    /// </summary>
    internal virtual IEnumerable<Objective> Path(double scale) => [this];
}

/// <summary>Half the square of the residual is not taken: rho = r^2, so that the objective is the usual sum of squares.</summary>
public sealed record LeastSquaresObjective(bool Log = false) : Objective(Log)
{
    /// <inheritdoc/>
    public override (double Value, double Slope, double Curvature) Rho(double residual) => (residual * residual, 2 * residual, 2);
}

/// <summary>Huber: r^2/2 where |r| is at most delta, delta (|r| - delta/2) beyond (Hoffmann et al. 2022: logarithms, delta 1e-3).</summary>
public sealed record HuberObjective(double Delta = 1e-3, bool Log = true) : Objective(Log)
{
    /// <inheritdoc/>
    public override (double Value, double Slope, double Curvature) Rho(double residual)
    {
        double size = Math.Abs(residual);
        return size <= Delta
            ? (residual * residual / 2, residual, 1)
            : (Delta * (size - (Delta / 2)), Math.CopySign(Delta, residual), 0);
    }

    /// <inheritdoc/>
    internal override IEnumerable<Objective> Path(double scale)
    {
        for (double delta = scale; delta > 2 * Delta; delta /= 4)
        {
            yield return this with { Delta = delta };
        }

        yield return this;
    }
}

/// <summary>Absolute residuals, predictions that are too high counting <paramref name="OverWeight"/> times (kyo-takano's chinchilla: mean, weight 10).</summary>
public sealed record AsymmetricObjective(double OverWeight = 10, bool Log = true) : Objective(Log)
{
    // Rounded off within this distance of zero, so that there is a slope to follow: the sum changes by less than this times the weights.
    private const double Corner = 1e-9;

    private double Rounding { get; init; } = Corner;

    /// <inheritdoc/>
    public override (double Value, double Slope, double Curvature) Rho(double residual)
    {
        double weight = residual > 0 ? OverWeight : 1, size = Math.Abs(residual);
        return size <= Rounding
            ? (weight * residual * residual / (2 * Rounding), weight * residual / Rounding, weight / Rounding)
            : (weight * (size - (Rounding / 2)), weight * Math.Sign(residual), 0);
    }

    /// <inheritdoc/>
    internal override IEnumerable<Objective> Path(double scale)
    {
        for (double rounding = scale; rounding > 2 * Corner; rounding /= 4)
        {
            yield return this with { Rounding = rounding };
        }

        yield return this;
    }
}
