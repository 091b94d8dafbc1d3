using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws;

/// <summary>
/// Loss when tokens are repeated (Muennighoff et al. 2023, Eq. 5-7): E + A N'^-alpha + B D'^-beta, where D' = U_D (1 + R_D* (1 - exp(-R_D / R_D*)))
/// for U_D unique tokens and R_D = D / U_D - 1 repetitions, and N' likewise from U_N, the parameters that are optimal for U_D, and the
/// excess R_N = N / U_N - 1. A token seen for the k-th time is worth exp(-(k - 1) / R_D*) of a new one.
/// </summary>
/// <remarks>
/// As in the paper, the base law is given and only R_D* and R_N* are fitted. N counts all parameters: 2.81e9 is 34 layers of width 2560 with their embeddings.
/// </remarks>
/// <param name="E">The irreducible loss of the base law; the defaults are the authors' fit to C4, the exponentials of 0.6254804, 6.255414 and 7.3049974.</param>
/// <param name="A">The coefficient of N.</param>
/// <param name="B">The coefficient of D.</param>
/// <param name="Alpha">The exponent of N.</param>
/// <param name="Beta">The exponent of D.</param>
public sealed record DataConstrainedLaw(
    double E = 1.8691436784054858, double A = 520.8249516599187, double B = 1487.716093782861, double Alpha = 0.3526596, double Beta = 0.3526596)
    : PointLaw
{
    private static readonly Quantity[] s_inputs =
    [
        new("n", "parameters", "all parameters, embeddings included"),
        new("d", "tokens", "training tokens, repetitions counted"),
        new("unique", "tokens", "tokens that differ"),
    ];

    private static readonly Parameter[] s_parameters =
    [
        Parameter.Coefficient("E", "nats/token"), Parameter.Coefficient("A"), Parameter.Coefficient("B"),
        Parameter.Shape("R_D*", 0.01, 10_000, 0.3, 1.5, 6, 25, 100, 1000), Parameter.Shape("R_N*", 0.01, 10_000, 0.3, 1.5, 6, 25, 100, 1000),
    ];

    /// <inheritdoc/>
    public override string Title => "loss when data is repeated";

    /// <inheritdoc/>
    public override string Formula => "L = E + A N'^-alpha + B D'^-beta, D' = U_D (1 + R_D* (1 - exp(-R_D / R_D*))), N' likewise";

    /// <inheritdoc/>
    public override string Source => "Muennighoff et al. 2023, Eq. 5-7; the values it publishes, R_D* = 15.387756 and R_N* = 5.309743, are a local minimum";

    /// <inheritdoc/>
    public override Quantity Output => new("loss", "nats/token", "validation loss at the end of training");

    /// <inheritdoc/>
    public override IReadOnlyList<Quantity> Inputs => s_inputs;

    /// <inheritdoc/>
    public override IReadOnlyList<Parameter> Parameters => s_parameters;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, double> Given => new Dictionary<string, double> { ["E"] = E, ["A"] = A, ["B"] = B };

    /// <summary>What <paramref name="total"/> of something is worth of which only <paramref name="unique"/> is new: D' from D and U_D, N' from N and U_N.</summary>
    public static double Effective(double total, double unique, double decay) => Effective(total, unique, decay, out _);

    /// <summary>The parameters that the base law finds optimal for so many unique tokens, G (G U)^(beta / alpha) with G = (alpha A / (beta B))^(1 / (alpha + beta)).</summary>
    public double OptimalParameters(double unique)
    {
        double g = Math.Pow(Alpha * A / (Beta * B), 1 / (Alpha + Beta));
        return g * Math.Pow(g * unique, Beta / Alpha);
    }

    /// <inheritdoc/>
    public override void Columns(ReadOnlySpan<double> x, ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives)
    {
        double unique = Math.Min(x[2], x[1]);
        double n = Effective(x[0], Math.Min(x[0], OptimalParameters(unique)), shapes[1], out double nByDecay);
        double d = Effective(x[1], unique, shapes[0], out double dByDecay);
        columns[0] = 1;
        columns[1] = Math.Pow(n, -Alpha);
        columns[2] = Math.Pow(d, -Beta);
        if (!derivatives.IsEmpty)
        {
            derivatives.Clear();
            derivatives[2] = -Beta * columns[2] / d * dByDecay;
            derivatives[4] = -Alpha * columns[1] / n * nByDecay;
        }
    }

    private static double Effective(double total, double unique, double decay, out double byDecay)
    {
        double ratio = ((total / unique) - 1) / decay, remains = Math.Exp(-ratio);
        byDecay = unique * (1 - remains - (ratio * remains));
        return unique * (1 + (decay * (1 - remains)));
    }
}
