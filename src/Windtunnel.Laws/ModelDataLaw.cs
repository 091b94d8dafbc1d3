using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws;

/// <summary>
/// MiniCPM's model-data law (Hu et al. 2024, section 4.5): L = C_N N^-alpha + C_D D^-beta + L0, with N and D in units of 1e9 and the
/// compute C = 6ND in units of 1e18. Their loss is per byte, and N leaves the embeddings out.
/// </summary>
/// <param name="Compute">The compute in operations at which the optimal ratio D/N is derived: the ratio depends on it, unless alpha = beta.</param>
public sealed record ModelDataLaw(double Compute = 1e21) : PointLaw
{
    private const double Billion = 1e9;

    private static readonly Quantity[] s_inputs =
    [
        new("n", "parameters", "parameters without embeddings"),
        new("d", "tokens", "training tokens"),
    ];

    private static readonly Parameter[] s_parameters =
    [
        Parameter.Coefficient("C_N"), Parameter.Coefficient("C_D"), Parameter.Coefficient("L0", "nats/byte"),
        Parameter.Shape("alpha", 0.01, 3, 0.1, 0.25, 0.4, 0.7, 1.2), Parameter.Shape("beta", 0.01, 3, 0.1, 0.25, 0.4, 0.7, 1.2),
    ];

    /// <inheritdoc/>
    public override string Title => "loss from parameters and tokens, in billions";

    /// <inheritdoc/>
    public override string Formula => "L = C_N N^-alpha + C_D D^-beta + L0, N and D in 1e9";

    /// <inheritdoc/>
    public override string Source => "Hu et al. 2024 (MiniCPM), section 4.5";

    /// <inheritdoc/>
    public override Quantity Output => new("loss", "nats/byte", "validation loss after the learning rate has decayed");

    /// <inheritdoc/>
    public override Objective Objective => new LeastSquaresObjective();

    /// <inheritdoc/>
    public override IReadOnlyList<Quantity> Inputs => s_inputs;

    /// <inheritdoc/>
    public override IReadOnlyList<Parameter> Parameters => s_parameters;

    /// <inheritdoc/>
    public override IReadOnlyList<DerivedQuantity> Derived =>
    [
        new("K^2", "", p => Math.Pow(p[3] * p[0] / (p[4] * p[1]), 2 / (p[3] + p[4]))),
        new("eta", "", p => (p[4] - p[3]) / (p[3] + p[4])),
        new($"D/N at C = {Compute:0.###e+0}", "tokens/parameter", p => OptimalRatio(Derived[0].Value(p), Derived[1].Value(p), Compute)),
    ];

    /// <summary>The compute-optimal D/N: 1 / (K^2 (C / 6)^eta).</summary>
    /// <param name="kSquared">K^2 = (alpha C_N / (beta C_D))^(2 / (alpha + beta)).</param>
    /// <param name="eta">eta = (beta - alpha) / (alpha + beta).</param>
    /// <param name="compute">C in operations.</param>
    public static double OptimalRatio(double kSquared, double eta, double compute) =>
        1 / (kSquared * Math.Pow(compute / (6 * Billion * Billion), eta));

    /// <inheritdoc/>
    public override void Columns(ReadOnlySpan<double> x, ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives)
    {
        columns[0] = PowerColumn.Of(x[0] / Billion, shapes[0], out double byAlpha);
        columns[1] = PowerColumn.Of(x[1] / Billion, shapes[1], out double byBeta);
        columns[2] = 1;
        if (!derivatives.IsEmpty)
        {
            derivatives.Clear();
            derivatives[0] = byAlpha;
            derivatives[4] = byBeta;
        }
    }
}
