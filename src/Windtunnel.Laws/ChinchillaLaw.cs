namespace Windtunnel.Laws;

/// <summary>
/// The parametric law of Hoffmann et al. 2022 (approach 3), L = E + A N^-alpha + B D^-beta. N counts all parameters, embeddings
/// included, as in their paper; any other count fits as well, so long as predictions use the same one.
/// </summary>
/// <param name="Tied">Whether alpha = beta.</param>
public sealed record ChinchillaLaw(bool Tied = false) : PointLaw
{
    private static readonly Quantity[] s_inputs =
    [
        new("n", "parameters", "all parameters, embeddings included"),
        new("d", "tokens", "training tokens"),
    ];

    private static readonly Parameter[] s_tied =
    [
        Parameter.Coefficient("E", "nats/token"), Parameter.Coefficient("A"), Parameter.Coefficient("B"),
        Parameter.Shape("alpha", 0.01, 3, 0.1, 0.25, 0.4, 0.7, 1.2),
    ];

    private static readonly Parameter[] s_free = [.. s_tied, Parameter.Shape("beta", 0.01, 3, 0.1, 0.25, 0.4, 0.7, 1.2)];

    /// <inheritdoc/>
    public override string Title => "loss from parameters and tokens";

    /// <inheritdoc/>
    public override string Formula => Tied ? "L = E + A N^-alpha + B D^-alpha" : "L = E + A N^-alpha + B D^-beta";

    /// <inheritdoc/>
    public override string Source => "Hoffmann et al. 2022, approach 3; refitted by Besiroglu et al. 2024";

    /// <inheritdoc/>
    public override Quantity Output => new("loss", "nats/token", "validation loss at the end of training");

    /// <inheritdoc/>
    public override IReadOnlyList<Quantity> Inputs => s_inputs;

    /// <inheritdoc/>
    public override IReadOnlyList<Parameter> Parameters => Tied ? s_tied : s_free;

    /// <inheritdoc/>
    public override IReadOnlyList<DerivedQuantity> Derived =>
    [
        new("a", "exponent of N in C", p => Beta(p) / (p[3] + Beta(p))),
        new("b", "exponent of D in C", p => p[3] / (p[3] + Beta(p))),
    ];

    /// <inheritdoc/>
    public override void Columns(ReadOnlySpan<double> x, ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives)
    {
        columns[0] = 1;
        columns[1] = PowerColumn.Of(x[0], shapes[0], out double byAlpha);
        columns[2] = PowerColumn.Of(x[1], shapes[^1], out double byBeta);
        if (!derivatives.IsEmpty)
        {
            derivatives.Clear();
            derivatives[1] = byAlpha;
            derivatives[^1] = byBeta;
        }
    }

    // The last shape, which is alpha where they are tied.
    private static double Beta(IReadOnlyList<double> parameters) => parameters[^1];
}
