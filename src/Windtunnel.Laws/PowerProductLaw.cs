using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws;

/// <summary>
/// An optimal hyperparameter as a product of powers of model size and tokens, y = a n^-b d^-c, with exponents of any sign: a plane in
/// logarithms. Li et al. 2025 find the learning rate 1.79 N^-0.713 D^0.307 for AdamW (b = 0.713, c = -0.307).
/// </summary>
public sealed record PowerProductLaw : PointLaw
{
    private static readonly Quantity[] s_inputs =
    [
        new("n", "parameters", "parameters without embeddings"),
        new("d", "tokens", "training tokens"),
    ];

    private static readonly Parameter[] s_parameters =
    [
        Parameter.Coefficient("a"), Parameter.Shape("b", -4, 4, -0.5, 0.5), Parameter.Shape("c", -4, 4, -0.5, 0.5),
    ];

    /// <inheritdoc/>
    public override string Title => "a product of powers of parameters and tokens";

    /// <inheritdoc/>
    public override string Formula => "y = a n^-b d^-c";

    /// <inheritdoc/>
    public override string Source => "Li et al. 2025 (Step Law)";

    /// <inheritdoc/>
    public override Quantity Output => new("y", "", "the optimal value: a learning rate, a batch size");

    /// <inheritdoc/>
    public override Objective Objective => new LeastSquaresObjective(Log: true);

    /// <inheritdoc/>
    public override IReadOnlyList<Quantity> Inputs => s_inputs;

    /// <inheritdoc/>
    public override IReadOnlyList<Parameter> Parameters => s_parameters;

    /// <inheritdoc/>
    public override void Columns(ReadOnlySpan<double> x, ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives)
    {
        double ofN = PowerColumn.Of(x[0], shapes[0], out double byB), ofD = PowerColumn.Of(x[1], shapes[1], out double byC);
        columns[0] = ofN * ofD;
        if (!derivatives.IsEmpty)
        {
            derivatives[0] = byB * ofD;
            derivatives[1] = ofN * byC;
        }
    }
}
