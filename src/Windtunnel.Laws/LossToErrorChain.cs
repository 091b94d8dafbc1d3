namespace Windtunnel.Laws;

/// <summary>
/// From a planned run to its downstream error in two legs: N and D to loss, loss to error. Where the run exists already the second leg is
/// also taken from the loss it really has, because an accurate end can be two errors that cancel (Gadre et al. 2024: their 0.05 % is one).
/// </summary>
/// <param name="loss">A law of loss from N and D.</param>
/// <param name="lossParameters">In the order of the law.</param>
/// <param name="errorParameters">Of a <see cref="DownstreamErrorLaw"/>.</param>
public sealed class LossToErrorChain(PointLaw loss, IReadOnlyList<double> lossParameters, IReadOnlyList<double> errorParameters)
{
    private static readonly DownstreamErrorLaw s_error = new();

    /// <summary>Predicts a run.</summary>
    /// <param name="n">Parameters.</param>
    /// <param name="d">Training tokens.</param>
    /// <param name="trueLoss">Its loss, where it is known.</param>
    /// <param name="trueError">Its downstream error, where it is known.</param>
    public ChainPrediction At(double n, double d, double? trueLoss = null, double? trueError = null)
    {
        double predicted = loss.Predict([.. lossParameters], n, d);
        return new ChainPrediction(predicted, Error(predicted), trueLoss is { } known ? Error(known) : null, trueLoss, trueError);
    }

    /// <summary>Predicts a run of so much compute C = 6ND at the multiplier M = D/N.</summary>
    public ChainPrediction AtCompute(double compute, double multiplier, double? trueLoss = null, double? trueError = null)
    {
        (double n, double d) = OverTrainingLaw.Allocate(compute, multiplier);
        return At(n, d, trueLoss, trueError);
    }

    private double Error(double value) => s_error.Predict([.. errorParameters], value);
}

/// <summary>A predicted run, both legs apart.</summary>
/// <param name="Loss">The predicted loss.</param>
/// <param name="Error">The error predicted from the predicted loss: the whole chain.</param>
/// <param name="ErrorFromTrueLoss">The error predicted from the loss that the run has: the second leg alone.</param>
/// <param name="TrueLoss">The loss that the run has.</param>
/// <param name="TrueError">The error that it has.</param>
public sealed record ChainPrediction(double Loss, double Error, double? ErrorFromTrueLoss, double? TrueLoss, double? TrueError)
{
    /// <summary>(predicted - true) / true of the loss.</summary>
    public double? LossDeviation => (Loss / TrueLoss) - 1;

    /// <summary>(predicted - true) / true of the error, over the whole chain.</summary>
    public double? ErrorDeviation => (Error / TrueError) - 1;

    /// <summary>(predicted - true) / true of the error, over the second leg alone.</summary>
    public double? ErrorFromTrueLossDeviation => (ErrorFromTrueLoss / TrueError) - 1;
}
