using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>The sign of the mean of gradients.</summary>
/// <param name="LearningRate">The highest rate.</param>
/// <param name="Momentum">Decay of the mean of gradients.</param>
/// <param name="WeightDecay">Decoupled decay.</param>
public sealed record SignumOptions(double LearningRate = 1e-3, double Momentum = 0.95, double WeightDecay = 0.1)
    : OptimizerOptions(LearningRate, WeightDecay)
{
    /// <inheritdoc/>
    public override string Source => "Bernstein et al. 2018, arXiv 1802.04434";

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state)
    {
        MomentumStep step = MomentumStep.Of(Momentum, average: true, nesterov: false, sign: true);
        return
        [
            new Rule("signum", LearningRate, (state, group) => new MomentumDirection(state, group, step, "signum"))
            {
                WeightDecay = WeightDecay,
                ClipNorm = ClipNorm,
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
