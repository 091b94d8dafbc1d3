using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// MARS: the gradient is corrected by what changed since the last one, c = g + gamma beta1 / (1 - beta1) (g - g of the last step),
/// clipped, and handed to AdamW or Lion. The approximate form: the last step's gradient is of the last step's batch.
/// <c>training.clipNorm</c> adds to this rule's own clipping, and is best 0.
/// </summary>
/// <param name="LearningRate">The highest rate.</param>
/// <param name="Beta1">Decay of the mean of corrected gradients.</param>
/// <param name="Beta2">Decay of their mean square.</param>
/// <param name="Gamma">Strength of the correction.</param>
/// <param name="Epsilon">Added to the root of the mean square.</param>
/// <param name="WeightDecay">Decoupled decay.</param>
/// <param name="Base">What the corrected gradient is handed to.</param>
/// <param name="Matrices">Whether only matrices are corrected, each clipped by itself, and vectors left to AdamW, as in the authors' code.</param>
/// <param name="VectorDecay">Decay of the vectors then; that of the matrices when null.</param>
/// <param name="Vectors">AdamW for the vectors then; its ratio is of <paramref name="LearningRate"/>.</param>
public sealed record MarsOptions(
    double LearningRate = 3e-3, double Beta1 = 0.95, double Beta2 = 0.98, double Gamma = 0.025, double Epsilon = 1e-8, double WeightDecay = 0.1,
    MarsBase Base = MarsBase.AdamW, bool Matrices = false, double? VectorDecay = null, AdamRestOptions? Vectors = null)
    : OptimizerOptions(LearningRate, WeightDecay)
{
    /// <summary>As tuned for 130M parameters in Wen et al. 2025.</summary>
    public static MarsOptions Study { get; } = new(8e-3, 0.95, 0.98, 0.025, 1e-25, 0.1) { ClipNorm = 1, DecayOn = DecayScope.Linear };

    /// <summary>The authors' code.</summary>
    public static MarsOptions Original { get; } = new(3e-3, 0.95, 0.99, 0.025, 1e-8, 0, Matrices: true, VectorDecay: 0.1) { ClipNorm = 1, DecayOn = DecayScope.All };

    /// <summary>AdamW for the vectors, where they are left to it.</summary>
    public AdamRestOptions Vectors { get; init; } = Vectors ?? new AdamRestOptions(1, 0.9, 0.95, 1e-8);

    /// <inheritdoc/>
    public override string Source => "Yuan et al. 2024, arXiv 2411.10438";

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state)
    {
        AdamSettings settings = new(Beta1, Beta2, Epsilon);
        Rule corrected = new($"mars-{(Base == MarsBase.Lion ? "lion" : "adamw")}", LearningRate, (state, group) => new MarsDirection(
            state, group, Gamma * Beta1 / (1 - Beta1),
            Base == MarsBase.Lion
                ? new MomentumDirection(state, group, MomentumStep.Of(Beta1, average: true, nesterov: false, sign: true), "mars")
                : new AdamDirection(state, group, settings)))
        {
            Takes = parameter => !Matrices || parameter.Role is not (ParameterRole.Norm or ParameterRole.Bias),
            WeightDecay = WeightDecay,
            ClipNorm = ClipNorm,
            ClipsEachTensor = Matrices,
        };
        return [corrected, Vectors.Rule(LearningRate) with { WeightDecay = VectorDecay ?? WeightDecay }];
    }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireBeta(Beta1, "beta1");
        RequireBeta(Beta2, "beta2");
        Require(Gamma is >= 0 and <= 1, "gamma", Gamma, "between 0 and 1");
        RequireEpsilon(Epsilon);
        Require(VectorDecay is null or >= 0, "vectorDecay", VectorDecay ?? 0, "at least 0");
        RequireDecay(VectorDecay ?? WeightDecay, LearningRate * Vectors.Ratio, "vectorDecay");
        Vectors.Validate("vectors");
    }
}

/// <summary>What MARS hands the corrected gradient to.</summary>
public enum MarsBase
{
    /// <summary>AdamW.</summary>
    AdamW,

    /// <summary>The sign of the mean.</summary>
    Lion,
}

internal sealed class MarsDirection(OptimizerState state, ParameterGroup group, double factor, Direction inner) : Direction
{
    private readonly Tensor _previous = state.New(group, "mars.previous");

    public override void Prepare(in OptimizerStep step) => state.Backend.CorrectVariance(group.Grads, _previous, (float)factor);

    public override void Write(Tensor y, in Destination to, in DirectionStep step) => inner.Write(y, to, step);
}
