using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>The sign of a short mean of gradients, taken from a long one that is kept. Wants a rate of about a tenth of AdamW's, and more decay.</summary>
/// <param name="LearningRate">The highest rate.</param>
/// <param name="Beta1">The long mean's share of the direction.</param>
/// <param name="Beta2">Decay of the long mean.</param>
/// <param name="WeightDecay">Decoupled decay.</param>
public sealed record LionOptions(double LearningRate = 5e-4, double Beta1 = 0.9, double Beta2 = 0.95, double WeightDecay = 0.6)
    : OptimizerOptions(LearningRate, WeightDecay)
{
    /// <summary>As tuned for 130M parameters in Wen et al. 2025.</summary>
    public static LionOptions Study { get; } = new(1e-3, 0.9, 0.95, 0.7) { ClipNorm = 1, DecayOn = DecayScope.Linear };

    /// <summary>The authors' defaults; decays everything.</summary>
    public static LionOptions Original { get; } = new(1e-4, 0.9, 0.99, 0) { DecayOn = DecayScope.All };

    /// <inheritdoc/>
    public override string Source => "Chen et al. 2023, arXiv 2302.06675";

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state) =>
    [
        new Rule("lion", LearningRate, (state, group) => new MomentumDirection(state, group, Step(Beta1, Beta2), "lion"))
        {
            WeightDecay = WeightDecay,
            ClipNorm = ClipNorm,
        },
    ];

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireBeta(Beta1, "beta1");
        RequireBeta(Beta2, "beta2");
    }

    /// <summary>Lion's numbers.</summary>
    internal static MomentumStep Step(double beta1, double beta2) =>
        new((float)beta1, (float)(1 - beta1), (float)beta2, (float)(1 - beta2), Sign: true);
}
