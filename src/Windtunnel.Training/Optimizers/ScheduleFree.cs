using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// Schedule-Free AdamW: Adam without momentum moves z; gradients are taken at y, between z and the average x of all z; x, which
/// needs no decaying rate, is what is validated and saved. Wants a constant rate after a warm-up.
/// </summary>
/// <param name="LearningRate">The highest rate.</param>
/// <param name="Beta1">How far y is from z towards x.</param>
/// <param name="Beta2">Decay of the mean of squared gradients.</param>
/// <param name="Epsilon">Added to the root of the mean square.</param>
/// <param name="WeightDecay">Decay of y, with the step of z.</param>
public sealed record ScheduleFreeOptions(
    double LearningRate = 5e-3, double Beta1 = 0.9, double Beta2 = 0.98, double Epsilon = 1e-8, double WeightDecay = 0.1)
    : OptimizerOptions(LearningRate, WeightDecay)
{
    /// <summary>The authors' code; decays everything.</summary>
    public static ScheduleFreeOptions Original { get; } = new(2.5e-3, 0.9, 0.999, 1e-8, 0) { DecayOn = DecayScope.All };

    /// <inheritdoc/>
    public override string Source => "Defazio et al. 2024, arXiv 2405.15682";

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state)
    {
        HostScalars scalars = state.NewScalars(2, "schedule-free.weights");
        return
        [
            new Rule("schedule-free", LearningRate, (state, group) => new ScheduleFreeDirection(state, group, this, scalars))
            {
                WeightDecay = WeightDecay,
                ClipNorm = ClipNorm,
                MovesWeights = true,
                AveragesWeights = true,
                AfterStep = step => ScheduleFreeDirection.Advance(scalars, LearningRate * step.RateFactor),
            },
        ];
    }

    /// <inheritdoc/>
    public override string? UnlikeStateOf(OptimizerOptions other) =>
        base.UnlikeStateOf(other) ?? (Beta1 == ((ScheduleFreeOptions)other).Beta1 ? null : "beta1");

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireBeta(Beta1, "beta1");
        Require(Beta1 > 0, "beta1", Beta1, "positive");
        RequireBeta(Beta2, "beta2");
        RequireEpsilon(Epsilon);
        Require(!Caution, "caution", Caution, "false: this rule has no update to compare with the gradient");
        Require(!CautiousDecay, "cautiousDecay", CautiousDecay, "false: the decay is a part of the step here");
    }
}

/// <summary>The average weighs each z by the square of the highest rate so far.</summary>
internal sealed class ScheduleFreeDirection(OptimizerState state, ParameterGroup group, ScheduleFreeOptions options, HostScalars scalars) : Direction
{
    private readonly Tensor _z = state.New(group, "schedule-free.z"), _v = state.New(group, "schedule-free.v");

    /// <summary>After a step: the sum of weights and the highest rate with it.</summary>
    public static void Advance(HostScalars scalars, double rate)
    {
        (double sum, double highest, _) = Next(scalars, rate);
        scalars.Write([sum, highest]);
    }

    public override void Write(Tensor y, in Destination to, in DirectionStep step)
    {
        if (step.Number == 1)
        {
            state.Backend.Add(_z, y, 1, accumulate: false);
        }

        (_, _, double share) = Next(scalars, step.Rate / group.RateScale);
        state.Backend.ScheduleFree(y, group.Grads, _z, _v, new ScheduleFreeStep(
            (float)step.Rate, (float)options.Beta1, (float)share, (float)options.Beta2, Bias.Correction(options.Beta2, step.Number),
            (float)options.Epsilon, step.Rate > 0 ? (float)(step.Decay / step.Rate) : 0, to.GradScale));
    }

    // y = (1 - beta1) z + beta1 x; before the first update all three are the same, and z is not set.
    public override void Average()
    {
        if (Next(scalars, rate: 0).Sum > 0)
        {
            state.Backend.Lerp(group.Values, _z, (float)(1 - (1 / options.Beta1)));
        }
    }

    private static (double Sum, double Highest, double Share) Next(HostScalars scalars, double rate)
    {
        Span<double> before = stackalloc double[2];
        scalars.Read(before);
        double highest = Math.Max(before[1], rate), weight = highest * highest, sum = before[0] + weight;
        return (sum, highest, sum > 0 ? weight / sum : 0);
    }
}
