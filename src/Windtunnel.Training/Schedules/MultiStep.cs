using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Training.Schedules;

/// <summary>The rate drops by a factor at given moments: after update <c>At[i]</c> it is multiplied by <c>Gamma</c> (DeepSeek uses 80 % and 90 %).</summary>
/// <param name="Warmup">Linear rise at the start.</param>
/// <param name="At">When to drop; 80 % and 90 % of the run when null.</param>
/// <param name="Gamma">What each drop multiplies by.</param>
public sealed record MultiStepOptions(Duration? Warmup = null, IReadOnlyList<Duration>? At = null, double Gamma = 0.316) : ScheduleOptions(Warmup ?? Duration.Zero)
{
    /// <inheritdoc/>
    public override Schedule Build(long totalSteps, long tokensAStep)
    {
        RequireShare(Gamma, "gamma");
        long[] drops = [.. (At ?? [Duration.OfRun(0.8), Duration.OfRun(0.9)]).Select(at => at.Steps(tokensAStep, totalSteps))];
        if (!drops.SequenceEqual(drops.Order()))
        {
            throw new ValidationException($"schedule.at: {string.Join(", ", drops)} are not in ascending order");
        }

        return new WarmupThen(WarmupSteps(totalSteps, tokensAStep), step => Math.Pow(Gamma, drops.Count(drop => step > drop)));
    }

    /// <inheritdoc/>
    internal override ScheduleOptions Moved(Func<Duration, Duration> move) =>
        this with { Warmup = move(Warmup), At = At?.Select(move).ToArray() };
}
