using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// NorMuon: Muon whose rows (output neurons) are brought to equal length by a mean square of each, the update as a whole keeping
/// its norm.
/// </summary>
/// <param name="LearningRate">The highest rate of the matrices.</param>
/// <param name="Momentum">Decay of the momentum.</param>
/// <param name="Beta2">Decay of the mean square of a row.</param>
/// <param name="WeightDecay">Decoupled decay.</param>
/// <param name="Scale">What the orthogonal matrix is multiplied by, from its shape.</param>
/// <param name="SplitHeads">Whether each attention head's queries, keys and values are matrices of their own.</param>
/// <param name="NewtonSchulz">The orthogonalisation.</param>
/// <param name="Adam">AdamW for the rest.</param>
/// <param name="Roles">Which roles are matrices here; hidden when null.</param>
public sealed record NorMuonOptions(
    double LearningRate = 2e-2, double Momentum = 0.95, double Beta2 = 0.95, double WeightDecay = 0.1, MatrixScale Scale = MatrixScale.Spectral,
    bool SplitHeads = false, NewtonSchulzOptions? NewtonSchulz = null, AdamRestOptions? Adam = null, IReadOnlyList<ParameterRole>? Roles = null)
    : OptimizerOptions(LearningRate, WeightDecay)
{
    /// <summary>The authors' code: AdamW at 3e-4; decays everything.</summary>
    public static NorMuonOptions Original { get; } = new(2e-2, 0.95, 0.95, 0.01, Adam: new AdamRestOptions(0.015, 0.9, 0.95, 1e-10))
    {
        DecayOn = DecayScope.All,
    };

    /// <summary>The orthogonalisation.</summary>
    public NewtonSchulzOptions NewtonSchulz { get; init; } = NewtonSchulz ?? new NewtonSchulzOptions();

    /// <summary>AdamW for the rest.</summary>
    public AdamRestOptions Adam { get; init; } = Adam ?? new AdamRestOptions();

    /// <inheritdoc/>
    public override string Source => "Li et al. 2025, arXiv 2510.05491";

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state)
    {
        MomentumStep momentum = MomentumStep.Of(Momentum, average: true, nesterov: true);
        NewtonSchulz orthogonalize = state.Own(NewtonSchulz.Build(state.Backend));
        return
        [
            new Rule("normuon", LearningRate, (state, group) => new NormalizedDirection(
                state, group, momentum, orthogonalize, Scale, SplitHeads, (float)Beta2))
            {
                Takes = Matrices.Of(Roles),
                WeightDecay = WeightDecay,
                IsTensorWise = true,
                IgnoresRateScale = Scale != MatrixScale.MatchRms,
            },
            Adam.Rule(LearningRate) with { WeightDecay = WeightDecay, ClipNorm = ClipNorm },
        ];
    }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireBeta(Momentum, "momentum");
        RequireBeta(Beta2, "beta2");
        NewtonSchulz.Validate("newtonSchulz");
        Adam.Validate("adam");
        Matrices.Validate(Roles);
    }
}

internal sealed class NormalizedDirection : OrthogonalDirection
{
    private const float Epsilon = 1e-10f;

    private readonly Backend _backend;
    private readonly Tensor _squares;
    private readonly float _beta2;

    public NormalizedDirection(
        OptimizerState state, ParameterGroup group, MomentumStep numbers, NewtonSchulz newtonSchulz, MatrixScale scale, bool splitHeads, float beta2)
        : base(state, group, "normuon", numbers, newtonSchulz, scale, splitHeads)
    {
        (_backend, _beta2) = (state.Backend, beta2);
        _squares = state.New(new Shape(group.Parameters[0].Shape.Rows, 1), $"normuon.squares.{group.Parameters[0].Name}");
    }

    protected override float Adjust(Tensor update, int row)
    {
        double before = Math.Sqrt(_backend.SumOfSquares(update));
        _backend.NormalizeRows(update, _squares.SliceRows(row, update.Shape.Rows), _beta2, Epsilon);
        return (float)(before / (Math.Sqrt(_backend.SumOfSquares(update)) + Epsilon));
    }
}
