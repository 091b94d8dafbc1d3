namespace Windtunnel.Laws.Fitting;

/// <summary>How a search ended.</summary>
public enum FitStatus
{
    /// <summary>The last Newton step changed nothing that floating point can show.</summary>
    Converged,

    /// <summary>No step lowers the objective any more, but the gradient is not zero: a kink, or a problem without a minimum.</summary>
    Stalled,

    /// <summary>Out of iterations.</summary>
    MaxIterations,
}

/// <summary>A local minimum.</summary>
/// <param name="Parameters">Coefficients, then shapes.</param>
/// <param name="Value">The objective.</param>
/// <param name="AtBound">Which parameters rest on a bound: a coefficient of zero, a shape at the edge of its range.</param>
public sealed record Optimum(double[] Parameters, double Value, FitStatus Status, int Iterations, bool[] AtBound);
