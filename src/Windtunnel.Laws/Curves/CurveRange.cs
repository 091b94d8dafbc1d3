using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws.Curves;

/// <summary>What fitted loss curves covered. A law has only been seen to hold there.</summary>
/// <param name="Steps">Of the longest curve.</param>
/// <param name="Peak">Rates that warm-ups reached.</param>
/// <param name="Area">S1 of the rows: sums of the rates so far.</param>
/// <param name="Annealing">The most S2 of a row, with the momentum of the annealing law, and as the rate lost so far for others.</param>
/// <param name="Parameters">Non-embedding parameters; null where some were not given.</param>
public sealed record CurveRange(int Steps, Interval Peak, Interval Area, double Annealing, Interval? Parameters)
{
    /// <summary>What curves cover.</summary>
    public static CurveRange Of(CurveLaw law, IReadOnlyList<LossCurve> curves)
    {
        double[][] areas = [.. curves.Select(curve => Areas(curve.Rates, curve.Steps))];
        return new CurveRange(
            curves.Max(curve => curve.Steps[^1]),
            Around(curves.Select(curve => curve.Rates.Peak)),
            Around(areas.SelectMany(area => area)),
            curves.Max(curve => Annealed(law, curve.Rates, curve.Steps).Max()),
            curves.All(curve => curve.Parameters > 0) ? Around(curves.Select(curve => curve.Parameters)) : null);
    }

    /// <summary>How far outside each step of a schedule lies, as the largest ratio of any of these; 1 inside.</summary>
    /// <param name="steps">Ascending.</param>
    /// <param name="parameters">Non-embedding parameters; NaN where the law does not need them.</param>
    public double[] Extrapolation(CurveLaw law, LearningRateSequence rates, IReadOnlyList<int> steps, double parameters = double.NaN)
    {
        double[] areas = Areas(rates, steps), annealed = Annealed(law, rates, steps);
        double always = Math.Max(Beyond(Peak, rates.Peak), law.NeedsParameters && Parameters is { } sizes ? Beyond(sizes, parameters) : 1);

        // Without any annealing in the curves there is nothing to compare with, and the fit itself warns.
        return [.. steps.Select((step, i) => new[]
        {
            always, (double)step / Steps, Beyond(Area, areas[i]), Annealing > 0 ? annealed[i] / Annealing : 1,
        }.Max())];
    }

    private static double Beyond(Interval range, double value) => Math.Max(1, Math.Max(value / range.High, range.Low / value));

    private static Interval Around(IEnumerable<double> values) => new(values.Min(), values.Max());

    private static double[] Areas(LearningRateSequence rates, IReadOnlyList<int> steps) => rates.Areas(steps, WarmupHandling.Ramp);

    private static double[] Annealed(CurveLaw law, LearningRateSequence rates, IReadOnlyList<int> steps) =>
        rates.Annealing(steps, law is AnnealingLaw annealing ? annealing.Lambda : 0, WarmupHandling.Ramp);
}
