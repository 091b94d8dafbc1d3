using System.ComponentModel.DataAnnotations;
using System.Runtime.CompilerServices;
using Windtunnel.Experiments;
using Windtunnel.Experiments.Ladders;
using Windtunnel.Runs.Config;
using Windtunnel.Tests.Training;
using Windtunnel.Training;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Tests.Experiments.Ladders;

/// <summary>Ladder files: which runs they mean, what those cost, and what is refused.</summary>
public sealed class LadderTests : IDisposable
{
    private const string Small = """
        type: ladder
        name: small
        run:
          data: {corpus: {type: synthetic, documents: 100}, tokenizer: bytes}
          model: {type: llama}
          schedule: {type: wsd, warmup: 10%, decay: 10%}
          training: {sequenceLength: 64, batchSize: 4}
        sizes: [20k, 50k]
        multipliers: [20, 5, 10]
        targets: [{size: 100k, multiplier: 20, seeds: [7]}, {size: 20k, multiplier: 80}]
        """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_size_is_one_trunk_and_a_branch_for_every_multiplier()
    {
        Ladder ladder = Load(Small);

        Assert.Equal(
            ["20k-trunk-s1", "20k-x5-s1", "20k-x10-s1", "20k-x20-s1", "50k-trunk-s1", "50k-x5-s1", "50k-x10-s1", "50k-x20-s1"], ladder.Runs.Select(run => run.Name));
        Assert.Equal(["100k-x20-s7", "20k-x80-s1"], ladder.Targets.Select(run => run.Name));
        LadderRun trunk = ladder.Runs[0];
        LadderRun[] branches = [.. ladder.Runs.Skip(1).Take(3)];
        Assert.All(branches, branch => Assert.Same(trunk.Planned, branch.Planned.Trunk));
        Assert.Equal(trunk.Steps, branches[^1].Planned.TrunkStep);
        Assert.Equal(branches.SkipLast(1).Select(branch => branch.Planned.TrunkStep), trunk.Planned.Config.Checkpoints.Milestones);
        Assert.Equal(trunk.Planned.Config.Checkpoints.Milestones, trunk.Planned.Config.Validation.Milestones);
    }

    [Fact]
    public void The_multiplier_counts_all_tokens_up_to_the_branch_s_end_and_the_decay_is_its_share_of_them()
    {
        foreach (LadderRun run in Load(Small).Points.Concat(Load(Small).Targets))
        {
            double tokens = run.Multiplier * run.Counts.NonEmbedding;
            Assert.InRange(run.Tokens, tokens - 128, tokens + 128);
            Assert.Equal(run.Kind == LadderRunKind.Branch ? Math.Round(0.1 * run.Steps) : run.Steps, run.Steps - run.Planned.TrunkStep);
            Assert.Equal(run.Tokens - (run.Planned.TrunkStep * 256), run.OwnTokens);
        }
    }

    [Fact]
    public void A_branch_s_schedule_is_the_trunk_s_up_to_where_it_leaves_and_that_of_a_whole_run_after_it()
    {
        Ladder ladder = Load(Small);
        Schedule trunk = Rates(ladder.Runs[0]);
        long warmup = ladder.Runs[0].Resolved.Schedule.Warmup.Steps(256, ladder.Runs[0].Steps);
        Assert.Equal(Math.Round(0.1 * ladder.Runs[1].Steps), warmup);
        foreach (LadderRun branch in ladder.Runs.Skip(1).Take(3))
        {
            Schedule rates = Rates(branch);
            Schedule whole = new WsdOptions(Duration.OfSteps(warmup), Duration.OfRun(0.1)).Build(branch.Steps, 256);
            for (long step = 1; step <= branch.Steps; step++)
            {
                Assert.Equal(whole.Factor(step), rates.Factor(step));
                Assert.True(step > branch.Planned.TrunkStep || rates.Factor(step) == trunk.Factor(step));
            }

            Assert.Equal(1, rates.Factor(branch.Planned.TrunkStep));
            Assert.True(rates.Factor(branch.Planned.TrunkStep + 1) < 1);
        }
    }

    [Fact]
    public void The_cost_grows_with_the_longest_run_and_hardly_with_the_number_of_lengths()
    {
        Ladder few = Load(Small), many = Load(Small.Replace("[20, 5, 10]", "[20, 18, 16, 14, 12, 10, 8, 6, 5]", StringComparison.Ordinal));

        Assert.Equal(few.Runs.Sum(run => run.OwnFlops), few.Flops);
        Assert.Equal(0.9 + (0.1 * 35 / 20), few.Flops / few.Points.Where(run => run.Multiplier == 20).Sum(run => run.Flops), 0.01);
        Assert.Equal(0.9 + (0.1 * 109 / 20), many.Flops / many.Points.Where(run => run.Multiplier == 20).Sum(run => run.Flops), 0.01);
        Assert.Equal(109.0 / 20, many.HorizonFlops / many.Points.Where(run => run.Multiplier == 20).Sum(run => run.Flops), 0.01);
    }

