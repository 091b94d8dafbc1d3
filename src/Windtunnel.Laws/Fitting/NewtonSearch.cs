namespace Windtunnel.Laws.Fitting;

/// <summary>
/// Damped Newton descent (Levenberg-Marquardt on the exact Hessian) over all free parameters at once, within bounds. The Hessian is
/// J' rho'' J, exact, plus sum psi d2r, from differences of analytic gradients, so that kinks of the objective never enter a difference.
/// Owns its buffers: one for each thread.
/// </summary>
/// <remarks>
/// A coefficient is searched as u = c |f|, the size of its term rather than of the factor: with c, an exponent and its coefficient
/// would lie in a long bent valley. The norm |f| is the root mean square of the column, and depends on the shapes.
/// </remarks>
internal sealed class NewtonSearch
{
    private const int MaxIterations = 300;
    private const double Difference = 1e-6;

    private readonly SeparableProblem _problem;
    private readonly double?[] _pins;
    private readonly int _coefficients, _count;
    private readonly double _typical;
    private readonly double[] _columns, _derivatives, _norms, _normSlopes, _jacobian, _residuals, _slopes, _curvatures;
    private readonly double[] _point, _trial, _gradient, _moved, _hessian, _scale;
    private int[] _free = [];

    public NewtonSearch(SeparableProblem problem, double?[] pins)
    {
        (_problem, _pins, _coefficients, _count) = (problem, pins, problem.Coefficients, problem.Parameters.Count);
        int rows = problem.Rows;
        _typical = Math.Sqrt(problem.Observed.Average(value => value * value));
        (_columns, _norms) = (new double[rows * _coefficients], new double[_coefficients]);
        (_derivatives, _normSlopes) = (new double[rows * _coefficients * problem.Shapes], new double[_coefficients * problem.Shapes]);
        (_jacobian, _residuals, _slopes, _curvatures) = (new double[rows * _count], new double[rows], new double[rows], new double[rows]);
        (_point, _trial, _gradient, _moved, _scale) = (new double[_count], new double[_count], new double[_count], new double[_count], new double[_count]);
        _hessian = new double[_count * _count];
    }

    /// <summary>The objective; infinite where logarithms of predictions do not exist.</summary>
    public double Value(Objective objective, ReadOnlySpan<double> parameters, ReadOnlySpan<double> weights)
    {
        _problem.Evaluate(parameters[_coefficients..], _columns, []);
        return Sum(objective, parameters, weights);
    }

    /// <summary>Residuals predicted - observed, of logarithms where the objective says so.</summary>
    public void Residuals(Objective objective, ReadOnlySpan<double> parameters, Span<double> residuals)
    {
        _problem.Evaluate(parameters[_coefficients..], _columns, []);
        for (int row = 0; row < _problem.Rows; row++)
        {
            residuals[row] = Residual(objective, parameters, row);
        }
    }

    /// <summary>The best coefficients at fixed shapes by weighted least squares on the objective's scale: where searches start.</summary>
    /// <param name="parameters">Has the shapes; takes the coefficients.</param>
    public void Project(Objective objective, Span<double> parameters, ReadOnlySpan<double> weights)
    {
        int n = _coefficients;
        Span<double> gram = stackalloc double[n * n], moment = stackalloc double[n], solution = stackalloc double[n];
        Span<bool> free = stackalloc bool[n];
        gram.Clear();
        moment.Clear();
        for (int j = 0; j < n; j++)
        {
            free[j] = _problem.Parameters[j].Lower < 0;
        }

        _problem.Evaluate(parameters[n..], _columns, []);
        for (int row = 0; row < _problem.Rows; row++)
        {
            double weight = weights.IsEmpty ? 1 : weights[row], y = _problem.Observed[row];
            weight = objective.Log ? weight / (y * y) : weight;
            ReadOnlySpan<double> columns = _columns.AsSpan(row * n, n);
            for (int j = 0; j < n; j++)
            {
                y -= _pins[j] is { } pinned ? pinned * columns[j] : 0;
            }

            for (int j = 0; j < n; j++)
            {
                if (_pins[j] is null)
                {
                    moment[j] += weight * columns[j] * y;
                    for (int k = 0; k < n; k++)
                    {
                        gram[(j * n) + k] += _pins[k] is null ? weight * columns[j] * columns[k] : 0;
                    }
                }
            }
        }

        NonNegativeLeastSquares.Solve(gram, moment, free, solution);
        for (int j = 0; j < n; j++)
        {
            parameters[j] = _pins[j] ?? solution[j];
        }
    }

