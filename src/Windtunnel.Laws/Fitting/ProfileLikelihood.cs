using MathNet.Numerics.Distributions;
using MathNet.Numerics.LinearAlgebra;
using MathNet.Numerics.Statistics;

namespace Windtunnel.Laws.Fitting;

/// <summary>
/// Intervals from the objective itself: the values of a quantity for which some choice of all other parameters raises the objective
/// by no more than chance would. For least squares with Gaussian noise this is the profile likelihood with its F(1, n - p) level; for other
/// objectives the level is that of the robust likelihood ratio of Schrader and Hettmansperger (1980),
/// t^2/2 * E[psi^2] / E[psi'].
/// </summary>
public sealed class ProfileLikelihood
{
    private readonly Fitter _fitter;
    private readonly Optimum _optimum;
    private readonly NewtonSearch _search;
    private readonly Matrix<double> _covariance;
    private readonly int[] _free;
    private readonly double _level, _chance, _curvature;

    /// <summary>Measures the noise at an optimum.</summary>
    public ProfileLikelihood(Fitter fitter, Optimum optimum)
    {
        (_fitter, _optimum, _search) = (fitter, optimum, fitter.NewSearch());
        double[] residuals = fitter.Residuals(optimum.Parameters);
        double[] jacobian = _search.Jacobian(fitter.Objective, optimum.Parameters);
        int count = fitter.Problem.Parameters.Count;
        _free = [.. Enumerable.Range(0, count).Where(k => !fitter.IsPinned(k) && !optimum.AtBound[k])];
        DegreesOfFreedom = fitter.Problem.Rows - _free.Length;

        double[] curvatures = Curvatures(fitter.Objective, residuals);
        _curvature = Math.Max(curvatures.Average(), double.Epsilon);
        Matrix<double> design = Matrix<double>.Build.Dense(residuals.Length, _free.Length, (row, column) => jacobian[(row * count) + _free[column]]);
        Matrix<double> scaled = design.NormalizeColumns(2);
        ConditionNumber = _free.Length == 0 ? 1 : scaled.ConditionNumber();

        // Huber's (1973) correction for few rows: residuals of a fit lie closer to the kinks than the errors do.
        double correction = 1 + ((double)_free.Length / residuals.Length * curvatures.PopulationVariance() / Square(_curvature));
        _chance = Square(correction) * residuals.Sum(residual => Square(fitter.Objective.Rho(residual).Slope)) / Math.Max(DegreesOfFreedom, 1) / _curvature;
        _covariance = _free.Length == 0 || ConditionNumber > 1e14 ? Matrix<double>.Build.Dense(_free.Length, _free.Length) : Inverse(design, _curvature);
        ResidualScale = fitter.Objective is LeastSquaresObjective
            ? Math.Sqrt(residuals.Sum(Square) / Math.Max(DegreesOfFreedom, 1))
            : 1.4826 * residuals.Select(Math.Abs).Median() * Math.Sqrt((double)residuals.Length / Math.Max(DegreesOfFreedom, 1));
        Confidence = 0.95;
        _level = DegreesOfFreedom > 0 ? _chance / 2 * Square(Quantile) : double.PositiveInfinity;
    }

    /// <summary>What share of data sets the intervals shall cover.</summary>
    public double Confidence { get; }

    /// <summary>Rows less parameters that were fitted and rest on no bound.</summary>
    public int DegreesOfFreedom { get; }

    /// <summary>Standard deviation of the residuals, on the objective's scale; robust where the objective is.</summary>
    public double ResidualScale { get; }

    /// <summary>Of the Jacobian with columns of length one: the ratio of its largest singular value to the smallest.</summary>
    public double ConditionNumber { get; }

    /// <summary>(J'J)^-1 of the fitted parameters, J being the Jacobian of the residuals; null where the rows do not determine them.</summary>
    internal Matrix<double>? UnitCovariance => _free.Length == 0 || ConditionNumber > 1e14 ? null : _covariance * _curvature;

    /// <summary>The standard deviation of one row that standard errors go by.</summary>
    internal double Noise => Math.Sqrt(_chance / _curvature);

    /// <summary>How many standard errors an interval reaches.</summary>
    private double Quantile => DegreesOfFreedom > 0 ? StudentT.InvCDF(0, 1, DegreesOfFreedom, (1 + Confidence) / 2) : double.PositiveInfinity;

    /// <summary>The interval of a function of the parameters.</summary>
    /// <param name="function">From all parameters, in the order of the law; smooth, and finite at the optimum.</param>
    public Interval Of(Func<IReadOnlyList<double>, double> function)
    {
        double best = function(_optimum.Parameters), error = StandardErrorOf(function);
        return DegreesOfFreedom <= 0 || !double.IsFinite(best) ? new Interval(double.NegativeInfinity, double.PositiveInfinity)
            : error == 0 || _level == 0 ? new Interval(best, best)
            : new Interval(End(function, best, -error), End(function, best, error));
    }

