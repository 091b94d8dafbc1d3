namespace Windtunnel.Training.Schedules;

/// <summary>Half a cosine from the end of the warm-up to the end of the run (Loshchilov and Hutter 2017).</summary>
/// <param name="Warmup">Linear rise at the start.</param>
/// <param name="MinRatio">The last factor.</param>
public sealed record CosineOptions(Duration? Warmup = null, double MinRatio = 0.1) : ScheduleOptions(Warmup ?? Duration.Zero)
{
    /// <inheritdoc/>
    public override Schedule Build(long totalSteps, long tokensAStep)
    {
        RequireShare(MinRatio, "minRatio");
        long warmup = WarmupSteps(totalSteps, tokensAStep), length = Math.Max(1, totalSteps - warmup);
        return new WarmupThen(
            warmup, step => MinRatio + ((1 - MinRatio) * 0.5 * (1 + Math.Cos(Math.PI * Math.Min(1, (double)(step - warmup) / length)))));
    }
}
