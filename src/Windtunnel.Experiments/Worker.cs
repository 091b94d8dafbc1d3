using Windtunnel.Runs;
using Windtunnel.Training;

namespace Windtunnel.Experiments;

/// <summary>
/// Trains what an experiment needs, a run at a time, until nothing is left that could be trained. Any number of them work on an
/// experiment together; each may be stopped or killed at any time.
/// </summary>
/// <param name="name">What it is called.</param>
/// <param name="experiment">What to work on.</param>
/// <param name="store">Finds and trains runs.</param>
/// <param name="queue">Says who trains what.</param>
/// <param name="log">Is told, in a line, what becomes of each run.</param>
public sealed class Worker(string name, IExperiment experiment, RunStore store, RunQueue queue, Action<string> log)
{
    private const int NoSpace = 28, QuotaExceeded = 122, DiskFull = unchecked((int)0x80070070); // ENOSPC, EDQUOT, ERROR_DISK_FULL

    private static readonly TimeSpan s_wait = TimeSpan.FromSeconds(0.25);

    /// <summary>Works until the experiment has ended, or nothing is left of it but what failed, or it is asked to stop.</summary>
    /// <exception cref="IOException">The disk is full: the next run would fail as this one did, which is no failure of its own and goes on once there is room.</exception>
    public void Run(StopSignal stop)
    {
        while (stop.ExitCode is null)
        {
            ExperimentStatus status = ExperimentStatus.Of(experiment, store, queue);
            if (status.HasEnded)
            {
                return;
            }

            if (!status.Open.Any(run => store.CanStart(run) && TryTrain(run, stop)))
            {
                Thread.Sleep(s_wait);
            }
        }
    }

    /// <summary>Trains a run to its end, or its failure; false where another process has it.</summary>
    private bool TryTrain(PlannedRun run, StopSignal stop)
    {
        string id = store.IdOf(run);
        using RunLease? lease = store.IsInTraining(id) ? null : queue.TryTake(id, name, store.SavedStep(id));
        if (lease is null)
        {
            return false;
        }

        // Only now: it may have ended since the plan was made.
        if (store.Find(run) is not null || queue.FailureOf(id) is not null)
        {
            return true;
        }

        if (lease.Lease.Deaths >= RunQueue.DeathsMax)
        {
            Fail($"{lease.Lease.Deaths} workers in a row died while they trained it from step {lease.Lease.SavedStep}");
            return true;
        }

        lease.Lost += () => stop.Request(75);
        try
        {
            log($"{id} taken at step {lease.Lease.SavedStep}");
            RunOutcome? outcome = store.Train(run, stop);
            log(outcome is null ? $"{id} given back at step {store.SavedStep(id)}" : $"{id} {outcome.Status.ToString().ToLowerInvariant()}");
        }
        catch (Exception error)
        {
            // Someone who needs no lease: a person who resumed it, or a worker that was thought dead.
            if (store.IsInTraining(id))
            {
                return false;
            }

            if (error is IOException { HResult: NoSpace or QuotaExceeded or DiskFull })
            {
                throw;
            }

            Fail(error.Message);
        }

        return true;

        void Fail(string problem)
        {
            queue.Fail(id, problem);
            log($"{id} failed: {problem}");
        }
    }
}