    [Fact]
    public void Horizons_are_whole_runs_under_the_run_s_own_schedule()
    {
        Ladder ladder = Load(Small.Replace("{type: wsd, warmup: 10%, decay: 10%}", "cosine", StringComparison.Ordinal) + "\nschedule: horizons\nseeds: [1, 2]");

        Assert.Equal(12, ladder.Runs.Count);
        Assert.All(ladder.Runs, run => Assert.Equal((LadderRunKind.Whole, new CosineOptions()), (run.Kind, run.Planned.Config.Schedule)));
        Assert.Equal(ladder.HorizonFlops, ladder.Flops);
        Assert.Equal([20.0, 20, 10, 10, 5], ladder.Plan(_ => null).Take(5).Select(run => Math.Round((double)run.Config.Training.Length.Value * 256 / Size(run))));

        double Size(PlannedRun run) => ladder.Runs.Single(each => each.Planned == run).Counts.NonEmbedding;
    }

    [Fact]
    public void Branches_come_first_in_the_plan_and_then_the_longest_trunk()
    {
        Ladder ladder = Load(Small);

        Assert.Equal(
            ["20k-x5-s1", "20k-x10-s1", "20k-x20-s1", "50k-x5-s1", "50k-x10-s1", "50k-x20-s1", "50k-trunk-s1", "20k-trunk-s1"],
            ladder.Plan(_ => null).Select(run => run.Config.Name));
    }

    [Fact]
    public void Models_are_counted_with_the_vocabulary_that_the_tokenizer_has_got()
    {
        Ladder ladder = Load(Small.Replace("tokenizer: bytes", "tokenizer: {type: bpe, vocabularySize: 20000}", StringComparison.Ordinal));
        RunStore store = new(new RunPlaces(_folder.File("runs"), _folder.File("data")), new RecordingListener());

        Ladder known = ladder.WithData(store);

        foreach ((LadderRun before, LadderRun after) in ladder.Runs.Concat(ladder.Targets).Zip(known.Runs.Concat(known.Targets)))
        {
            Assert.Equal(store.Resolve(before.Planned).Model.Count(), after.Counts);
            Assert.Equal((before.Counts.NonEmbedding, before.Tokens), (after.Counts.NonEmbedding, after.Tokens));
            Assert.True(after.Counts.Total < before.Counts.Total && after.Flops < before.Flops);
            Assert.Same(before.Planned, after.Planned);
        }
    }

    [Fact]
    public void Rate_and_batch_follow_the_size_by_their_rules()
    {
        Ladder ladder = Load(Small + "\nlearningRate: {coefficient: 2, exponent: -0.5}\nbatchTokens: {coefficient: 8, exponent: 0.5}");

        foreach (LadderRun run in ladder.Runs.Concat(ladder.Targets))
        {
            double n = run.Counts.NonEmbedding;
            Assert.Equal(2 / Math.Sqrt(n), run.Planned.Config.Optimizer.LearningRate, 1e-12);
            Assert.Equal((int)Math.Round(8 * Math.Sqrt(n) / 64), run.Planned.Config.Training.BatchSize);
        }
    }

    [Fact]
    public void A_size_may_be_a_shape_and_the_run_a_file()
    {
        _folder.Write("base.yaml", "data: {corpus: synthetic, tokenizer: bytes}\ntraining: {sequenceLength: 32}");
        Ladder ladder = Load("type: ladder\nrun: base.yaml\nsizes: [{layers: 2, width: 32, feedForward: 64}]\nmultipliers: [1, 2]");

        Assert.Equal((2, 32, 64), (ladder.Runs[0].Resolved.Model.Layers, ladder.Runs[0].Resolved.Model.Width, ladder.Runs[0].Resolved.Model.FeedForward));
        Assert.Equal("20.6k-trunk-s1", ladder.Runs[0].Name);
        Assert.Equal(Duration.OfRun(0.1), ((WsdOptions)ladder.Runs[1].Planned.Config.Schedule).Decay);
    }

    [Fact]
    public void The_headline_is_settled_by_the_file()
    {
        Assert.Equal("over-training", Load(Small).Headline);
        Assert.Equal("chinchilla", Load(Small.Replace("[20k, 50k]", "[10k, 20k, 30k, 50k]", StringComparison.Ordinal)).Headline);
        Assert.Equal("annealing", Load(Small + "\nheadline: annealing").Headline);
    }

    [Fact]
    public void A_target_under_a_schedule_of_its_own_is_for_the_annealing_law()
    {
        Ladder ladder = Load(Small.Replace("{size: 20k, multiplier: 80}", "{size: 20k, multiplier: 80, name: flat, schedule: {type: cosine, minRatio: 0.5}}", StringComparison.Ordinal));

        Assert.Equal(["100k-x20-s7", "20k-x80-flat-s1"], ladder.Targets.Select(run => run.Name));
        Assert.Equal("annealing", ladder.Headline);
        Assert.Equal([false, true], ladder.Targets.Select(run => run.HasOwnSchedule));
        Assert.Equal(0.5, Rates(ladder.Targets[1]).Factor(ladder.Targets[1].Steps), 1e-9);
    }

