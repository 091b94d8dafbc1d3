using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text.Json.Serialization;
using Windtunnel.Models;
using Windtunnel.Runs;
using Windtunnel.Training;
using Windtunnel.Training.Checkpoints;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training;

public sealed class TrainingRunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    // Every registered model, and of the optimizers the two that differ most: OptimizerConformanceTests have them all.
    public static TheoryData<string, string> Families
    {
        get
        {
            TheoryData<string, string> families = [];
            foreach (string family in Registered(typeof(ModelOptions)).Keys)
            {
                families.Add(family, "muon");
                families.Add(family, "schedule-free");
            }

            return families;
        }
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_run_learns_validates_saves_and_leaves_a_complete_folder()
    {
        RecordingListener listener = new();
        (RunFolder folder, int exitCode) = Train(TinyRun.Config(steps: 60), "run", listener);

        Assert.Equal(0, exitCode);
        Assert.Equal(60, listener.Steps.Count);
        Assert.InRange(listener.Steps[0].LossNats, Math.Log(257) - 0.3, Math.Log(257) + 0.3);
        Assert.True(listener.Steps[^1].LossEma < listener.Steps[0].LossNats - 1.5, $"loss {listener.Steps[^1].LossEma}");
        Assert.Equal([10, 20, 30, 40, 50, 60], listener.Validations.Select(validation => validation.At.Step));
        Assert.Equal(60, listener.Saves[^1]);
        ValidationScore score = Assert.Single(listener.Validations[^1].Scores);
        Assert.Equal(score.LossNats / Math.Log(2), score.BitsPerByte, 0.05);

        RunRecord record = RunRecord.Load(folder.RecordPath);
        Assert.Equal(RunStatus.Completed, record.Status);
        Assert.Equal(score.BitsPerByte, record.Summary!["val/synthetic/bpb"]);
        MetricsRow[] rows = [.. MetricsLog.Read(folder.MetricsPath)];
        Assert.Equal(60, rows.Count(row => row.Values.ContainsKey("train/loss")));
        Assert.All(rows, row => Assert.Equal(row.At.Step * 4 * 48, row.At.Tokens));
    }

    [Fact]
    public void The_logged_rate_is_the_applied_rate_and_ends_at_zero()
    {
        RecordingListener listener = new();
        Train(TinyRun.Config(), "run", listener);

        double max = new AdamWOptions().LearningRate;
        Assert.Equal([max / 3, max * 2 / 3, max, max], listener.Steps.Take(4).Select(step => step.LearningRate), Near);
        Assert.Equal([max, max * 0.8, max * 0.6, max * 0.4, max * 0.2, 0], listener.Steps.TakeLast(6).Select(step => step.LearningRate), Near);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void A_run_stopped_at_any_of_three_steps_resumes_to_the_same_bits(string family, string optimizer)
    {
        RunConfig config = Config(family, optimizer);
        string whole = TinyRun.Fingerprint(Train(config, "whole", new RecordingListener()).Folder);
        foreach (int stopAt in new[] { 1, 9, 17 })
        {
            string id = $"stopped-{stopAt}";
            using StopSignal stop = new();
            RecordingListener listener = new() { OnStep = step => { if (step.At.Step == stopAt) { stop.Request(143); } } };
            (RunFolder folder, int exitCode) = Train(config, id, listener, stop);
            Assert.Equal(143, exitCode);
            Assert.Equal(RunStatus.Preempted, RunRecord.Load(folder.RecordPath).Status);
            Assert.Equal(stopAt, listener.Saves[^1]);

            RecordingListener resumed = new();
            Assert.Equal(0, Resume(id, resumed));
            Assert.Equal(stopAt + 1, resumed.Steps[0].At.Step);
            Assert.Equal(whole, TinyRun.Fingerprint(folder));
            Assert.Equal(Losses("whole"), Losses(id));
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void One_two_and_three_threads_give_the_same_bits(string family, string optimizer)
    {
        string[] fingerprints = [.. new[] { 1, 2, 3 }.Select(threads =>
            TinyRun.Fingerprint(Train(Config(family, optimizer) with { Threads = threads }, $"threads-{threads}", new RecordingListener()).Folder))];
        Assert.Single(fingerprints.Distinct());
    }

    [Fact]
    public void A_run_may_resume_on_another_number_of_threads()
    {
        string whole = TinyRun.Fingerprint(Train(TinyRun.Config(), "whole", new RecordingListener()).Folder);
        using StopSignal stop = new();
        RunFolder folder = Train(TinyRun.Config(), "moved", new RecordingListener { OnStep = step => { if (step.At.Step == 7) { stop.Request(75); } } }, stop).Folder;
        using (TrainingRun run = TrainingRun.Resume("moved", Places(), new RecordingListener(), threads: 2))
        {
            run.Train(new StopSignal());
        }

        Assert.Equal(whole, TinyRun.Fingerprint(folder));
    }

    [Theory]
    [InlineData("adamw")]
    [InlineData("muon")]
    public void Gradient_accumulation_changes_nothing_but_rounding(string optimizer)
    {
        RecordingListener one = new(), four = new();
        RunConfig config = Config("llama", optimizer);
        Train(config, "one", one);
        Train(config with { Training = config.Training with { GradientAccumulation = 4 } }, "four", four);
        foreach ((StepReport a, StepReport b) in one.Steps.Zip(four.Steps))
        {
            Assert.Equal(a.LossNats, b.LossNats, 2e-4);
            Assert.Equal(a.GradNorm, b.GradNorm, 2e-3 * a.GradNorm);
        }
    }

    [Fact]
    public void A_branch_goes_on_from_the_trunk_with_its_own_schedule_and_records_where_it_came_from()
    {
        RunConfig trunk = TinyRun.Config(steps: 20) with
        {
            Schedule = new Windtunnel.Training.Schedules.ConstantOptions(),
            Checkpoints = new CheckpointOptions(Duration.OfSteps(5), Milestones: [10]),
        };
        RecordingListener trunkListener = new();
        Train(trunk, "trunk", trunkListener);

        RecordingListener listener = new();
        using (TrainingRun run = TrainingRun.Branch(
            "trunk", 10, ["--training.length=14", "--schedule.type=wsd", "--schedule.warmup=0", "--schedule.decay=4"], Places("branch"), listener))
        {
            Assert.Equal(0, run.Train(new StopSignal()));
        }

        Assert.Equal([11, 12, 13, 14], listener.Steps.Select(step => step.At.Step));
        Assert.Equal(0, listener.Steps[^1].LearningRate);
        Assert.Equal(trunkListener.Steps[10].LossNats, listener.Steps[0].LossNats);
        RunRecord record = RunRecord.Load(Path.Combine(_folder.Path, "runs", "branch", "run.json"));
        Assert.Equal(new RunParent("trunk", 10, RunParentKind.Branch), record.Parent);

        ValidationException error = Assert.Throws<ValidationException>(() => TrainingRun.Branch("trunk", 10, ["--model.layers=3"], Places(), listener));
        Assert.Contains("model", error.Message, StringComparison.Ordinal);
        error = Assert.Throws<ValidationException>(() => TrainingRun.Branch("trunk", 10, ["--training.length=10"], Places(), listener));
        Assert.Contains("training.length", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Weights_alone_start_another_run_at_step_zero()
    {
        RecordingListener first = new(), second = new();
        RunFolder folder = Train(TinyRun.Config(steps: 40), "first", first).Folder;
        string weights = Path.Combine(folder.CheckpointsPath, "step-00000040", "model.safetensors");
        using (TrainingRun run = TrainingRun.Start(TinyRun.Config(steps: 10), new ConfigOrigin(null, []), Places("second"), second, weights))
        {
            run.Train(new StopSignal());
        }

        Assert.Equal(1, second.Steps[0].At.Step);
        Assert.True(second.Steps[0].LossNats < first.Steps[0].LossNats - 1);
    }

    [Fact]
    public void The_moving_average_of_the_weights_is_saved_and_resumed()
    {
        RunConfig config = TinyRun.Config() with { Training = TinyRun.Config().Training with { EmaDecay = 0.9 } };
        string whole = TinyRun.Fingerprint(Train(config, "whole", new RecordingListener()).Folder);
        Assert.Contains("ema.safetensors", whole, StringComparison.Ordinal);
        using StopSignal stop = new();
        RunFolder folder = Train(config, "stopped", new RecordingListener { OnStep = step => { if (step.At.Step == 8) { stop.Request(143); } } }, stop).Folder;
        Resume("stopped", new RecordingListener());
        Assert.Equal(whole, TinyRun.Fingerprint(folder));
    }

    [Theory]
    [InlineData(NonFinitePolicy.Abort)]
    [InlineData(NonFinitePolicy.Skip)]
    [InlineData(NonFinitePolicy.Rewind)]
    public void A_loss_that_is_not_a_number_is_bounded_by_the_policy_and_never_reaches_the_weights(NonFinitePolicy policy)
    {
        // A rate this absurd overflows the weights after the first update; from then on no loss is a number.
        RunConfig config = TinyRun.Config(optimizer: new AdamWOptions(LearningRate: 1e38, WeightDecay: 0)) with
        {
            Training = TinyRun.Config().Training with { NonFinite = policy, NonFiniteMax = 3 },
            Checkpoints = new CheckpointOptions(Duration.OfSteps(1)),
        };
        RecordingListener listener = new();
        (RunFolder folder, int exitCode) = Train(config, "diverges", listener);

        Assert.Equal(4, exitCode);
        Assert.Equal(RunStatus.Diverged, RunRecord.Load(folder.RecordPath).Status);
        Assert.Contains("not a number", listener.Notices[^1], StringComparison.Ordinal);
        string[] logged = File.ReadAllLines(folder.NoticesPath);
        Assert.Equal(listener.Notices.SkipWhile(notice => !notice.Contains("not a number", StringComparison.Ordinal)), logged.Select(line => line[(line.IndexOf(' ') + 1)..]));
        Assert.All(logged, line => Assert.True(DateTime.TryParse(line.Split(' ')[0], out _), line));
        Assert.True(listener.Steps.Count(step => !double.IsFinite(step.LossNats)) <= 4, $"{listener.Steps.Count} steps");
    }

    [Fact]
    public void A_changed_config_is_refused_on_resume()
    {
        using StopSignal stop = new();
        RunFolder folder = Train(TinyRun.Config(), "changed", new RecordingListener { OnStep = _ => stop.Request(143) }, stop).Folder;
        File.WriteAllText(folder.ConfigPath, File.ReadAllText(folder.ConfigPath).Replace("beta2: 0.95", "beta2: 0.99", StringComparison.Ordinal));
        ValidationException error = Assert.Throws<ValidationException>(() => Resume("changed", new RecordingListener()));
        Assert.Contains("was changed since step 1", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_run_that_took_weights_and_never_saved_does_not_start_over_from_others(bool fromRun)
    {
        RunFolder folder = Train(TinyRun.Config(steps: 10), "source", new RecordingListener()).Folder;
        string weights = Path.Combine(folder.CheckpointsPath, "step-00000010", "model.safetensors");
        RunParent? parent = fromRun ? new RunParent("source", 10, RunParentKind.Init) : null;
        using (TrainingRun run = TrainingRun.Start(TinyRun.Config(), new ConfigOrigin(null, []), Places("warm"), new RecordingListener(), weights, parent))
        {
            RunInit init = RunRecord.Load(run.Folder.RecordPath).Init!;
            Assert.Equal(weights, init.Path);
            Assert.Equal(64, init.Sha256.Length);
            Directory.Delete(run.Folder.CheckpointsPath, recursive: true);
        }

        InvalidDataException error = Assert.Throws<InvalidDataException>(() => Resume("warm", new RecordingListener()));
        Assert.Contains($"has no checkpoint yet; start it again from {(fromRun ? "source step 10" : weights)}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Weights_of_a_run_with_another_tokenizer_are_refused()
    {
        RunFolder folder = Train(TinyRun.Config(steps: 10), "source", new RecordingListener()).Folder;
        string weights = Path.Combine(folder.CheckpointsPath, "step-00000010", "model.safetensors");
        RunConfig config = TinyRun.Config() with { Data = TinyRun.Data with { Tokenizer = new Windtunnel.Text.Tokenizers.BpeTokenizerOptions(VocabularySize: 258) } };
        string tokenizer = File.ReadAllText(folder.TokenizerPath);
        using (TrainingRun run = TrainingRun.Start(config, new ConfigOrigin(null, []), Places("other"), new RecordingListener()))
        {
            Assert.NotEqual(tokenizer, File.ReadAllText(run.Folder.TokenizerPath));
        }

        ValidationException error = Assert.Throws<ValidationException>(() => TrainingRun.Start(
            config, new ConfigOrigin(null, []), Places("refused"), new RecordingListener(), weights, new RunParent("source", 10, RunParentKind.Init)));
        Assert.Contains("--init-from source: its tokenizer is another", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("seed=2")]
    [InlineData("data.subsetTokens=2000")]
    [InlineData("training.sequenceLength=32")]
    public void A_branch_into_another_order_of_the_data_starts_at_its_beginning(string setting)
    {
        Train(Trunk, "trunk", new RecordingListener());
        RecordingListener listener = new();
        double epoch;
        using (TrainingRun run = TrainingRun.Branch("trunk", 10, [setting], Places("branch"), listener))
        {
            Assert.Contains("starts at the beginning", Assert.Single(listener.Notices), StringComparison.Ordinal);
            Assert.Contains(listener.Notices[0], File.ReadAllText(run.Folder.NoticesPath), StringComparison.Ordinal);
            run.Train(new StopSignal());
            epoch = run.Data.Training[0].TokenCount;
        }

        int length = setting.StartsWith("training", StringComparison.Ordinal) ? 32 : 48;
        Assert.Equal(11, listener.Steps[0].At.Step);
        Assert.Equal(4 * length / epoch, listener.Steps[0].At.Epoch, 1e-12);
    }

    [Fact]
    public void A_branch_with_other_batches_trains_as_many_tokens_as_its_length_says()
    {
        RunConfig trunk = Trunk with
        {
            Training = TinyRun.Config().Training with { Length = Duration.Parse("3840 tokens") },
            Schedule = new Windtunnel.Training.Schedules.WsdOptions(Duration.Parse("960 tokens"), Duration.Parse("384 tokens")),
        };
        Train(trunk, "trunk", new RecordingListener());
        RecordingListener listener = new();
        using (TrainingRun run = TrainingRun.Branch("trunk", 10, ["training.batchSize=2"], Places("branch"), listener))
        {
            run.Train(new StopSignal());
        }

        // 10 steps of 192 tokens, then 20 of 96: past the warm-up, and the decay takes the last 4.
        Assert.Equal((30, 3840), (listener.Steps[^1].At.Step, listener.Steps[^1].At.Tokens));
        double max = new AdamWOptions().LearningRate;
        Assert.Equal(Enumerable.Repeat(max, 16).Concat([max * 0.75, max * 0.5, max * 0.25, 0]), listener.Steps.Select(step => step.LearningRate), Near);
    }

    [Fact]
    public void A_branch_may_turn_the_average_of_the_weights_on()
    {
        Train(Trunk, "trunk", new RecordingListener());
        using TrainingRun run = TrainingRun.Branch("trunk", 10, ["training.emaDecay=0.9"], Places("branch"), new RecordingListener());
        string checkpoint = Path.Combine(run.Folder.CheckpointsPath, "step-00000010");

        Assert.Equal(File.ReadAllBytes(Path.Combine(checkpoint, "model.safetensors")), File.ReadAllBytes(Path.Combine(checkpoint, "ema.safetensors")));
        Assert.Equal(0, run.Train(new StopSignal()));
    }

    [Fact]
    public void A_run_goes_on_without_its_corpus_and_refuses_another()
    {
        string text = _folder.File("corpus.txt");
        File.WriteAllLines(text, Enumerable.Range(0, 2000).Select(i => $"Line {i} says that {i * i} is a square."));
        RunConfig config = TinyRun.Config() with
        {
            Data = new Windtunnel.Text.DataOptions(
                new Windtunnel.Text.Corpora.FilesCorpusOptions([text]), Tokenizer: new Windtunnel.Text.Tokenizers.BytesTokenizerOptions(), ValidationFraction: 0),
        };
        string whole = TinyRun.Fingerprint(Train(config, "whole", new RecordingListener()).Folder);
        using StopSignal stop = new();
        RunFolder folder = Train(config, "stopped", new RecordingListener { OnStep = step => { if (step.At.Step == 7) { stop.Request(75); } } }, stop).Folder;
        File.Delete(text);

        Assert.Equal(0, Resume("stopped", new RecordingListener()));
        Assert.Equal(whole, TinyRun.Fingerprint(folder));

        File.WriteAllLines(text, Enumerable.Range(0, 2000).Select(i => $"Another line {i}."));
        Directory.Delete(RunRecord.Load(folder.RecordPath).Data!.Folder, recursive: true);
        InvalidDataException error = Assert.Throws<InvalidDataException>(() => Resume("stopped", new RecordingListener()));
        Assert.Contains("is not the dataset that stopped was trained on", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_log_that_cannot_be_read_leaves_a_finished_run_finished_and_lets_go_of_it()
    {
        RunFolder folder = Train(TinyRun.Config(), "done", new RecordingListener()).Folder;
        string record = File.ReadAllText(folder.RecordPath), log = File.ReadAllText(folder.MetricsPath);
        File.WriteAllText(folder.MetricsPath, "no row\n" + log);

        Assert.Throws<InvalidDataException>(() => Resume("done", new RecordingListener()));
        Assert.Equal(record, File.ReadAllText(folder.RecordPath));
        Assert.False(folder.IsLocked);
    }

    [Fact]
    public void A_run_that_cannot_start_is_recorded_as_failed_and_lets_go_of_its_folder()
    {
        string notWeights = _folder.File("weights.safetensors");
        File.WriteAllText(notWeights, "not a file of weights");
        Assert.Throws<InvalidDataException>(() => TrainingRun.Start(TinyRun.Config(), new ConfigOrigin(null, []), Places("failed"), new RecordingListener(), notWeights));

        RunFolder folder = RunFolder.Open(_folder.File("runs"), "failed");
        Assert.Equal(RunStatus.Failed, RunRecord.Load(folder.RecordPath).Status);
        Assert.False(folder.IsLocked);
    }

    [Fact]
    public void Settings_are_checked_before_data_is_prepared()
    {
        Assert.Throws<ValidationException>(() => Train(TinyRun.Config() with { Logging = new LoggingOptions(0) }, "refused", new RecordingListener()));
        Assert.Throws<ValidationException>(() => Train(TinyRun.Config() with { Data = TinyRun.Data with { ValidationFraction = 2 } }, "refused", new RecordingListener()));
        Assert.False(Directory.Exists(_folder.File("data")));
    }

    [Fact]
    public void An_error_in_a_step_is_the_one_that_is_thrown_even_where_nothing_can_be_written()
    {
        RunFolder? folder = null;
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() =>
        {
            using TrainingRun run = TrainingRun.Start(TinyRun.Config(), new ConfigOrigin(null, []), Places("crashed"), new RecordingListener
            {
                OnStep = _ =>
                {
                    File.WriteAllText(folder!.CrashPath, "where a folder would be");
                    throw new InvalidOperationException("the original");
                },
            });
            folder = run.Folder;
            run.Train(new StopSignal());
        });
        Assert.Equal("the original", error.Message);
        Assert.Equal(RunStatus.Failed, RunRecord.Load(folder!.RecordPath).Status);
    }

    [Theory]
    [InlineData(5, false)]
    [InlineData(10, true)]
    public void A_milestone_that_cannot_be_saved_fails_the_run_which_then_goes_on_before_it_and_another_step_is_passed_over(long step, bool isMilestone)
    {
        string? obstacle = null;
        RecordingListener listener = new()
        {
            OnStep = at =>
            {
                if (at.At.Step == step)
                {
                    File.WriteAllText(obstacle!, "where the checkpoint would be written");
                }
            },
        };
        RunFolder folder;
        using (TrainingRun run = TrainingRun.Start(Trunk, new ConfigOrigin(null, []), Places("trunk"), listener))
        {
            folder = run.Folder;
            obstacle = Path.Combine(folder.CheckpointsPath, $"step-{step:00000000}.tmp-{Environment.ProcessId}");
            if (isMilestone)
            {
                Assert.Throws<IOException>(() => run.Train(new StopSignal()));
            }
            else
            {
                Assert.Equal(0, run.Train(new StopSignal()));
                Assert.Contains(listener.Notices, notice => notice.StartsWith("step 5 could not be saved, training goes on", StringComparison.Ordinal));
            }
        }

        if (isMilestone)
        {
            Assert.Equal((RunStatus.Failed, 5L), (RunRecord.Load(folder.RecordPath).Status, CheckpointStore.Reader(folder.CheckpointsPath).Steps[^1]));
            File.Delete(obstacle);
            Resume("trunk", new RecordingListener());
        }

        Assert.Equal([10, 15, 20], CheckpointStore.Reader(folder.CheckpointsPath).Steps);
        Assert.Equal(RunStatus.Completed, RunRecord.Load(folder.RecordPath).Status);
    }

    [Fact]
    public void A_listener_that_cannot_write_what_it_is_told_ends_no_run()
    {
        using TrainingRun run = TrainingRun.Start(TinyRun.Config(), new ConfigOrigin(null, []), Places("run"), new FullListener());
        Directory.CreateDirectory(run.Folder.CheckpointsPath);
        File.WriteAllText(Path.Combine(run.Folder.CheckpointsPath, $"step-00000005.tmp-{Environment.ProcessId}"), "where the checkpoint would be written");

        Assert.Equal(0, run.Train(new StopSignal()));
        Assert.Contains("step 5 could not be saved", File.ReadAllText(run.Folder.NoticesPath), StringComparison.Ordinal);
    }

    private sealed class FullListener : ITrainingListener
    {
        public void Stepped(in StepReport step)
        {
        }

        public void Validated(Progress at, IReadOnlyList<ValidationScore> scores)
        {
        }

        public void Saved(Checkpoint checkpoint)
        {
        }

        public void Noticed(string message)
        {
            if (message.Contains("could not be saved", StringComparison.Ordinal))
            {
                throw new IOException("No space left on device");
            }
        }
    }

    private static RunConfig Trunk { get; } = TinyRun.Config() with { Checkpoints = new CheckpointOptions(Duration.OfSteps(5), Milestones: [10]) };

    private static RunConfig Config(string family, string optimizer) => TinyRun.Config(
        family == "llama" ? TinyRun.Llama : New<ModelOptions>(family) with { Size = "20k", Layers = 2, Width = 32, Heads = 2 },
        New<OptimizerOptions>(optimizer));

    private static T New<T>(string name) =>
        (T)Activator.CreateInstance(Registered(typeof(T))[name], BindingFlags.CreateInstance | BindingFlags.Public | BindingFlags.Instance | BindingFlags.OptionalParamBinding, null, [], null)!;

    private static Dictionary<string, Type> Registered(Type options) =>
        options.GetCustomAttributes<JsonDerivedTypeAttribute>().ToDictionary(type => (string)type.TypeDiscriminator!, type => type.DerivedType);

    private static bool Near(double expected, double actual) => Math.Abs(expected - actual) < 1e-12;

    private RunPlaces Places(string? id = null) => new(_folder.File("runs"), _folder.File("data"), id);

    private (RunFolder Folder, int ExitCode) Train(RunConfig config, string id, RecordingListener listener, StopSignal? stop = null)
    {
        using TrainingRun run = TrainingRun.Start(config, new ConfigOrigin(null, []), Places(id), listener);
        return (run.Folder, run.Train(stop ?? new StopSignal()));
    }

    private int Resume(string id, RecordingListener listener)
    {
        using TrainingRun run = TrainingRun.Resume(id, Places(), listener);
        return run.Train(new StopSignal());
    }

    private double[] Losses(string id) =>
    [
        .. MetricsLog.Read(Path.Combine(_folder.Path, "runs", id, "metrics.jsonl")).Where(row => row.Values.ContainsKey("train/loss")).Select(row => row.Values["train/loss"]),
    ];
}
