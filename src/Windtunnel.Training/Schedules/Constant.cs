namespace Windtunnel.Training.Schedules;

/// <summary>The highest rate throughout, after the warm-up: a trunk to branch cooldowns from.</summary>
/// <param name="Warmup">Linear rise at the start.</param>
public sealed record ConstantOptions(Duration? Warmup = null) : ScheduleOptions(Warmup ?? Duration.Zero)
{
    /// <inheritdoc/>
    public override Schedule Build(long totalSteps, long tokensAStep) => new WarmupThen(WarmupSteps(totalSteps, tokensAStep), _ => 1);
}
