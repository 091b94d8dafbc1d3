using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;

namespace Windtunnel.Training.Schedules;

/// <summary>
/// The share of the highest learning rate that each update applies. Updates count from 1: a warm-up of W steps applies 1/W, 2/W,
/// ..., 1, and a decay reaches its lowest value exactly at the last update.
/// </summary>
public abstract class Schedule
{
    /// <summary>The factor of update <paramref name="step"/>, 1 to the run's total; 0 to 1.</summary>
    public abstract double Factor(long step);
}

/// <summary>What a schedule is built from.</summary>
/// <param name="Warmup">Linear rise from zero at the start.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(ConstantOptions), "constant")]
[JsonDerivedType(typeof(LinearOptions), "linear")]
[JsonDerivedType(typeof(CosineOptions), "cosine")]
[JsonDerivedType(typeof(InverseSquareRootOptions), "inverse-sqrt")]
[JsonDerivedType(typeof(MultiStepOptions), "multi-step")]
[JsonDerivedType(typeof(WsdOptions), "wsd")]
public abstract record ScheduleOptions(Duration Warmup)
{
    /// <summary>The schedule of a run.</summary>
    /// <exception cref="ValidationException">The durations do not fit the run.</exception>
    public abstract Schedule Build(long totalSteps, long tokensAStep);

    /// <summary>This schedule with every moment that counts from the start of the run moved.</summary>
    internal virtual ScheduleOptions Moved(Func<Duration, Duration> move) => this with { Warmup = move(Warmup) };

    /// <summary>The warm-up in steps, checked against the run.</summary>
    protected long WarmupSteps(long totalSteps, long tokensAStep)
    {
        long warmup = Warmup.Steps(tokensAStep, totalSteps);
        return warmup <= totalSteps
            ? warmup
            : throw new ValidationException($"schedule.warmup: {warmup} steps are more than the run's {totalSteps}");
    }

    /// <summary>Throws unless a share lies in [0, 1].</summary>
    protected static void RequireShare(double value, string name)
    {
        if (value is not (>= 0 and <= 1))
        {
            throw new ValidationException($"schedule.{name}: {value} must lie between 0 and 1");
        }
    }
}

/// <summary>A warm-up, then a curve.</summary>
/// <param name="warmup">Steps of linear rise.</param>
/// <param name="after">The factor at an update after the warm-up.</param>
internal sealed class WarmupThen(long warmup, Func<long, double> after) : Schedule
{
    public override double Factor(long step) => step < warmup ? (double)step / warmup : after(step);
}
