using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws;

/// <summary>
/// Mean downstream error from loss (Gadre et al. 2024, Eq. 5): Err = eps - k exp(-gamma L). The error is the mean over tasks of
/// 1 - accuracy, not centred on chance; the loss is the one that was measured, not one that was predicted.
/// </summary>
public sealed record DownstreamErrorLaw : PointLaw
{
    private static readonly Quantity[] s_inputs = [new("loss", "nats/token", "validation loss, as measured")];

    private static readonly Parameter[] s_parameters =
    [
        Parameter.Coefficient("eps"), Parameter.Coefficient("k"), Parameter.Shape("gamma", 0.01, 20, 0.3, 0.8, 2, 5),
    ];

    /// <inheritdoc/>
    public override string Title => "downstream error from loss";

    /// <inheritdoc/>
    public override string Formula => "Err = eps - k exp(-gamma L)";

    /// <inheritdoc/>
    public override string Source => "Gadre et al. 2024, Eq. 5";

    /// <inheritdoc/>
    public override Quantity Output => new("error", "", "mean over tasks of 1 - accuracy");

    /// <inheritdoc/>
    public override Objective Objective => new LeastSquaresObjective();

    /// <inheritdoc/>
    public override IReadOnlyList<Quantity> Inputs => s_inputs;

    /// <inheritdoc/>
    public override bool FirstInputFallsWithSize => true;

    /// <inheritdoc/>
    public override IReadOnlyList<Parameter> Parameters => s_parameters;

    /// <inheritdoc/>
    public override void Columns(ReadOnlySpan<double> x, ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives)
    {
        columns[0] = 1;
        columns[1] = -Math.Exp(-shapes[0] * x[0]);
        if (!derivatives.IsEmpty)
        {
            derivatives[0] = 0;
            derivatives[1] = -x[0] * columns[1];
        }
    }
}
