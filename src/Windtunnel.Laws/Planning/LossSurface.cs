using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Laws.Planning;

/// <summary>
/// The loss over parameters and tokens, L = E + A N^-alpha + B D^-beta, into which every law of n and d here can be written, and the runs
/// that are best on it. Training takes 6 N D operations and serving 2 N a token.
/// </summary>
public sealed record LossSurface(double E, double A, double Alpha, double B, double Beta)
{
    private const double Billion = 1e9;

    /// <summary>The surface of a law.</summary>
    /// <param name="p">The law's parameters, in its order.</param>
    /// <exception cref="ValidationException">The law is none of loss over n and d.</exception>
    public static LossSurface Of(Law law, IReadOnlyList<double> p) => law switch
    {
        ChinchillaLaw => new LossSurface(p[0], p[1], p[3], p[2], p[^1]),
        OverTrainingLaw => new LossSurface(p[0], p[1] * Math.Pow(6, -p[3]), 2 * p[3], p[2] * Math.Pow(6, -p[3]), 2 * p[3]),
        ModelDataLaw => new LossSurface(p[2], p[0] * Math.Pow(Billion, p[3]), p[3], p[1] * Math.Pow(Billion, p[4]), p[4]),
        _ => throw new ValidationException(
            $"a plan starts from a law of loss over parameters and tokens (chinchilla, over-training, minicpm), not from {LawCatalog.NameOf(law)}"),
    };

    /// <summary>The loss of a run.</summary>
    public double At(double n, double d) => E + (A * Math.Pow(n, -Alpha)) + (B * Math.Pow(d, -Beta));

    /// <summary>
    /// The run that is best among those that reach the same loss, of all that train for so many operations: no other is as good and costs
    /// less to train and to serve (Sardana et al. 2024). Without serving it is the compute-optimal run.
    /// </summary>
    /// <param name="compute">6 N D.</param>
    /// <param name="served">Tokens that the model will read and write in its life.</param>
    public (double N, double D) OfCompute(double compute, double served = 0) =>
        Solve(served, logD => Math.Log(6) + LogN(logD, served) + logD - Math.Log(compute));

    /// <summary>The run that reaches a loss at the least cost of training and serving, 6 N D + 2 N served.</summary>
    /// <param name="served">Tokens that the model will read and write in its life.</param>
    /// <exception cref="ValidationException">The loss is not above E.</exception>
    public (double N, double D) OfLoss(double loss, double served = 0) => loss > E
        ? Solve(served, logD => loss - At(Math.Exp(LogN(logD, served)), Math.Exp(logD)))
        : throw new ValidationException($"a loss of {loss:G5} cannot be reached: the law ends at {E:G5}");

    // Where the cost and the loss of a run have parallel gradients: alpha A N^-alpha = beta B D^-beta (1 + served / 3D).
    private double LogN(double logD, double served) =>
        (Math.Log(Alpha * A) - Math.Log(Beta * B) + (Beta * logD) - Math.Log(1 + (served / 3 * Math.Exp(-logD)))) / Alpha;

    // Along those runs N rises with D: whatever rises with both crosses zero once.
    private (double N, double D) Solve(double served, Func<double, double> rising)
    {
        double low = -100, high = 300;
        for (double middle = (low + high) / 2; middle > low && middle < high; middle = (low + high) / 2)
        {
            (low, high) = rising(middle) < 0 ? (middle, high) : (low, middle);
        }

        return (Math.Exp(LogN(high, served)), Math.Exp(high));
    }
}