    /// <summary>The interval of a parameter, by its index. Positive coefficients are profiled by their logarithm.</summary>
    public Interval Of(int parameter)
    {
        if (!_free.Contains(parameter))
        {
            double value = _optimum.Parameters[parameter];
            return new Interval(value, value);
        }

        if (parameter >= _fitter.Problem.Coefficients || _fitter.Problem.Parameters[parameter].Lower < 0)
        {
            return Of(parameters => parameters[parameter]);
        }

        Interval logarithm = Of(parameters => Math.Log(Math.Max(parameters[parameter], 1e-300)));
        double low = Math.Exp(logarithm.Low);
        return new Interval(low < 1e-6 * _optimum.Parameters[parameter] ? 0 : low, Math.Exp(logarithm.High));
    }

    /// <summary>The interval in which a single new observation of a prediction falls: that of the prediction, widened by the noise of one row.</summary>
    /// <param name="prediction">The prediction from all parameters, positive.</param>
    public Interval OfObservation(Func<IReadOnlyList<double>, double> prediction)
    {
        bool log = _fitter.Objective.Log;
        double Scale(double value) => log ? Math.Log(value) : value;
        double Back(double value) => log ? Math.Exp(value) : value;
        Interval mean = Of(parameters => Scale(prediction(parameters)));
        double best = Scale(prediction(_optimum.Parameters)), noise = Quantile * ResidualScale;
        return new Interval(Back(best - Math.Sqrt(Square(best - mean.Low) + Square(noise))), Back(best + Math.Sqrt(Square(mean.High - best) + Square(noise))));
    }

    /// <summary>The standard error of a function of the parameters, from the curvature of the objective.</summary>
    public double StandardErrorOf(Func<IReadOnlyList<double>, double> function)
    {
        Vector<double> slopes = Slopes(function);
        return Math.Sqrt(Math.Max(0, slopes * _covariance * slopes * _chance));
    }

    /// <summary>Derivatives of a function by the fitted parameters on the scale of the search: a row of J.</summary>
    internal Vector<double> Slopes(Func<IReadOnlyList<double>, double> function)
    {
        double[] slopes = Pull.Slopes(function, _optimum.Parameters, _search.Tangent);
        return Vector<double>.Build.Dense(_free.Length, k => slopes[_free[k]]);
    }

    /// <summary>Half the width of the interval that the curvature alone suggests: standard error times quantile.</summary>
    public double ReachOf(Func<IReadOnlyList<double>, double> function) => Quantile * StandardErrorOf(function);

    // psi' of each row from a difference over a width that shrinks with the number of rows: exact for least squares, and smooth where
    // psi' is not.
    private static double[] Curvatures(Objective objective, double[] residuals)
    {
        double scale = 1.4826 * residuals.Select(Math.Abs).Median();
        double width = scale > 0 ? scale * Math.Pow(residuals.Length, -0.2) : 1e-12;
        return [.. residuals.Select(residual => (objective.Rho(residual + width).Slope - objective.Rho(residual - width).Slope) / (2 * width))];
    }

    private static double Square(double value) => value * value;

    private static Matrix<double> Inverse(Matrix<double> design, double curvature)
    {
        Vector<double> lengths = design.ColumnNorms(2);
        Matrix<double> scaled = design.NormalizeColumns(2), inverse = (scaled.TransposeThisAndMultiply(scaled) * curvature).Inverse();
        return inverse.MapIndexed((i, j, value) => value / (lengths[i] * lengths[j]));
    }

    // The value of the function where its profile crosses the level, to one side of the best.
    private double End(Func<IReadOnlyList<double>, double> function, double best, double error)
    {
        double stiffness = _chance / (2 * error * error), infinite = Math.CopySign(double.PositiveInfinity, error);
        double distance = 2 * Quantile, below = 0, above = double.PositiveInfinity, reached = best;
        double[] start = _optimum.Parameters;
        for (int round = 0; round < 40; round++)
        {
            Optimum pulled = _search.Descend(_fitter.Objective, start, [], new Pull(function, best + (distance * error), stiffness));
            double rise = _search.Value(_fitter.Objective, pulled.Parameters, []) - _optimum.Value, value = function(pulled.Parameters);
            if (!double.IsFinite(rise) || !double.IsFinite(value))
            {
                return infinite;
            }

            double ratio = rise / _level;
            reached = value;
            if (Math.Abs(ratio - 1) < 1e-3)
            {
                return value;
            }

            (below, above) = ratio < 1 ? (distance, above) : (below, distance);
            start = pulled.Parameters;
            double aim = distance / Math.Sqrt(Math.Max(ratio, 1e-2));
            distance = aim > below && aim < above ? aim : double.IsInfinity(above) ? 2 * distance : (below + above) / 2;
            if (distance > 1e4 * Quantile)
            {
                return infinite;
            }
        }

        return reached;
    }
}
