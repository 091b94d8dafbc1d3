using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws;

/// <summary>A predicted value.</summary>
/// <param name="Mean">95 % interval of the law's value.</param>
/// <param name="Single">95 % interval of one new run, which scatters around it.</param>
/// <param name="Extrapolation">How far beyond the fitted range, as a ratio of the input, or what counts of a schedule, that is farthest outside; 1 inside.</param>
public sealed record Prediction(double Value, Interval Mean, Interval Single, double Extrapolation);

/// <summary>Predicts with a fit, as often as one likes: what the intervals need of the fitted rows is worked out once.</summary>
public sealed class FitPredictor(Fit fit)
{
    private readonly double[] _values = fit.Values;

    /// <summary>The objective around its optimum.</summary>
    internal ProfileLikelihood Likelihood => field ??= NewLikelihood();

    // Of each input, over the fitted rows.
    private Interval[] Ranges => field ??= RangesOfInputs();

    private PointLaw Law => fit.Law as PointLaw ?? throw new ValidationException($"{fit.Law.Title}: predicts whole curves, and needs a schedule");

    /// <summary>The prediction for one row, with profiles for intervals; quantiles where the fit has a bootstrap.</summary>
    /// <param name="x">In the order of the law's inputs.</param>
    /// <exception cref="ValidationException">The law is one of whole curves.</exception>
    public Prediction At(params double[] x)
    {
        double Value(IReadOnlyList<double> parameters) => Law.Predict([.. parameters], x);
        if (fit.Bootstrap is not null || fit.Quality.DegreesOfFreedom <= 0)
        {
            return OfSamples(Value, Extrapolation(x));
        }

        double value = Value(_values);
        Interval mean = Likelihood.Of(Value);
        return new Prediction(value, mean, Likelihood.OfObservation(value, mean), Extrapolation(x));
    }

    /// <summary>The 95 % interval of a function of the parameters, which is smooth, and finite at the optimum.</summary>
    public Interval Of(Func<IReadOnlyList<double>, double> function) =>
        fit.Bootstrap is not null || fit.Quality.DegreesOfFreedom <= 0 ? OfSamples(function, 1).Mean : Likelihood.Of(function);

    /// <summary>The value with an interval from the curvature at the optimum: good near the fitted rows, and quick enough for a band.</summary>
    public Interval Band(params double[] x)
    {
        double Value(IReadOnlyList<double> parameters) => Law.Predict([.. parameters], x);
        if (fit.Bootstrap is not null || fit.Quality.DegreesOfFreedom <= 0)
        {
            return OfSamples(Value, 1).Mean;
        }

        double value = Value(_values), reach = Likelihood.ReachOf(parameters => fit.Objective.Log ? Math.Log(Value(parameters)) : Value(parameters));
        return fit.Objective.Log ? new Interval(value * Math.Exp(-reach), value * Math.Exp(reach)) : new Interval(value - reach, value + reach);
    }

    /// <summary>The predicted loss curve under a schedule.</summary>
    /// <param name="steps">Ascending, after the warm-up.</param>
    /// <param name="parameters">Non-embedding parameters, where the law needs them.</param>
    /// <exception cref="ValidationException">The law is not one of curves, or predicts no loss for such a schedule.</exception>
    public IReadOnlyList<Prediction> Curve(LearningRateSequence rates, IReadOnlyList<int> steps, double parameters = double.NaN)
    {
        CurveLaw law = fit.Law as CurveLaw ?? throw new ValidationException($"{fit.Law.Title}: predicts single runs, not curves");
        double[] values = law.Predict(_values, rates, steps, parameters);
        double[] extrapolation = fit.Data.Curves?.Extrapolation(law, rates, steps, parameters) ?? [.. steps.Select(_ => 1.0)];
        int bad = Array.FindIndex(values, value => !(value > 0 && double.IsFinite(value)));
        if (bad >= 0)
        {
            throw new ValidationException(
                $"the fit predicts a loss of {values[bad]:G4} at step {steps[bad]}, {extrapolation[bad]:G3} times outside the curves that were fitted; give a schedule nearer to theirs");
        }

        double[][] samples = [.. (fit.Bootstrap ?? []).Select(sample => law.Predict(sample, rates, steps, parameters))];
        return [.. values.Select((value, i) => WithNoise(value, samples.Length > 0 ? Interval.OfSample(samples.Select(sample => sample[i]), 0.95) : Interval.Unlimited, extrapolation[i]))];
    }

    private Prediction OfSamples(Func<IReadOnlyList<double>, double> value, double extrapolation) =>
        WithNoise(value(_values), fit.Bootstrap is { } samples ? Interval.OfSample(samples.Select(value), 0.95) : Interval.Unlimited, extrapolation);

    // A single run scatters around the law by the residuals of the fit.
    private Prediction WithNoise(double value, Interval mean, double extrapolation)
    {
        double noise = 1.96 * fit.Quality.ResidualScale * (fit.Objective.Log ? value : 1);
        double low = double.Hypot(value - mean.Low, noise), high = double.Hypot(mean.High - value, noise);
        return new Prediction(value, mean, new Interval(value - low, value + high), extrapolation);
    }

    private ProfileLikelihood NewLikelihood()
    {
        Fitter fitter = new(PointProblem.Bind(Law, fit.Data.Inputs, fit.Data.Observed), fit.Objective, fit.Pins);
        return new ProfileLikelihood(fitter, fitter.Refine(_values));
    }

    // How far outside the fitted rows: the largest ratio to the nearest end of the range of any input.
    private double Extrapolation(double[] x) => Ranges.Zip(x, (range, value) => Math.Max(value / range.High, range.Low / value)).Append(1).Max();

    private Interval[] RangesOfInputs()
    {
        double[] inputs = fit.Data.Inputs;
        int width = Law.Inputs.Count;
        return inputs.Length == 0 ? [] : [.. Enumerable.Range(0, width).Select(first =>
        {
            IEnumerable<double> seen = Enumerable.Range(0, inputs.Length / width).Select(row => inputs[(row * width) + first]);
            return new Interval(seen.Min(), seen.Max());
        })];
    }
}
