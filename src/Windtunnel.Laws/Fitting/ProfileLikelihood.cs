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
    private readonly NoiseModel _rows;
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
        _rows = new NoiseModel(design);

        // Huber's (1973) correction for few rows: residuals of a fit lie closer to the kinks than the errors do.
        double correction = 1 + ((double)_free.Length / residuals.Length * curvatures.PopulationVariance() / Square(_curvature));
        _chance = Square(correction) * residuals.Sum(residual => Square(fitter.Objective.Rho(residual).Slope)) / Math.Max(DegreesOfFreedom, 1) / _curvature;
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
    public double ConditionNumber => _rows.ConditionNumber;

    /// <summary>(J'J)^-1 of the fitted parameters, J being the Jacobian of the residuals; null where the rows do not determine them.</summary>
    internal Matrix<double>? UnitCovariance => _rows.Covariance;

    /// <summary>The standard deviation of one row that standard errors go by.</summary>
    internal double Noise => Math.Sqrt(_chance / _curvature);

    /// <summary>How many standard errors an interval reaches.</summary>
    private double Quantile => DegreesOfFreedom > 0 ? StudentT.InvCDF(0, 1, DegreesOfFreedom, (1 + Confidence) / 2) : double.PositiveInfinity;

    /// <summary>The interval of a function of the parameters.</summary>
    /// <param name="function">From all parameters, in the order of the law; smooth, and finite at the optimum.</param>
    public Interval Of(Func<IReadOnlyList<double>, double> function)
    {
        double best = function(_optimum.Parameters), error = StandardErrorOf(function);
        return DegreesOfFreedom <= 0 || !double.IsFinite(best) || double.IsInfinity(error) ? Interval.Unlimited
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

    /// <summary>The interval in which a single new observation falls: that of its prediction, widened by the noise of one row.</summary>
    /// <param name="best">The prediction.</param>
    /// <param name="mean">The interval of the prediction, from <see cref="Of(Func{IReadOnlyList{double}, double})"/>.</param>
    public Interval OfObservation(double best, Interval mean)
    {
        bool log = _fitter.Objective.Log;
        double Scale(double value) => log ? Math.Log(Math.Max(value, 0)) : value;
        double Back(double value) => log ? Math.Exp(value) : value;
        double center = Scale(best), noise = Quantile * ResidualScale;
        return new Interval(Back(center - double.Hypot(center - Scale(mean.Low), noise)), Back(center + double.Hypot(Scale(mean.High) - center, noise)));
    }

    /// <summary>
    /// The standard error of a function of the parameters, from the curvature of the objective; infinite where the function depends on
    /// something that the rows say nothing about.
    /// </summary>
    public double StandardErrorOf(Func<IReadOnlyList<double>, double> function)
    {
        return _rows.ErrorOf(Slopes(function)) * Math.Sqrt(_chance / _curvature);
    }

    /// <summary>Derivatives of a function by the fitted parameters on the scale of the search: a row of J.</summary>
    internal Vector<double> Slopes(Func<IReadOnlyList<double>, double> function)
    {
        double[] slopes = _search.Slopes(function, _optimum.Parameters);
        return Vector<double>.Build.Dense(_free.Length, k => slopes[_free[k]]);
    }

    /// <summary>Half the width of the interval that the curvature alone suggests: standard error times quantile.</summary>
    public double ReachOf(Func<IReadOnlyList<double>, double> function) => DegreesOfFreedom > 0 ? Quantile * StandardErrorOf(function) : double.PositiveInfinity;

    // psi' of each row from a difference over a width that shrinks with the number of rows: exact for least squares, and smooth where
    // psi' is not.
    private static double[] Curvatures(Objective objective, double[] residuals)
    {
        double scale = 1.4826 * residuals.Select(Math.Abs).Median();
        double width = scale > 0 ? scale * Math.Pow(residuals.Length, -0.2) : 1e-12;
        return [.. residuals.Select(residual => (objective.Rho(residual + width).Slope - objective.Rho(residual - width).Slope) / (2 * width))];
    }

    private static double Square(double value) => value * value;

    // The value of the function where its profile crosses the level, to one side of the best. The spring is stiff enough that the
    // function follows it without jumps also where the profile flattens out.
    private double End(Func<IReadOnlyList<double>, double> function, double best, double error)
    {
        const double Stiff = 100;
        double stiffness = Stiff * _chance / (2 * error * error), infinite = Math.CopySign(double.PositiveInfinity, error);
        double distance = Quantile, inside = 0, outside = double.PositiveInfinity, outermost = best;
        double[] start = _optimum.Parameters;
        for (int round = 0; round < 60 && distance < 1e4 * Quantile; round++)
        {
            Optimum pulled = _search.Descend(_fitter.Objective, start, [], new Pull(function, best + (distance * error), stiffness));
            double rise = _search.Value(_fitter.Objective, pulled.Parameters, []) - _optimum.Value, value = function(pulled.Parameters);
            if (double.IsNaN(rise) || !double.IsFinite(value))
            {
                return infinite;
            }

            double ratio = rise / _level;
            if (Math.Abs(ratio - 1) < 2e-3 || outside - inside < 1e-6 * outside)
            {
                return value;
            }

            if (ratio < 1)
            {
                // Only from inside: beyond the level a coefficient may have vanished, and there is no way back from there.
                (inside, start) = (distance, pulled.Parameters);
            }
            else
            {
                (outside, outermost) = (distance, value);
            }

            double aim = distance / Math.Sqrt(Math.Clamp(ratio, 0.04, 25));
            distance = aim > inside && aim < outside ? aim : double.IsInfinity(outside) ? 2 * distance : (inside + outside) / 2;
        }

        return double.IsInfinity(outside) ? infinite : outermost;
    }
}

