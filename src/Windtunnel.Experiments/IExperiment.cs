using Windtunnel.Training;

namespace Windtunnel.Experiments;

/// <summary>
/// Many runs with one purpose. Which runs it needs follows from its file and from the results so far, and from nothing else: whoever
/// trains them, wherever, in whatever order. Nothing has to be remembered but the runs themselves.
/// </summary>
public interface IExperiment
{
    /// <summary>What its folder is called.</summary>
    string Name { get; }

    /// <summary>
    /// Every run that is known to be needed, those with results included, the most urgent first. The experiment has ended once all of
    /// them have results: those may call for more runs.
    /// </summary>
    /// <param name="find">The result of a run; null where it has none yet.</param>
    IReadOnlyList<PlannedRun> Plan(Func<PlannedRun, RunOutcome?> find);
}

/// <summary>A run that an experiment needs: trained from its own start, or from a step of another.</summary>
/// <param name="Config">
/// Not yet resolved. The length and the schedule of a branch count from the trunk's first step, as if the trunk had gone on.
/// </param>
/// <param name="Trunk">The run that it branches from, with weights, optimizer state and place in the data; null where it draws its own weights.</param>
/// <param name="TrunkStep">The trunk's checkpoint; one of its <c>checkpoints.milestones</c>, or its last step.</param>
/// <param name="Prediction">The SHA-256 of what was written down about its result before it started, for its record; null where nothing was.</param>
public sealed record PlannedRun(RunConfig Config, PlannedRun? Trunk = null, long TrunkStep = 0, string? Prediction = null);
