using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using Windtunnel.Experiments;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Tests.Training;
using Windtunnel.Training;
using Windtunnel.Training.Optimizers;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Tests.Experiments;

/// <summary>Workers on one experiment: everything once, failures set aside, and nothing lost by a stop.</summary>
public sealed class WorkerTests : IDisposable
{
    private static readonly RunConfig s_config = TinyRun.Config(steps: 4) with
    {
        Schedule = new WsdOptions(Warmup: Duration.OfSteps(1), Decay: Duration.OfSteps(2)),
        Validation = new ValidationOptions(Duration.OfSteps(4), Tokens: 200),
    };

    private readonly TemporaryFolder _folder = new();
    private readonly ConcurrentQueue<string> _log = [];
    private readonly StopSignal _stop = StopSignal.Listen();

    public void Dispose()
    {
        _stop.Dispose();
        _folder.Dispose();
    }

    private RunQueue Queue => new(_folder.Path);

    [Fact]
    public void Workers_side_by_side_train_every_run_once_also_those_that_follow_from_results()
    {
        // A second round follows from the results of the first.
        PlannedRun[] first = [.. Runs(1, 6)], second = [.. Runs(7, 3)];
        Experiment experiment = new(find => first.All(run => find(run) is not null) ? [.. first, .. second] : first);

        Parallel.For(0, 3, new ParallelOptions { MaxDegreeOfParallelism = 3 }, i => Worker($"worker {i}", experiment).Run(_stop));

        string[] ids = [.. first.Concat(second).Select(Store().IdOf)];
        Assert.Equal(ids.Order(), _log.Where(line => line.EndsWith(" completed", StringComparison.Ordinal)).Select(line => line.Split(' ')[0]).Order());
        Assert.Equal(ids.Order(), Directory.GetDirectories(_folder.File("runs")).Select(path => Path.GetFileName(path)).Order());
        Assert.All(ids, id => Assert.Null(Queue.HolderOf(id)));
        Worker("late", experiment).Run(_stop);
        Assert.Equal(2 * ids.Length, _log.Count);
    }

    [Fact]
    public void A_run_that_fails_is_set_aside_with_its_branches_and_the_others_go_on_until_it_is_retried()
    {
        RunConfig trunk = s_config with { Schedule = new ConstantOptions(), Checkpoints = new CheckpointOptions(Milestones: [2]) };
        PlannedRun fails = new(trunk), branch = new(s_config, fails, 2), good = new(s_config with { Seed = 2 });
        Experiment experiment = new(_ => [branch, good]);
        string id = Store().IdOf(fails), folder = Directory.CreateDirectory(_folder.File($"runs/{id}")).FullName;
        File.WriteAllText(Path.Combine(folder, "run.json"), "{");
        File.WriteAllText(Path.Combine(folder, "lock"), "");

        Worker("one", experiment).Run(_stop);

        ExperimentStatus status = Status(experiment);
        Assert.True(status.HasEnded);
        Assert.Equal([good], status.Ended.Select(run => run.Run));
        Assert.Equal([branch, fails], status.Failed);
        Assert.Equal([id], Queue.Failed);
        Assert.Contains("run.json: not a run record", Queue.FailureOf(id)!.Error, StringComparison.Ordinal);
        Worker("two", experiment).Run(_stop);
        Assert.Equal(4, _log.Count);

        Directory.Delete(folder, recursive: true);
        Assert.True(Queue.Retry(id));
        Worker("three", experiment).Run(_stop);
        Assert.Equal([branch, good, fails], Status(experiment).Ended.Select(run => run.Run));
    }

