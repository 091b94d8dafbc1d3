using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws;

/// <summary>
/// The loss of over-trained models (Gadre et al. 2024, Eq. 4): with M = D/N tokens a parameter and C = 6ND operations,
/// L = E + (a M^eta + b M^-eta) C^-eta, which is E + A N^-alpha + B D^-alpha with alpha = 2 eta, a = A 6^eta and b = B 6^eta.
/// </summary>
/// <remarks>
/// The parameters are those of Eq. 4. The paper's Table 6 prints others under the same names: A as a, the b of Eq. 4 as b, and alpha as eta.
/// </remarks>
public sealed record OverTrainingLaw : PointLaw
{
    private static readonly Quantity[] s_inputs =
    [
        new("n", "parameters", "all parameters, both embeddings included"),
        new("d", "tokens", "training tokens"),
    ];

    private static readonly Parameter[] s_parameters =
    [
        Parameter.Coefficient("E", "nats/token"), Parameter.Coefficient("a"), Parameter.Coefficient("b"),
        Parameter.Shape("eta", 0.005, 1.5, 0.05, 0.12, 0.25, 0.5),
    ];

    /// <inheritdoc/>
    public override string Title => "loss of over-trained models from parameters and tokens";

    /// <inheritdoc/>
    public override string Formula => "L = E + (a M^eta + b M^-eta) C^-eta, M = D/N, C = 6 N D";

    /// <inheritdoc/>
    public override string Source => "Gadre et al. 2024, Eq. 4; M* is Eq. 10 on the parameters of Eq. 4, not on the mislabelled columns of its Table 6";

    /// <inheritdoc/>
    public override Quantity Output => new("loss", "nats/token", "validation loss at the end of training");

    /// <inheritdoc/>
    public override Objective Objective => new LeastSquaresObjective();

    /// <inheritdoc/>
    public override IReadOnlyList<Quantity> Inputs => s_inputs;

    /// <inheritdoc/>
    public override IReadOnlyList<Parameter> Parameters => s_parameters;

    /// <inheritdoc/>
    public override IReadOnlyList<DerivedQuantity> Derived =>
    [
        new("M*", "tokens/parameter", p => Math.Pow(p[2] / p[1], 1 / (2 * p[3]))),
        new("A", "", p => p[1] * Math.Pow(6, -p[3])),
        new("B", "", p => p[2] * Math.Pow(6, -p[3])),
        new("alpha", "", p => 2 * p[3]),
    ];

    /// <summary>Parameters and tokens of a run of C operations at multiplier M: N = sqrt(C / 6M), D = sqrt(C M / 6).</summary>
    public static (double N, double D) Allocate(double compute, double multiplier) =>
        (Math.Sqrt(compute / (6 * multiplier)), Math.Sqrt(compute * multiplier / 6));

    /// <inheritdoc/>
    public override void Columns(ReadOnlySpan<double> x, ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives)
    {
        // M^eta C^-eta = (6 N^2)^-eta and M^-eta C^-eta = (6 D^2)^-eta.
        columns[0] = 1;
        columns[1] = PowerColumn.Of(6 * x[0] * x[0], shapes[0], out double byEtaOfN);
        columns[2] = PowerColumn.Of(6 * x[1] * x[1], shapes[0], out double byEtaOfD);
        if (!derivatives.IsEmpty)
        {
            derivatives.Clear();
            derivatives[1] = byEtaOfN;
            derivatives[2] = byEtaOfD;
        }
    }
}
