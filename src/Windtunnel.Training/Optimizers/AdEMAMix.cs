using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>AdamW with a second, slow mean of gradients beside the fast one: u = (m1hat + alpha m2) / (sqrt(vhat) + epsilon).</summary>
/// <param name="LearningRate">The highest rate.</param>
/// <param name="Beta1">Decay of the fast mean.</param>
/// <param name="Beta2">Decay of the mean of squared gradients.</param>
/// <param name="Beta3">Decay of the slow mean; it grows from beta1, by equal steps of the half-life, over <paramref name="WarmupSteps"/>.</param>
/// <param name="Alpha">Weight of the slow mean; it grows from 0 over <paramref name="WarmupSteps"/>.</param>
/// <param name="WarmupSteps">How long both grow; the paper advises the length of the run. 0 for constants.</param>
/// <param name="Epsilon">Added to the root of the mean square.</param>
/// <param name="WeightDecay">Decoupled decay.</param>
public sealed record AdEMAMixOptions(
    double LearningRate = 3e-3, double Beta1 = 0.9, double Beta2 = 0.98, double Beta3 = 0.999, double Alpha = 5, long WarmupSteps = 1000,
    double Epsilon = 1e-8, double WeightDecay = 0.1)
    : OptimizerOptions(LearningRate, WeightDecay)
{
    /// <summary>The authors' code.</summary>
    public static AdEMAMixOptions Original { get; } = new(1e-3, 0.9, 0.999, 0.9999, 2, 0, 1e-8, 0) { DecayOn = DecayScope.All };

    /// <inheritdoc/>
    public override string Source => "Pagliardini et al. 2024, arXiv 2409.03137";

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state) =>
    [
        new Rule("ademamix", LearningRate, (state, group) => new AdEMAMixDirection(state, group, this)) { WeightDecay = WeightDecay, ClipNorm = ClipNorm },
    ];

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireBeta(Beta1, "beta1");
        Require(Beta1 > 0, "beta1", Beta1, "positive");
        RequireBeta(Beta2, "beta2");
        RequireBeta(Beta3, "beta3");
        Require(Beta3 >= Beta1, "beta3", Beta3, "at least beta1");
        Require(Alpha >= 0, "alpha", Alpha, "at least 0");
        Require(WarmupSteps >= 0, "warmupSteps", WarmupSteps, "at least 0");
        RequireEpsilon(Epsilon);
    }
}

internal sealed class AdEMAMixDirection(OptimizerState state, ParameterGroup group, AdEMAMixOptions options) : Direction
{
    private readonly Tensor _fast = state.New(group, "ademamix.fast"), _slow = state.New(group, "ademamix.slow"), _v = state.New(group, "ademamix.v");

    public override void Write(Tensor y, in Destination to, in DirectionStep step)
    {
        double share = step.Number < options.WarmupSteps ? (double)step.Number / options.WarmupSteps : 1;
        double beta3 = share == 1 ? options.Beta3 : Decay(((1 - share) * HalfLife(options.Beta1)) + (share * HalfLife(options.Beta3)));
        state.Backend.AdEMAMix(y, group.Grads, _fast, _slow, _v, to, new AdEMAMixStep(
            (float)options.Beta1, (float)options.Beta2, (float)beta3, Bias.Correction(options.Beta1, step.Number), (float)(options.Alpha * share),
            Bias.Correction(options.Beta2, step.Number), (float)options.Epsilon));
    }

    // Steps until half of a mean is forgotten, less one, and the decay of which that holds.
    private static double HalfLife(double beta) => (Math.Log(0.5) / Math.Log(beta)) - 1;

    private static double Decay(double halfLife) => Math.Pow(0.5, 1 / (halfLife + 1));
}
