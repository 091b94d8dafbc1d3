using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// Scion: every parameter steps to the point of a norm ball that the mean of its gradients points to. Hidden matrices have the
/// spectral norm (an orthogonal update, as Muon's); the other parameters have norms that give the sign or the direction.
/// </summary>
/// <param name="LearningRate">The highest rate of all parameters; the radii tell them apart.</param>
/// <param name="Momentum">Decay of the mean of gradients of hidden matrices.</param>
/// <param name="WeightDecay">Decoupled decay, scaled by each ball's rate; 0 where <paramref name="Constrained"/>.</param>
/// <param name="NewtonSchulz">The orthogonalisation.</param>
/// <param name="Scale">What the orthogonal matrix is multiplied by, from its shape.</param>
/// <param name="Radius">Of the hidden matrices' ball.</param>
/// <param name="Tables">How embeddings and the head step.</param>
/// <param name="TableRadius">Of their ball.</param>
/// <param name="Vectors">How norms and biases step.</param>
/// <param name="VectorRadius">Of their ball.</param>
/// <param name="RestMomentum">Decay of the mean of gradients of all but the hidden matrices.</param>
/// <param name="Constrained">Whether all weights shrink by the learning rate itself, which holds them in their balls.</param>
public sealed record ScionOptions(
    double LearningRate = 1e-2, double Momentum = 0.95, double WeightDecay = 0.1, NewtonSchulzOptions? NewtonSchulz = null,
    MatrixScale Scale = MatrixScale.Spectral, double Radius = 1, ScionBall Tables = ScionBall.Sign, double TableRadius = 0.2,
    ScionBall Vectors = ScionBall.Sign, double VectorRadius = 0.2, double RestMomentum = 0.95, bool Constrained = false)
    : OptimizerOptions(LearningRate, WeightDecay)
{
    /// <summary>As tuned for 130M parameters at ratio 1 in Wen et al. 2025: ten steps of Newton-Schulz, Signum for the rest, whose gradients alone are clipped.</summary>
    public static ScionOptions Study { get; } = new(
        1.6e-2, 0.95, NewtonSchulz: new NewtonSchulzOptions(10, 1e-15), TableRadius: 0.2, VectorRadius: 0.2, RestMomentum: 0.95)
    {
        ClipNorm = 1,
        DecayOn = DecayScope.Linear,
    };

    /// <summary>The authors' constrained form, with their radii for GPT-2.</summary>
    public static ScionOptions Original { get; } = new(
        1.0 / 4096, 0.9, 0, Scale: MatrixScale.MaximalUpdate, Radius: 50, Tables: ScionBall.SignPerInput, TableRadius: 3000, Vectors: ScionBall.Rms,
        VectorRadius: 50, RestMomentum: 0.9, Constrained: true)
    {
        DecayOn = DecayScope.All,
    };

    /// <summary>The orthogonalisation.</summary>
    public NewtonSchulzOptions NewtonSchulz { get; init; } = NewtonSchulz ?? new NewtonSchulzOptions();

    /// <inheritdoc/>
    public override string Source => "Pethick et al. 2025, arXiv 2502.07529";

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state)
    {
        MomentumStep momentum = MomentumStep.Of(Momentum, average: true, nesterov: false);
        NewtonSchulz orthogonalize = state.Own(NewtonSchulz.Build(state.Backend));
        Rule Ball(ScionBall ball, double radius) => new(
            ball == ScionBall.Rms ? "rms" : "signum", LearningRate * radius, (state, group) => new BallDirection(state, group, ball, RestMomentum))
        {
            WeightDecay = Constrained ? 1 / radius : WeightDecay,
            ClipNorm = ClipNorm,
            IsTensorWise = ball != ScionBall.Sign,
        };
        Rule spectral = new(
            "spectral", LearningRate * Radius,
            (state, group) => new OrthogonalDirection(state, group, "scion", momentum, orthogonalize, Scale, splitHeads: false))
        {
            Takes = Matrices.Of(null),
            WeightDecay = Constrained ? 1 / Radius : WeightDecay,
            IsTensorWise = true,
            IgnoresRateScale = true,
        };

        // Where the rest shares one ball it is one group, clipped by one norm.
        return Tables == Vectors && TableRadius == VectorRadius
            ? [spectral, Ball(Tables, TableRadius)]
            : [spectral, Ball(Tables, TableRadius) with { Takes = parameter => parameter.IsMatrix }, Ball(Vectors, VectorRadius)];
    }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireBeta(Momentum, "momentum");
        RequireBeta(RestMomentum, "restMomentum");
        Require(Radius > 0, "radius", Radius, "positive");
        Require(TableRadius > 0, "tableRadius", TableRadius, "positive");
        Require(VectorRadius > 0, "vectorRadius", VectorRadius, "positive");
        Require(
            !Constrained || (WeightDecay == 0 && Decay == DecayKind.Scheduled && DecayOn == DecayScope.All && !CautiousDecay), "constrained", Constrained,
            "false unless weightDecay is 0, decay scheduled, decayOn all and cautiousDecay false");
        Require(!Constrained || LearningRate < 1, "learningRate", LearningRate, "below 1 where constrained: every step takes that share of all weights away");
        RequireDecay(WeightDecay, LearningRate * Math.Max(Radius, Math.Max(TableRadius, VectorRadius)), "weightDecay");
        NewtonSchulz.Validate("newtonSchulz");
    }
}

/// <summary>How a parameter that is no hidden matrix steps to its ball.</summary>
public enum ScionBall
{
    /// <summary>By the sign: Signum.</summary>
    Sign,

    /// <summary>By the sign over the width of the input.</summary>
    SignPerInput,

    /// <summary>Along the mean of gradients, brought to a root mean square of 1.</summary>
    Rms,
}

internal sealed class BallDirection(OptimizerState state, ParameterGroup group, ScionBall ball, double beta) : Direction
{
    private readonly Tensor _momentum = state.New(group, "scion.momentum");
    private readonly MomentumStep _numbers = MomentumStep.Of(beta, average: true, nesterov: false, sign: ball != ScionBall.Rms);

    public override void Write(Tensor y, in Destination to, in DirectionStep step)
    {
        Backend backend = state.Backend;
        if (ball != ScionBall.Rms)
        {
            float scale = ball == ScionBall.SignPerInput ? to.Scale / group.Parameters[0].Shape.Columns : to.Scale;
            backend.Momentum(y, group.Grads, _momentum, to with { Scale = scale }, _numbers);
            return;
        }

        Tensor mean = state.Workspace(group.Values.Shape);
        backend.Momentum(mean, group.Grads, _momentum, new Destination(0, 1, to.GradScale), _numbers);
        double rms = Math.Sqrt(backend.SumOfSquares(mean) / mean.Shape.Count);
        backend.Descend(y, mean, to with { Scale = (float)(to.Scale / (rms + 1e-8)), GradScale = 1 });
    }
}
