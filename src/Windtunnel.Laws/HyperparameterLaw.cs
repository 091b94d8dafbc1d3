using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws;

/// <summary>
/// An optimal hyperparameter from model size and tokens (Wen et al. 2025, phase III): h = A N^B R^C + D, with N in units of 1e9 and R the
/// tokens as a multiple of the 20 N of Chinchilla. A and D may have any sign.
/// </summary>
/// <remarks>
/// Fits often end where B and C go to zero, A and D to infinity, and h becomes a line in log N and log R. That limit is an ordinary point of the
/// parameters used here: h = level + slope ((N^cos(t) R^sin(t))^s - 1) / s, with B = s cos(t) and C = s sin(t).
/// </remarks>
/// <param name="Saturating">
/// Whether h levels off as models grow (s at most 0). The released fits start at B = C = -1/2 and never leave that side; on the other one
/// a fit to a few sizes can go anywhere beyond them.
/// </param>
public sealed record HyperparameterLaw(bool Saturating = true) : PointLaw
{
    private static readonly Quantity[] s_inputs =
    [
        new("n", "parameters", "parameters without embeddings"),
        new("r", "", "training tokens over 20 n"),
    ];

    private static readonly Parameter[] s_saturating = Of(Parameter.Shape("s", -40, 0, -12, -4, -0.7, 0));

    private static readonly Parameter[] s_free = Of(Parameter.Shape("s", -40, 40, -12, -4, -0.7, 0, 0.7, 4, 12));

    /// <inheritdoc/>
    public override string Title => "a hyperparameter from parameters and tokens";

    /// <inheritdoc/>
    public override string Formula => "h = A N^B R^C + D = level + slope ((N^cos(t) R^sin(t))^s - 1) / s, N in 1e9";

    /// <inheritdoc/>
    public override string Source => "Wen et al. 2025, phase III";

    /// <inheritdoc/>
    public override Quantity Output => new("h", "", "the optimal value", Positive: false);

    /// <inheritdoc/>
    public override Objective Objective => new LeastSquaresObjective();

    /// <inheritdoc/>
    public override IReadOnlyList<Quantity> Inputs => s_inputs;

    /// <inheritdoc/>
    public override IReadOnlyList<Parameter> Parameters => Saturating ? s_saturating : s_free;

    /// <inheritdoc/>
    public override IReadOnlyList<DerivedQuantity> Derived =>
    [
        new("A", "", p => p[1] / p[2]),
        new("B", "", p => p[2] * Math.Cos(p[3])),
        new("C", "", p => p[2] * Math.Sin(p[3])),
        new("D", "", p => p[0] - (p[1] / p[2])),
    ];

    /// <inheritdoc/>
    public override void Columns(ReadOnlySpan<double> x, ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives)
    {
        double logN = Math.Log(x[0] / 1e9), logR = Math.Log(x[1]);
        (double sin, double cos) = Math.SinCos(shapes[1]);
        double u = (cos * logN) + (sin * logR), z = shapes[0] * u, power = Math.Exp(z);
        bool line = Math.Abs(z) < 1e-5;
        columns[0] = 1;
        columns[1] = u * (line ? 1 + (z / 2) : (power - 1) / z);
        if (!derivatives.IsEmpty)
        {
            derivatives.Clear();
            derivatives[1] = u * u * (line ? 0.5 + (z / 3) : ((power * (z - 1)) + 1) / (z * z));
            derivatives[3] = power * ((cos * logR) - (sin * logN));
        }
    }

    private static Parameter[] Of(Parameter s) =>
    [
        Parameter.Coefficient("level", lower: double.NegativeInfinity), Parameter.Coefficient("slope", lower: double.NegativeInfinity),
        s, Parameter.Shape("t", -Math.PI / 2, Math.PI / 2, -1.2, -0.4, 0.4, 1.2),
    ];
}
