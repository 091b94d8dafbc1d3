using System.ComponentModel.DataAnnotations;
using Windtunnel.Experiments;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Tensors;
using Windtunnel.Training;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Tests.Experiments;

/// <summary>Comparisons: which runs, and what is said about losses that are known.</summary>
public sealed class ComparisonTests : IDisposable
{
    private const string Schedules = """
        type: comparison
        run: {model: {type: llama, size: 20k}, training: {length: 100}}
        variants:
          short: {schedule: {type: wsd, decay: 10%}}
          cosine: {schedule: cosine}
          long: {schedule: {type: wsd, decay: 20%}, training.batchSize: 4}
        baseline: cosine
        seeds: [1, 2, 3, 4]
        """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_plan_is_every_variant_with_the_first_seed_then_with_the_second()
    {
        Comparison comparison = Load(Schedules);
        RunConfig[] runs = [.. comparison.Plan(_ => null).Select(run => run.Config)];

        Assert.Equal(["cosine", "short", "long"], comparison.Variants.Select(variant => variant.Name));
        Assert.Equal([1ul, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4], runs.Select(run => run.Seed));
        Assert.Equal([new CosineOptions(), new WsdOptions(Decay: Duration.OfRun(0.1)), new WsdOptions(Decay: Duration.OfRun(0.2))], runs[..3].Select(run => run.Schedule));
        Assert.Equal([8, 8, 4], runs[..3].Select(run => run.Training.BatchSize));
        Assert.Equal(comparison.Plan(_ => null), comparison.Plan(run => Outcome(run.Config, 3)));
    }

