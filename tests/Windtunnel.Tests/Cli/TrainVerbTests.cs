using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Training;

namespace Windtunnel.Tests.Cli;

[Collection(nameof(Tool))]
public sealed class TrainVerbTests(Tool tool)
{
    public static TheoryData<string> Configs => [.. Directory.GetFiles(Tool.ConfigFolder).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];

    [Fact]
    public void The_tiny_config_trains_to_its_end_and_leaves_a_whole_run_folder()
    {
        Outcome outcome = tool.Train("--id", "whole");

        string output = outcome.AssertSucceeds();
        Assert.Contains("completed at step 100", output);
        RunRecord record = RunRecord.Load(tool.RunFile("whole", "run.json"));
        Assert.Equal(RunStatus.Completed, record.Status);
        Assert.Equal(0, record.ExitCode);
        MetricsRow[] rows = [.. MetricsLog.Read(tool.RunFile("whole", "metrics.jsonl"))];
        double first = rows[0].Values["train/loss"], last = rows.Last(row => row.Values.ContainsKey("train/loss")).Values["train/loss"];
        Assert.True(last < first - 1, $"the loss went from {first} to {last}");
        Assert.True(record.Summary!["val/synthetic/bpb"] < 3);
        foreach (string name in new[] { "config.yaml", "config.source.yaml", "overrides.txt", "tb", "checkpoints/step-00000100/model.safetensors" })
        {
            Assert.True(Path.Exists(tool.RunFile("whole", name)), name);
        }
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void Every_shipped_config_can_be_explained_and_its_explanation_is_the_config(string name)
    {
        string output = Tool.Run("train", Path.Combine(Tool.ConfigFolder, name), "--dry-run").AssertSucceeds();

        RunConfig explained = ConfigFile.Bind<RunConfig>(ConfigFile.Parse(output, name), name);
        RunConfig config = ConfigFile.Load<RunConfig>(Path.Combine(Tool.ConfigFolder, name));
        Assert.Equal(Path.GetFileNameWithoutExtension(name), config.Name);
        Assert.Equal(ConfigFile.ToYaml(config.Resolve(config.Data.Tokenizer.VocabularySizeMax())), ConfigFile.ToYaml(explained));
    }

    [Fact]
    public void A_dry_run_says_what_the_run_costs_and_touches_nothing()
    {
        using TemporaryFolder folder = new();
        string output = Tool.Run(
            "train", "--dry-run", "--runs", folder.File("runs"), "--data", folder.File("data"), "--model", "gpt2", "--model.layers=6", "--model.width", "384",
            "model.heads=6", "--training.length=1m tokens", "--data.tokenizer.vocabularySize=4096").AssertSucceeds();

        // 6 (12 L d^2 + V d) + 12 L d T, as in the literature; 489 steps of 2,048 tokens.
        double flopsAToken = (6.0 * ((12 * 6 * 384 * 384) + (4096 * 384))) + (12.0 * 6 * 384 * 256);
        Assert.Contains($"{flopsAToken / 1e6:F1} MFLOP a token, {flopsAToken * 488 * 2048 / 1e12:F1} TFLOP in all", output);
        Assert.Contains("# parameters  12,318,720, 10,647,552 without embeddings", output);
        Assert.Contains("# tokens      999,424 in 488 steps of 2,048; 0.1 for each", output);
        Assert.Contains("# memory ", output);
        Assert.Contains("# time ", output);
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
    }

    [Theory]
    [InlineData("did you mean model.size?", "--model.sise=1m")]
    [InlineData("did you mean --dry-run?", "--dry-rn")]
    [InlineData("'nadam' is not registered; choose one of adamw, nadamw, mars", "optimizer=nadam")]
    [InlineData("is \"fast\"; expected", "--training.batchSize", "fast")]
    [InlineData("has no value", "--seed")]
    [InlineData("two config files", "other.yaml")]
    [InlineData("model.width: 64 is not a multiple of model.heads 3", "--model.width=64", "--model.heads=3")]
    [InlineData("model.vocabulary: 100 is smaller than the tokenizer's 512", "--model.vocabulary=100")]
    [InlineData("model.context: 32 is shorter than", "--model.context=32")]
    [InlineData("training.gradientAccumulation: 3", "--training.gradientAccumulation=3")]
    [InlineData("schedule.decay: 10 steps of warm-up and 200 of decay", "--schedule.decay=200")]
    [InlineData("logging.every: 0 must be at least 1", "--logging.every=0")]
    [InlineData("checkpoints.keepLast: 1 must be at least 2", "--checkpoints.keepLast=1")]
    [InlineData("nowhere.txt", "data.corpus={type: files, paths: [nowhere.txt]}")]
    [InlineData("nowhere.json", "data.tokenizer={type: file, path: nowhere.json}")]
    [InlineData("--init-from nowhere.safetensors: no such file", "--init-from", "nowhere.safetensors")]
    [InlineData("no such run", "--init-from", "nothing@3")]
    [InlineData("already exists", "--id", "trunk")]
    public void What_cannot_be_trained_is_one_line_and_exit_code_2(string expected, params string[] words)
    {
        tool.Train(words).AssertFails(2, expected);
    }

    [Fact]
    public void A_missing_config_is_exit_code_2()
    {
        Tool.Run("train", "nowhere.yaml").AssertFails(2, "nowhere.yaml: no such file");
    }

    [Fact]
    public void A_damaged_shard_is_exit_code_3()
    {
        using TemporaryFolder folder = new();
        string shard = "";
        foreach (string file in Directory.GetFiles(Directory.GetDirectories(tool.Data).Single()))
        {
            string copy = folder.File(Path.Combine(Path.GetFileName(Path.GetDirectoryName(file))!, Path.GetFileName(file)));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
            shard = file.EndsWith(".train.bin", StringComparison.Ordinal) ? copy : shard;
        }

        byte[] bytes = File.ReadAllBytes(shard);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(shard, bytes);

        Tool.Run("train", Tool.Tiny, "--runs", folder.File("runs"), "--data", folder.Path).AssertFails(3, Path.GetFileName(shard));
        Assert.False(Directory.Exists(folder.File("runs")));
    }

    [Fact]
    public void A_learning_rate_that_blows_up_ends_as_diverged_with_exit_code_4()
    {
        Outcome outcome = tool.Train("--id", "diverged", "--optimizer.learningRate=1e30", "--optimizer.weightDecay=0", "--training.clipNorm=0");

        Assert.Equal(4, outcome.ExitCode);
        Assert.Contains("is not a number; the run ends as diverged", outcome.Output);
        RunRecord record = RunRecord.Load(tool.RunFile("diverged", "run.json"));
        Assert.Equal(RunStatus.Diverged, record.Status);
        Assert.Equal(4, record.ExitCode);
    }

    [Fact]
    public void Weights_alone_come_from_another_run_and_the_record_says_so()
    {
        tool.Train("--id", "warm", "--init-from", "trunk@30", "--training.length=1", "--schedule={type: constant}").AssertSucceeds();

        Assert.Equal(new RunParent("trunk", 30, RunParentKind.Init), RunRecord.Load(tool.RunFile("warm", "run.json")).Parent);
        MetricsRow first = MetricsLog.Read(tool.RunFile("warm", "metrics.jsonl")).First(), cold = MetricsLog.Read(tool.RunFile("trunk", "metrics.jsonl")).First();
        Assert.Equal(1, first.At.Step);
        Assert.True(first.Values["train/loss"] < cold.Values["train/loss"] - 1);
    }

    [Fact]
    public void Weights_of_another_shape_are_exit_code_3_and_a_run_that_failed()
    {
        tool.Train("--id", "misfit", "--init-from", "trunk", "--model.size=50k").AssertFails(3, "model.safetensors");

        Assert.Equal(RunStatus.Failed, RunRecord.Load(tool.RunFile("misfit", "run.json")).Status);
    }

    [Theory]
    [InlineData("TERM", 143)]
    [InlineData("USR1", 75)]
    [InlineData("INT", 130)]
    public void A_signal_saves_and_ends_with_its_exit_code_and_the_run_goes_on(string signal, int exitCode)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no signals");
        Assert.SkipWhen(signal == "INT" && IgnoresInterrupts(), "what started the tests ignores interrupts, as scripts do for what runs in their background");
        string id = $"signal-{signal}";
        Outcome stopped = tool.Signal(signal, "grad norm", "train", Tool.Tiny, "--id", id, "--training.length=100000", "--logging.every=1", "--schedule={type: constant}");

        Assert.Equal(exitCode, stopped.ExitCode);
        Assert.Contains($"go on with: windtunnel resume {id}", stopped.Output);
        Assert.DoesNotContain('\e', stopped.Output);
        Assert.Equal(RunStatus.Preempted, RunRecord.Load(tool.RunFile(id, "run.json")).Status);
        string checkpoint = Assert.Single(Directory.GetDirectories(tool.RunFile(id, "checkpoints")));
        Assert.Contains(Path.GetFileName(checkpoint), stopped.Output);

        Outcome again = tool.Signal(signal, "grad norm", "resume", id);
        Assert.Equal(exitCode, again.ExitCode);
        string[] checkpoints = [.. Directory.GetDirectories(tool.RunFile(id, "checkpoints")).Order(StringComparer.Ordinal)];
        Assert.Equal(2, checkpoints.Length);

        // The schedule doesn't know how long the run is: one that was never stopped has the same bits at the same step.
        long steps = RunTable.Read(tool.Runs).Single(row => row.Id == id).Last!.Value.Step;
        tool.Train("--id", $"{id}-whole", $"--training.length={steps}", "--schedule={type: constant}").AssertSucceeds();
        foreach (string file in new[] { "model.safetensors", "optim.safetensors" })
        {
            Assert.Equal(
                File.ReadAllBytes(tool.RunFile($"{id}-whole", "checkpoints", Path.GetFileName(checkpoints[^1]), file)),
                File.ReadAllBytes(Path.Combine(checkpoints[^1], file)));
        }
    }

    // Children inherit that, and so would wait for ever.
    private static bool IgnoresInterrupts()
    {
        const ulong Interrupt = 1 << (2 - 1);
        string? ignored = File.Exists("/proc/self/status") ? File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith("SigIgn:", StringComparison.Ordinal)) : null;
        return ignored is not null && (Convert.ToUInt64(ignored["SigIgn:".Length..].Trim(), 16) & Interrupt) != 0;
    }
}
