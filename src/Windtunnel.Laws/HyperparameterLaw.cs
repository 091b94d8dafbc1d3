using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws;

/// <summary>
/// An optimal hyperparameter from model size and tokens (Wen et al. 2025, phase III): h = A N^B R^C + D, with N in units of 1e9 and R the
/// tokens as a multiple of the 20 N of Chinchilla. A and D may have any sign.
/// </summary>
/// <param name="Saturating">
/// Whether h levels off as models grow (B &lt; 0), its limit B, C -> 0 being a line in log N and log R. The released fits start at
/// B = C = -1/2 and never leave that side. Otherwise B is positive, and a fit to a few sizes can go anywhere beyond them.
/// </param>
public sealed record HyperparameterLaw(bool Saturating = true) : PointLaw
{
    // Nearer to zero the columns are a line in the logarithms to four digits, and A and D cancel in as many.
    private const double Flat = 1e-4;

    private static readonly Quantity[] s_inputs =
    [
        new("n", "parameters", "parameters without embeddings"),
        new("r", "", "training tokens over 20 n"),
    ];

    private static readonly Parameter[] s_saturating = WithExponents(-8, -Flat, -4, -1, -0.3);

    private static readonly Parameter[] s_growing = WithExponents(Flat, 8, 0.3, 1, 4);

    /// <inheritdoc/>
    public override string Title => "a hyperparameter from parameters and tokens";

    /// <inheritdoc/>
    public override string Formula => "h = A N^B R^C + D, N in 1e9";

    /// <inheritdoc/>
    public override string Source => "Wen et al. 2025, phase III; N in 1e9";

    /// <inheritdoc/>
    public override Quantity Output => new("h", "", "the optimal value", Positive: false);

    /// <inheritdoc/>
    public override Objective Objective => new LeastSquaresObjective();

    /// <inheritdoc/>
    public override IReadOnlyList<Quantity> Inputs => s_inputs;

    /// <inheritdoc/>
    public override IReadOnlyList<Parameter> Parameters => Saturating ? s_saturating : s_growing;

    /// <inheritdoc/>
    public override void Columns(ReadOnlySpan<double> x, ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives)
    {
        double logN = Math.Log(x[0] / 1e9), logR = Math.Log(x[1]);
        columns[0] = Math.Exp((shapes[0] * logN) + (shapes[1] * logR));
        columns[1] = 1;
        if (!derivatives.IsEmpty)
        {
            derivatives.Clear();
            derivatives[0] = logN * columns[0];
            derivatives[2] = logR * columns[0];
        }
    }

    private static Parameter[] WithExponents(double lower, double upper, params double[] starts) =>
    [
        Parameter.Coefficient("A", lower: double.NegativeInfinity), Parameter.Coefficient("D", lower: double.NegativeInfinity),
        Parameter.Shape("B", lower, upper, starts), Parameter.Shape("C", -8, 8, -3, -0.5, 0.5, 3),
    ];
}