    [Theory]
    [InlineData("variants: {a: {}}", "must be two or more")]
    [InlineData("seeds: [1]\nvariants: {a: {}, b: {}}", "two or more different ones")]
    [InlineData("seeds: [1, 1]\nvariants: {a: {}, b: {}}", "two or more different ones")]
    [InlineData("baseline: c\nvariants: {a: {}, b: {}}", "'c' is none of a, b")]
    [InlineData("name: a/b\nvariants: {a: {}, b: {}}", "name 'a/b'")]
    [InlineData("variants: {a: {}, b: {optimizer: adamx}}", "variants.b: ")]
    [InlineData("variants: {a: {}, b: {data.tokenizer: bytes}}", "variants.b: data.tokenizer is not that of a")]
    [InlineData("variants: {a: {}, b: {data.validationFraction: 0.5}}", "variants.b: data.validationFraction is not that of a")]
    [InlineData("run: {data: {validationFraction: 0}}\nvariants: {a: {}, b: {}}", "variants.a: data.validationFraction must be above 0")]
    [InlineData("baseline: b\nvariants: {a: {data.corpus: synthetic}, b: {}}", "variants.a: data.corpus is not that of b")]
    [InlineData("variants: {a: {}, b: {training: {batchSize: 0}}}", "variants.b: training.batchSize: 0 must be")]
    public void What_makes_no_sense_is_one_clear_line(string text, string problem)
    {
        ValidationException error = Assert.Throws<ValidationException>(() => Load($"type: comparison\n{text}"));

        Assert.Contains(problem, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void A_shift_that_all_seeds_share_is_found_beneath_what_the_seeds_do()
    {
        // Seeds move all variants alike by 0.01; `short` is 0.03 better, `long` 0.002 worse.
        ComparisonResults results = Load(Schedules).Judge(run => Outcome(
            run.Config, 3 + (0.01 * run.Config.Seed) + (0.0001 * (run.Config.Seed % 2)
            * run.Config.Training.BatchSize) + (run.Config.Schedule is WsdOptions ? run.Config.Training.BatchSize == 4 ? 0.002 : -0.03 : 0)));

        Contrast better = results.Contrasts[0], slight = results.Contrasts[1];
        Assert.Equal(("short", true, Verdict.Better), (better.Sample.Name, better.IsPaired, better.Verdict));
        Assert.Equal(-0.03, better.Test!.Difference, 1e-9);
        Assert.True(better.EffectSize < -1.5);

        // As certain, but another seed makes as much.
        Assert.True(slight.PValue < 0.01);
        Assert.True(slight.Test!.Difference < results.Noise.Floor);
        Assert.Equal((Verdict.NoDifference, null), (slight.Verdict, slight.SeedsWanted));
        Assert.Equal(Math.Sqrt(2) * results.Noise.Nats, results.Noise.Floor);
    }

    [Fact]
    public void Other_sequences_are_other_batches_and_make_the_test_welch_s()
    {
        Comparison comparison = Load(Schedules.Replace("training.batchSize: 4", "training.sequenceLength: 128", StringComparison.Ordinal));
        ComparisonResults results = comparison.Judge(run => Outcome(run.Config, 3 + (0.01 * run.Config.Seed)));

        Assert.Equal([true, false], results.Contrasts.Select(contrast => contrast.IsPaired));
        Assert.Equal(6, results.Contrasts[1].Test!.DegreesOfFreedom, 1e-9);
    }

    [Fact]
    public void Diverged_runs_are_counted_and_in_no_mean_and_survivors_are_not_called_better()
    {
        bool Diverges(RunConfig config) => config.Seed == 1 && config.Schedule is WsdOptions;
        ComparisonResults results = Load(Schedules).Judge(run => Diverges(run.Config)
            ? Outcome(run.Config, double.PositiveInfinity) with { Status = RunStatus.Diverged }
            : Outcome(run.Config, 3 + (0.001 * Noise(run.Config)) - (run.Config.Schedule is WsdOptions ? 0.5 : 0)));

        Assert.All(results.Contrasts, contrast => Assert.Equal((1, 0, 3), (contrast.Sample.Diverged, contrast.Sample.Missing, contrast.Sample.Losses.Count)));
        Assert.All(results.Contrasts, contrast => Assert.True(contrast.PValue < 0.01));
        Assert.All(results.Contrasts, contrast => Assert.Equal(Verdict.NoDifference, contrast.Verdict));
        Assert.Equal(2, results.ToCsv().Split("diverged").Length - 1);
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(-0.5)]
    public void Where_more_runs_of_the_baseline_diverged_no_variant_is_worse(double difference)
    {
        bool Diverges(RunConfig config) => config.Seed == 1 && config.Schedule is CosineOptions;
        ComparisonResults results = Load(Schedules).Judge(run => Diverges(run.Config)
            ? Outcome(run.Config, double.PositiveInfinity) with { Status = RunStatus.Diverged }
            : Outcome(run.Config, 3 + (0.001 * Noise(run.Config)) + (run.Config.Schedule is WsdOptions ? difference : 0)));

        Assert.All(results.Contrasts, contrast => Assert.True(contrast.PValue < 0.01));
        Assert.All(results.Contrasts, contrast => Assert.Equal(difference < 0 ? (Verdict.Better, "better") : (Verdict.NoDifference, "no difference"), (contrast.Verdict, contrast.Word)));
    }

    [Fact]
    public void Variants_may_read_other_parts_of_the_same_data()
    {
        Comparison comparison = Load("type: comparison\nvariants: {all: {}, few: {data.subsetTokens: 100000}, others: {data.subsetTokens: 100000, data.subsetSeed: 2}}");

        Assert.False(comparison.Judge(run => Outcome(run.Config, 3)).Contrasts[0].IsPaired);
    }

    [Fact]
    public void With_one_run_of_each_nothing_is_said()
    {
        ComparisonResults results = Load(Schedules).Judge(run => run.Config.Seed == 1 ? Outcome(run.Config, 3) : null);

        Assert.All(results.Contrasts, contrast => Assert.Equal((Verdict.Unknown, (int?)null, 3), (contrast.Verdict, contrast.SeedsWanted, contrast.Sample.Missing)));
        Assert.True(double.IsNaN(results.Noise.Floor));
    }

    [Theory]
    [InlineData(0, 0, 0.05)]
    [InlineData(5, 0.9, 1)]
    public void A_difference_is_called_where_there_is_one_and_seldom_where_there_is_none(double effect, double least, double most)
    {
        Comparison comparison = Load(Schedules);
        const int trials = 500;
        int called = 0;
        for (ulong trial = 0; trial < trials; trial++)
        {
            ComparisonResults results = comparison.Judge(run => Outcome(
                run.Config, 3 + (0.01 * (Noise(run.Config, trial) - (run.Config.Schedule is WsdOptions && run.Config.Training.BatchSize == 8 ? effect : 0)))));
            called += results.Contrasts.Any(contrast => contrast.Verdict is Verdict.Better or Verdict.Worse) ? 1 : 0;
        }

        Assert.InRange((double)called / trials, least, most);
    }

    [Fact]
    public void As_many_seeds_as_are_asked_for_find_the_difference_in_four_comparisons_of_five()
    {
        // Two samples with a difference of 2 standard deviations: each seed adds a pair, whose difference has sqrt(2) of them.
        Comparison comparison = Load(Schedules);
        ComparisonResults pilot = comparison.Judge(run => Outcome(run.Config, run.Config.Schedule is WsdOptions { Decay.Value: 0.1 }
            ? 0 + new[] { -1.5, 0.5, 0.5, 0.5 }[run.Config.Seed - 1]
            : 2 + new[] { 0.5, -1.5, 0.5, 0.5 }[run.Config.Seed - 1]));
        Contrast contrast = pilot.Contrasts[0];

        // Differences -4, 0, -2, -2: variance 8/3, at the level 0.05 / 2. Integrated by Simpson's rule elsewhere: 9 pairs find it with 0.7986, 10 with 0.8575.
        Assert.Equal(10, contrast.SeedsWanted);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_shipped_comparison_loads(string name)
    {
        Comparison comparison = At(Path.Combine(Configs, name));

        Assert.Equal(Path.GetFileNameWithoutExtension(name), comparison.Name);
        Assert.All(comparison.Plan(_ => null), run => Assert.InRange(BaseRun.Resolve(run.Config).Model.Count().NonEmbedding, 20_000, 150_000));
    }

    public static TheoryData<string> Names() => [.. Directory.GetFiles(Configs, "*.yaml").Select(path => Path.GetFileName(path)!)];

    private static string Configs => Path.Combine(AppContext.BaseDirectory, "..", "..", "..", "..", "..", "configs", "comparisons");

    private Comparison Load(string text) => At(_folder.Write("comparison.yaml", text));

    private static Comparison At(string path) => (Comparison)ConfigFile.Load<ExperimentOptions>(path).Build(path);

    private static double Noise(RunConfig config, ulong trial = 0)
    {
        float[] value = new float[1];
        Philox.Named(config.Seed + (1000 * trial), $"{config.Schedule}{config.Training.BatchSize}").FillNormal(value, 1);
        return value[0];
    }

    private static RunOutcome Outcome(RunConfig config, double loss) =>
        new($"{config.Schedule.GetType().Name}-{config.Seed}", RunStatus.Completed, loss, loss / 2, 100, 100_000, 1e9, 60, 0.01, 20_000);
}
