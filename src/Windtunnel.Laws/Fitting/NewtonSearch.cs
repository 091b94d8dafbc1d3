namespace Windtunnel.Laws.Fitting;

/// <summary>
/// Damped Newton descent (Levenberg-Marquardt on the exact Hessian) over all free parameters at once, within bounds. Positive
/// coefficients move on a logarithmic scale. The Hessian is J' rho'' J, exact, plus sum psi d2r, from differences of analytic
/// gradients, so that kinks of the objective never enter a difference. Owns its buffers: one for each thread.
/// </summary>
internal sealed class NewtonSearch
{
    private const int MaxIterations = 300;
    private const double Difference = 1e-6;

    private readonly SeparableProblem _problem;
    private readonly double?[] _pins;
    private readonly int _coefficients, _count;
    private readonly double[] _columns, _derivatives, _jacobian, _residuals, _slopes, _curvatures;
    private readonly double[] _parameters, _trial, _gradient, _moved, _hessian, _scale;
    private readonly bool[] _zero;
    private int[] _free = [];

    public NewtonSearch(SeparableProblem problem, double?[] pins)
    {
        (_problem, _pins, _coefficients, _count) = (problem, pins, problem.Coefficients, problem.Parameters.Count);
        int rows = problem.Rows;
        _columns = new double[rows * _coefficients];
        _derivatives = new double[rows * _coefficients * problem.Shapes];
        _jacobian = new double[rows * _count];
        (_residuals, _slopes, _curvatures) = (new double[rows], new double[rows], new double[rows]);
        (_parameters, _trial, _gradient, _moved, _scale) = (new double[_count], new double[_count], new double[_count], new double[_count], new double[_count]);
        _hessian = new double[_count * _count];
        _zero = new bool[_coefficients];
    }

