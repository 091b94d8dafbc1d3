using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws;

/// <summary>Predicts downstream error from a predicted loss, with intervals that hold what is not known of both laws.</summary>
/// <param name="error">A fit of <see cref="DownstreamErrorLaw"/>.</param>
public sealed class ErrorOfLoss(Fit error)
{
    private readonly FitPredictor _predictor = new(error);
    private readonly double[] _values = error.Values;

    /// <summary>The error at a loss that was measured: the second leg alone.</summary>
    public Prediction At(double loss) => _predictor.At(loss);

    /// <summary>The error at a predicted loss: both legs add up as independent errors do.</summary>
    public Prediction At(Prediction loss)
    {
        Prediction second = At(loss.Value);
        return second with { Mean = Through(second.Mean, loss.Mean), Single = Through(second.Single, loss.Single) };

        Interval Through(Interval own, Interval losses)
        {
            double low = ValueAt(losses.Low) - second.Value, high = ValueAt(losses.High) - second.Value;
            return new Interval(second.Value - double.Hypot(own.Low - second.Value, low), second.Value + double.Hypot(own.High - second.Value, high));
        }
    }

    private double ValueAt(double loss) => ((PointLaw)error.Law).Predict(_values, loss);
}
