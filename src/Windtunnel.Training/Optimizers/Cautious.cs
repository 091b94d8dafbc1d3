namespace Windtunnel.Training.Optimizers;

/// <summary>
/// Cautious AdamW: the part of Adam's update that points against the gradient is dropped, the rest enlarged by the share that
/// remains (Liang et al. 2024). The share has a floor of one in a thousand, C-Optim's; Wen et al. 2025 had none.
/// </summary>
/// <param name="LearningRate">The highest rate.</param>
/// <param name="Beta1">Decay of the mean of gradients.</param>
/// <param name="Beta2">Decay of the mean of squared gradients.</param>
/// <param name="Epsilon">Added to the root of the mean square.</param>
/// <param name="WeightDecay">Decoupled decay, of dropped weights too.</param>
/// <param name="EpsilonBeforeCorrection">Whether epsilon is added before bias correction.</param>
public sealed record CautiousOptions(
    double LearningRate = 3e-3, double Beta1 = 0.95, double Beta2 = 0.98, double Epsilon = 1e-8, double WeightDecay = 0.1,
    bool EpsilonBeforeCorrection = false)
    : OptimizerOptions(LearningRate, WeightDecay)
{
    /// <summary>As tuned for 130M parameters in Wen et al. 2025.</summary>
    public static CautiousOptions Study { get; } = new(8e-3, 0.95, 0.98, 1e-15, 0.1) { ClipNorm = 1, DecayOn = DecayScope.Linear };

    /// <summary>C-Optim's C-AdamW.</summary>
    public static CautiousOptions Original { get; } = new(1e-3, 0.9, 0.999, 1e-6, 0, EpsilonBeforeCorrection: true) { DecayOn = DecayScope.All };

    /// <inheritdoc/>
    public override string Source => "Liang et al. 2024, arXiv 2411.16085";

    /// <inheritdoc/>
    public override bool IsCautious => true;

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state)
    {
        AdamSettings settings = new(Beta1, Beta2, Epsilon, EpsilonBeforeCorrection);
        return [settings.Rule(LearningRate) with { WeightDecay = WeightDecay, ClipNorm = ClipNorm }];
    }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireBeta(Beta1, "beta1");
        RequireBeta(Beta2, "beta2");
        RequireEpsilon(Epsilon);
    }
}
