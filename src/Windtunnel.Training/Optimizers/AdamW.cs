using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>AdamW: the direction of Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019).</summary>
/// <param name="LearningRate">The highest rate.</param>
/// <param name="Beta1">Decay of the mean of gradients.</param>
/// <param name="Beta2">Decay of the mean of squared gradients.</param>
/// <param name="Epsilon">Added to the root of the mean square, after bias correction.</param>
/// <param name="WeightDecay">Decoupled decay.</param>
public sealed record AdamWOptions(
    double LearningRate = 3e-3, double Beta1 = 0.9, double Beta2 = 0.95, double Epsilon = 1e-8, double WeightDecay = 0.1)
    : OptimizerOptions(LearningRate, WeightDecay)
{
    /// <summary>As tuned for 130M parameters in Wen et al. 2025.</summary>
    public static AdamWOptions Study { get; } = new(8e-3, 0.9, 0.98, 1e-10, 0.1) { ClipNorm = 1, DecayOn = DecayScope.Linear };

    /// <summary>PyTorch's defaults; it decays everything.</summary>
    public static AdamWOptions Original { get; } = new(1e-3, 0.9, 0.999, 1e-8, 0.01) { DecayOn = DecayScope.All };

    /// <inheritdoc/>
    public override string Source => "Loshchilov and Hutter 2019, arXiv 1711.05101";

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state)
    {
        AdamSettings settings = new(Beta1, Beta2, Epsilon);
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

/// <summary>The numbers of Adam, for all rules that use it.</summary>
/// <param name="Beta1">Decay of the mean of gradients.</param>
/// <param name="Beta2">Decay of the mean of squared gradients.</param>
/// <param name="Epsilon">Added to the root of the mean square.</param>
/// <param name="EpsilonBeforeCorrection">Whether epsilon is added before bias correction.</param>
internal sealed record AdamSettings(double Beta1, double Beta2, double Epsilon, bool EpsilonBeforeCorrection = false)
{
    public Rule Rule(double learningRate) => new("adamw", learningRate, (state, group) => new AdamDirection(state, group, this));

    public AdamStep At(long step)
    {
        float squareScale = Bias.Correction(Beta2, step);
        double epsilon = EpsilonBeforeCorrection ? Epsilon * Math.Sqrt(squareScale) : Epsilon;
        return new AdamStep((float)Beta1, (float)Beta2, Bias.Correction(Beta1, step), 0, squareScale, (float)epsilon);
    }
}

/// <summary>u = mhat / (sqrt(vhat) + epsilon).</summary>
internal class AdamDirection(OptimizerState state, ParameterGroup group, AdamSettings settings) : Direction
{
    private readonly Tensor _m = state.New(group, "adamw.m"), _v = state.New(group, "adamw.v");

    public override void Write(Tensor y, in Destination to, in DirectionStep step) =>
        state.Backend.Adam(y, group.Grads, _m, _v, to, Numbers(step.Number));

    protected virtual AdamStep Numbers(long step) => settings.At(step);
}