    [Fact]
    public void A_diverged_run_is_a_result()
    {
        PlannedRun wild = new(s_config with { Optimizer = new SgdOptions(1e30), Training = s_config.Training with { ClipNorm = 0 } });

        Worker("one", new Experiment(_ => [wild])).Run(_stop);

        Assert.Equal(RunStatus.Diverged, Assert.Single(Status(new Experiment(_ => [wild])).Ended).Outcome.Status);
        Assert.EndsWith("diverged", _log.Last(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_worker_that_is_stopped_saves_gives_its_run_back_and_another_ends_it_with_the_same_loss()
    {
        PlannedRun run = new(s_config with { Training = s_config.Training with { Length = Duration.OfSteps(12) } });
        double whole = Store("elsewhere").Train(run, _stop)!.LossNats;
        using StopSignal stop = StopSignal.Listen();
        RecordingListener listener = new() { OnStep = step => Stop(step.At.Step) };
        Experiment experiment = new(_ => [run]);

        new Worker("one", experiment, Store(listener: listener), Queue, _log.Enqueue).Run(stop);

        string id = Store().IdOf(run);
        Assert.EndsWith("given back at step 5", _log.Last(), StringComparison.Ordinal);
        Assert.Null(Queue.HolderOf(id));
        Assert.Single(Status(experiment).Open);
        Worker("two", experiment).Run(_stop);
        Assert.Equal(whole, Assert.Single(Status(experiment).Ended).Outcome.LossNats);

        void Stop(long step)
        {
            if (step == 5)
            {
                stop.Request(75);
            }
        }
    }

    [Fact]
    public void A_full_disk_ends_the_worker_and_fails_no_run()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs /dev/full");
        PlannedRun run = new(s_config), good = new(s_config with { Seed = 2 });
        Experiment experiment = new(_ => [run, good]);
        RecordingListener listener = new() { OnStep = _ => File.WriteAllText("/dev/full", "what finds no room") };

        Assert.Throws<IOException>(() => new Worker("one", experiment, Store(listener: listener), Queue, _log.Enqueue).Run(_stop));

        Assert.Empty(Queue.Failed);
        Assert.Null(Queue.HolderOf(Store().IdOf(run)));
        Worker("two", experiment).Run(_stop);
        Assert.Equal(2, Status(experiment).Ended.Count);
    }

    [Fact]
    public void A_run_that_kills_its_workers_is_given_up()
    {
        PlannedRun run = new(s_config), good = new(s_config with { Seed = 2 });
        using Process process = Process.Start("dotnet", ["--version"]);
        process.WaitForExit();
        string id = Store().IdOf(run);
        Lease lease = new(id, "dead", Environment.MachineName, process.Id, DateTimeOffset.UtcNow, 0, RunQueue.DeathsMax - 1);
        Directory.CreateDirectory(_folder.File("leases"));
        File.WriteAllText(_folder.File($"leases/{id}.1.json"), JsonSerializer.Serialize(lease, ConfigFile.JsonOptions));
        Experiment experiment = new(_ => [run, good]);

        Worker("one", experiment).Run(_stop);

        Assert.Equal("5 workers in a row died while they trained it from step 0", Queue.FailureOf(id)!.Error);
        Assert.Equal([good], Status(experiment).Ended.Select(each => each.Run));
        Queue.Retry(id);
        Worker("two", experiment).Run(_stop);
        Assert.Equal(2, Status(experiment).Ended.Count);
    }

    [Fact]
    public void A_run_that_someone_trains_without_a_lease_is_waited_for()
    {
        PlannedRun run = new(s_config), good = new(s_config with { Seed = 2 });
        Experiment experiment = new(_ => [run, good]);
        RunPlaces places = new(_folder.File("runs"), _folder.File("data"), Store().IdOf(run));
        TrainingRun byHand = TrainingRun.Start(s_config, new ConfigOrigin(null, []), places, new RecordingListener());
        Thread worker = new(() => Worker("one", experiment).Run(_stop));
        worker.Start();
        Assert.True(SpinWait.SpinUntil(() => Status(experiment).Ended.Count == 1, TimeSpan.FromMinutes(2)));

        byHand.Train(_stop);
        byHand.Dispose();
        worker.Join();

        Assert.Equal(2, Status(experiment).Ended.Count);
        Assert.Empty(Queue.Failed);
        Assert.Equal(0, Queue.AttemptsAt(Store().IdOf(run)));
    }

    private static IEnumerable<PlannedRun> Runs(ulong seed, int count) => Enumerable.Range(0, count).Select(i => new PlannedRun(s_config with { Seed = seed + (ulong)i }));

    private Worker Worker(string name, IExperiment experiment) => new(name, experiment, Store(), Queue, _log.Enqueue);

    private ExperimentStatus Status(IExperiment experiment) => ExperimentStatus.Of(experiment, Store(), Queue);

    private RunStore Store(string runs = "runs", ITrainingListener? listener = null) =>
        new(new RunPlaces(_folder.File(runs), _folder.File("data")), listener ?? new RecordingListener(), threads: 1);

    private sealed class Experiment(Func<Func<PlannedRun, RunOutcome?>, IReadOnlyList<PlannedRun>> plan) : IExperiment
    {
        public string Name => "test";

        public IReadOnlyList<PlannedRun> Plan(Func<PlannedRun, RunOutcome?> find) => plan(find);
    }
}