    /// <summary>The objective; infinite where logarithms of predictions do not exist.</summary>
    public double Value(Objective objective, ReadOnlySpan<double> parameters, ReadOnlySpan<double> weights)
    {
        _problem.Evaluate(parameters[_coefficients..], _columns, []);
        double sum = 0;
        for (int row = 0; row < _problem.Rows; row++)
        {
            double weight = weights.IsEmpty ? 1 : weights[row];
            if (weight != 0)
            {
                sum += weight * objective.Rho(Residual(objective, parameters, row)).Value;
            }
        }

        return double.IsNaN(sum) ? double.PositiveInfinity : sum;
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
            // Zero is no place to start from on a logarithmic scale: a hundredth of what the column could explain alone is.
            double share = 0.01 * Math.Abs(moment[j]) / (gram[(j * n) + j] + double.Epsilon);
            parameters[j] = _pins[j] ?? (free[j] || solution[j] > 0 ? solution[j] : Math.Max(share, 1e-100));
        }
    }

    /// <summary>Descends to a local minimum.</summary>
    /// <param name="start">All parameters; pinned ones are overwritten.</param>
    /// <param name="pull">A penalty on a function of the parameters, for profiles.</param>
    public Optimum Descend(Objective objective, ReadOnlySpan<double> start, ReadOnlySpan<double> weights, Pull? pull = null)
    {
        Begin(start);
        double value = Total(objective, _parameters, weights, pull), damping = 1e-3;
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
                    _trial.CopyTo(_parameters, 0);
                    value = next;
                }

                if (!Revive(objective, weights))
                {
                    status = FitStatus.Converged;
                    break;
                }

                (value, damping, moved) = (Total(objective, _parameters, weights, pull), 1e-3, true);
            }
            else if (next < value && ratio > 1e-4)
            {
                _trial.CopyTo(_parameters, 0);
                (value, moved) = (next, true);
                damping *= ratio > 0.75 ? 0.1 : ratio < 0.25 ? 4 : 1;
                damping = damping < 1e-12 ? 0 : damping;
                DropVanished(objective);
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
        return new Optimum([.. _parameters], value, status, iteration, AtBound());
    }

    /// <summary>The Jacobian [row, parameter] of the residuals on the search's scale, at the last minimum; columns of fixed parameters are zero.</summary>
    public double[] Jacobian(Objective objective, ReadOnlySpan<double> parameters)
    {
        parameters.CopyTo(_parameters);
        for (int j = 0; j < _coefficients; j++)
        {
            _zero[j] = IsLogarithmic(j) && _parameters[j] <= 0;
        }

        Differentiate(objective, [], null);
        FillJacobian(objective, _parameters, evaluate: true);
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

    /// <summary>The Hessian [parameter, parameter] on the search's scale after <see cref="Jacobian"/>, with the parameters it covers.</summary>
    public (double[] Hessian, int[] Free) Hessian() => ([.. _hessian], [.. _free]);

    /// <summary>Whether a coefficient moves on a logarithmic scale.</summary>
    private bool IsLogarithmic(int coefficient) => _problem.Parameters[coefficient].Lower >= 0;

    private double Residual(Objective objective, ReadOnlySpan<double> parameters, int row)
    {
        double predicted = Predicted(parameters, row), observed = _problem.Observed[row];
        return objective.Log ? Math.Log(predicted / observed) : predicted - observed;
    }

    private double Predicted(ReadOnlySpan<double> parameters, int row)
    {
        double sum = 0;
        ReadOnlySpan<double> columns = _columns.AsSpan(row * _coefficients, _coefficients);
        for (int j = 0; j < columns.Length; j++)
        {
            sum += parameters[j] * columns[j];
        }

        return sum;
    }

    private double Total(Objective objective, ReadOnlySpan<double> parameters, ReadOnlySpan<double> weights, Pull? pull) =>
        Value(objective, parameters, weights) + (pull?.Value(parameters) ?? 0);

    private void Begin(ReadOnlySpan<double> start)
    {
        for (int k = 0; k < _count; k++)
        {
            Parameter parameter = _problem.Parameters[k];
            _parameters[k] = _pins[k] ?? (k < _coefficients ? start[k] : Math.Clamp(start[k], parameter.Lower, parameter.Upper));
            if (k < _coefficients)
            {
                _zero[k] = IsLogarithmic(k) && _parameters[k] <= 0;
            }
        }
    }

    private bool[] AtBound()
    {
        bool[] atBound = new bool[_count];
        for (int k = 0; k < _count; k++)
        {
            Parameter parameter = _problem.Parameters[k];
            atBound[k] = _pins[k] is null && (k < _coefficients ? _zero[k] : _parameters[k] <= parameter.Lower || _parameters[k] >= parameter.Upper);
        }

        return atBound;
    }

    // The trial point of a damped step: limited on the logarithmic scale, clipped to the bounds. False where the damping is too low
    // to make the Hessian positive definite.
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

        _parameters.CopyTo(_trial, 0);
        for (int a = 0; a < step.Length; a++)
        {
            int k = _free[a];
            if (k < _coefficients && IsLogarithmic(k))
            {
                step[a] = Math.Clamp(step[a], -3, 3);
                _trial[k] = _parameters[k] * Math.Exp(step[a]);
            }
            else
            {
                Parameter parameter = _problem.Parameters[k];
                _trial[k] = Math.Clamp(_parameters[k] + step[a], parameter.Lower, parameter.Upper);
                step[a] = _trial[k] - _parameters[k];
            }

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

    // What a change of the search's coordinate is small against.
    private double SizeOf(int k) => k < _coefficients && IsLogarithmic(k) ? 1 : Math.Max(Math.Abs(_parameters[k]), k < _coefficients ? 1e-6 : 1);

    // Gradient, Hessian, damping scale and free parameters at the current point.
    private void Differentiate(Objective objective, ReadOnlySpan<double> weights, Pull? pull)
    {
        FillJacobian(objective, _parameters, evaluate: true);
        Array.Clear(_hessian);
        Array.Clear(_gradient);
        for (int row = 0; row < _problem.Rows; row++)
        {
            double weight = weights.IsEmpty ? 1 : weights[row];
            (_, double slope, double curvature) = objective.Rho(_residuals[row] = Residual(objective, _parameters, row));
            (_slopes[row], _curvatures[row]) = weight == 0 ? (0, 0) : (weight * slope, weight * curvature);
        }

        Gradient(_gradient);
        for (int row = 0; row < _problem.Rows; row++)
        {
            // Where rho is straight its curvature is zero; the damping still needs a scale, and takes it from the slope.
            ReadOnlySpan<double> line = _jacobian.AsSpan(row * _count, _count);
            for (int k = 0; _curvatures[row] != 0 && k < _count; k++)
            {
                double scaled = _curvatures[row] * line[k];
                for (int l = 0; l <= k; l++)
                {
                    _hessian[(k * _count) + l] += scaled * line[l];
                }
            }
        }

        for (int k = 0; k < _count; k++)
        {
            double diagonal = 0;
            for (int row = 0; row < _problem.Rows; row++)
            {
                double entry = _jacobian[(row * _count) + k], size = Math.Abs(_residuals[row]);
                diagonal += (size > 0 ? Math.Abs(_slopes[row]) / size : _curvatures[row]) * entry * entry;
            }

            _scale[k] = Math.Max(diagonal, 1e-300);
        }

        AddSecondDerivatives(objective);
        for (int k = 0; k < _count; k++)
        {
            for (int l = 0; l < k; l++)
            {
                _hessian[(l * _count) + k] = _hessian[(k * _count) + l];
            }
        }

        pull?.Add(_parameters, Tangent, _gradient, _hessian);
        _free = FreeParameters();
    }

    // sum psi d2r / dk dl: the change of sum psi dr/dl as parameter k moves, with psi held.
    private void AddSecondDerivatives(Objective objective)
    {
        for (int k = 0; k < _count; k++)
        {
            if (_pins[k] is not null || (k < _coefficients && _zero[k]))
            {
                continue;
            }

            _parameters.CopyTo(_trial, 0);
            double change = Difference * SizeOf(k);
            change = k >= _coefficients && _parameters[k] + change > _problem.Parameters[k].Upper ? -change : change;
            _trial[k] = k < _coefficients && IsLogarithmic(k) ? _parameters[k] * Math.Exp(change) : _parameters[k] + change;
            FillJacobian(objective, _trial, evaluate: k >= _coefficients);
            Gradient(_moved);
            for (int l = 0; l < _count; l++)
            {
                double second = (_moved[l] - _gradient[l]) / change;
                if (l == k)
                {
                    _hessian[(k * _count) + k] += second;
                }
                else
                {
                    _hessian[(Math.Max(k, l) * _count) + Math.Min(k, l)] += second / 2;
                }
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

    private void FillJacobian(Objective objective, ReadOnlySpan<double> parameters, bool evaluate)
    {
        int n = _coefficients, shapes = _problem.Shapes;
        if (evaluate)
        {
            _problem.Evaluate(parameters[n..], _columns, _derivatives);
        }

        for (int row = 0; row < _problem.Rows; row++)
        {
            double inner = objective.Log ? 1 / Predicted(parameters, row) : 1;
            Span<double> line = _jacobian.AsSpan(row * _count, _count);
            ReadOnlySpan<double> columns = _columns.AsSpan(row * n, n), derivatives = _derivatives.AsSpan(row * n * shapes, n * shapes);
            for (int j = 0; j < n; j++)
            {
                line[j] = inner * columns[j] * Tangent(parameters, j);
            }

            for (int p = 0; p < shapes; p++)
            {
                double sum = 0;
                for (int j = 0; j < n; j++)
                {
                    sum += parameters[j] * derivatives[(p * n) + j];
                }

                line[n + p] = inner * sum;
            }
        }
    }

    /// <summary>d parameter / d search coordinate.</summary>
    public double Tangent(ReadOnlySpan<double> parameters, int k) => k < _coefficients && IsLogarithmic(k) ? parameters[k] : 1;

    private int[] FreeParameters()
    {
        List<int> free = new(_count);
        for (int k = 0; k < _count; k++)
        {
            Parameter parameter = _problem.Parameters[k];
            bool held = _pins[k] is not null || (k < _coefficients && _zero[k])
                || (k >= _coefficients && ((_parameters[k] <= parameter.Lower && _gradient[k] >= 0) || (_parameters[k] >= parameter.Upper && _gradient[k] <= 0)));
            if (!held)
            {
                free.Add(k);
            }
        }

        return free.Count == _free.Length && free.SequenceEqual(_free) ? _free : [.. free];
    }

    // A positive coefficient whose column no longer shows in any prediction is zero.
    private void DropVanished(Objective objective)
    {
        for (int j = 0; j < _coefficients; j++)
        {
            if (_pins[j] is not null || _zero[j] || !IsLogarithmic(j))
            {
                continue;
            }

            double largest = 0;
            for (int row = 0; row < _problem.Rows; row++)
            {
                double whole = objective.Log ? Predicted(_parameters, row) : _problem.Observed[row];
                largest = Math.Max(largest, Math.Abs(_parameters[j] * _columns[(row * _coefficients) + j] / whole));
            }

            if (largest < 1e-10)
            {
                _zero[j] = true;
                _parameters[j] = 0;
            }
        }
    }

    // At a minimum over the other parameters: does a coefficient of zero want to grow after all?
    private bool Revive(Objective objective, ReadOnlySpan<double> weights)
    {
        bool revived = false;
        for (int j = 0; j < _coefficients; j++)
        {
            if (!_zero[j] || _pins[j] is not null)
            {
                continue;
            }

            _problem.Evaluate(_parameters.AsSpan(_coefficients), _columns, []);
            double slope = 0, typical = 0;
            for (int row = 0; row < _problem.Rows; row++)
            {
                double predicted = Predicted(_parameters, row), column = _columns[(row * _coefficients) + j] / (objective.Log ? predicted : 1);
                slope += (weights.IsEmpty ? 1 : weights[row]) * objective.Rho(Residual(objective, _parameters, row)).Slope * column;
                typical = Math.Max(typical, Math.Abs(column));
            }

            if (slope < -1e-9 * typical)
            {
                _zero[j] = false;
                _parameters[j] = 1e-4 / typical * (objective.Log ? 1 : Math.Abs(_problem.Observed[0]));
                revived = true;
            }
        }

        return revived;
    }
}

/// <summary>
/// A spring of strength <paramref name="stiffness"/> that pulls a function h of the parameters to a target. At every minimum of objective + spring the
/// objective is the least of all points with that value of h: minima for moving targets trace the profile of h.
/// </summary>
internal sealed class Pull(Func<IReadOnlyList<double>, double> function, double target, double stiffness)
{
    public double Value(ReadOnlySpan<double> parameters)
    {
        double miss = function([.. parameters]) - target;
        return stiffness * miss * miss;
    }

    /// <summary>Adds the spring to gradient and Hessian (its Gauss-Newton part).</summary>
    public void Add(ReadOnlySpan<double> parameters, TangentOf tangent, Span<double> gradient, Span<double> hessian)
    {
        double[] slopes = Slopes(function, parameters, tangent);
        double miss = function([.. parameters]) - target;
        for (int k = 0; k < slopes.Length; k++)
        {
            gradient[k] += 2 * stiffness * miss * slopes[k];
            for (int l = 0; l < slopes.Length; l++)
            {
                hessian[(k * slopes.Length) + l] += 2 * stiffness * slopes[k] * slopes[l];
            }
        }
    }

    /// <summary>Derivatives of a function by the search's coordinates, from central differences.</summary>
    public static double[] Slopes(Func<IReadOnlyList<double>, double> function, ReadOnlySpan<double> parameters, TangentOf tangent)
    {
        double[] at = [.. parameters], slopes = new double[at.Length];
        for (int k = 0; k < at.Length; k++)
        {
            double here = at[k], change = 1e-5 * Math.Max(Math.Abs(here), 1e-3);
            at[k] = here + change;
            double above = function(at);
            at[k] = here - change;
            double below = function(at);
            at[k] = here;
            slopes[k] = (above - below) / (2 * change) * tangent(parameters, k);
        }

        return slopes;
    }
}

/// <summary>d parameter / d search coordinate of parameter k.</summary>
internal delegate double TangentOf(ReadOnlySpan<double> parameters, int k);