/// <summary>How well rows determine a linear model y = J p: which directions of p they say nothing about, and the errors of the others.</summary>
internal sealed class NoiseModel
{
    // Below this share of the largest singular value a direction is lost in rounding.
    private const double Lost = 1e-11;

    private readonly double[] _lengths, _singular;
    private readonly Matrix<double> _directions;

    public NoiseModel(Matrix<double> design)
    {
        // Columns of length one, so that units don't matter; one of zeros is a parameter without any effect.
        _lengths = [.. design.ColumnNorms(2).Select(length => length > 0 ? length : 1)];
        Matrix<double> scaled = design.MapIndexed((_, column, value) => value / _lengths[column]);
        (_singular, _directions) = design.ColumnCount == 0 ? ([], scaled) : Decompose(scaled);
    }

    /// <summary>The largest singular value over the smallest.</summary>
    public double ConditionNumber => _singular.Length == 0 ? 1 : _singular[^1] > 0 ? _singular[0] / _singular[^1] : double.PositiveInfinity;

    /// <summary>(J'J)^-1; null where the rows do not determine all parameters.</summary>
    public Matrix<double>? Covariance => _singular.Length == 0 || ConditionNumber > 1 / Lost
        ? null
        : Matrix<double>.Build.Dense(_lengths.Length, _lengths.Length, (i, j) =>
            Enumerable.Range(0, _lengths.Length).Sum(k => _directions[i, k] * _directions[j, k] / (_singular[k] * _singular[k])) / (_lengths[i] * _lengths[j]));

    /// <summary>The standard error of g'p for rows with a standard deviation of one; infinite where g leaves the space that the rows span.</summary>
    public double ErrorOf(Vector<double> g)
    {
        double variance = 0;
        Vector<double> scaled = g.MapIndexed((k, value) => value / _lengths[k]);
        double negligible = 1e-6 * scaled.L2Norm();
        for (int k = 0; k < _singular.Length; k++)
        {
            double along = scaled * _directions.Column(k);
            if (_singular[k] > Lost * _singular[0])
            {
                variance += along * along / (_singular[k] * _singular[k]);
            }
            else if (Math.Abs(along) > negligible)
            {
                return double.PositiveInfinity;
            }
        }

        return Math.Sqrt(variance);
    }

    private static (double[] Singular, Matrix<double> Directions) Decompose(Matrix<double> scaled)
    {
        // With fewer rows than columns the decomposition leaves directions out: rows of zeros bring them in.
        int missing = scaled.ColumnCount - scaled.RowCount;
        Matrix<double> tall = missing > 0 ? scaled.Stack(Matrix<double>.Build.Dense(missing, scaled.ColumnCount)) : scaled;
        var svd = tall.Svd();
        return ([.. svd.S], svd.VT.Transpose());
    }
}
