using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Training.Schedules;

/// <summary>The form of a decay over x, from 0 at its start to 1 at the last update.</summary>
public enum DecayShape
{
    /// <summary>1 - x.</summary>
    Linear,

    /// <summary>(1 + cos pi x) / 2.</summary>
    Cosine,

    /// <summary>0.5^(steps into the decay / half-life), MiniCPM's form; it ignores the lowest ratio.</summary>
    Exponential,

    /// <summary>1 - sqrt x (Hägele et al. 2024).</summary>
    OneMinusSqrt,

    /// <summary>(1 - x)^2.</summary>
    Square,
}

/// <summary>
/// Warmup-stable-decay (Hu et al. 2024, equation 1): the highest rate, then a short decay at the end. Any checkpoint of the
/// stable part can be branched into a decay of its own.
/// </summary>
/// <param name="Warmup">Linear rise at the start; 2 % of the run when null.</param>
/// <param name="Decay">How long the decay at the end is; 20 % of the run when null.</param>
/// <param name="Shape">Its form.</param>
/// <param name="MinRatio">The last factor.</param>
/// <param name="HalfLife">Of the exponential shape; a sixth of the decay when null.</param>
public sealed record WsdOptions(
    Duration? Warmup = null, Duration? Decay = null, DecayShape Shape = DecayShape.Linear, double MinRatio = 0, Duration? HalfLife = null)
    : ScheduleOptions(Warmup ?? Duration.OfRun(0.02))
{
    /// <summary>How long the decay at the end is.</summary>
    public Duration Decay { get; init; } = Decay ?? Duration.OfRun(0.2);

    /// <inheritdoc/>
    public override Schedule Build(long totalSteps, long tokensAStep)
    {
        RequireShare(MinRatio, "minRatio");
        long warmup = WarmupSteps(totalSteps, tokensAStep), decay = Decay.Steps(tokensAStep, totalSteps);
        if (warmup + decay > totalSteps)
        {
            throw new ValidationException($"schedule.decay: {warmup} steps of warm-up and {decay} of decay are more than the run's {totalSteps}");
        }

        long start = totalSteps - decay;
        double halfLife = HalfLife?.Steps(tokensAStep, totalSteps) ?? decay / 6.0;
        return new WarmupThen(warmup, step => step <= start ? 1 : Decayed(Math.Min(1, (double)(step - start) / decay), step - start, halfLife));
    }

    private double Decayed(double x, long steps, double halfLife) => Shape == DecayShape.Exponential
        ? Math.Pow(0.5, steps / halfLife)
        : MinRatio + ((1 - MinRatio) * Shape switch
        {
            DecayShape.Cosine => 0.5 * (1 + Math.Cos(Math.PI * x)),
            DecayShape.OneMinusSqrt => 1 - Math.Sqrt(x),
            DecayShape.Square => (1 - x) * (1 - x),
            _ => 1 - x,
        });
}
