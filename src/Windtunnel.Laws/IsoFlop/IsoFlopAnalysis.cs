using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Laws.IsoFlop;

/// <summary>How the compute-optimal size grows with compute, by every approach of Hoffmann et al. 2022, from one table of runs.</summary>
/// <param name="Budgets">What each budget says.</param>
/// <param name="Parabola">Approach 2 by parabolas; null where fewer than two budgets have an optimum.</param>
/// <param name="Akima">Approach 2 by Akima's curves.</param>
/// <param name="Weighted">The same, each optimum weighted by how little noise moves it.</param>
/// <param name="Envelope">Approach 1. Its points are thousands on one curve: they give no error.</param>
/// <param name="Surface">Approach 3: E, A, B, alpha, beta of the surface through all losses.</param>
/// <param name="ParabolaBias">What the parabola makes of that surface at these sizes.</param>
/// <param name="AkimaBias">What Akima's curve makes of it.</param>
public sealed record IsoFlopAnalysis(
    IReadOnlyList<IsoFlopBudget> Budgets,
    LogLogLine? Parabola,
    LogLogLine? Akima,
    LogLogLine? Weighted,
    LogLogLine? Envelope,
    IReadOnlyList<double> Surface,
    ProfileBias ParabolaBias,
    ProfileBias AkimaBias)
{
    /// <summary>The exponent of N in C on the surface.</summary>
    public double SurfaceExponent => ParabolaBias.TrueExponent;

    /// <summary>Analyses runs.</summary>
    /// <param name="noise">Standard deviation of a loss from seed to seed, in nats: 0.002 on RefinedWeb, 0.01 on OpenWebText2 (Porian et al. 2024).</param>
    /// <param name="tolerance">Computes, and sizes, that differ by no more than this share count as equal.</param>
    /// <exception cref="ValidationException">Fewer than two budgets have an optimum inside their range of sizes.</exception>
    public static IsoFlopAnalysis Of(IReadOnlyList<ComputeRun> runs, double noise = 0.002, double tolerance = 0.05)
    {
        IReadOnlyList<IsoFlopProfile> profiles = IsoFlopProfile.Group(runs, tolerance);
        IsoFlopBudget[] budgets = [.. profiles.Select(profile => new IsoFlopBudget(
            profile.Flops, profile.Sizes.Count, profile.Minimum(ProfileMethod.Parabola), profile.Minimum(ProfileMethod.Akima), profile.Resample(noise)?.LogDeviation))];
        if (budgets.Count(budget => budget.Akima is not null) < 2)
        {
            throw new ValidationException($"isoflop: {budgets.Length} budgets, of which fewer than two have a best size inside their range; "
                + "it takes three sizes or more at a compute, some smaller and some larger than the best");
        }

        IsoFlopBudget[] weighable = [.. budgets.Where(budget => budget is { Akima: not null, LogDeviation: not null })];
        double[] surface = ProfileBias.Surface(profiles);
        return new IsoFlopAnalysis(
            budgets,
            Line(budgets.Select(budget => budget.Parabola)),
            Line(budgets.Select(budget => budget.Akima)),
            Line(weighable.Select(budget => budget.Akima), [.. weighable.Select(budget => 1 / (budget.LogDeviation!.Value * budget.LogDeviation.Value))]),
            Line(IsoFlop.Envelope.Of(runs).Select(optimum => (ComputeOptimum?)optimum)),
            surface,
            ProfileBias.Of(profiles, surface, ProfileMethod.Parabola),
            ProfileBias.Of(profiles, surface, ProfileMethod.Akima));
    }

    private static LogLogLine? Line(IEnumerable<ComputeOptimum?> optima, double[]? weights = null)
    {
        (double, double)[] points = [.. optima.OfType<ComputeOptimum>().Select(optimum => (optimum.Flops, optimum.Size))];
        return points.Length > 1 ? LogLogLine.Through(points, weights) : null;
    }
}

/// <summary>What one budget says about the best size.</summary>
/// <param name="Sizes">How many sizes were trained.</param>
/// <param name="Parabola">The vertex of the parabola; null where it lies outside.</param>
/// <param name="Akima">The minimum of Akima's curve; null at an end.</param>
/// <param name="LogDeviation">How far noise moves the latter: the standard deviation of its logarithm.</param>
public sealed record IsoFlopBudget(double Flops, int Sizes, ComputeOptimum? Parabola, ComputeOptimum? Akima, double? LogDeviation);
