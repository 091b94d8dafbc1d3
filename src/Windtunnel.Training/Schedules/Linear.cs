namespace Windtunnel.Training.Schedules;

/// <summary>Linear decay from the end of the warm-up to the end of the run.</summary>
/// <param name="Warmup">Linear rise at the start.</param>
/// <param name="MinRatio">The last factor.</param>
public sealed record LinearOptions(Duration? Warmup = null, double MinRatio = 0) : ScheduleOptions(Warmup ?? Duration.Zero)
{
    /// <inheritdoc/>
    public override Schedule Build(long totalSteps, long tokensAStep)
    {
        RequireShare(MinRatio, "minRatio");
        long warmup = WarmupSteps(totalSteps, tokensAStep), length = Math.Max(1, totalSteps - warmup);
        return new WarmupThen(warmup, step => 1 - ((1 - MinRatio) * Math.Min(1, (double)(step - warmup) / length)));
    }
}
