using System.ComponentModel.DataAnnotations;
using MathNet.Numerics.Distributions;
using MathNet.Numerics.LinearAlgebra;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws.Planning;

/// <summary>A run that is worth adding to a fit.</summary>
/// <param name="N">Parameters, as the law counts them.</param>
/// <param name="D">Training tokens.</param>
/// <param name="Flops">6 N D.</param>
/// <param name="HalfWidth">Of the target's interval once this run and those before it are fitted: a share of the loss, or nats.</param>
/// <param name="Shrinkage">By how much this run narrows it: 0.1 for 10 %.</param>
public sealed record NextRun(double N, double D, double Flops, double HalfWidth, double Shrinkage);

/// <summary>
/// Which runs would narrow the prediction of a target most for their cost: c-optimal design on the law at its optimum. With J the
/// Jacobian of the fitted rows and g that of the target, its variance is g'(J'J)^-1 g, and g'(J'J + jj')^-1 g once a row j is added.
/// </summary>
/// <remarks>It takes the law as true and every row as equally noisy, so it says where the law is least certain, not where it is wrong.</remarks>
public sealed class NextRuns
{
    /// <summary>The share by which a run should narrow the interval to be worth the trouble.</summary>
    public const double Visible = 0.02;

    private readonly Fit _fit;
    private readonly ProfileLikelihood _likelihood;
    private readonly Vector<double> _target;
    private readonly Interval[] _ranges;

    /// <summary>Looks at a fit from a target.</summary>
    /// <param name="target">The inputs of the run to predict.</param>
    /// <exception cref="ValidationException">The fit leaves no degree of freedom, or does not determine its parameters.</exception>
    public NextRuns(Fit fit, params double[] target)
    {
        (_fit, _likelihood) = (fit, new FitPredictor(fit).Likelihood);
        _target = RowOf(target);
        _ranges = [.. target.Select((value, input) =>
        {
            IEnumerable<double> seen = fit.Data.Inputs.Where((_, index) => index % target.Length == input).Append(value);
            return new Interval(seen.Min(), seen.Max());
        })];
        if (_likelihood.DegreesOfFreedom < 1 || _likelihood.UnitCovariance is null)
        {
            throw new ValidationException("next runs: the fit does not determine its parameters, so no run can be told from another; add any that differs from all in n and d");
        }

        HalfWidth = HalfWidthOf(_likelihood.UnitCovariance, 0);
    }

    /// <summary>Half of the target's 95 % interval now, in the approximation of the design: a share of the loss, or nats.</summary>
    public double HalfWidth { get; }

    /// <summary>Runs on a grid: every half decade of compute, and multipliers M = D/N a factor of two apart.</summary>
    public static IReadOnlyList<(double N, double D)> Candidates(double computeMin, double computeMax, double multiplierMin, double multiplierMax)
    {
        List<(double, double)> runs = [];
        foreach (double compute in Steps(computeMin, computeMax, Math.Sqrt(10)))
        {
            runs.AddRange(Steps(multiplierMin, multiplierMax, 2).Select(multiplier => OverTrainingLaw.Allocate(compute, multiplier)));
        }

        return runs;
    }

    /// <summary>Whether a run lies within the fitted range of n and d, or between it and the target: beyond, the law is only a guess.</summary>
    public bool IsBetween(double n, double d)
    {
        return Within(_ranges[0], n) && Within(_ranges[1], d);
        static bool Within(Interval range, double value) => value >= 0.99 * range.Low && value <= 1.01 * range.High;
    }

    /// <summary>The half-width once more runs are added to those that were fitted.</summary>
    public double With(params ReadOnlySpan<(double N, double D)> runs)
    {
        Matrix<double> covariance = _likelihood.UnitCovariance!;
        foreach ((double n, double d) in runs)
        {
            covariance = Updated(covariance, RowOf([n, d]));
        }

        return HalfWidthOf(covariance, runs.Length);
    }

    /// <summary>
    /// A greedy sequence: at each turn, of the runs that narrow the interval visibly, the one that lowers the variance of the target most,
    /// as a ratio, per operation. Where none is that good, of those that are half as good as the best: the cheapest run is not worth its seat.
    /// </summary>
    /// <param name="candidates">(N, D) of the runs that could be made, each of them once.</param>
    public IReadOnlyList<NextRun> Choose(IReadOnlyList<(double N, double D)> candidates, int count)
    {
        Matrix<double> covariance = _likelihood.UnitCovariance!;
        double before = HalfWidth, visible = -2 * Math.Log(1 - Visible);
        List<NextRun> chosen = [];
        List<(double N, double D, Vector<double> Row)> rows = [.. candidates.Select(run => (run.N, run.D, RowOf([run.N, run.D])))];
        while (chosen.Count < count && rows.Count > 0)
        {
            double[] gains = [.. rows.Select(run => Gain(covariance, run.Row))];
            double enough = Math.Min(visible, gains.Max() / 2);
            int best = Enumerable.Range(0, gains.Length).Where(i => gains[i] >= enough).MaxBy(i => gains[i] / (rows[i].N * rows[i].D));
            (double n, double d, Vector<double> row) = rows[best];
            rows.RemoveAt(best);
            covariance = Updated(covariance, row);
            double after = HalfWidthOf(covariance, chosen.Count + 1);
            chosen.Add(new NextRun(n, d, 6 * n * d, after, 1 - (after / before)));
            before = after;
        }

        return chosen;
    }

    private static IEnumerable<double> Steps(double low, double high, double factor)
    {
        int steps = Math.Max(1, (int)Math.Round(Math.Log(high / low) / Math.Log(factor)));
        return high > low ? Enumerable.Range(0, steps + 1).Select(step => low * Math.Pow(high / low, (double)step / steps)) : [low];
    }

    // Sherman and Morrison: the inverse of J'J + jj' from that of J'J.
    private static Matrix<double> Updated(Matrix<double> covariance, Vector<double> row)
    {
        Vector<double> moved = covariance * row;
        return covariance - (moved.OuterProduct(moved) / (1 + (row * moved)));
    }

    // Of the logarithm of the variance.
    private double Gain(Matrix<double> covariance, Vector<double> row)
    {
        Vector<double> moved = covariance * row;
        double toTarget = _target * moved;
        return -Math.Log(1 - (toTarget * toTarget / (1 + (row * moved)) / (_target * covariance * _target)));
    }

    private double HalfWidthOf(Matrix<double> covariance, int added) =>
        StudentT.InvCDF(0, 1, _likelihood.DegreesOfFreedom + added, 0.975) * _likelihood.Noise * Math.Sqrt(Math.Max(0, _target * covariance * _target));

    // The row of the Jacobian on the scale of the residuals.
    private Vector<double> RowOf(double[] x)
    {
        PointLaw law = (PointLaw)_fit.Law;
        return _likelihood.Slopes(p => _fit.Objective.Log ? Math.Log(law.Predict([.. p], x)) : law.Predict([.. p], x));
    }
}
