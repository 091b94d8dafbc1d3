using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws.Reproduction;

/// <summary>
/// Luo et al. 2025, "A multi-power law for loss curve prediction across learning rate schedules" (arXiv 2503.12811): nine schedules each at
/// 25M and 100M parameters (mpl_*.csv), their three laws and the annealing law of Tissue et al. 2024; and the 124M cooldown runs of
/// Schaipp et al. 2025 (schaipp_*.csv).
/// </summary>
public sealed class CurvesStudy : PublishedStudy
{
    // Mean over the six test curves of the README's parameters, as the repository's log has them: R2, MAE, RMSE, PredE, WorstE.
    private static readonly (string Model, double[] Scores)[] s_readme =
        [("25M", [0.99880, 0.00376, 0.00465, 0.00110, 0.00409]), ("100M", [0.99830, 0.00435, 0.00592, 0.00142, 0.00583])];

    // L0, A, B, alpha and the objective of the law without momentum, from which the repository's fits start.
    private static readonly (string Model, double[] Values)[] s_initial =
        [("25M", [3.147763, 0.525612, 378.184, 0.498723, 2.48184e-4]), ("100M", [2.776248, 0.606933, 456.870, 0.442105, 2.21005e-4])];

    // Test MAE of our laws by independent code: area only, without momentum, annealing at its best lambda, multi-power with fixed exponents.
    private static readonly (string Model, double Lambda, double[] Errors)[] s_errors =
        [("25M", 0.995, [0.02460, 0.00512, 0.00456, 0.00405]), ("100M", 0.999, [0.02921, 0.00551, 0.00467, 0.00409])];

    // End losses of the README's parameters after 24,000 steps: optimised, linear and exponential decay, cosine.
    private static readonly (string Model, double[] Losses)[] s_ends =
        [("25M", [3.25795, 3.26539, 3.26626, 3.31519]), ("100M", [2.92469, 2.93412, 2.93520, 2.99002]), ("400M", [2.68905, 2.69935, 2.69981, 2.75707])];

    private static readonly string[] s_measures = ["R2", "MAE", "RMSE", "PredE", "WorstE"];

    /// <inheritdoc/>
    public override string Name => "curves";

    /// <inheritdoc/>
    public override string Source => "Luo et al. 2025, loss curves across schedules; Schaipp et al. 2025, cooldowns";

    /// <inheritdoc/>
    protected override string Subfolder => "curves";