    [Theory]
    [InlineData("sizes: [20k, 50k]", "sizes: []", "sizes names none")]
    [InlineData("sizes: [20k, 50k]", "sizes: [big]", "size big: model.size: 'big' is neither")]
    [InlineData("sizes: [20k, 50k]", "sizes: [20k, 20k]", "two runs would be the same")]
    [InlineData("sizes: [20k, 50k]", "sizes: [1k, 1.1k]", "1k and 1.1k are one and the same model")]
    [InlineData("[20, 5, 10]", "[]", "multipliers names none")]
    [InlineData("[20, 5, 10]", "[5, 0]", "multipliers must be positive")]
    [InlineData("[20, 5, 10]", "[5, 5]", "multipliers must be different")]
    [InlineData("[20, 5, 10]", "[20, 20.001]", "two lengths end or cool down at the same step")]
    [InlineData("[20, 5, 10]", "[20, 0.001]", "size 20k: schedule.decay")]
    [InlineData("{type: wsd, warmup: 10%, decay: 10%}", "cosine", "run.schedule must be wsd for branches")]
    [InlineData("tokenizer: bytes}", "tokenizer: bytes, validationFraction: 0}", "validationFraction must be above 0")]
    [InlineData("name: small", "name: a/b", "name 'a/b'")]
    [InlineData("name: small", "seeds: [1, 1]", "seeds must be different")]
    [InlineData("name: small", "headline: kaplan", "headline 'kaplan' is none of chinchilla")]
    [InlineData("name: small", "hold: {gamma: 1}", "hold 'gamma' is no parameter of over-training, which has E, ")]
    [InlineData("name: small", "hold: {eta: -1}", "hold eta: -1 must lie between ")]
    [InlineData("name: small", "learningRate: {coefficient: 0}", "learningRate needs a positive coefficient")]
    [InlineData("multiplier: 80", "multiplier: -1", "target 20k: needs a positive multiplier")]
    [InlineData("multiplier: 80", "multiplier: 80, schedule: cosine", "target 20k: has a schedule of its own and needs a name")]
    [InlineData("multiplier: 80}]", "multiplier: 80, name: other, schedule: cosine}]\nheadline: chinchilla", "headline 'chinchilla' tells no schedules apart")]
    [InlineData("multiplier: 80", "multiplier: 20", "two runs would be the same")]
    [InlineData("batchSize: 4}", "batchSize: 4, gradientAccumulation: 0}\nbatchTokens: {coefficient: 8, exponent: 0.5}", "size 20k: training.gradientAccumulation: 0 must be a divisor")]
    [InlineData("batchSize: 4}", "batchSize: 4, gradientAccumulation: 8}\nbatchTokens: {coefficient: 8, exponent: 0.5}", "size 20k: training.gradientAccumulation: 8 must be a divisor")]
    public void What_makes_no_sense_is_one_clear_line(string before, string after, string problem)
    {
        Assert.Contains(before, Small, StringComparison.Ordinal);
        ValidationException error = Assert.Throws<ValidationException>(() => Load(Small.Replace(before, after, StringComparison.Ordinal)));

        Assert.Contains(problem, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Theory]
    [MemberData(nameof(Shipped))]
    public void Every_shipped_ladder_loads_and_its_targets_are_larger_than_what_is_fitted(string name)
    {
        string path = Path.Combine(Configs, name);
        Ladder ladder = (Ladder)ConfigFile.Load<ExperimentOptions>(path).Build(path);

        Assert.Equal(Path.GetFileNameWithoutExtension(name), ladder.Name);
        Assert.NotEmpty(ladder.Targets);
        Assert.True(ladder.Targets.Max(run => run.Flops) > (ladder.Targets[0].HasOwnSchedule ? 1.2 : 2) * ladder.Points.Max(run => run.Flops));
        Assert.True(ladder.Flops < 0.75 * ladder.HorizonFlops);
    }

    public static TheoryData<string> Shipped() => [.. Directory.GetFiles(Configs, "*.yaml").Select(path => Path.GetFileName(path)!)];

    private static string Configs => Path.Combine(Path.GetDirectoryName(ThisFile())!, "..", "..", "..", "..", "configs", "ladders");

    private static string ThisFile([CallerFilePath] string path = "") => path;

    private static Schedule Rates(LadderRun run) => run.Resolved.Schedule.Build(run.Steps, run.Resolved.Training.TokensAStep);

    private Ladder Load(string text)
    {
        string path = _folder.Write("ladder.yaml", text);
        return (Ladder)ConfigFile.Load<ExperimentOptions>(path).Build(path);
    }
}
