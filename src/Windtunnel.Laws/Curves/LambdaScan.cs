using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws.Curves;

/// <summary>An annealing law fitted at each of several lambdas: lambda is a choice between fits, not a parameter of one.</summary>
/// <param name="Law">The law at the best lambda.</param>
/// <param name="Fitter">Its fitter, for intervals.</param>
/// <param name="Minima">Its local minima, the best first.</param>
/// <param name="Profile">The lowest objective at each lambda. It is often flat: neighbours of the best predict about as well.</param>
public sealed record LambdaScan(AnnealingLaw Law, Fitter Fitter, IReadOnlyList<Optimum> Minima, IReadOnlyList<(double Lambda, double Value)> Profile)
{
    /// <summary>Fits the law at each lambda.</summary>
    /// <param name="law">Its own lambda is not used.</param>
    /// <param name="lambdas">What to try; <see cref="AnnealingLaw.LambdaGrid"/> when null.</param>
    /// <param name="pins">Parameters to hold, by name.</param>
    public static LambdaScan Of(
        AnnealingLaw law, IReadOnlyList<LossCurve> curves, Objective? objective = null, IReadOnlyList<double>? lambdas = null,
        IReadOnlyDictionary<string, double>? pins = null)
    {
        LambdaScan[] fits = [.. (lambdas ?? AnnealingLaw.LambdaGrid).Select(lambda =>
        {
            AnnealingLaw at = law with { Lambda = lambda };
            Fitter fitter = new(at.Bind(curves), objective ?? law.Objective, pins);
            return new LambdaScan(at, fitter, fitter.Search(), []);
        })];
        return fits.MinBy(fit => fit.Minima[0].Value)! with { Profile = [.. fits.Select(fit => (fit.Law.Lambda, fit.Minima[0].Value))] };
    }
}
