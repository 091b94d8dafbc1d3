using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws;

/// <summary>
/// A power of one quantity. With an offset, y = E + a x^-b levels off at E, from above or below: a loss against tokens or compute.
/// Without, y = a x^-b rises or falls for ever: an optimal learning rate, batch size or model against compute, a line in logarithms.
/// </summary>
/// <param name="Offset">Whether there is an E.</param>
public sealed record PowerLaw(bool Offset = true) : PointLaw
{
    private static readonly Quantity[] s_inputs = [new("x", "", "what y depends on")];

    private static readonly Parameter[] s_offset =
    [
        Parameter.Coefficient("E", lower: double.NegativeInfinity), Parameter.Coefficient("a", lower: double.NegativeInfinity),
        Parameter.Shape("b", 0.01, 4, 0.1, 0.3, 0.6, 1, 2),
    ];

    private static readonly Parameter[] s_plain = [Parameter.Coefficient("a"), Parameter.Shape("b", -4, 4, -0.5, 0.5)];

    /// <inheritdoc/>
    public override string Title => "a power of one quantity";

    /// <inheritdoc/>
    public override string Formula => Offset ? "y = E + a x^-b" : "y = a x^-b";

    /// <inheritdoc/>
    public override string Source => "Wen et al. 2025 for L(R) with R tokens as a multiple of 20 N; Hoffmann et al. 2022 and Porian et al. 2024 for optima";

    /// <inheritdoc/>
    public override Quantity Output => new("y", "", "what is predicted", Positive: !Offset);

    /// <inheritdoc/>
    public override Objective Objective => new LeastSquaresObjective(Log: !Offset);

    /// <inheritdoc/>
    public override IReadOnlyList<Quantity> Inputs => s_inputs;

    /// <inheritdoc/>
    public override IReadOnlyList<Parameter> Parameters => Offset ? s_offset : s_plain;

    /// <inheritdoc/>
    public override void Columns(ReadOnlySpan<double> x, ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives)
    {
        columns[0] = 1;
        columns[^1] = PowerColumn.Of(x[0], shapes[0], out double byB);
        if (!derivatives.IsEmpty)
        {
            derivatives[0] = 0;
            derivatives[^1] = byB;
        }
    }
}
