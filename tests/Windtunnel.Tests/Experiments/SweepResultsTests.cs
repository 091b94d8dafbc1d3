using MathNet.Numerics.Random;
using Windtunnel.Experiments;
using Windtunnel.Experiments.Statistics;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Training;

namespace Windtunnel.Tests.Experiments;

/// <summary>A sweep whose losses are known: what runs, in which order, and what comes of it.</summary>
public sealed class SweepResultsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly Sweep _sweep;

    public SweepResultsTests() => _sweep = Load("""
        type: sweep
        run: {model: {type: llama}, training: {sequenceLength: 64, batchSize: 4}}
        cells: [{size: 20k, ratios: [1, 2]}]
        seeds: [1, 2, 3]
        arms:
          adamw:
            cells: [{size: 20k, ratios: [1, 2, 4]}]
            start: {optimizer: {type: adamw, learningRate: 1e-3}}
            grid: {optimizer.learningRate: [1e-3, 2e-3, 4e-3, 8e-3], optimizer.weightDecay: [0.1, 0.2]}
          muon:
            start: {optimizer: {type: muon, learningRate: 1e-3}}
            grid: {optimizer.learningRate: [1e-3, 2e-3, 4e-3, 8e-3]}
        """);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Searches_each_cell_and_repeats_its_best_with_the_other_seeds()
    {
        SweepResults results = Run(_sweep, Landscape);

        Assert.All(results.Cells, cell => Assert.True(cell.Search.IsOptimum));
        Assert.All(results.Cells, cell => Assert.Equal([1ul, 2, 3], cell.BestRuns.Select(run => run.Seed)));
        Assert.All(results.Cells, cell => Assert.Equal(4e-3, cell.Cell.Run(cell.Search.Best!.Value).Config.Optimizer.LearningRate));
        Assert.All(results.Cells, cell => Assert.Equal(0, cell.Missing));
        PlannedRun[] runs = [.. results.Cells.SelectMany(cell => cell.Runs).Select(run => run.Run)];
        Assert.Equal(runs, _sweep.Plan(run => Landscape(run.Config)));
        Assert.Equal(runs.Length, runs.Select(run => run.Config.Fingerprint()).Distinct().Count());
    }

    [Fact]
    public void The_plan_follows_from_the_results_alone_whatever_runs_first()
    {
        string whole = Run(_sweep, Landscape).ToCsv();
        for (uint order = 1; order < 6; order++)
        {
            Dictionary<PlannedRun, RunOutcome> store = [];
            PlannedRun[] open;
            while ((open = [.. _sweep.Plan(store.GetValueOrDefault).Where(run => !store.ContainsKey(run))]).Length > 0)
            {
                PlannedRun next = open[order * 7919 % open.Length];
                store[next] = Landscape(next.Config);
            }

            Assert.Equal(whole, SweepResults.Of(_sweep, store.GetValueOrDefault).ToCsv());
            Assert.Equal(whole.Count(c => c == '\n') - 1, store.Count);
        }
    }

    [Fact]
    public void A_run_without_a_result_is_in_no_mean_and_holds_its_own_search_up()
    {
        bool Fails(RunConfig config) => config is { Optimizer: Windtunnel.Training.Optimizers.MuonOptions, Seed: 2 } or { Optimizer: Windtunnel.Training.Optimizers.AdamWOptions, Optimizer.LearningRate: 8e-3 };

        SweepResults results = Run(_sweep, config => Fails(config) ? null : Landscape(config));

        Assert.All(results.Cells.Where(cell => cell.Cell.Arm == "adamw"), cell => Assert.False(cell.Search.IsOptimum));
        Assert.All(results.Cells.Where(cell => cell.Cell.Arm == "muon"), cell => Assert.Equal([1ul, 3], cell.BestRuns.Select(run => run.Seed)));
        Assert.All(results.Cells, cell => Assert.Equal(1, cell.Missing));
    }

    [Theory]
    [InlineData("grid")]
    [InlineData("{type: random, runs: 5, seed: 3}")]
    public void A_grid_and_a_sample_are_searched_and_their_best_is_repeated(string search)
    {
        Sweep sweep = Load($$$"""
            type: sweep
            search: {{{search}}}
            run: {model: {type: llama, size: 20k}, training: {sequenceLength: 64, batchSize: 4}}
            seeds: [1, 2, 3]
            grid: {optimizer.learningRate: [1e-3, 2e-3, 4e-3, 8e-3], optimizer.weightDecay: [0.1, 0.2]}
            """);

        CellResult cell = Assert.Single(Run(sweep, Landscape).Cells);

        int points = search == "grid" ? 8 : 5;
        Assert.Equal(points, sweep.Plan(_ => null).Count);
        Assert.Equal(points + 2, cell.Runs.Count);
        double best = cell.Runs.Where(run => run.Seed == 1).Min(run => run.Loss!.Value);
        Assert.Equal(best, cell.BestRuns[0].Loss);
        Assert.Equal([1ul, 2, 3], cell.BestRuns.Select(run => run.Seed));
        Assert.True(cell.Search.IsOptimum);
    }

    [Fact]
    public void Speedups_are_the_tokens_and_the_time_that_the_tuned_baseline_needs_for_the_same_loss()
    {
        SweepResults results = Run(_sweep, Landscape);

        // Muon has the loss that AdamW has with 1.5 times the tokens, and its steps take 1.2 times as long.
        Assert.Equal(2, results.Cells.Count(cell => cell.Cell.Arm == "muon"));
        Assert.All(results.Cells.Where(cell => cell.Cell.Arm == "muon"), cell =>
        {
            Assert.Equal(1.5, results.SpeedupInTokens(cell)!.Times, 1e-3);
            Assert.Equal(1.25, results.SpeedupInTime(cell)!.Value, 1e-3);
        });
        Assert.All(results.Cells.Where(cell => cell.Cell.Arm == "adamw"), cell => Assert.Null(results.SpeedupInTokens(cell)));
        Assert.Null(results.Baseline("50k"));
    }

    [Theory]
    [InlineData(1.9, false, false, false)]
    [InlineData(3, false, false, true)]
    [InlineData(0.9, false, true, false)]
    [InlineData(1, true, true, true)]
    public void A_speedup_by_more_or_fewer_tokens_than_the_baseline_ever_had_is_marked(double times, bool isBelowItsEnd, bool atOne, bool atTwo)
    {
        // L(R) ends at 3 nats: below, no number of tokens will do.
        SweepResults results = Run(_sweep, config => Landscape(config, times, isBelowItsEnd));

        CellResult[] muon = [.. results.Cells.Where(cell => cell.Cell.Arm == "muon")];
        SpeedupEstimate[] speedups = [.. muon.Select(cell => results.SpeedupInTokens(cell)!)];
        Assert.Equal([1, 2], muon.Select(cell => cell.Cell.Ratio));
        Assert.Equal([atOne, atTwo], speedups.Select(speedup => speedup.IsExtrapolated));
        Assert.All(speedups, speedup => Assert.Equal(isBelowItsEnd ? double.PositiveInfinity : times, speedup.Times, 2e-2));
        Assert.All(speedups, speedup => Assert.Equal(isBelowItsEnd, speedup.Range!.Value.High == double.PositiveInfinity));
    }

    [Fact]
    public void A_speedup_s_range_holds_the_true_one_nineteen_times_in_twenty()
    {
        // Twenty-five sweeps with seeds of standard deviation 0.01: their ranges hold 1.5, and not by being endless.
        MersenneTwister random = new(5);
        double[] noise = new double[100_000];
        MathNet.Numerics.Distributions.Normal.Samples(random, noise, 0, 0.01);
        int used = 0, held = 0, beside = 0;
        for (int sweep = 0; sweep < 25; sweep++)
        {
            // The search is not disturbed: its bests are the same ones in all sweeps.
            Dictionary<string, double> own = [];
            SweepResults results = Run(_sweep, config => Landscape(config) is var outcome && config.Optimizer.LearningRate == 4e-3 && config.Optimizer.WeightDecay == 0.1
                ? outcome with { LossNats = outcome.LossNats - (0.001 * ((double)config.Seed - 2)) + (own.TryGetValue(config.Fingerprint(), out double known) ? known : own[config.Fingerprint()] = noise[used++]) }
                : outcome with { LossNats = outcome.LossNats + 1 });
            SpeedupEstimate speedup = results.SpeedupInTokens(results.Cells.Single(cell => cell.Cell is { Arm: "muon", Ratio: 2 }))!;
            held += speedup.Range!.Value.Contains(1.5) ? 1 : 0;
            beside += speedup.Range.Value.Contains(1) ? 1 : 0;
        }

        Assert.InRange(held, 21, 25);
        Assert.InRange(beside, 0, 5);
    }

    [Fact]
    public void A_best_that_diverged_with_another_seed_has_no_speedup_and_is_not_called_better()
    {
        SweepResults results = Run(_sweep, config => config is { Optimizer: Windtunnel.Training.Optimizers.MuonOptions, Optimizer.LearningRate: 4e-3, Seed: 3 } ? Diverged : Landscape(config));

        Assert.All(results.Cells.Where(cell => cell.Cell.Arm == "muon"), cell =>
        {
            Assert.Equal((1, 1, false), (cell.DivergedSeeds, cell.Diverged, cell.IsComparable));
            Assert.Null(results.SpeedupInTokens(cell));
            Assert.Null(results.SpeedupInTime(cell));
            Assert.True(results.Contrast(cell)!.PValue < 0.001);
            Assert.Equal(Verdict.NoDifference, results.Contrast(cell)!.Verdict);
        });
    }

    [Fact]
    public void Speedups_wait_for_the_baseline_s_searches_to_end()
    {
        SweepResults results = Run(_sweep, config => config is { Optimizer: Windtunnel.Training.Optimizers.AdamWOptions, Seed: 3 } && config.Training.Length.Value > 1.5e6 ? null : Landscape(config));

        Assert.Equal(1, results.Cells.Count(cell => cell.Missing > 0));
        Assert.Null(results.Baseline("20k"));
        Assert.All(results.Cells, cell => Assert.Null(results.SpeedupInTokens(cell)));
    }

    [Fact]
    public void Arms_are_better_or_worse_than_the_baseline_only_by_more_than_seeds_and_the_number_of_arms_explain()
    {
        // Three arms of the same length, all compared with one baseline: 0.02 and 0.0012 nats apart, seeds 0.001.
        Sweep sweep = Load("""
            type: sweep
            run: {model: {type: llama, size: 20k}, training: {sequenceLength: 64, batchSize: 4}}
            cells: [{ratios: [1]}]
            seeds: [1, 2, 3]
            arms:
              adamw: {start: {optimizer: {type: adamw, learningRate: 4e-3}}, grid: {optimizer.learningRate: [4e-3]}}
              far: {start: {optimizer: {type: adamw, learningRate: 4e-3, weightDecay: 0.2}}, grid: {optimizer.learningRate: [4e-3]}}
              near: {start: {optimizer: {type: adamw, learningRate: 4e-3, weightDecay: 0.11}}, grid: {optimizer.learningRate: [4e-3]}}
            """);

        SweepResults results = Run(sweep, config => Landscape(config) is var outcome
            ? outcome with { LossNats = outcome.LossNats + (config.Optimizer.WeightDecay switch { 0.2 => -0.02, 0.11 => -0.0012, _ => 0 }) } : outcome);

        ArmContrast far = results.Contrast(results.Cells[1])!, near = results.Contrast(results.Cells[2])!;
        Assert.Null(results.Contrast(results.Cells[0]));
        Assert.Equal((Verdict.Better, Verdict.NoDifference), (far.Verdict, near.Verdict));
        Assert.Equal(-0.019, far.Test.Difference, 1e-9);
        Assert.Equal(6, far.Test.DegreesOfFreedom);
        Assert.Equal(2 * far.Test.PValue, far.PValue, 1e-12);
    }

    [Fact]
    public void A_best_at_the_end_of_its_axis_is_said_to_be()
    {
        Sweep sweep = Load("""
            type: sweep
            run: {model: {type: llama, size: 20k}, training: {sequenceLength: 64, batchSize: 4}, optimizer: {type: adamw, learningRate: 1e-3}}
            cells: [{ratios: [1]}]
            grid: {optimizer.learningRate: [5e-4, 1e-3, 2e-3], optimizer.weightDecay: [0.1, 0.2]}
            """);

        CellResult cell = Assert.Single(Run(sweep, Landscape).Cells);

        // Two values of the decay are a choice, not a range.
        Assert.Equal(["learningRate"], cell.AtEdge);
        Assert.Equal("at the edge of learningRate", cell.Progress);
        Assert.All(Run(_sweep, Landscape).Cells, cell => Assert.Equal("yes", cell.Progress));
    }

    [Fact]
    public void The_noise_of_a_length_is_that_of_its_own_seeds_where_there_are_enough()
    {
        // At ratio 2 seeds differ three times as much; ratio 4 has one arm only.
        SweepResults results = Run(_sweep, config => Landscape(config) is var outcome && config.Training.Length.Value / config.Model.Resolve(4096, 64).Count().NonEmbedding is > 30 and < 50
            ? outcome with { LossNats = outcome.LossNats + (0.002 * ((double)config.Seed - 2)) } : outcome);

        SeedNoise[] noise = [.. results.Cells.Where(cell => cell.Cell.Arm == "adamw").Select(results.NoiseAt)];
        Assert.Equal(1e-3, noise[0].Nats, 1e-9);
        Assert.Equal(3e-3, noise[1].Nats, 1e-9);
        Assert.Equal(results.Noise, noise[2]);
        Assert.Equal(Math.Sqrt(((2 + 2 + 2) * 1e-6) + ((2 + 2) * 9e-6)) / Math.Sqrt(10), results.Noise.Nats, 1e-9);
    }

    [Fact]
    public void The_noise_is_the_deviation_over_seeds_pooled()
    {
        SweepResults results = Run(_sweep, Landscape);

        // Seeds 1, 2 and 3 are 0.001 apart.
        Assert.Equal(1e-3, results.Noise.Nats, 1e-9);
        Assert.All(results.Cells, cell => Assert.Equal(1e-3, cell.Deviation, 1e-9));
        Assert.True(double.IsNaN(Run(_sweep, config => config.Seed == 1 ? Landscape(config) : null).Noise.Nats));
    }

    [Theory]
    [InlineData(3ul, 10, 2.228139)]
    [InlineData(2ul, 5, 2.570582)]
    public void What_chance_explains_follows_from_student_s_t_with_the_seeds_that_the_noise_is_known_from(ulong seeds, int freedom, double quantile)
    {
        SweepResults results = Run(_sweep, config => config.Seed <= seeds ? Landscape(config) : null);

        // The quantiles of 0.975 are those of printed tables.
        Assert.Equal(freedom, results.Noise.DegreesOfFreedom);
        Assert.Equal(quantile * results.Noise.Nats * Math.Sqrt((1.0 / 3) + (1.0 / 2)), results.Noise.Chance(3, 2), 1e-9);
        Assert.True(double.IsNaN(Run(_sweep, config => config.Seed == 1 ? Landscape(config) : null).Noise.Chance(1, 1)));
    }

    [Fact]
    public void Speedups_in_time_are_by_processor_time_where_both_arms_have_it()
    {
        // A busy machine makes AdamW's steps look three times as long.
        RunOutcome Busy(RunConfig config, bool isMeasured = true) => Landscape(config) is var outcome && config.Optimizer is Windtunnel.Training.Optimizers.MuonOptions
            ? outcome with { CpuSeconds = 0.012 }
            : outcome with { StepSeconds = 0.03, CpuSeconds = isMeasured ? 0.01 : double.NaN };

        Assert.All(InTime(Run(_sweep, config => Busy(config))), speedup => Assert.Equal(1.25, speedup, 1e-3));
        Assert.All(InTime(Run(_sweep, config => Busy(config, isMeasured: false))), speedup => Assert.Equal(3.75, speedup, 3e-3));

        static IEnumerable<double> InTime(SweepResults results) => results.Cells.Where(cell => cell.Cell.Arm == "muon").Select(cell => results.SpeedupInTime(cell)!.Value);
    }

    [Fact]
    public void A_value_good_in_every_cell_makes_a_setting_stable()
    {
        SweepResults results = Run(_sweep, Landscape);

        Assert.Equal([("optimizer.learningRate", true), ("optimizer.weightDecay", true)], results.Stable("adamw").Select(key => (key.Key, key.IsStable)));
        Assert.Equal(["0.004"], results.Stable("adamw")[0].Values);
        Assert.Empty(results.Stable("soap"));
    }

    [Fact]
    public void The_table_has_a_row_for_each_run_and_a_column_for_each_setting()
    {
        SweepResults results = Run(_sweep, config => config.Optimizer.LearningRate == 8e-3 ? Diverged : Landscape(config));
        string[][] lines = [.. results.ToCsv().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(','))];

        Assert.Equal(
            "sweep arm size nonembed_params chinchilla run status seed best loss bits_per_byte steps tokens flops wall_s step_s cpu_s optimizer.learningRate optimizer.weightDecay",
            string.Join(' ', lines[0]));
        Assert.All(lines, line => Assert.Equal(lines[0].Length, line.Length));
        Assert.Equal(results.Cells.Sum(cell => cell.Runs.Count) + 1, lines.Length);
        string[] diverged = lines.First(line => line[6] == "diverged");
        Assert.Equal(("", "0", "0.008"), (diverged[9], diverged[8], diverged[17]));
        string[] muon = lines.Last(line => line[1] == "muon");
        Assert.Equal(("1", "3", ""), (muon[8], muon[7], muon[18]));
    }

    private static RunOutcome Diverged { get; } = new("x", RunStatus.Diverged, double.PositiveInfinity, double.PositiveInfinity, 1, 256, 1, 1, 1, 20_000);

    private Sweep Load(string text)
    {
        string path = _folder.Write("sweep.yaml", text);
        return (Sweep)ConfigFile.Load<ExperimentOptions>(path).Build(path);
    }

    private static SweepResults Run(Sweep sweep, Func<RunConfig, RunOutcome?> train) => SweepResults.Of(sweep, run => train(run.Config));

    // L(R) = 0.5 R^-0.5 + 3 at the best rate, 4e-3, for seed 2.
    private static RunOutcome Landscape(RunConfig config) => Landscape(config, 1.5);

    // Muon gets there with as many times fewer tokens.
    private static RunOutcome Landscape(RunConfig config, double times, bool isBelowItsEnd = false)
    {
        bool isMuon = config.Optimizer is Windtunnel.Training.Optimizers.MuonOptions;
        double tokens = config.Training.Length.Value, ratio = tokens / 20 / config.Model.Resolve(4096, 64).Count().NonEmbedding;
        double rate = Math.Log2(config.Optimizer.LearningRate / 4e-3), decay = config.Optimizer.WeightDecay - 0.1;
        double loss = (isMuon && isBelowItsEnd ? 2.9 : 3 + (0.5 * Math.Pow(ratio * (isMuon ? times : 1), -0.5))) + (0.02 * rate * rate) + (0.01 * decay) + (0.001 * ((double)config.Seed - 2));
        long steps = (long)tokens / 256;
        return new RunOutcome(config.Fingerprint()[..8], RunStatus.Completed, loss, loss / 2, steps, steps * 256, 1e9, 60, isMuon ? 0.012 : 0.01, 20_000);
    }
}
