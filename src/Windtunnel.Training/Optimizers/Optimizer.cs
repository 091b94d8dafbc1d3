using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// Turns gradients into new weights: every parameter is moved by the first of the options' rules that takes it, each rule as a
/// chain of small transforms (<see cref="Rule"/>). All state is in named tensors, so checkpoints need to know nothing of the rules.
/// </summary>
public sealed class Optimizer : IDisposable
{
    private readonly ParameterSet _parameters;
    private readonly Backend _backend;
    private readonly OptimizerState _state;
    private readonly List<Chain> _chains = [];
    private readonly Tensor? _trainingPoint;

    /// <summary>An optimizer whose state is zero.</summary>
    public Optimizer(OptimizerOptions options, ParameterSet parameters, Backend backend)
    {
        (_parameters, _backend, _state) = (parameters, backend, new OptimizerState(backend));
        HashSet<Parameter> taken = [];
        foreach (Rule rule in options.Rules(_state))
        {
            HashSet<Parameter> mine = [.. parameters.Parameters.Where(parameter => !taken.Contains(parameter) && rule.Takes(parameter))];
            taken.UnionWith(mine);
            if (mine.Count > 0)
            {
                _chains.Add(new Chain(rule, options, mine, parameters, _state));
            }
        }

        if (taken.Count < parameters.Parameters.Count)
        {
            throw new InvalidOperationException($"{options.GetType().Name}: no rule takes {parameters.Parameters.First(parameter => !taken.Contains(parameter)).Name}");
        }

        if (_chains.Exists(chain => chain.Rule.AveragesWeights))
        {
            _trainingPoint = _state.New(parameters, "trainingPoint");
        }
    }

    /// <summary>Everything that has to survive between steps: one tensor for each kind of state and parameter.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> State => _state.Tensors;

    /// <summary>Updates every weight once.</summary>
    public void Step(in OptimizerStep step)
    {
        foreach (Chain chain in _chains)
        {
            chain.Step(step);
        }

        foreach (Chain chain in _chains)
        {
            chain.Rule.AfterStep?.Invoke(step);
        }
    }

    /// <summary>
    /// Puts the weights that the model is to be judged by in place of those that are trained, where the rule tells the two apart
    /// (Schedule-Free): for validation, for sampling, and for saving, which keeps the others as state.
    /// </summary>
    public void BeginEvaluation()
    {
        if (_trainingPoint is not null)
        {
            _backend.Add(_trainingPoint, _parameters.Values, 1, accumulate: false);
            foreach (Chain chain in _chains)
            {
                chain.Average();
            }
        }
    }

    /// <summary>Puts back, bit for bit, the weights that <see cref="BeginEvaluation"/> or a restored state set aside.</summary>
    public void EndEvaluation()
    {
        if (_trainingPoint is not null)
        {
            _backend.Add(_parameters.Values, _trainingPoint, 1, accumulate: false);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _state.Dispose();
}

/// <summary>What an optimizer is told about a step; gradients and weights are in its <see cref="ParameterSet"/>.</summary>
/// <param name="Number">1 for the first update; steps that were skipped for not being finite don't count.</param>
/// <param name="RateFactor">What the schedule multiplies every learning rate by, 0 to 1.</param>
/// <param name="GradScale">Multiplies every gradient as it is read: below 1 where the global norm was clipped.</param>
/// <param name="Seed">The run's: random rules draw from streams of it, at positions that follow from <paramref name="Number"/>.</param>
/// <param name="Batch">Gives second-order rules more gradients of the step's batch.</param>
public readonly record struct OptimizerStep(long Number, double RateFactor, float GradScale, ulong Seed = 0, IStepBatch? Batch = null);

/// <summary>The batch of a step, for rules that need more of it than its gradients.</summary>
public interface IStepBatch
{
    /// <summary>Targets of the batch that count.</summary>
    long Targets { get; }

    /// <summary>Overwrites the gradients by those of the mean loss at the weights as they are now.</summary>
    /// <param name="labels">Draws the targets from the model itself; null for those of the text.</param>
    void ComputeGradients(Philox? labels);
}
