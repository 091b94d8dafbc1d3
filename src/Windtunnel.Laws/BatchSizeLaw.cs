using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws;

/// <summary>
/// MiniCPM's batch-size law (Hu et al. 2024, section 3.2): bs = a / L^b, the batch in tokens that reaches the loss L with the fewest
/// tokens. Theirs is 1.21e9 / L^6.24 with the loss on C4 in nats a token; on a fixed set of accelerators fewer tokens is less time.
/// </summary>
public sealed record BatchSizeLaw : PointLaw
{
    private static readonly Quantity[] s_inputs = [new("loss", "nats/token", "validation loss to reach")];

    private static readonly Parameter[] s_parameters = [Parameter.Coefficient("a", "tokens"), Parameter.Shape("b", 0, 50, 1, 4, 8, 16)];

    /// <inheritdoc/>
    public override string Title => "batch size from loss";

    /// <inheritdoc/>
    public override string Formula => "bs = a / L^b";

    /// <inheritdoc/>
    public override string Source => "Hu et al. 2024 (MiniCPM), section 3.2";

    /// <inheritdoc/>
    public override Quantity Output => new("batch", "tokens", "tokens in a batch");

    /// <inheritdoc/>
    public override Objective Objective => new LeastSquaresObjective(Log: true);

    /// <inheritdoc/>
    public override IReadOnlyList<Quantity> Inputs => s_inputs;

    /// <inheritdoc/>
    public override bool FirstInputFallsWithSize => true;

    /// <inheritdoc/>
    public override IReadOnlyList<Parameter> Parameters => s_parameters;

    /// <inheritdoc/>
    public override void Columns(ReadOnlySpan<double> x, ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives)
    {
        columns[0] = PowerColumn.Of(x[0], shapes[0], out double byB);
        if (!derivatives.IsEmpty)
        {
            derivatives[0] = byB;
        }
    }
}
