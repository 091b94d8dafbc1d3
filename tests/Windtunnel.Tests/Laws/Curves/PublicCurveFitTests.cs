using Windtunnel.Laws;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Fitting;
using Windtunnel.Laws.Reproduction;

namespace Windtunnel.Tests.Laws.Curves;

/// <summary>Fits of published curves, against published fits of the same curves.</summary>
public class PublicCurveFitTests
{
    // Luo et al. 2025's split: three curves fitted, six predicted.
    [Theory]
    [InlineData("25M", 0.995, 0.00456, 3.14908, 0.52409, 1.91335, 0.50054, 1.95306e-4)]
    [InlineData("100M", 0.999, 0.00467, 2.78890, 0.59257, 0.48122, 0.45498, 1.24095e-4)]
    public void The_annealing_law_finds_its_lambda_and_predicts_the_held_out_curves(
        string model, double lambda, double mae, double l0, double a, double c, double alpha, double objective)
    {
        LambdaScan scan = LambdaScan.Of(new AnnealingLaw(), PublicCurves.Read(model, PublishedCurves.Training));
        Assert.Equal(lambda, scan.Law.Lambda);
        Assert.Equal(AnnealingLaw.LambdaGrid, scan.Profile.Select(point => point.Lambda));
        Optimum best = scan.Minima[0];
        Assert.Equal(scan.Profile.Min(point => point.Value), best.Value);
        Assert.Equal(objective, best.Value, 1e-5 * objective);
        Assert.Equal([l0, a, c, alpha], best.Parameters, (expected, actual) => Math.Abs(expected - actual) < 1e-5 * Math.Max(1, expected));
        Assert.Equal(mae, Score(scan.Law, best, PublicCurves.Read(model, PublishedCurves.Test)).Mae, 1e-5);
    }

    [Fact]
    public void Freeing_the_exponents_fits_better_and_predicts_worse()
    {
        CurveScore held = Score("25M", new MultiPowerLaw(), out Optimum fixedFit), freed = Score("25M", new MultiPowerLaw(Free: true), out Optimum freeFit);
        Assert.InRange(freeFit.Value, 1.27e-4, 0.9 * fixedFit.Value);
        Assert.InRange(freed.Mae, 1.1 * held.Mae, 0.005);
        Assert.Contains("beta rests on its bound 0.05", Assert.Single(CurveWarnings.OfMinimum(new MultiPowerLaw(Free: true), freeFit)));
        Assert.Empty(CurveWarnings.OfMinimum(new MultiPowerLaw(), fixedFit));
    }

    [Fact]
    public void A_stable_run_and_two_cooldowns_predict_the_final_losses_of_the_other_schedules()
    {
        LossCurve[] curves = PublicCurves.ReadCooldowns(1e-3);
        LossCurve[] training = [.. curves.Where(curve =>
            curve.Name.Contains("stable-124m") || curve.Name.Contains("linear_0.2_iter25000") || curve.Name.Contains("linear_0.8_iter25000"))];
        Assert.Equal(3, training.Length);
        LossCurve[] others = [.. curves.Except(training)];
        Assert.Equal(30, others.Length);
        Assert.Empty(CurveWarnings.OfCurves(new MultiPowerLaw(Free: true), training));

        LambdaScan scan = LambdaScan.Of(new AnnealingLaw(), training);
        Assert.Equal(0.999, scan.Law.Lambda);
        double error = others.Average(curve => Math.Abs(scan.Law.Predict(scan.Minima[0].Parameters, curve.Rates, [curve.Steps[^1]])[0] - curve.Losses[^1]));
        Assert.InRange(error, 0, 0.009);
    }

    [Fact]
    public void Leaving_out_a_curve_is_fitting_the_others()
    {
        AnnealingLaw law = new();
        LossCurve[] curves = PublicCurves.Read("100M", PublishedCurves.Training);
        IReadOnlyList<LeaveOneOut> errors = LeaveOneOut.Of(law, new Fitter(law.Bind(curves), law.Objective));
        Assert.Equal(curves, errors.Select(error => error.Curve));
        Optimum alone = new Fitter(law.Bind(curves[..2]), law.Objective).Search()[0];
        Assert.Equal(Score(law, alone, curves[2..]).Mae, errors[2].Score.Mae, 1e-8);
        Assert.Empty(LeaveOneOut.Of(law, new Fitter(law.Bind(curves[..1]), law.Objective)));
    }

    [Fact]
    public void One_law_with_model_size_fits_both_sizes()
    {
        AnnealingLaw law = new(0.999, Size: true);
        LossCurve[] training = [.. PublicCurves.Read("25M", PublishedCurves.Training), .. PublicCurves.Read("100M", PublishedCurves.Training)];
        Optimum best = new Fitter(law.Bind(training), law.Objective, new Dictionary<string, double> { ["beta"] = 0.1615 }).Search()[0];
        Assert.InRange(Score(law, best, PublicCurves.Read("25M", PublishedCurves.Test)).Mae, 0.003, 0.012);
        Assert.InRange(Score(law, best, PublicCurves.Read("100M", PublishedCurves.Test)).Mae, 0.003, 0.006);
        Assert.InRange(best.Parameters[^1], 0.05, 0.25);
    }

    private static CurveScore Score(string model, CurveLaw law, out Optimum best)
    {
        best = new Fitter(law.Bind(PublicCurves.Read(model, PublishedCurves.Training)), law.Objective).Search()[0];
        return Score(law, best, PublicCurves.Read(model, PublishedCurves.Test));
    }

    private static CurveScore Score(CurveLaw law, Optimum fit, IEnumerable<LossCurve> curves) =>
        CurveScore.Mean([.. curves.Select(curve => CurveScore.Of(law.Predict(fit.Parameters, curve.Rates, curve.Steps, curve.Parameters), curve.Losses))]);
}
