namespace Windtunnel.Experiments;

/// <summary>How far an experiment is: every run that it is known to need is in one of the three lists, in the order of the plan, then trunks that the plan does not name.</summary>
/// <param name="Ended">Those with results, diverged ones included.</param>
/// <param name="Open">Those to be trained, or in training, by whomever.</param>
/// <param name="Failed">Those that failed, and the branches that wait for a trunk that did.</param>
public sealed record ExperimentStatus(
    IReadOnlyList<(PlannedRun Run, RunOutcome Outcome)> Ended, IReadOnlyList<PlannedRun> Open, IReadOnlyList<PlannedRun> Failed)
{
    /// <summary>Whether nothing is left that could be trained.</summary>
    public bool HasEnded => Open.Count == 0;

    /// <summary>Where an experiment stands at this moment.</summary>
    public static ExperimentStatus Of(IExperiment experiment, RunStore store, RunQueue queue)
    {
        // Each run is looked up once: a result that comes in between may call for runs that this plan does not have yet.
        Dictionary<string, RunOutcome?> found = [];
        Dictionary<string, PlannedRun> needed = [];
        IReadOnlyList<PlannedRun> plan = experiment.Plan(Find);
        foreach (PlannedRun run in plan.Concat(plan.SelectMany(TrunksOf)))
        {
            needed.TryAdd(store.IdOf(run), run);
        }

        IReadOnlySet<string> failures = queue.Failed;
        ILookup<RunState, PlannedRun> runs = needed.Values.ToLookup(StateOf);
        return new ExperimentStatus([.. runs[RunState.Ended].Select(run => (run, Find(run)!))], [.. runs[RunState.Open]], [.. runs[RunState.Failed]]);

        RunOutcome? Find(PlannedRun run)
        {
            string id = store.IdOf(run);
            if (!found.TryGetValue(id, out RunOutcome? outcome))
            {
                found[id] = outcome = store.Find(run);
            }

            return outcome;
        }

        static IEnumerable<PlannedRun> TrunksOf(PlannedRun run) => run.Trunk is { } trunk ? [.. TrunksOf(trunk), trunk] : [];

        RunState StateOf(PlannedRun run) => Find(run) is not null ? RunState.Ended
            : failures.Contains(store.IdOf(run)) || (run.Trunk is { } trunk && StateOf(trunk) == RunState.Failed && !store.CanStart(run)) ? RunState.Failed
            : RunState.Open;
    }

    private enum RunState
    {
        Ended,
        Open,
        Failed,
    }
}
