using System.ComponentModel.DataAnnotations;
using System.Security.Cryptography;
using System.Text;
using Windtunnel.Experiments;
using Windtunnel.Runs;
using Windtunnel.Tests.Training;
using Windtunnel.Text;
using Windtunnel.Training;
using Windtunnel.Training.Optimizers;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Tests.Experiments;

/// <summary>Runs are found by what they are of: finished ones are not repeated, interrupted ones go on.</summary>
public sealed class RunStoreTests : IDisposable
{
    private static readonly RunConfig s_config = TinyRun.Config(steps: 12);

    private static readonly PlannedRun s_run = new(s_config), s_trunk = new(s_config with
    {
        Schedule = new ConstantOptions(Warmup: Duration.OfSteps(3)),
        Checkpoints = new CheckpointOptions(Duration.OfSteps(6), Milestones: [6, 8]),
    });

    private readonly TemporaryFolder _folder = new();
    private readonly RecordingListener _listener = new();
    private readonly StopSignal _stop = StopSignal.Listen();

    public void Dispose()
    {
        _stop.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void A_finished_run_is_found_and_never_repeated()
    {
        Assert.Null(Store().Find(s_run));
        RunOutcome first = Store().Train(s_run, _stop)!;
        int steps = _listener.Steps.Count;
        RunOutcome again = Store().Train(new PlannedRun(s_config with { Name = "other", Threads = 2 }), _stop)!;

        Assert.Equal(first, again);
        Assert.Equal((12, steps), (steps, _listener.Steps.Count));
        Assert.Equal((RunStatus.Completed, 12L, 12L * 4 * 48), (first.Status, first.Steps, first.Tokens));
        Assert.Equal(_listener.Validations[^1].Scores.Average(score => score.LossNats), first.LossNats);
        Assert.True(first.StepSeconds > 0 && first.CpuSeconds > 0 && first.NonEmbedding > 0);
        Assert.StartsWith("adamw-", first.Id, StringComparison.Ordinal);
    }

    [Fact]
    public void The_id_is_of_what_decides_the_result()
    {
        string id = Store().IdOf(s_run);

        Assert.Equal(id, Id(s_config with { Name = "b", Threads = 3, Logging = new LoggingOptions(7), Checkpoints = new CheckpointOptions(KeepLast: 3) }));
        RunConfig[] others =
        [
            s_config with { Seed = 2 }, s_config with { Optimizer = new AdamWOptions(1e-3) }, s_config with { Training = s_config.Training with { BatchSize = 8 } },
            s_config with { Data = s_config.Data with { ValidationFraction = 0.1 } }, s_config with { Validation = s_config.Validation with { Tokens = 500 } },
            s_config with { Checkpoints = s_config.Checkpoints with { Milestones = [4] } }, s_config with { Checkpoints = s_config.Checkpoints with { Milestones = [4, 8] } },
        ];
        Assert.Equal(others.Length + 1, others.Select(Id).Append(id).Distinct().Count());
    }

    [Fact]
    public void An_interrupted_run_goes_on_and_ends_with_the_same_loss()
    {
        double whole = Store("a").Train(s_run, _stop)!.LossNats;
        using StopSignal stop = StopSignal.Listen();
        int taken = 0;
        _listener.OnStep = step =>
        {
            taken++;
            if (step.At.Step == 7)
            {
                stop.Request(75);
            }
        };

        Assert.Null(Store("b").Train(s_run, stop));
        Assert.Null(Store("b").Find(s_run));
        Assert.Equal(whole, Store("b").Train(s_run, _stop)!.LossNats);
        Assert.Equal(12, taken);
    }

    [Fact]
    public void A_diverged_run_is_a_result()
    {
        RunConfig config = s_config with { Optimizer = new SgdOptions(1e30), Training = s_config.Training with { ClipNorm = 0 } };

        RunOutcome outcome = Store().Train(new PlannedRun(config), _stop)!;

        Assert.Equal((RunStatus.Diverged, double.PositiveInfinity), (outcome.Status, outcome.LossNats));
        int steps = _listener.Steps.Count;
        Assert.Equal(outcome, Store().Train(new PlannedRun(config), _stop));
        Assert.Equal(steps, _listener.Steps.Count);
    }

    [Fact]
    public void A_folder_whose_process_died_before_it_wrote_a_record_is_taken_over()
    {
        Directory.CreateDirectory(Path.Combine(_folder.File("runs"), Store().IdOf(s_run)));
        File.WriteAllText(Path.Combine(_folder.File("runs"), Store().IdOf(s_run), "lock"), "");

        Assert.Equal(RunStatus.Completed, Store().Train(s_run, _stop)!.Status);
    }

    [Fact]
    public void A_folder_in_the_making_is_left_to_whoever_makes_it()
    {
        (RunFolder folder, RunLock held) = RunFolder.CreateLocked(_folder.File("runs"), "tiny", Store().IdOf(s_run));
        using (held)
        {
            Assert.Throws<IOException>(() => Store().Train(s_run, _stop));
            Assert.True(Directory.Exists(folder.Path));
        }

        Assert.Equal(RunStatus.Completed, Store().Train(s_run, _stop)!.Status);
    }

    [Fact]
    public void A_record_without_a_validation_loss_is_no_result_and_its_run_is_finished_again()
    {
        RunOutcome outcome = Store().Train(s_run, _stop)!;
        string path = _folder.File($"runs/{outcome.Id}/run.json");
        (RunRecord.Load(path) with { Summary = null }).Save(path);

        Assert.Null(Store().Find(s_run));
        Assert.Equal(outcome.LossNats, Store().Train(s_run, _stop)!.LossNats);
        PlannedRun never = new(s_config with { Data = s_config.Data with { ValidationFraction = 0 } });
        Assert.Contains("set data.validationFraction above 0", Assert.Throws<ValidationException>(() => Store().Train(never, _stop)).Message, StringComparison.Ordinal);
        Assert.Null(Store().Find(never));
    }

    [Fact]
    public void A_result_whose_log_is_gone_is_none_and_stops_nobody()
    {
        RunOutcome outcome = Store().Train(s_run, _stop)!;
        File.Delete(_folder.File($"runs/{outcome.Id}/metrics.jsonl"));

        Assert.Null(Store().Find(s_run));
        Assert.Equal(outcome.LossNats, Store().Train(s_run, _stop)!.LossNats);
    }

    [Fact]
    public void What_was_predicted_of_a_run_is_in_its_record_and_makes_it_no_other_run()
    {
        PlannedRun predicted = s_run with { Prediction = new string('a', 64) };

        RunOutcome outcome = Store().Train(predicted, _stop)!;

        Assert.Equal(outcome, Store().Find(s_run));
        Assert.Equal(predicted.Prediction, RunRecord.Load(_folder.File($"runs/{outcome.Id}/run.json")).Prediction);
    }

    [Fact]
    public void The_id_is_the_hash_of_engine_data_and_config_so_that_old_runs_are_found()
    {
        string id = Store().IdOf(s_run);

        string key = Path.GetFileName(Directory.GetDirectories(_folder.File("data"))[0]);
        using Dataset data = Dataset.Open(_folder.File($"data/{key}"), s_config.Data);
        string text = $"{TrainingRun.BitsVersion} {data.Manifest.Key} {s_config.Resolve(data.Manifest.VocabularySize).Fingerprint()}";
        Assert.Equal($"adamw-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..20]}", id);
        Assert.Equal(id, Id(s_config with { Checkpoints = s_config.Checkpoints with { Milestones = [] } }));
        Assert.Equal(
            Id(s_config with { Checkpoints = s_config.Checkpoints with { Milestones = [8, 4, 8] } }), Id(s_config with { Checkpoints = s_config.Checkpoints with { Milestones = [4, 8] } }));
    }

    [Fact]
    public void A_branch_is_of_its_config_its_trunk_and_its_step()
    {
        PlannedRun branch = new(s_config, s_trunk, 6);

        PlannedRun[] runs =
        [
            s_run, branch, branch with { TrunkStep = 8 }, branch with { Trunk = s_trunk with { Config = s_trunk.Config with { Seed = 2 } } },
            branch with { Config = s_config with { Seed = 2 } }, branch with { Trunk = branch }, s_trunk,
        ];
        Assert.Equal(runs.Length, runs.Select(Store().IdOf).Distinct().Count());
        Assert.Equal(Store().FlopsOf(s_run) / 2, Store().FlopsOf(branch));
    }

    [Fact]
    public void A_branch_starts_as_soon_as_its_trunk_is_there_and_ends_as_one_started_by_hand()
    {
        PlannedRun branch = new(s_config, s_trunk, 8);
        Assert.False(Store().CanStart(branch));
        Store().Train(s_trunk, _stop);
        Assert.True(Store().CanStart(branch));

        RunOutcome outcome = Store().Train(branch, _stop)!;

        string trunk = Store().IdOf(s_trunk);
        RunPlaces places = new(_folder.File("runs"), _folder.File("data"), "by-hand");
        using (TrainingRun byHand = TrainingRun.Branch(trunk, 8, ["schedule={type: wsd, warmup: 3, decay: 5}"], places, _listener))
        {
            byHand.Train(_stop);
        }

        RunRecord record = RunRecord.Load(_folder.File($"runs/{outcome.Id}/run.json"));
        Assert.Equal(new RunParent(trunk, 8, RunParentKind.Branch), record.Parent);
        Assert.Equal(RunRecord.Load(_folder.File("runs/by-hand/run.json")).Summary!["val/synthetic/loss"], outcome.LossNats);
        Assert.Equal(
            TinyRun.Fingerprint(RunFolder.Open(_folder.File("runs"), "by-hand")).Split(' ').First(file => file.StartsWith("model", StringComparison.Ordinal)),
            TinyRun.Fingerprint(RunFolder.Open(_folder.File("runs"), outcome.Id)).Split(' ').First(file => file.StartsWith("model", StringComparison.Ordinal)));
        Assert.Equal(outcome, Store().Find(branch));
    }

    [Fact]
    public void A_branch_goes_on_where_it_was_and_one_that_never_saved_starts_again()
    {
        PlannedRun branch = new(s_config, s_trunk, 6);
        Store("a").Train(s_trunk, _stop);
        double whole = Store("a").Train(branch, _stop)!.LossNats;
        Store("b").Train(s_trunk, _stop);
        using StopSignal stop = StopSignal.Listen();
        _listener.OnStep = step =>
        {
            if (step.At.Step == 9)
            {
                stop.Request(75);
            }
        };
        Assert.Null(Store("b").Train(branch, stop));
        Assert.Equal(9, Store("b").SavedStep(Store().IdOf(branch)));

        Assert.Equal(whole, Store("b").Train(branch, _stop)!.LossNats);

        string folder = _folder.File($"b/{Store().IdOf(branch)}");
        Directory.Delete(Path.Combine(folder, "checkpoints"), recursive: true);
        RunRecord record = RunRecord.Load(Path.Combine(folder, "run.json"));
        (record with { Status = RunStatus.Running }).Save(Path.Combine(folder, "run.json"));
        Assert.Equal(whole, Store("b").Train(branch, _stop)!.LossNats);
    }

    [Fact]
    public void A_branch_of_a_trunk_that_diverged_before_it_has_diverged_too()
    {
        RunConfig wild = s_trunk.Config with { Optimizer = new SgdOptions(1e30), Training = s_config.Training with { ClipNorm = 0 } };
        PlannedRun trunk = s_trunk with { Config = wild }, branch = new(wild with { Schedule = s_config.Schedule }, trunk, 8);
        Assert.Null(Store().Find(branch));

        RunOutcome outcome = Store().Train(trunk, _stop)!;

        Assert.Equal(RunStatus.Diverged, outcome.Status);
        Assert.Equal(outcome, Store().Find(branch));
        Assert.Equal(outcome, Store().Train(branch, _stop));
    }

    [Fact]
    public void A_step_that_the_trunk_did_not_keep_is_named_with_those_that_it_did()
    {
        Store().Train(s_trunk, _stop);
        PlannedRun branch = new(s_config, s_trunk, 7);

        Assert.True(Store().CanStart(branch));
        Assert.Contains("there are steps 6, 8, 12", Assert.Throws<InvalidDataException>(() => Store().Train(branch, _stop)).Message, StringComparison.Ordinal);
    }

    private string Id(RunConfig config) => Store().IdOf(new PlannedRun(config));

    private RunStore Store(string runs = "runs") => new(new RunPlaces(_folder.File(runs), _folder.File("data")), _listener);
}
