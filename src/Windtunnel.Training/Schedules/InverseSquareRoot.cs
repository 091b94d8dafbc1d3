namespace Windtunnel.Training.Schedules;

/// <summary>sqrt(W / step) after a warm-up of W steps (Vaswani et al. 2017); W is at least 1.</summary>
/// <param name="Warmup">Linear rise at the start; 2 % of the run when null.</param>
public sealed record InverseSquareRootOptions(Duration? Warmup = null) : ScheduleOptions(Warmup ?? Duration.OfRun(0.02))
{
    /// <inheritdoc/>
    public override Schedule Build(long totalSteps, long tokensAStep)
    {
        long warmup = Math.Max(1, WarmupSteps(totalSteps, tokensAStep));
        return new WarmupThen(warmup, step => Math.Sqrt((double)warmup / step));
    }
}
