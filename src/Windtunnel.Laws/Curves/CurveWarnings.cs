using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws.Curves;

/// <summary>What is known to go wrong when laws are fitted to loss curves: which curves matters more than which law.</summary>
public static class CurveWarnings
{
    // Cooldowns whose lengths differ by less than this factor tell the same.
    private const double Distinct = 1.25;

    // Rates that rise by less than this share after the warm-up are rounding.
    private const double Rise = 1e-3;

    // A cooldown over this share of the run leaves no stable part.
    private const double Throughout = 0.9;

    /// <summary>What the curves cannot tell the law; empty where there is nothing to say.</summary>
    public static IEnumerable<string> OfCurves(CurveLaw law, IReadOnlyList<LossCurve> curves)
    {
        if (curves.Count == 1 && curves[0].Rates is { } rates && rates.CooldownSteps > Throughout * (rates.Last - rates.Warmup))
        {
            yield return $"{curves[0].Name} is the only curve and its learning rate falls throughout: the area under the rate and its annealing "
                + "cannot be told apart, and such fits missed other schedules by 0.02 nats; add a run with a stable part";
        }

        (LossCurve Curve, int Top)[] rising = [.. curves.Select(curve => (curve, TopOf(curve.Rates))).Where(each => each.Item2 > each.curve.Rates.Warmup)];
        if (rising is [var (curve, top), ..])
        {
            yield return $"{curve.Name}{(rising.Length > 1 ? $" and {rising.Length - 1} more" : "")}: the learning rate still rises after a warm-up of {curve.Rates.Warmup} steps, "
                + $"up to step {top}, and laws take that for negative annealing; is its warm-up {top}?";
        }

        int cooldowns = 0;
        double longest = 0;
        foreach (int steps in curves.Select(curve => curve.Rates.CooldownSteps).Where(steps => steps > 0).Order())
        {
            if (steps > Distinct * longest)
            {
                (cooldowns, longest) = (cooldowns + 1, steps);
            }
        }

        if (cooldowns < 2)
        {
            yield return (cooldowns == 0 ? "no curve has a cooldown" : "the curves have cooldowns of one length only")
                + ": how the gain grows with the length is a guess; fit a stable run and two cooldowns of different length";
        }

        if (law is MultiPowerLaw { Free: true } && curves.Count <= 2)
        {
            yield return $"{curves.Count} {(curves.Count == 1 ? "curve does" : "curves do")} not identify beta and gamma of the multi-power law, "
                + "and such fits degenerate; hold them (free: false), or fit the annealing law";
        }
    }

    /// <summary>What a minimum says about its law; empty where there is nothing to say.</summary>
    public static IEnumerable<string> OfMinimum(CurveLaw law, Optimum minimum)
    {
        for (int k = 0; k < minimum.AtBound.Length; k++)
        {
            Parameter parameter = law.Parameters[k];
            if (law is MultiPowerLaw && minimum.AtBound[k] && (parameter.Name is "beta" or "gamma"))
            {
                yield return $"{parameter.Name} rests on its bound {minimum.Parameters[k]}: the curves do not identify it, and B and C have no meaning "
                    + "of their own; predictions may still be good, so check them on a curve that is left out";
            }
        }
    }

    // The first step of the highest rate.
    private static int TopOf(LearningRateSequence rates)
    {
        int top = rates.Warmup;
        double highest = rates.Peak * (1 + Rise);
        for (int step = rates.Warmup + 1; step <= rates.Last; step++)
        {
            if (rates[step] > highest)
            {
                (top, highest) = (step, rates[step]);
            }
        }

        return top;
    }
}
