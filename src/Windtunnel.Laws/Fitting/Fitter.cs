using MathNet.Numerics.Random;
using MathNet.Numerics.Statistics;

namespace Windtunnel.Laws.Fitting;

/// <summary>
/// Fits a law. Starts are a grid over the shapes, with the coefficients of each grid point solved by non-negative least squares
/// (variable projection); the best are descended together, first on a smooth version of the objective, and the distinct minima are
/// followed to the objective itself. Nobody has to supply a start, and the same data gives the same fit.
/// </summary>
public sealed class Fitter
{
    private const int Descents = 8;

    private readonly double?[] _pins;

    /// <summary>A fitter of a problem.</summary>
    /// <param name="pins">Parameters to hold, by name.</param>
    /// <exception cref="System.ComponentModel.DataAnnotations.ValidationException">A pin is no parameter of the law, or out of its bounds.</exception>
    public Fitter(SeparableProblem problem, Objective objective, IReadOnlyDictionary<string, double>? pins = null)
    {
        (Problem, Objective, Pins) = (problem, objective, pins ?? new Dictionary<string, double>());
        _pins = new double?[problem.Parameters.Count];
        foreach ((string name, double value) in Pins)
        {
            int index = problem.Parameters.ToList().FindIndex(parameter => parameter.Name == name);
            if (index < 0 || value < problem.Parameters[index].Lower || value > problem.Parameters[index].Upper)
            {
                throw new System.ComponentModel.DataAnnotations.ValidationException(index < 0
                    ? $"{name}: not a parameter of this law; it has {string.Join(", ", problem.Parameters.Select(parameter => parameter.Name))}"
                    : $"{name}: {value} must lie between {problem.Parameters[index].Lower} and {problem.Parameters[index].Upper}");
            }

            _pins[index] = value;
        }
    }

    /// <summary>What is fitted.</summary>
    public SeparableProblem Problem { get; }

    /// <summary>What is minimised.</summary>
    public Objective Objective { get; }

    /// <summary>Parameters that are held.</summary>
    public IReadOnlyDictionary<string, double> Pins { get; }

    /// <summary>Number of parameters that are fitted.</summary>
    public int FreeParameters => _pins.Count(pin => pin is null);

    /// <summary>Whether a parameter, by its index, is held.</summary>
    public bool IsPinned(int parameter) => _pins[parameter] is not null;

    /// <summary>Every distinct local minimum that the starts lead to, the best first.</summary>
    /// <param name="weights">[row]: how often each row counts; all once where empty.</param>
    public IReadOnlyList<Optimum> Search(ReadOnlySpan<double> weights = default)
    {
        NewtonSearch search = NewSearch();
        List<double[]> starts = [.. Starts()];
        double scale = double.PositiveInfinity;
        foreach (double[] start in starts)
        {
            search.Project(Objective, start, weights);
            scale = Math.Min(scale, TypicalResidual(search, start, weights));
        }

        List<Objective> path = [.. Objective.Path(scale)];
        List<Optimum> minima = Descend(search, path[0], starts, weights);
        foreach (Objective objective in path.Skip(1))
        {
            List<Optimum> followed = [];
            foreach (Optimum minimum in minima)
            {
                Keep(followed, search.Descend(objective, minimum.Parameters, weights));
            }

            minima = followed;
        }

        // The smooth version has fewer minima, and need not lead to the best. With few parameters the others cost little to find.
        foreach (Optimum minimum in path.Count > 1 && FreeParameters <= 2 ? Descend(search, Objective, starts, weights) : [])
        {
            Keep(minima, minimum);
        }

        return [.. minima.OrderBy(minimum => minimum.Value)];
    }

    /// <summary>The local minimum that a start leads to.</summary>
    /// <param name="start">All parameters.</param>
    public Optimum Refine(ReadOnlySpan<double> start, ReadOnlySpan<double> weights = default) => NewSearch().Descend(Objective, start, weights);

    /// <summary>The objective at any point.</summary>
    public double Value(ReadOnlySpan<double> parameters, ReadOnlySpan<double> weights = default) => NewSearch().Value(Objective, parameters, weights);