    /// <summary>Descends to a local minimum.</summary>
    /// <param name="start">All parameters; pinned ones are overwritten.</param>
    /// <param name="pull">A penalty on a function of the parameters, for profiles.</param>
    public Optimum Descend(Objective objective, ReadOnlySpan<double> start, ReadOnlySpan<double> weights, Pull? pull = null)
    {
        MoveTo(start);
        double value = Total(objective, _point, weights, pull), damping = 1e-3;
        FitStatus status = FitStatus.MaxIterations;
        int iteration = 0;
        for (bool moved = true; iteration < MaxIterations && damping < 1e15; iteration++)
        {
            if (moved)
            {
                Differentiate(objective, weights, pull);
                moved = false;
            }

            if (!TryStep(damping, out double predicted, out double longest))
            {
                damping = Math.Max(10 * damping, 1e-4);
                continue;
            }

            double next = Total(objective, _trial, weights, pull);
            double ratio = (value - next) / Math.Max(predicted, double.Epsilon);
            if (damping < 1e-2 && predicted >= 0 && (predicted <= 1e-13 * Math.Abs(value) || longest < 1e-11))
            {
                // The last step of a quadratic convergence: too small for the objective to show whether it was good.
                if (next <= value)
                {
                    _trial.CopyTo(_point, 0);
                    value = next;
                }

                status = FitStatus.Converged;
                break;
            }

            if (next < value && ratio > 1e-4)
            {
                _trial.CopyTo(_point, 0);
                (value, moved) = (next, true);
                damping *= ratio > 0.75 ? 0.1 : ratio < 0.25 ? 4 : 1;
                damping = damping < 1e-12 ? 0 : damping;
            }
            else
            {
                damping = Math.Max(damping * 8, 1e-8);
                if (predicted >= 0 && predicted <= 1e-10 * Math.Abs(value) && damping > 1e3)
                {
                    status = FitStatus.Converged;
                    break;
                }
            }
        }

        status = damping < 1e15 ? status : FitStatus.Stalled;
        Load(_point, derivatives: false);
        bool[] atBound = [.. Enumerable.Range(0, _count).Select(k => _pins[k] is null && IsAtBound(k))];
        return new Optimum(Natural(_point), value, status, iteration, atBound);
    }

    /// <summary>The Jacobian [row, parameter] of the residuals at a point, on the search's scale; columns of parameters that are held or at a bound are zero.</summary>
    public double[] Jacobian(Objective objective, ReadOnlySpan<double> parameters)
    {
        MoveTo(parameters);
        Differentiate(objective, [], null);
        Load(_point, derivatives: true);
        FillJacobian(objective, _point);
        double[] jacobian = [.. _jacobian];
        for (int k = 0; k < _count; k++)
        {
            for (int row = 0; row < _problem.Rows && !_free.Contains(k); row++)
            {
                jacobian[(row * _count) + k] = 0;
            }
        }

        return jacobian;
    }

    /// <summary>Derivatives of a function of the parameters by the search's coordinates, from central differences.</summary>
    public double[] Slopes(Func<IReadOnlyList<double>, double> function, ReadOnlySpan<double> parameters)
    {
        MoveTo(parameters);
        Load(_point, derivatives: true);
        return LoadedSlopes(function, _point);
    }

