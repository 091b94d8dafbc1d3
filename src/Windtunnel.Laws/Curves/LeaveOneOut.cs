using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws.Curves;

/// <summary>How a law fitted to all other curves predicts each curve: the honest error of a fit of curves.</summary>
/// <param name="Curve">The curve that was left out.</param>
/// <param name="Score">How well it was predicted.</param>
public sealed record LeaveOneOut(LossCurve Curve, CurveScore Score)
{
    /// <summary>Leaves out each curve in turn.</summary>
    /// <param name="fitter">A fitter of the law's <see cref="CurveProblem"/>.</param>
    /// <returns>In order of curves; empty where there is only one.</returns>
    public static IReadOnlyList<LeaveOneOut> Of(CurveLaw law, Fitter fitter)
    {
        CurveProblem problem = (CurveProblem)fitter.Problem;
        return problem.Curves.Count < 2 ? [] : [.. problem.Curves.Select((curve, index) =>
        {
            double[] weights = new double[problem.Rows];
            Array.Fill(weights, 1);
            weights.AsSpan(problem.RowsOf(index)).Clear();
            Optimum best = fitter.Search(weights)[0];
            return new LeaveOneOut(curve, CurveScore.Of(law.Predict(best.Parameters, curve.Rates, curve.Steps, curve.Parameters), curve.Losses));
        })];
    }
}
