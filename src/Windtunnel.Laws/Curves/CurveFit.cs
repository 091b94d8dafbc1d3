using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws.Curves;

/// <summary>Fits a law to loss curves, as <see cref="Fit"/> does to rows, and says how well each curve is met.</summary>
/// <param name="Fit">The fit.</param>
/// <param name="Scores">Of each curve, in the order given.</param>
public sealed record CurveFit(Fit Fit, IReadOnlyList<CurveScore> Scores)
{
    /// <summary>Resamples of runs of consecutive rows; curve fits are slower than those of rows.</summary>
    public const int Replicates = 200;

    /// <summary>Fits a law.</summary>
    /// <param name="source">The files.</param>
    /// <exception cref="ValidationException">There is no curve or too little of it, or a size is needed and missing.</exception>
    public static CurveFit Of(CurveLaw law, IReadOnlyList<LossCurve> curves, string source, FitSettings settings)
    {
        CurveProblem problem = law.Bind(curves);
        int free = law.Parameters.Count - settings.Pins.Count;
        if (problem.Rows < free)
        {
            throw new ValidationException($"{source}: {problem.Rows} losses after the warm-up are too few for {free} parameters; add curves, or hold parameters with --fix");
        }

        Observations data = new(
            source, null, new Dictionary<string, string>(), [.. curves.SelectMany(curve => curve.Steps.Select(step => $"{curve.Name} step {step}"))],
            [], problem.Observed, [], CurveRange.Of(law, curves));
        Fit fit = Fit.Of(law, problem, data, settings, CurveWarnings.OfCurves(law, curves));
        return new CurveFit(
            fit with { Warnings = [.. fit.Warnings, .. CurveWarnings.OfMinimum(law, new Optimum(fit.Values, 0, fit.Quality.Status, 0, [.. fit.Parameters.Select(parameter => parameter.AtBound)]))] },
            [.. curves.Select(curve => CurveScore.Of(law.Predict(fit.Values, curve.Rates, curve.Steps, curve.Parameters), curve.Losses))]);
    }
}
