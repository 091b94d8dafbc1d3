using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>Stochastic gradient descent with heavy-ball or Nesterov momentum.</summary>
/// <param name="LearningRate">The highest rate.</param>
/// <param name="Momentum">Decay of the sum of gradients.</param>
/// <param name="Nesterov">Whether to look ahead.</param>
/// <param name="WeightDecay">Decoupled decay.</param>
public sealed record SgdOptions(double LearningRate = 0.3, double Momentum = 0.9, bool Nesterov = false, double WeightDecay = 0)
    : OptimizerOptions(LearningRate, WeightDecay)
{
    /// <inheritdoc/>
    public override string Source => "Sutskever et al. 2013";

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state)
    {
        MomentumStep step = MomentumStep.Of(Momentum, average: false, Nesterov);
        return
        [
            new Rule("sgd", LearningRate, (state, group) => new MomentumDirection(state, group, step, "sgd"))
            {
                WeightDecay = WeightDecay,
                ClipNorm = ClipNorm,
                IgnoresRateScale = true,
            },
        ];
    }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireBeta(Momentum, "momentum");
    }
}