    private double Residual(Objective objective, ReadOnlySpan<double> factors, int row)
    {
        double predicted = Predicted(factors, row), observed = _problem.Observed[row];
        return objective.Log ? Math.Log(predicted / observed) : predicted - observed;
    }

    private double Predicted(ReadOnlySpan<double> factors, int row)
    {
        double sum = 0;
        ReadOnlySpan<double> columns = _columns.AsSpan(row * _coefficients, _coefficients);
        for (int j = 0; j < columns.Length; j++)
        {
            sum += factors[j] * columns[j];
        }

        return sum;
    }

    private double Sum(Objective objective, ReadOnlySpan<double> factors, ReadOnlySpan<double> weights)
    {
        double sum = 0;
        for (int row = 0; row < _problem.Rows; row++)
        {
            double weight = weights.IsEmpty ? 1 : weights[row];
            if (weight != 0)
            {
                sum += weight * objective.Rho(Residual(objective, factors, row)).Value;
            }
        }

        return double.IsNaN(sum) ? double.PositiveInfinity : sum;
    }

    private double Total(Objective objective, ReadOnlySpan<double> point, ReadOnlySpan<double> weights, Pull? pull)
    {
        Load(point, derivatives: false);
        return Sum(objective, point, weights) + (pull?.Value(Natural(point)) ?? 0);
    }

    // From parameters to the search's coordinates, with pins and bounds applied.
    private void MoveTo(ReadOnlySpan<double> parameters)
    {
        for (int k = 0; k < _count; k++)
        {
            Parameter parameter = _problem.Parameters[k];
            _point[k] = _pins[k] ?? Math.Clamp(parameters[k], parameter.Lower, parameter.Upper);
        }

        Load(_point, derivatives: false);
        for (int j = 0; j < _coefficients; j++)
        {
            _point[j] *= _norms[j];
        }
    }

    // Back to parameters; the columns must be those of the point.
    private double[] Natural(ReadOnlySpan<double> point)
    {
        double[] parameters = [.. point];
        for (int j = 0; j < _coefficients; j++)
        {
            parameters[j] /= _norms[j];
        }

        return parameters;
    }

    // Columns of root mean square one at the shapes of a point, and their derivatives.
    private void Load(ReadOnlySpan<double> point, bool derivatives)
    {
        int n = _coefficients, shapes = _problem.Shapes, rows = _problem.Rows;
        _problem.Evaluate(point[n..], _columns, derivatives ? _derivatives : []);
        for (int j = 0; j < n; j++)
        {
            double squares = 0;
            for (int row = 0; row < rows && _pins[j] is null; row++)
            {
                double value = _columns[(row * n) + j];
                squares += value * value;
            }

            double norm = Math.Sqrt(squares / rows);
            _norms[j] = norm > 0 && double.IsFinite(norm) ? norm : 1;
            for (int p = 0; p < shapes && derivatives; p++)
            {
                double product = 0;
                for (int row = 0; row < rows && _pins[j] is null; row++)
                {
                    product += _columns[(row * n) + j] * _derivatives[(((row * shapes) + p) * n) + j];
                }

                double slope = _normSlopes[(p * n) + j] = product / rows / _norms[j];
                for (int row = 0; row < rows; row++)
                {
                    ref double derivative = ref _derivatives[(((row * shapes) + p) * n) + j];
                    derivative = (derivative - (_columns[(row * n) + j] * slope / _norms[j])) / _norms[j];
                }
            }

            for (int row = 0; row < rows; row++)
            {
                _columns[(row * n) + j] /= _norms[j];
            }
        }
    }

    private bool IsAtBound(int k) => _point[k] <= _problem.Parameters[k].Lower || _point[k] >= _problem.Parameters[k].Upper;

    // What a change of a coordinate is small against.
    private double SizeOf(int k) => Math.Max(Math.Abs(_point[k]), k < _coefficients ? 1e-3 * _typical : 1);