    /// <inheritdoc/>
    public override StudyReport Run(string folder)
    {
        List<ReproducedFigure> figures = [];
        MultiPowerLaw published = new(Free: true, Warmup: WarmupHandling.RampInDrops);
        foreach ((string model, double[] scores) in s_readme)
        {
            CurveScore mean = Score(published, PublishedCurves.ReadmeParameters(model), Curves(model, PublishedCurves.Test));
            figures.AddRange(s_measures.Zip(scores, [mean.R2, mean.Mae, mean.Rmse, mean.PredE, mean.WorstE])
                .Select(measure => new ReproducedFigure("parameters of the README, six test curves", $"{model} {measure.First}", measure.Second, measure.Third, 1e-5)));
        }

        foreach ((string model, double[] values) in s_initial)
        {
            Optimum fit = Fit(new AnnealingLaw(0), Curves(model, PublishedCurves.Training));
            figures.AddRange(new[] { "L0", "A", "B", "alpha", "objective" }.Zip(values, [.. fit.Parameters, fit.Value])
                .Select(value => ReproducedFigure.Relative("law without momentum, as the code logs it", $"{model} {value.First}", value.Second, value.Third, 1e-5)));
        }

        foreach ((string model, double lambda, double[] errors) in s_errors)
        {
            LossCurve[] training = Curves(model, PublishedCurves.Training), test = Curves(model, PublishedCurves.Test);
            LambdaScan scan = LambdaScan.Of(new AnnealingLaw(), training);
            (string What, CurveLaw Law, Optimum Fit)[] fits =
            [
                ("area only", new AnnealingLaw(0), Fit(new AnnealingLaw(0), training, ("C", 0))),
                ("without momentum", new AnnealingLaw(0), Fit(new AnnealingLaw(0), training)),
                ("annealing", scan.Law, scan.Minima[0]),
                ("multi-power, fixed exponents", new MultiPowerLaw(), Fit(new MultiPowerLaw(), training)),
            ];
            figures.Add(new ReproducedFigure("three curves fitted, six predicted; published: independent code", $"{model} lambda of the annealing law", lambda, scan.Law.Lambda, 0));
            figures.AddRange(fits.Zip(errors).Select(pair => new ReproducedFigure(
                "three curves fitted, six predicted; published: independent code", $"{model} MAE, {pair.First.What}", pair.Second, Score(pair.First.Law, pair.First.Fit.Parameters, test).Mae, 1.5e-5)));
        }

        foreach ((string model, double[] losses) in s_ends)
        {
            double[] values = PublishedCurves.ReadmeParameters(model);
            double optimised = ScheduleOptimizer.Of(published, values, PublishedCurves.Schedule("constant_24000")).Loss;
            figures.Add(new ReproducedFigure("end loss after 24,000 steps, README's parameters; published: independent code", $"{model} optimised schedule", losses[0], optimised, 2e-4));
            figures.AddRange(new[] { "wsdld_20000_24000", "wsd_20000_24000", "cosine_24000" }.Zip(losses[1..]).Select(pair => new ReproducedFigure(
                "end loss after 24,000 steps, README's parameters; published: independent code", $"{model} {pair.First}", pair.Second, published.PredictLast(values, PublishedCurves.Schedule(pair.First)), 2e-5)));
        }

        (int others, double annealing, double multiPower) = FinalErrors(folder);
        string part = $"124M: stable run and cooldowns of 20 % and 80 % fitted, final losses of {others} other runs predicted; published: independent code";
        figures.Add(new ReproducedFigure(part, "mean error, annealing law", 0.009, annealing, 0.001));
        figures.Add(new ReproducedFigure(part, "mean error, multi-power law", 0.006, multiPower, 0.0015));
        return new StudyReport(figures,
        [
            "The published parameters count the ramp of the warm-up as annealing: evaluated without it they are 0.11 to 0.16 nats too low, and the optimised loss that their code prints, 3.1497, is 0.108 too low.",
            "The paper's own annealing baseline at 100M (MAE .0068) is not the best fit of that law: at its minimum it predicts with .00467.",
            "Beta and gamma are weakly identified: freed, they fit the three curves better and predict the other six worse.",
        ]);

        LossCurve[] Curves(string model, IEnumerable<string> names) => PublishedCurves.Read(file => Read(folder, file), model, names);
    }

    private (int Others, double Annealing, double MultiPower) FinalErrors(string folder)
    {
        LossCurve[] curves = PublishedCurves.ReadCooldowns(file => Read(folder, file), 1e-3);
        LossCurve[] training = [.. curves.Where(curve => new[] { "stable-124m", "linear_0.2_iter25000", "linear_0.8_iter25000" }.Any(curve.Name.Contains))];
        LossCurve[] others = [.. curves.Except(training)];
        LambdaScan scan = LambdaScan.Of(new AnnealingLaw(), training);
        MultiPowerLaw multiPower = new(Free: true);
        return (others.Length, Error(scan.Law, scan.Minima[0]), Error(multiPower, Fit(multiPower, training)));

        double Error(CurveLaw law, Optimum fit) =>
            others.Average(curve => Math.Abs(law.Predict(fit.Parameters, curve.Rates, [curve.Steps[^1]])[0] - curve.Losses[^1]));
    }

    private static Optimum Fit(CurveLaw law, LossCurve[] curves, params IEnumerable<(string Name, double Value)> pins) =>
        new Fitter(law.Bind(curves), law.Objective, pins.ToDictionary(pin => pin.Name, pin => pin.Value)).Search()[0];

    private static CurveScore Score(CurveLaw law, double[] values, LossCurve[] curves) =>
        CurveScore.Mean([.. curves.Select(curve => CurveScore.Of(law.Predict(values, curve.Rates, curve.Steps, curve.Parameters), curve.Losses))]);
}
