using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws.Planning;

/// <summary>From a fitted law of loss to runs that spend a budget best.</summary>
public sealed class Planner
{
    /// <summary>What the compute-optimal run is called.</summary>
    public const string ComputeOptimal = "compute-optimal";

    /// <summary>What the run is called that is trained longer because it will be served.</summary>
    public const string OverTrained = "over-trained";

    // Beyond it, rounding decides the parameters.
    private const double ConditionMax = 1e12;

    private readonly Fit _loss;
    private readonly ErrorOfLoss? _error;
    private readonly FitPredictor _predictor;

    /// <summary>A planner on a fit.</summary>
    /// <param name="loss">Of loss over n and d.</param>
    /// <param name="error">Of downstream error over loss, where there is one.</param>
    /// <param name="count">Which parameters the fit counts; null to go by the column that it was fitted to.</param>
    /// <exception cref="ValidationException">The fit is of something else, has no optimum, or cannot tell n from d.</exception>
    public Planner(Fit loss, Fit? error = null, ParameterCount? count = null)
    {
        (_loss, _error, _predictor) = (loss, error is null ? null : new ErrorOfLoss(error), new FitPredictor(loss));
        Surface = LossSurface.Of(loss.Law, loss.Values);
        Quantity n = ((PointLaw)loss.Law).Inputs[0];
        Count = count ?? CountOf(n, loss.Data.Columns.GetValueOrDefault(n.Name, n.Name));
        if (!(Surface is { A: > 0, Alpha: > 0, B: > 0, Beta: > 0 } && double.IsFinite(Surface.At(1, 1))))
        {
            throw new ValidationException($"the fit has no compute-optimal run: its loss does not fall with {(Surface is { A: > 0, Alpha: > 0 } ? "d" : "n")}");
        }

        if (!(loss.Quality.ConditionNumber <= ConditionMax))
        {
            throw new ValidationException(
                $"N and D cannot be told apart: the fit's condition number is {loss.Quality.ConditionNumber:G3}, so its split of a budget means nothing; add runs with other ratios D/N");
        }

        if (error is not null && error.Law is not DownstreamErrorLaw)
        {
            throw new ValidationException($"a downstream error needs a fit of the law downstream, not of {LawCatalog.NameOf(error.Law)}");
        }
    }

    /// <summary>The fitted loss.</summary>
    public LossSurface Surface { get; }

    /// <summary>Which parameters N counts.</summary>
    public ParameterCount Count { get; }

    /// <summary>The best run of the law for so much compute C = 6 N D, with the 95 % intervals of its N and D.</summary>
    /// <param name="served">Tokens that the model will serve; 0 for the compute-optimal run.</param>
    public (PlannedRun Run, Interval N, Interval D) OfLaw(double compute, double served = 0)
    {
        (double n, double d) = Surface.OfCompute(compute, served);
        Interval logN = _predictor.Of(p => Math.Log(LossSurface.Of(_loss.Law, p).OfCompute(compute, served).N));
        Interval parameters = new(Math.Exp(logN.Low), Math.Exp(logN.High));
        return (At(served > 0 ? OverTrained : ComputeOptimal, n, d, compute), parameters, new Interval(compute / 6 / parameters.High, compute / 6 / parameters.Low));
    }

    /// <summary>The cheapest run of the law, trained and served, that is as good as another.</summary>
    public PlannedRun AsGood(PlannedRun run, double served)
    {
        (double n, double d) = Surface.OfLoss(run.Loss.Value, served);
        return At(OverTrained, n, d, 6 * n * d);
    }

    /// <summary>Of models that can be built, the one that ends lowest when it spends the budget on its own count of operations.</summary>
    /// <param name="shapes">What there is to choose from.</param>
    public PlannedRun OfShapes(double compute, IEnumerable<ModelShape> shapes) =>
        Of(ComputeOptimal, shapes.MinBy(shape => Surface.At(shape.Count(Count), compute / shape.FlopsAToken))!, compute);

    /// <summary>Of models that can be built, the one nearest to what the law finds best for so many served tokens, with the budget spent on it.</summary>
    public PlannedRun OfShapes(double compute, IEnumerable<ModelShape> shapes, double served)
    {
        double n = Surface.OfCompute(compute, served).N;
        return Of(OverTrained, shapes.MinBy(shape => Math.Abs(Math.Log(shape.Count(Count) / n)))!, compute);
    }

    /// <summary>What to expect of a run.</summary>
    /// <param name="name">What to call it.</param>
    /// <param name="flops">Operations of training.</param>
    public PlannedRun At(string name, double n, double d, double flops, ModelShape? shape = null)
    {
        Prediction loss = _predictor.At(n, d);
        return new PlannedRun(name, n, d, flops, loss, _error?.At(loss), shape);
    }

    /// <summary>Which parameters a quantity called n counts: as its column's name says, else as its law means it.</summary>
    internal static ParameterCount CountOf(Quantity n, string column)
    {
        string name = column.Replace("-", "_", StringComparison.Ordinal).ToLowerInvariant();
        return name.Contains("non_emb", StringComparison.Ordinal) || name.Contains("nonemb", StringComparison.Ordinal) || name.Contains("no_emb", StringComparison.Ordinal)
            ? ParameterCount.NonEmbedding
            : name == n.Name && n.Meaning.Contains("without embeddings", StringComparison.Ordinal) ? ParameterCount.NonEmbedding : ParameterCount.All;
    }

    private PlannedRun Of(string name, ModelShape shape, double compute) => At(name, shape.Count(Count), compute / shape.FlopsAToken, compute, shape);
}
