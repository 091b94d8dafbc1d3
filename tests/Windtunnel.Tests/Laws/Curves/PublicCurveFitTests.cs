using Windtunnel.Laws;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Tests.Laws.Curves;

/// <summary>Fits of published curves, against published fits of the same curves.</summary>
public class PublicCurveFitTests
{
    private static readonly Dictionary<string, double> s_noAnnealing = new() { ["C"] = 0 };

    // Luo et al. 2025, table 3, fitted on three curves and averaged over the other six; the objectives and parameters of the linear law
    // are those that their code logs.
    [Theory]
    [InlineData("25M", 0.02460, 0.00512, 3.147763, 0.525612, 0.498723, 378.184, 2.48184e-4)]
    [InlineData("100M", 0.02921, 0.00551, 2.776248, 0.606933, 0.442105, 456.870, 2.21005e-4)]
    public void Laws_without_momentum_fit_as_published(
        string model, double areaOnly, double linear, double l0, double a, double alpha, double b, double objective)
    {
        Assert.Equal(areaOnly, Score(model, new AnnealingLaw(0), s_noAnnealing, out _).Mae, 1e-5);
        Assert.Equal(linear, Score(model, new AnnealingLaw(0), null, out Optimum fit).Mae, 1e-5);
        Assert.Equal(objective, fit.Value, 1e-5 * objective);
        Assert.Equal([l0, a, b, alpha], fit.Parameters, (expected, actual) => Math.Abs(expected - actual) < 3e-6 * expected);
    }

    [Theory]
    [InlineData("25M", 0.995, 0.00456, 3.14908, 0.52409, 1.91335, 0.50054, 1.95306e-4)]
    [InlineData("100M", 0.999, 0.00467, 2.78890, 0.59257, 0.48122, 0.45498, 1.24095e-4)]
    public void The_annealing_law_finds_its_lambda_and_predicts_the_held_out_curves(
        string model, double lambda, double mae, double l0, double a, double c, double alpha, double objective)
    {
        LambdaScan scan = LambdaScan.Of(new AnnealingLaw(), PublicCurves.Read(model, PublicCurves.Training));
        Assert.Equal(lambda, scan.Law.Lambda);
        Assert.Equal(AnnealingLaw.LambdaGrid, scan.Profile.Select(point => point.Lambda));
        Optimum best = scan.Minima[0];
        Assert.Equal(scan.Profile.Min(point => point.Value), best.Value);
        Assert.Equal(objective, best.Value, 1e-5 * objective);
        Assert.Equal([l0, a, c, alpha], best.Parameters, (expected, actual) => Math.Abs(expected - actual) < 1e-5 * Math.Max(1, expected));
        Assert.Equal(mae, Score(scan.Law, best, PublicCurves.Read(model, PublicCurves.Test)).Mae, 1e-5);
    }

    [Theory]
    [InlineData("25M", 0.00405, 0.00318)]
    [InlineData("100M", 0.00409, 0.00464)]
    public void The_multi_power_law_with_fixed_exponents_predicts_better(string model, double mae, double worst)
    {
        CurveScore score = Score(model, new MultiPowerLaw(), null, out _);
        Assert.Equal(mae, score.Mae, 1.5e-5);
        Assert.Equal(worst, score.WorstE, 1e-5);
    }

    [Fact]
    public void Freeing_the_exponents_fits_better_and_predicts_worse()
    {
        CurveScore held = Score("25M", new MultiPowerLaw(), null, out Optimum fixedFit), freed = Score("25M", new MultiPowerLaw(Free: true), null, out Optimum freeFit);
        Assert.InRange(freeFit.Value, 1.27e-4, 0.9 * fixedFit.Value);
        Assert.InRange(freed.Mae, 1.1 * held.Mae, 0.005);
        Assert.Contains("beta rests on its bound 0.05", Assert.Single(CurveWarnings.OfMinimum(new MultiPowerLaw(Free: true), freeFit)));
        Assert.Empty(CurveWarnings.OfMinimum(new MultiPowerLaw(), fixedFit));
    }

    [Fact]
    public void A_stable_run_and_two_cooldowns_predict_the_final_losses_of_the_other_schedules()
    {
        LossCurve[] curves = [.. PublicCurves.ReadSmall(1e-3).Where(curve => !curve.Name.Contains("_sl_") && !curve.Name.Contains("grad_norm"))];
        LossCurve[] training = [.. curves.Where(curve =>
            curve.Name.Contains("stable-124m") || curve.Name.Contains("linear_0.2_iter25000") || curve.Name.Contains("linear_0.8_iter25000"))];
        Assert.Equal(3, training.Length);
        LossCurve[] others = [.. curves.Except(training)];
        Assert.Equal(30, others.Length);
        Assert.Empty(CurveWarnings.OfCurves(new MultiPowerLaw(Free: true), training));

        MultiPowerLaw multiPower = new(Free: true);
        Assert.InRange(FinalError(multiPower, new Fitter(multiPower.Bind(training), multiPower.Objective).Search()[0]), 0, 0.009);
        LambdaScan annealing = LambdaScan.Of(new AnnealingLaw(), training);
        Assert.Equal(0.999, annealing.Law.Lambda);
        Assert.InRange(FinalError(annealing.Law, annealing.Minima[0]), 0, 0.0101);

        double FinalError(CurveLaw law, Optimum fit) =>
            others.Average(curve => Math.Abs(law.Predict(fit.Parameters, curve.Rates, [curve.Steps[^1]])[0] - curve.Losses[^1]));
    }

    [Fact]
    public void One_law_with_model_size_fits_both_sizes()
    {
        AnnealingLaw law = new(0.999, Size: true);
        LossCurve[] training = [.. PublicCurves.Read("25M", PublicCurves.Training), .. PublicCurves.Read("100M", PublicCurves.Training)];
        Optimum best = new Fitter(law.Bind(training), law.Objective, new Dictionary<string, double> { ["beta"] = 0.1615 }).Search()[0];
        Assert.InRange(Score(law, best, PublicCurves.Read("25M", PublicCurves.Test)).Mae, 0.003, 0.012);
        Assert.InRange(Score(law, best, PublicCurves.Read("100M", PublicCurves.Test)).Mae, 0.003, 0.006);
        Assert.InRange(best.Parameters[^1], 0.05, 0.25);
    }

    private static CurveScore Score(string model, CurveLaw law, IReadOnlyDictionary<string, double>? pins, out Optimum best)
    {
        best = new Fitter(law.Bind(PublicCurves.Read(model, PublicCurves.Training)), law.Objective, pins).Search()[0];
        return Score(law, best, PublicCurves.Read(model, PublicCurves.Test));
    }

    private static CurveScore Score(CurveLaw law, Optimum fit, IEnumerable<LossCurve> curves) =>
        CurveScore.Mean([.. curves.Select(curve => CurveScore.Of(law.Predict(fit.Parameters, curve.Rates, curve.Steps, curve.Parameters), curve.Losses))]);
}
