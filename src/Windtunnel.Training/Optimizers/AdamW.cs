using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// AdamW (Loshchilov and Hutter 2019): decoupled weight decay, scaled by the scheduled rate, on matrices only.
/// Epsilon stands outside the root, after bias correction.
/// </summary>
public sealed class AdamW : Optimizer
{
    private readonly AdamWOptions _options;
    private readonly List<(ParameterGroup Group, Tensor M, Tensor V, double Decay)> _groups = [];

    /// <summary>AdamW for all parameters, or for those that satisfy a condition.</summary>
    public AdamW(AdamWOptions options, ParameterSet parameters, Backend backend, Func<Parameter, bool>? which = null)
        : base(parameters, backend)
    {
        _options = options;
        which ??= static _ => true;
        Add(parameter => which(parameter) && parameter.IsMatrix, options.WeightDecay);
        Add(parameter => which(parameter) && !parameter.IsMatrix, 0);
    }

    /// <inheritdoc/>
    public override void Step(in OptimizerStep step)
    {
        foreach ((ParameterGroup group, Tensor m, Tensor v, double decay) in _groups)
        {
            Backend.AdamW(group.Values, group.Grads, m, v, new AdamWStep(
                (float)(_options.LearningRate * step.RateFactor), (float)_options.Beta1, (float)_options.Beta2, (float)_options.Epsilon,
                (float)decay, step.Number, step.GradScale));
        }
    }

    private void Add(Func<Parameter, bool> condition, double decay)
    {
        foreach (ParameterGroup group in Parameters.Groups(condition))
        {
            _groups.Add((group, NewState(group, "adamw.m"), NewState(group, "adamw.v"), decay));
        }
    }
}

/// <summary>Options of <see cref="AdamW"/>.</summary>
/// <param name="LearningRate">The highest rate.</param>
/// <param name="Beta1">Decay of the mean of gradients.</param>
/// <param name="Beta2">Decay of the mean of squared gradients.</param>
/// <param name="Epsilon">Added to the root of the mean square.</param>
/// <param name="WeightDecay">Of matrices; norms and biases have none.</param>
public sealed record AdamWOptions(
    double LearningRate = 3e-3, double Beta1 = 0.9, double Beta2 = 0.95, double Epsilon = 1e-8, double WeightDecay = 0.1)
    : OptimizerOptions(LearningRate)
{
    /// <inheritdoc/>
    public override Optimizer Build(ParameterSet parameters, Backend backend) => new AdamW(this, parameters, backend);

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(Beta1 is >= 0 and < 1, "beta1", Beta1, "at least 0 and below 1");
        Require(Beta2 is >= 0 and < 1, "beta2", Beta2, "at least 0 and below 1");
        Require(Epsilon is > 0 and < 1, "epsilon", Epsilon, "positive and below 1");
        Require(WeightDecay >= 0, "weightDecay", WeightDecay, "at least 0");
    }
}
