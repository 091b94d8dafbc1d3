using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// Sophia: momentum over an estimate of the Hessian's diagonal, each element clipped to 1. The estimate is renewed every few
/// steps, at the weights after the step and on its batch: by the squared gradient under labels drawn from the model (G, one more
/// backward pass) or by a Hessian-vector product (H, two more).
/// </summary>
/// <param name="LearningRate">The highest rate.</param>
/// <param name="Beta1">Decay of the mean of gradients.</param>
/// <param name="Beta2">Decay of the mean of estimates.</param>
/// <param name="Gamma">Multiplies the Hessian: smaller values clip more.</param>
/// <param name="Epsilon">The smallest denominator.</param>
/// <param name="WeightDecay">Decoupled decay.</param>
/// <param name="Interval">Steps from one estimate to the next.</param>
/// <param name="Estimator">Where the estimates come from.</param>
/// <param name="BiasCorrection">Whether the mean of gradients is corrected for its start at zero.</param>
/// <param name="Difference">For H: the standard deviation of the random shifts, to both sides, whose gradients are compared.</param>
public sealed record SophiaOptions(
    double LearningRate = 2e-3, double Beta1 = 0.96, double Beta2 = 0.99, double Gamma = 0.04, double Epsilon = 1e-12, double WeightDecay = 0.1,
    int Interval = 10, SophiaEstimator Estimator = SophiaEstimator.SampledLabels, bool BiasCorrection = false, double Difference = 1e-3)
    : OptimizerOptions(LearningRate, WeightDecay)
{
    /// <summary>Sophia-H as tuned in Wen et al. 2025.</summary>
    public static SophiaOptions Study { get; } = new(4e-3, 0.95, 0.9, 0.0125, 1e-7, 0.1, 10, SophiaEstimator.HessianVector, BiasCorrection: true)
    {
        ClipNorm = 1,
        DecayOn = DecayScope.Linear,
    };

    /// <summary>Sophia-G of the authors' code; gamma is their rho.</summary>
    public static SophiaOptions Original { get; } = new(1e-4, 0.965, 0.99, 0.04, 1e-15, 0.1) { DecayOn = DecayScope.All };

    /// <inheritdoc/>
    public override string Source => "Liu et al. 2023, arXiv 2305.14342";

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state)
    {
        List<SophiaDirection> directions = [];
        return
        [
            new Rule("sophia", LearningRate, Direct)
            {
                WeightDecay = WeightDecay,
                ClipNorm = ClipNorm,
                AfterStep = step =>
                {
                    if (step.Number % Interval == 0)
                    {
                        Estimate(step.Batch ?? throw new InvalidOperationException("Sophia estimates the Hessian on the step's batch, and there is none"), step);
                    }
                },
            },
        ];

        SophiaDirection Direct(OptimizerState state, ParameterGroup group)
        {
            SophiaDirection direction = new(state, group, this);
            directions.Add(direction);
            return direction;
        }

        void Estimate(IStepBatch batch, in OptimizerStep step)
        {
            if (Estimator == SophiaEstimator.SampledLabels)
            {
                batch.ComputeGradients(Philox.Named(step.Seed, $"sophia.labels.{step.Number}"));
                directions.ForEach(direction => direction.ObserveSquare(batch.Targets));
                return;
            }

            Philox random = Philox.Named(step.Seed, $"sophia.shift.{step.Number}");
            directions.ForEach(direction => direction.Shift(random, Difference));
            batch.ComputeGradients(labels: null);
            directions.ForEach(direction => direction.ShiftBack(random, Difference));
            batch.ComputeGradients(labels: null);
            directions.ForEach(direction => direction.ObserveProduct(random, Difference));
        }
    }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireBeta(Beta1, "beta1");
        RequireBeta(Beta2, "beta2");
        Require(Gamma > 0, "gamma", Gamma, "positive");
        RequireEpsilon(Epsilon);
        Require(Interval >= 1, "interval", Interval, "at least 1");
        Require(Difference is > 0 and < 1, "difference", Difference, "positive and below 1");
    }
}

/// <summary>Where Sophia's estimates of the Hessian's diagonal come from.</summary>
public enum SophiaEstimator
{
    /// <summary>Gauss-Newton-Bartlett: targets times the square of the mean gradient under labels drawn from the model (G).</summary>
    SampledLabels,

    /// <summary>Hutchinson: u (H u) for a normal u, with H u from a central difference of gradients (H).</summary>
    HessianVector,
}

internal sealed class SophiaDirection : Direction
{
    private readonly Backend _backend;
    private readonly ParameterGroup _group;
    private readonly SophiaOptions _options;
    private readonly Tensor _m, _hessian;
    private readonly Tensor? _weights, _gradient;

    public SophiaDirection(OptimizerState state, ParameterGroup group, SophiaOptions options)
    {
        (_backend, _group, _options) = (state.Backend, group, options);
        (_m, _hessian) = (state.New(group, "sophia.m"), state.New(group, "sophia.hessian"));
        if (options.Estimator == SophiaEstimator.HessianVector)
        {
            (_weights, _gradient) = (state.Scratch(group.Values.Shape), state.Scratch(group.Values.Shape));
        }
    }

    public override void Write(Tensor y, in Destination to, in DirectionStep step) =>
        _backend.Sophia(y, _group.Grads, _m, _hessian, to, new SophiaStep(
            (float)_options.Beta1, _options.BiasCorrection ? Bias.Correction(_options.Beta1, step.Number) : 1, (float)_options.Gamma,
            (float)_options.Epsilon));

    // An estimate that is not a number is none: only the step's own gradients were checked.
    public void ObserveSquare(long targets)
    {
        if (double.IsFinite(_backend.SumOfSquares(_group.Grads)))
        {
            _backend.LerpProduct(_hessian, _group.Grads, _group.Grads, (float)(1 - _options.Beta2), targets);
        }
    }

    public void Shift(Philox random, double difference)
    {
        _backend.Add(_weights!, _group.Values, 1, accumulate: false);
        MoveTo(random, difference);
    }

    public void ShiftBack(Philox random, double difference)
    {
        _backend.Add(_gradient!, _group.Grads, 1, accumulate: false);
        MoveTo(random, -difference);
    }

    // H u = (gradient at w + e u - gradient at w - e u) / (2 e); the weights return bit for bit.
    public void ObserveProduct(Philox random, double difference)
    {
        _backend.AddScaled(_gradient!, _gradient!, _group.Grads, -1);
        if (double.IsFinite(_backend.SumOfSquares(_gradient!)))
        {
            _backend.FillNormal(_group.Values, random, _group.Offset);
            _backend.LerpProduct(_hessian, _gradient!, _group.Values, (float)(1 - _options.Beta2), (float)(0.5 / difference));
        }

        _backend.Add(_group.Values, _weights!, 1, accumulate: false);
    }

    private void MoveTo(Philox random, double distance)
    {
        _backend.FillNormal(_group.Values, random, _group.Offset);
        _backend.AddScaled(_group.Values, _weights!, _group.Values, (float)distance);
    }
}