    /// <summary>Residuals predicted - observed on the objective's scale.</summary>
    public double[] Residuals(ReadOnlySpan<double> parameters)
    {
        double[] residuals = new double[Problem.Rows];
        NewSearch().Residuals(Objective, parameters, residuals);
        return residuals;
    }

    /// <summary>
    /// Refits resamples of the rows, drawn with replacement block by block. Replicate i depends on the seed and i alone, so the
    /// result does not depend on the number of threads.
    /// </summary>
    /// <param name="optimum">Where every refit starts.</param>
    /// <returns>[replicate][parameter].</returns>
    public double[][] Bootstrap(Optimum optimum, int replicates, int seed)
    {
        int blocks = Problem.BlockOf(Problem.Rows - 1) + 1;
        double[][] samples = new double[replicates][];
        Parallel.For(0, replicates, NewSearch, (replicate, _, search) =>
        {
            MersenneTwister random = new(unchecked((seed * 1_000_003) + replicate), threadSafe: false);
            double[] weights = new double[Problem.Rows], drawn = new double[blocks];
            do
            {
                Array.Clear(drawn);
                for (int i = 0; i < blocks; i++)
                {
                    drawn[random.Next(blocks)]++;
                }

                for (int row = 0; row < weights.Length; row++)
                {
                    weights[row] = drawn[Problem.BlockOf(row)];
                }
            }
            while (weights.Count(weight => weight > 0) < Math.Min(FreeParameters, weights.Length));
            samples[replicate] = search.Descend(Objective, optimum.Parameters, weights).Parameters;
            return search;
        }, _ => { });
        return samples;
    }

    internal NewtonSearch NewSearch() => new(Problem, _pins);

    // The distinct minima that the best starts lead to.
    private static List<Optimum> Descend(NewtonSearch search, Objective objective, List<double[]> starts, ReadOnlySpan<double> weights)
    {
        List<(double Value, double[] Start)> ranked = new(starts.Count);
        foreach (double[] start in starts)
        {
            ranked.Add((search.Value(objective, start, weights), start));
        }

        List<Optimum> minima = [];
        foreach ((_, double[] start) in ranked.OrderBy(each => each.Value).Take(Descents))
        {
            Keep(minima, search.Descend(objective, start, weights));
        }

        return minima;
    }

    private static void Keep(List<Optimum> minima, Optimum found)
    {
        bool Same(Optimum other) => Math.Abs(found.Value - other.Value) <= 1e-7 * Math.Abs(other.Value) + 1e-300
            || found.Parameters.Zip(other.Parameters).All(pair => Math.Abs(pair.First - pair.Second) <= 1e-4 * Math.Abs(pair.Second) + 1e-12);
        int index = minima.FindIndex(Same);
        if (index < 0)
        {
            minima.Add(found);
        }
        else if (found.Value < minima[index].Value)
        {
            minima[index] = found;
        }
    }

    private double TypicalResidual(NewtonSearch search, double[] parameters, ReadOnlySpan<double> weights)
    {
        double[] residuals = new double[Problem.Rows];
        search.Residuals(Objective, parameters, residuals);
        List<double> sizes = new(residuals.Length);
        for (int row = 0; row < residuals.Length; row++)
        {
            if (weights.IsEmpty || weights[row] > 0)
            {
                sizes.Add(Math.Abs(residuals[row]));
            }
        }

        double median = sizes.Median();
        return double.IsFinite(median) ? median : 1;
    }

    // Every combination of the shapes' starts, with pinned shapes at their pins.
    private IEnumerable<double[]> Starts()
    {
        IEnumerable<double[]> partial = [new double[Problem.Parameters.Count]];
        for (int k = Problem.Coefficients; k < Problem.Parameters.Count; k++)
        {
            int index = k;
            double[] values = _pins[k] is { } pin ? [pin] : Problem.Parameters[k].Starts;
            partial = partial.SelectMany(start => values.Select(value =>
            {
                double[] copy = [.. start];
                copy[index] = value;
                return copy;
            }));
        }

        return partial;
    }
}