    // The trial point of a damped step, clipped to the bounds. False where the damping is too low to make the Hessian positive definite.
    private bool TryStep(double damping, out double predicted, out double longest)
    {
        int n = _free.Length;
        Span<double> matrix = stackalloc double[n * n], step = stackalloc double[n];
        (predicted, longest) = (0, 0);
        for (int a = 0; a < n; a++)
        {
            step[a] = -_gradient[_free[a]];
            for (int b = 0; b < n; b++)
            {
                matrix[(a * n) + b] = _hessian[(_free[a] * _count) + _free[b]];
            }

            matrix[(a * n) + a] += damping * _scale[_free[a]];
        }

        if (!Cholesky.TrySolve(matrix, step))
        {
            return false;
        }

        _point.CopyTo(_trial, 0);
        for (int a = 0; a < step.Length; a++)
        {
            int k = _free[a];
            Parameter parameter = _problem.Parameters[k];
            _trial[k] = Math.Clamp(_point[k] + step[a], parameter.Lower, parameter.Upper);
            step[a] = _trial[k] - _point[k];
            longest = Math.Max(longest, Math.Abs(step[a]) / SizeOf(k));
        }

        for (int a = 0; a < step.Length; a++)
        {
            predicted -= _gradient[_free[a]] * step[a];
            for (int b = 0; b < step.Length; b++)
            {
                predicted -= 0.5 * step[a] * step[b] * _hessian[(_free[a] * _count) + _free[b]];
            }
        }

        return true;
    }

    // Gradient, Hessian, damping scale and free parameters at the current point.
    private void Differentiate(Objective objective, ReadOnlySpan<double> weights, Pull? pull)
    {
        Load(_point, derivatives: true);
        FillJacobian(objective, _point);
        for (int row = 0; row < _problem.Rows; row++)
        {
            double weight = weights.IsEmpty ? 1 : weights[row];
            (_, double slope, double curvature) = objective.Rho(_residuals[row] = Residual(objective, _point, row));
            (_slopes[row], _curvatures[row]) = weight == 0 ? (0, 0) : (weight * slope, weight * curvature);
        }

        Gradient(_gradient);
        Array.Clear(_hessian);
        Array.Clear(_scale);
        for (int row = 0; row < _problem.Rows; row++)
        {
            // Where rho is straight it has no curvature; the damping takes its scale from psi / r instead.
            ReadOnlySpan<double> line = _jacobian.AsSpan(row * _count, _count);
            double curvature = _curvatures[row], size = Math.Abs(_residuals[row]), weight = size > 0 ? Math.Abs(_slopes[row]) / size : curvature;
            for (int k = 0; k < _count; k++)
            {
                _scale[k] += weight * line[k] * line[k];
                for (int l = 0; l <= k && curvature != 0; l++)
                {
                    _hessian[(k * _count) + l] += curvature * line[k] * line[l];
                }
            }
        }

        double[]? pulled = pull is null ? null : LoadedSlopes(pull.Function, _point);
        double spring = pull is null ? 0 : pull.SlopeAt(Natural(_point));
        AddSecondDerivatives(objective);
        for (int k = 0; k < _count; k++)
        {
            _scale[k] = Math.Max(_scale[k], 1e-300);
            _gradient[k] += pulled is null ? 0 : spring * pulled[k];
            for (int l = 0; l <= k; l++)
            {
                double entry = _hessian[(k * _count) + l] + (pulled is null ? 0 : 2 * pull!.Stiffness * pulled[k] * pulled[l]);
                _hessian[(k * _count) + l] = _hessian[(l * _count) + k] = entry;
            }
        }

        _free = FreeParameters();
    }

    // sum psi d2r / dk dl: the change of sum psi dr/dl as parameter k moves, with psi held.
    private void AddSecondDerivatives(Objective objective)
    {
        for (int k = 0; k < _count; k++)
        {
            if (_pins[k] is not null)
            {
                continue;
            }

            double change = Difference * SizeOf(k);
            change = _point[k] + change > _problem.Parameters[k].Upper ? -change : change;
            _point.CopyTo(_trial, 0);
            _trial[k] += change;
            if (k >= _coefficients)
            {
                Load(_trial, derivatives: true);
            }

            FillJacobian(objective, _trial);
            Gradient(_moved);
            for (int l = 0; l < _count; l++)
            {
                double second = (_moved[l] - _gradient[l]) / change;
                _hessian[(Math.Max(k, l) * _count) + Math.Min(k, l)] += l == k ? second : second / 2;
            }
        }
    }

