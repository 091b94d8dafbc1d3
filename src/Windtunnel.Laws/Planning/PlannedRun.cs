using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws.Planning;

/// <summary>A run that a plan proposes, and what the law expects of it.</summary>
/// <param name="Name">What it is the best for, as a file name.</param>
/// <param name="N">Parameters, as the law counts them.</param>
/// <param name="D">Training tokens.</param>
/// <param name="Flops">Operations of training.</param>
/// <param name="Loss">Predicted, with intervals.</param>
/// <param name="Error">Downstream error where a law of it was given, with intervals through both laws.</param>
/// <param name="Shape">The model; null for a point of the law that is no model yet.</param>
public sealed record PlannedRun(string Name, double N, double D, double Flops, Prediction Loss, Prediction? Error = null, ModelShape? Shape = null)
{
    /// <summary>M, tokens a parameter.</summary>
    public double Multiplier => D / N;

    /// <summary>Operations of training and of serving so many tokens, which take a third of a training token's each.</summary>
    public double Lifetime(double served) => Flops + (Flops / D / 3 * served);

    /// <summary>What another law predicts for this run: a batch size, a learning rate.</summary>
    /// <param name="fit">A law whose inputs a planned run has.</param>
    /// <exception cref="ValidationException">It asks for something else.</exception>
    public Prediction Predict(Fit fit)
    {
        PointLaw law = fit.Law as PointLaw ?? throw new ValidationException($"{LawCatalog.NameOf(fit.Law)}: predicts loss curves, not a quantity of a run");
        return fit.Predict([.. law.Inputs.Select(input => Quantity(input, fit.Data.Columns.GetValueOrDefault(input.Name, input.Name)))]);
    }

    // A law of a plain x is told by its column what x is.
    private double Quantity(Quantity input, string column)
    {
        double nonEmbedding = Shape?.NonEmbedding ?? N;
        return (input.Name == "x" ? column : input.Name).ToLowerInvariant() switch
        {
            _ when Planner.CountOf(input, column) == ParameterCount.NonEmbedding => nonEmbedding,
            "n" or "params" or "parameters" or "n_params" => Shape?.Parameters ?? N,
            "d" or "tokens" => D,
            "r" or "chinchilla" => D / (20 * nonEmbedding),
            "m" or "multiplier" => Multiplier,
            "c" or "compute" or "flops" or "flops_6nd" => Flops,
            "loss" or "l" or "val_loss" => Loss.Value,
            _ => throw new ValidationException($"'{column}': a planned run has n, d, r, compute, loss and multiplier; name the column one of these in the table that is fitted"),
        };
    }
}
