using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text.Json.Serialization;
using Windtunnel.Models;
using Windtunnel.Runs;
using Windtunnel.Training;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training;

public sealed class TrainingRunTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    // Every registered model with every registered optimizer: a new one is under these tests without being named here.
    public static TheoryData<string, string> Families
    {
        get
        {
            TheoryData<string, string> families = [];
            foreach (string family in Registered(typeof(ModelOptions)).Keys)
            {
                foreach (string optimizer in Registered(typeof(OptimizerOptions)).Keys)
                {
                    families.Add(family, optimizer);
                }
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
            Schedule = new Windtunnel.Training.Schedules.ConstantOptions(), Checkpoints = new CheckpointOptions(Duration.OfSteps(5), Milestones: [10]),
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