    private void Gradient(Span<double> gradient)
    {
        gradient.Clear();
        for (int row = 0; row < _problem.Rows; row++)
        {
            double slope = _slopes[row];
            if (slope != 0)
            {
                for (int k = 0; k < _count; k++)
                {
                    gradient[k] += slope * _jacobian[(row * _count) + k];
                }
            }
        }
    }

    // From the loaded columns.
    private void FillJacobian(Objective objective, ReadOnlySpan<double> point)
    {
        int n = _coefficients, shapes = _problem.Shapes;
        for (int row = 0; row < _problem.Rows; row++)
        {
            double inner = objective.Log ? 1 / Predicted(point, row) : 1;
            Span<double> line = _jacobian.AsSpan(row * _count, _count);
            ReadOnlySpan<double> columns = _columns.AsSpan(row * n, n), derivatives = _derivatives.AsSpan(row * n * shapes, n * shapes);
            for (int j = 0; j < n; j++)
            {
                line[j] = inner * columns[j];
            }

            for (int p = 0; p < shapes; p++)
            {
                double sum = 0;
                for (int j = 0; j < n; j++)
                {
                    sum += point[j] * derivatives[(p * n) + j];
                }

                line[n + p] = inner * sum;
            }
        }
    }

    // c = u / |f|, so that d/du = 1/|f| d/dc and d/ds takes the change of |f| along; the columns must be those of the point.
    private double[] LoadedSlopes(Func<IReadOnlyList<double>, double> function, ReadOnlySpan<double> point)
    {
        double[] at = Natural(point), slopes = new double[_count];
        for (int k = 0; k < _count; k++)
        {
            double here = at[k], change = 1e-5 * Math.Max(Math.Abs(here), k < _coefficients ? 1e-3 * _typical / _norms[k] : 1e-3);
            at[k] = here + change;
            double above = function(at);
            at[k] = here - change;
            double below = function(at);
            at[k] = here;
            slopes[k] = (above - below) / (2 * change);
        }

        for (int p = 0; p < _problem.Shapes; p++)
        {
            for (int j = 0; j < _coefficients; j++)
            {
                slopes[_coefficients + p] -= slopes[j] * at[j] * _normSlopes[(p * _coefficients) + j] / _norms[j];
            }
        }

        for (int j = 0; j < _coefficients; j++)
        {
            slopes[j] /= _norms[j];
        }

        return slopes;
    }

    private int[] FreeParameters()
    {
        List<int> free = new(_count);
        for (int k = 0; k < _count; k++)
        {
            Parameter parameter = _problem.Parameters[k];
            bool held = _pins[k] is not null || (_point[k] <= parameter.Lower && _gradient[k] >= 0) || (_point[k] >= parameter.Upper && _gradient[k] <= 0);
            if (!held)
            {
                free.Add(k);
            }
        }

        return free.SequenceEqual(_free) ? _free : [.. free];
    }
}

/// <summary>
/// A spring that pulls a function h of the parameters to a target: stiffness (h - target)^2. At every minimum of objective + spring the
/// objective is the least of all points with that value of h: minima for moving targets trace the profile of h.
/// </summary>
internal sealed record Pull(Func<IReadOnlyList<double>, double> Function, double Target, double Stiffness)
{
    /// <summary>The penalty.</summary>
    public double Value(double[] parameters)
    {
        double miss = Function(parameters) - Target;
        return Stiffness * miss * miss;
    }

    /// <summary>The derivative of the penalty by h.</summary>
    public double SlopeAt(double[] parameters) => 2 * Stiffness * (Function(parameters) - Target);
}
