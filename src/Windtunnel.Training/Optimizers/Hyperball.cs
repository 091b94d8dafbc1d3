using Windtunnel.Models;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// MuonH: Muon on the sphere. Each step leaves the Frobenius norm of a hidden matrix as it finds it, drawn, inherited or resumed; an
/// update is a given share of it, and nothing decays; AdamW for the rest. A matrix of zeros would stay one, and is refused.
/// </summary>
/// <param name="LearningRate">The highest length of an update, as a share of the norm.</param>
/// <param name="Momentum">Decay of the momentum.</param>
/// <param name="NewtonSchulz">The orthogonalisation.</param>
/// <param name="Adam">AdamW for the rest.</param>
/// <param name="Roles">Which roles are matrices here; hidden when null.</param>
public sealed record MuonHOptions(
    double LearningRate = 2e-2, double Momentum = 0.95, NewtonSchulzOptions? NewtonSchulz = null, AdamRestOptions? Adam = null,
    IReadOnlyList<ParameterRole>? Roles = null)
    : OptimizerOptions(LearningRate, WeightDecay: 0)
{
    /// <summary>The orthogonalisation.</summary>
    public NewtonSchulzOptions NewtonSchulz { get; init; } = NewtonSchulz ?? new NewtonSchulzOptions(Epsilon: 1e-8);

    /// <summary>AdamW for the rest.</summary>
    public AdamRestOptions Adam { get; init; } = Adam ?? new AdamRestOptions(0.15, 0.9, 0.95, 1e-8);

    /// <inheritdoc/>
    public override string Source => "Wen et al. 2026, arXiv 2606.16899";

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state)
    {
        MomentumStep momentum = MomentumStep.Of(Momentum, average: false, nesterov: true);
        NewtonSchulz orthogonalize = state.Own(NewtonSchulz.Build(state.Backend));
        return
        [
            new Rule("muonh", LearningRate, (state, group) => new OrthogonalDirection(
                state, group, "muonh", momentum, orthogonalize, MatrixScale.One, splitHeads: false))
            {
                Takes = Matrices.Of(Roles),
                KeepsNorm = true,
                IgnoresRateScale = true,
                ClipNorm = ClipNorm,
            },
            Adam.Rule(LearningRate) with { ClipNorm = ClipNorm },
        ];
    }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(WeightDecay == 0, "weightDecay", WeightDecay, "0: the norm is kept");
        RequireBeta(Momentum, "momentum");
        NewtonSchulz.Validate("newtonSchulz");
        Adam.Validate("adam");
        Matrices.Validate(Roles);
    }
}

/// <summary>AdamH: Adam on the sphere, as <see cref="MuonHOptions"/> is Muon.</summary>
/// <param name="LearningRate">The highest length of an update, as a share of the norm.</param>
/// <param name="Beta1">Decay of the mean of gradients.</param>
/// <param name="Beta2">Decay of the mean of squared gradients.</param>
/// <param name="Epsilon">Added to the root of the mean square.</param>
/// <param name="Adam">AdamW for the rest.</param>
/// <param name="Roles">Which roles are matrices here; hidden when null.</param>
public sealed record AdamHOptions(
    double LearningRate = 2e-2, double Beta1 = 0.9, double Beta2 = 0.95, double Epsilon = 1e-8, AdamRestOptions? Adam = null,
    IReadOnlyList<ParameterRole>? Roles = null)
    : OptimizerOptions(LearningRate, WeightDecay: 0)
{
    /// <summary>AdamW for the rest.</summary>
    public AdamRestOptions Adam { get; init; } = Adam ?? new AdamRestOptions(0.15, 0.9, 0.95, 1e-8);

    /// <inheritdoc/>
    public override string Source => "Wen et al. 2026, arXiv 2606.16899";

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state) =>
    [
        new AdamSettings(Beta1, Beta2, Epsilon).Rule(LearningRate) with
        {
            Name = "adamh",
            Takes = Matrices.Of(Roles),
            KeepsNorm = true,
            IgnoresRateScale = true,
            ClipNorm = ClipNorm,
        },
        Adam.Rule(LearningRate) with { ClipNorm = ClipNorm },
    ];

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        Require(WeightDecay == 0, "weightDecay", WeightDecay, "0: the norm is kept");
        RequireBeta(Beta1, "beta1");
        RequireBeta(Beta2, "beta2");
        RequireEpsilon(Epsilon);
        Adam.Validate("adam");
        Matrices.Validate(Roles);
    }
}
