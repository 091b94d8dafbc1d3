using System.ComponentModel.DataAnnotations;
using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// Muon: momentum, made orthogonal by Newton-Schulz, moves the hidden matrices; AdamW moves everything else. Stacked matrices
/// (GPT-2's queries, keys and values) are made orthogonal one by one.
/// </summary>
/// <param name="LearningRate">The highest rate of the matrices.</param>
/// <param name="Momentum">Decay of the momentum.</param>
/// <param name="Nesterov">Whether to look ahead.</param>
/// <param name="WeightDecay">Decoupled decay.</param>
/// <param name="Scale">What the orthogonal matrix is multiplied by, from its shape.</param>
/// <param name="SplitHeads">Whether each attention head's queries, keys and values are matrices of their own.</param>
/// <param name="NewtonSchulz">The orthogonalisation.</param>
/// <param name="Adam">AdamW for the rest.</param>
/// <param name="Roles">Which roles are matrices here; hidden when null.</param>
public sealed record MuonOptions(
    double LearningRate = 2e-2, double Momentum = 0.95, bool Nesterov = true, double WeightDecay = 0.1, MatrixScale Scale = MatrixScale.Spectral,
    bool SplitHeads = false, NewtonSchulzOptions? NewtonSchulz = null, AdamRestOptions? Adam = null, IReadOnlyList<ParameterRole>? Roles = null)
    : OptimizerOptions(LearningRate, WeightDecay)
{
    /// <summary>
    /// As tuned for 130M parameters at ratio 1 in Wen et al. 2025. Its code took ten Newton-Schulz steps until June 2025, so in most of its
    /// runs, and five since; only AdamW's gradients are clipped, by their own norm.
    /// </summary>
    public static MuonOptions Study { get; } = new(
        1.6e-2, 0.95, NewtonSchulz: new NewtonSchulzOptions(10, 1e-5), Adam: new AdamRestOptions(0.2, 0.8, 0.98, 1e-15))
    {
        ClipNorm = 1,
        DecayOn = DecayScope.Linear,
    };

    /// <summary>Jordan's code: AdamW at 3e-4; decays everything.</summary>
    public static MuonOptions Original { get; } = new(2e-2, 0.95, WeightDecay: 0.01, Adam: new AdamRestOptions(0.015, 0.9, 0.95, 1e-10))
    {
        DecayOn = DecayScope.All,
    };

    /// <summary>
    /// Moonlight (Liu et al. 2025): updates as large as AdamW's, whose rate and decay then fit all parameters. (AdamW's epsilon is added after
    /// the correction of its bias here, before it there.)
    /// </summary>
    public static MuonOptions Moonlight { get; } = new(
        1e-3, 0.95, WeightDecay: 0.1, Scale: MatrixScale.MatchRms, Adam: new AdamRestOptions(1, 0.9, 0.95, 1e-8))
    {
        DecayOn = DecayScope.All,
    };

    /// <summary>The orthogonalisation.</summary>
    public NewtonSchulzOptions NewtonSchulz { get; init; } = NewtonSchulz ?? new NewtonSchulzOptions();

    /// <summary>AdamW for the rest.</summary>
    public AdamRestOptions Adam { get; init; } = Adam ?? new AdamRestOptions();

    /// <inheritdoc/>
    public override string Source => "Jordan et al. 2024, https://kellerjordan.github.io/posts/muon";

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state)
    {
        MomentumStep momentum = MomentumStep.Of(Momentum, average: false, Nesterov);
        NewtonSchulz orthogonalize = state.Own(NewtonSchulz.Build(state.Backend));
        return
        [
            new Rule("muon", LearningRate, (state, group) => new OrthogonalDirection(state, group, "muon", momentum, orthogonalize, Scale, SplitHeads))
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
        NewtonSchulz.Validate("newtonSchulz");
        Adam.Validate("adam");
        Matrices.Validate(Roles);
    }
}

/// <summary>What an orthogonal update [out, in] is multiplied by.</summary>
public enum MatrixScale
{
    /// <summary>sqrt(max(1, out / in)): Muon's.</summary>
    Spectral,

    /// <summary>0.2 sqrt(max(out, in)): the root mean square of an update of AdamW (Moonlight).</summary>
    MatchRms,

    /// <summary>sqrt(out / in): rates carry over from one width to another.</summary>
    MaximalUpdate,

    /// <summary>1.</summary>
    One,
}

/// <summary>Which parameters a rule on matrices takes.</summary>
internal static class Matrices
{
    /// <summary>Those of the given roles; hidden ones when null.</summary>
    public static Func<Parameter, bool> Of(IReadOnlyList<ParameterRole>? roles) =>
        parameter => roles is null ? parameter.Role == ParameterRole.Hidden : roles.Contains(parameter.Role);

    /// <exception cref="ValidationException">One of the roles is of vectors.</exception>
    public static void Validate(IReadOnlyList<ParameterRole>? roles)
    {
        OptimizerOptions.Require(roles is not { Count: 0 }, "roles", "[]", "null for the hidden matrices, or name some");
        foreach (ParameterRole role in roles ?? [])
        {
            OptimizerOptions.Require(
                role is not (ParameterRole.Norm or ParameterRole.Bias), "roles", role,
                "one of hidden, embedding, head and router: norms and biases are vectors, and this rule moves matrices");
        }
    }
}

/// <summary>u = the orthogonal factor of the momentum, matrix by matrix, times a scale.</summary>
internal class OrthogonalDirection : Direction
{
    private readonly OptimizerState _state;
    private readonly Parameter _parameter;
    private readonly Tensor _momentum;
    private readonly MomentumStep _numbers;
    private readonly NewtonSchulz _newtonSchulz;
    private readonly int _rows;
    private readonly float _scale;

    public OrthogonalDirection(
        OptimizerState state, ParameterGroup group, string name, MomentumStep numbers, NewtonSchulz newtonSchulz, MatrixScale scale, bool splitHeads)
    {
        (_state, _parameter, _numbers, _newtonSchulz) = (state, group.Parameters[0], numbers, newtonSchulz);
        _momentum = state.New(group, $"{name}.momentum");
        _rows = splitHeads && _parameter.HeadWidth > 0 ? _parameter.HeadWidth : _parameter.Shape.Rows / _parameter.Parts;
        float rows = _rows, columns = _parameter.Shape.Columns;
        _scale = scale switch
        {
            MatrixScale.Spectral => MathF.Sqrt(MathF.Max(1, rows / columns)),
            MatrixScale.MatchRms => 0.2f * MathF.Sqrt(MathF.Max(rows, columns)),
            MatrixScale.MaximalUpdate => MathF.Sqrt(rows / columns),
            _ => 1,
        };
    }

    public override void Write(Tensor y, in Destination to, in DirectionStep step)
    {
        Tensor momentum = _state.Workspace(_parameter.Shape), into = y.Reshape(_parameter.Shape);
        _state.Backend.Momentum(momentum, _parameter.Grad, _momentum, new Destination(0, 1, to.GradScale), _numbers);
        for (int row = 0; row < _parameter.Shape.Rows; row += _rows)
        {
            Tensor update = _newtonSchulz.Orthogonalize(momentum.SliceRows(row, _rows));
            float scale = _scale * Adjust(update, row);
            _state.Backend.Descend(into.SliceRows(row, _rows), update, to with { Scale = to.Scale * scale, GradScale = 1 });
        }
    }

    /// <summary>May change the orthogonal matrix whose first row is <paramref name="row"/>; returns one more factor of it.</summary>
    protected virtual float Adjust(Tensor update, int row) => 1;
}
