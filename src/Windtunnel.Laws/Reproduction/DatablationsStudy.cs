using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws.Reproduction;

/// <summary>
/// Muennighoff et al. 2023, "Scaling data-constrained language models" (arXiv 2305.16264), from the 182 runs on C4 that its parametric
/// fit uses: datablations_c4.csv.
/// </summary>
public sealed class DatablationsStudy : PublishedStudy
{
    private const double PublishedData = 15.387756, PublishedModel = 5.309743;

    /// <inheritdoc/>
    public override string Name => "datablations";

    /// <inheritdoc/>
    public override string Source => "Muennighoff et al. 2023, data-constrained scaling";

    /// <inheritdoc/>
    protected override string Subfolder => "scaling";

    /// <inheritdoc/>
    public override StudyReport Run(string folder)
    {
        DataConstrainedLaw law = new();
        Fitter fitter = Bind(law, Read(folder, "datablations_c4.csv"));
        double[] published = At(PublishedData, PublishedModel);
        Optimum best = fitter.Search()[0], local = fitter.Refine(published);
        double valley = Math.Max(Profile(15), Profile(320)) / best.Value;
        return new StudyReport(
        [
            ReproducedFigure.Relative("at the published values", "objective", 0.0158259366, fitter.Value(published), 1e-6),
            new("at the published values", "R^2", 0.7722046084968408, RSquared(published), 1e-12),
            new("the local minimum they lie in", "R_D*", 15.3718, local.Parameters[3], 5e-5),
            new("the local minimum they lie in", "R_N*", 5.3151, local.Parameters[4], 5e-5),
            new("the local minimum they lie in", "objective", 0.01582593, local.Value, 5e-9),
            new("the lowest minimum", "R_D*", 95.37, best.Parameters[3], 5e-3),
            new("the lowest minimum", "R_N*", 1.706, best.Parameters[4], 5e-4),
            new("the lowest minimum", "objective", 0.01580466, best.Value, 5e-9),
            new("the lowest minimum", "R^2", 0.7910, RSquared(best.Parameters), 5e-5),
            new("the valley", "objective at R_D* = 15 and 320 over the lowest: 1 to 1.003", 1.0015, valley, 0.0015),
        ],
        [
            $"The published values lie in a local minimum: R_D* = {best.Parameters[3]:F2}, R_N* = {best.Parameters[4]:F3} scores {best.Value:G7} where they score {fitter.Value(published):G7}.",
            $"The data hardly say what R_D* is: with R_N* refitted, anything from 15 to 320 is within {valley - 1:P1} of the lowest objective.",
        ]);

        double[] At(double data, double model) => [law.E, law.A, law.B, data, model];

        double Profile(double data)
        {
            Fitter pinned = new(fitter.Problem, fitter.Objective, new Dictionary<string, double>(law.Given) { ["R_D*"] = data });
            return pinned.Search()[0].Value;
        }

        double RSquared(double[] parameters)
        {
            double[] observed = fitter.Problem.Observed, logs = fitter.Residuals(parameters);
            double mean = observed.Average(), residual = observed.Zip(logs, (y, r) => Square(y * (Math.Exp(r) - 1))).Sum();
            return 1 - (residual / observed.Sum(y => Square(y - mean)));
        }
    }

    private static double Square(double value) => value * value;
}
