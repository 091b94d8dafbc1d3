using System.ComponentModel.DataAnnotations;
using System.Runtime.CompilerServices;
using Windtunnel.Experiments;
using Windtunnel.Experiments.Tuning;
using Windtunnel.Runs.Config;
using Windtunnel.Training;
using Windtunnel.Training.Optimizers;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Tests.Experiments;

/// <summary>Sweep files: what they mean, and what is refused.</summary>
public sealed class SweepTests : IDisposable
{
    private const string Two = """
        run: {model: {type: llama}, training: {sequenceLength: 64, batchSize: 4}}
        cells: [{size: 20k, ratios: [1, 0.5]}]
        arms:
          muon:
            start: {optimizer: {type: muon, learningRate: 2e-2}}
            grid: {optimizer.learningRate: [1e-2, 2e-2]}
          adamw:
            cells: [{size: 20k, ratios: [2, 1]}, {size: 50k, ratios: [1]}]
            start: {optimizer: {type: adamw, preset: study}, schedule: {type: cosine, warmup: 20}}
            grid:
              optimizer.learningRate: [4e-3, 8e-3]
              schedule.warmup: [10, 20, 1200]
              training.batchSize: [4, 8]
        baseline: adamw
        seeds: [5, 6]
        """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Cells_are_sizes_times_ratios_the_baseline_s_first_and_then_the_shortest()
    {
        Sweep sweep = Load(Two);

        Assert.Equal(["adamw 20k 1x", "adamw 20k 2x", "adamw 50k 1x", "muon 20k 0.5x", "muon 20k 1x"], sweep.Cells.Select(cell => cell.ToString()));
        Assert.Equal([5, 6], sweep.Seeds);
    }

    [Fact]
    public void A_point_is_a_run_of_twenty_tokens_a_parameter_times_the_ratio()
    {
        Cell cell = Load(Two).Cells[1];
        RunConfig config = cell.Run(cell.Start.With(0, 0).With(1, 0).With(2, 1), seed: 6).Config;

        long parameters = cell.Resolve(cell.Start).Model.Count().NonEmbedding;
        Assert.Equal(2 * 20 * parameters, config.Training.Length.Value);
        Assert.InRange(cell.Tokens, (40 * parameters) - 256, (40 * parameters) + 256);
        Assert.Equal((6ul, 8, 64), (config.Seed, config.Training.BatchSize, config.Training.SequenceLength));
        Assert.Equal(new CosineOptions(Duration.OfSteps(10)), config.Schedule);
        Assert.Equal(AdamWOptions.Study with { LearningRate = 4e-3 }, config.Optimizer);
    }

    [Fact]
    public void A_warmup_longer_than_the_run_is_no_neighbour()
    {
        Sweep sweep = Load(Two);
        Cell shortest = sweep.Cells[0], longer = sweep.Cells[2];

        Assert.False(shortest.Grid.Contains(shortest.Start.With(1, 2).With(2, 1)));
        Assert.True(longer.Grid.Contains(longer.Start.With(1, 2)));
        Assert.All(shortest.Grid.Neighbours(shortest.Start), point => shortest.Resolve(point));
    }

    [Fact]
    public void The_run_may_be_a_file_beside_the_sweep_with_overrides_laid_over_it()
    {
        _folder.Write("base.yaml", "model: {type: llama, size: 20k}\ntraining: {sequenceLength: 32}");
        Sweep sweep = Load("""
            run: base.yaml
            overrides: [training.batchSize=2]
            arms: {lion: {start: {optimizer: lion}}}
            """);

        RunConfig config = sweep.Cells[0].Run(sweep.Cells[0].Start).Config;
        Assert.Equal((32, 2), (config.Training.SequenceLength, config.Training.BatchSize));
        Assert.Equal(new LionOptions(), config.Optimizer);
        Assert.Equal("lion", sweep.Baseline);
    }

    [Theory]
    [InlineData("arms: {}", "what is to be searched?")]
    [InlineData("arm: {a: {}}", "did you mean arms?")]
    [InlineData("arms: {a: {}}\nbaseline: b", "'b' is none of a")]
    [InlineData("arms: {a: {}}\nseeds: [1, 1]", "seeds must be different ones")]
    [InlineData("arms: {a: {}}\nsearch: {type: descent, tolerance: -1}", "search.tolerance: -1 must be at least 0")]
    [InlineData("arms: {a: {}}\nsearch: {type: descent, runsMax: 0}", "search.runsMax: 0 must be at least 1")]
    [InlineData("arms: {a: {}}\nsearch: {type: random, runs: 0}", "search.runs: 0 must lie between 1 and 10,000")]
    [InlineData("arms: {a: {}}\nsearch: annealing", "choose one of descent, grid, random")]
    [InlineData("seeds: [1]", "which settings are to be searched?")]
    [InlineData("grid: {optimizer.beta2: 0.5}", "grid.optimizer.beta2: must be a list of values")]
    [InlineData("grid: {optimizer.beta2: {from: 0.9, to: 0.99}}", "a range is for search: random")]
    [InlineData("search: random\ngrid: {optimizer.learningRate: {from: 0, to: 1, scale: log}}", "above 0 on a log scale")]
    [InlineData("search: random\ngrid: {optimizer.learningRate: {from: 2, to: 1}}", "from a smaller number to a larger one")]
    [InlineData("search: random\ngrid: {optimizer.learningRate: {form: 2}}", "did you mean from?")]
    [InlineData("search: grid\ngrid: {optimizer.beta2: [0.5, 1]}", "optimizer.beta2: 1 must be")]
    [InlineData("search: grid\ngrid: {optimizer.eps: [1]}", "optimizer.eps is not a setting")]
    [InlineData("search: grid\ngrid: {data.tokenizer.vocabularySize: [512, 1024]}", "grid.data.tokenizer.vocabularySize 512: data.tokenizer is not that of the run")]
    [InlineData("search: grid\ngrid: {data.validationFraction: [0.02, 0.1]}", "grid.data.validationFraction 0.1: data.validationFraction is not that of the run")]
    [InlineData("arms: {a: {}, b: {start: {data.tokenizer: bytes}}}", "arms.b: data.tokenizer is not that of a")]
    [InlineData("arms: {a: {}}\nrun: {data: {validationFraction: 0}}", "arms.a: data.validationFraction must be above 0")]
    [InlineData("search: grid\nrun: {data: {validationFraction: 0}}\ngrid: {optimizer.beta2: [0.5, 0.6]}", "data.validationFraction must be above 0")]
    [InlineData("arms: {a: {}}\nname: ../up", "name '../up'")]
    [InlineData("arms: {a: {}}\nrun: [1]", "run must be settings of a run")]
    [InlineData("arms: {a: {}}\nrun: no.yaml", "no such file")]
    [InlineData("arms: {a: {}}\ncells: [{ratios: [0]}]", "ratio 0 must be positive")]
    [InlineData("arms: {a: {}}\ncells: [{size: big}]", "'big' is neither")]
    [InlineData("arms: {a: {start: {optimizer: adamx}}}", "arms.a")]
    [InlineData("arms: {a: {grid: {optimizer.beta9: [1]}}}", "optimizer.beta9 is not a setting")]
    [InlineData("arms: {a: {grid: {optimizer.beta2: [0.5, 0.6]}}}", "grid.optimizer.beta2: none of 0.5, 0.6 is the start's")]
    [InlineData("arms: {a: {grid: {optimizer.beta2: [0.95, 1]}}}", "optimizer.beta2: 1 must be")]
    [InlineData("arms: {a: {grid: {optimizer.beta2: [0.95, 0.95]}}}", "each of them once")]
    public void What_makes_no_sense_is_one_clear_line(string text, string problem)
    {
        ValidationException error = Assert.Throws<ValidationException>(() => Load(text));

        Assert.Contains(problem, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_shipped_sweep_loads(string name)
    {
        Sweep sweep = Shipped(name);

        Assert.Equal(Path.GetFileNameWithoutExtension(name), sweep.Name);
        Assert.All(sweep.Cells, cell => Assert.True(cell.Grid.Count > 1));
    }

    [Fact]
    public void The_study_s_grids_are_those_of_its_eleven_optimizers_in_its_six_cells()
    {
        Sweep sweep = Shipped("study-phase-1.yaml");

        Assert.Equal(
            ["adam-mini", "adamw", "cautious", "kron", "lion", "mars", "muon", "nadamw", "scion", "soap", "sophia"],
            sweep.Cells.Select(cell => cell.Arm).Distinct().Order(StringComparer.Ordinal));
        Assert.Equal(11 * 6, sweep.Cells.Count);
        Cell adamW = sweep.Cells[0];
        Assert.Equal(4 * 3 * 3 * 3 * 4 * 3 * 4 * 4, adamW.Grid.Count);
        Assert.Equal(2_684_354_560, adamW.Tokens, 1_000_000.0);
        RunConfig start = adamW.Resolve(adamW.Start);
        Assert.Equal(5120, start.TotalSteps, 2.0);

        // Its embeddings are not tied.
        Assert.Equal(265.6e6, (start.Model with { Vocabulary = 128_256 }).Count().Total, 0.2e6);
    }

    [Fact]
    public void The_study_s_second_phase_tunes_what_is_not_stable_at_larger_sizes()
    {
        Sweep sweep = Shipped("study-phase-2.yaml");

        Assert.Equal(10 * 6, sweep.Cells.Count);
        Assert.Equal(
            [("optimizer.learningRate", "0.004 0.008"), ("training.batchSize", "128 256")],
            sweep.Cells.First(cell => cell.Arm == "muon").Grid.Axes.Select(axis => (axis.Key, string.Join(' ', axis.Values))));
        Assert.All(sweep.Cells, cell => Assert.False(cell.Resolve(cell.Start).Model.Tied));
        Assert.Equal([2, 4, 8], sweep.Cells.Select(cell => cell.Ratio).Distinct().Order());
    }

    [Fact]
    public void The_small_studies_tune_every_registered_optimizer_against_the_same_adamw()
    {
        Sweep study = Shipped("dotnet-docs-optimizers.yaml"), beside = Shipped("dotnet-docs-optimizers-beside.yaml");

        Assert.Equal(
            Windtunnel.Cli.Verbs.OptimizersVerb.Registered.Keys.Order(StringComparer.Ordinal),
            study.Cells.Concat(beside.Cells).Select(cell => cell.Arm).Distinct().Order(StringComparer.Ordinal));
        Assert.Equal(11, study.Cells.Select(cell => cell.Arm).Distinct().Count());
        Assert.Equal([1, 2, 4], study.Cells.Take(3).Select(cell => cell.Ratio));
        Assert.Equal(Runs(study), Runs(beside));
        Assert.All(study.Cells.Concat(beside.Cells), cell => Assert.InRange(cell.Resolve(cell.Start).Model.Count().NonEmbedding, 140_000, 160_000));

        static string[] Runs(Sweep sweep) =>
            [.. sweep.Cells.Where(cell => cell.Arm == "adamw").SelectMany(cell => cell.Grid.Points().Select(point => cell.Run(point).Config.Resolve(512).Fingerprint()))];
    }

    // A change here trains every finished run of the study again: runs are found by these.
    [Theory]
    [InlineData(0, 0.005, 0.1, 1, "0b8c929b9e6e5470d040b2abf28a7ca0dffcd44c750d9baebd9a8dc06de1bf57")]
    [InlineData(1, 0.01, 0.1, 1, "57813d37ef0c07ba32cfdc0a2a6e72d61542333d2b2299525d5e973d91f3224f")]
    [InlineData(0, 0.005, 0.1, 2, "7e9b0270c749613f17c510eda07dc893f8d71e9238da6233e01e7e124f0e8168")]
    public void The_runs_of_the_small_study_stay_what_they_are(int cell, double rate, double decay, ulong seed, string fingerprint)
    {
        Cell adamW = Shipped("dotnet-docs-optimizers.yaml").Cells[cell];
        GridPoint point = adamW.Grid.Points().Single(point => adamW.Run(point).Config.Optimizer is { } optimizer && (optimizer.LearningRate, optimizer.WeightDecay) == (rate, decay));

        Assert.Equal(fingerprint, adamW.Run(point, seed).Config.Resolve(512).Fingerprint());
    }

    [Fact]
    public void A_sweep_without_arms_searches_the_run_itself_and_gives_every_batch_as_many_tokens()
    {
        Sweep sweep = Load("""
            run: {model: {type: llama, size: 20k}, training: {length: 100, sequenceLength: 32, batchSize: 8}}
            search: grid
            grid: {training.batchSize: [4, 8, 16], optimizer.learningRate: [1e-3, 2e-3]}
            """);

        Cell cell = Assert.Single(sweep.Cells);
        RunConfig[] runs = [.. sweep.Plan(_ => null).Select(run => run.Config)];
        Assert.Equal([(4, 1e-3), (4, 2e-3), (8, 1e-3), (8, 2e-3), (16, 1e-3), (16, 2e-3)], runs.Select(run => (run.Training.BatchSize, run.Optimizer.LearningRate)));
        Assert.All(runs, run => Assert.Equal(25_600, run.TotalSteps * run.Training.TokensAStep));
        Assert.Equal([200, 200, 100, 100, 50, 50], runs.Select(run => run.TotalSteps));
        Assert.Equal(25_600 / 20.0 / cell.Resolve(cell.Start).Model.Count().NonEmbedding, cell.Ratio, 1e-9);
        Assert.Equal($"{cell.Ratio:0.###}x", cell.ToString());
    }

    [Fact]
    public void The_arms_share_the_sweep_s_grid_unless_they_have_their_own()
    {
        Sweep sweep = Load("""
            search: grid
            grid: {optimizer.learningRate: [1e-3, 2e-3, 4e-3]}
            arms:
              adamw: {start: {optimizer: adamw}}
              lion: {start: {optimizer: lion}, grid: {optimizer.learningRate: [1e-4, 2e-4]}}
            """);

        Assert.Equal([("adamw", 3L), ("lion", 2L)], sweep.Cells.Select(cell => (cell.Arm, cell.Grid.Count)));
    }

    public static TheoryData<string> Names() => [.. Directory.GetFiles(Configs, "*.yaml").Select(path => Path.GetFileName(path)!)];

    private static Sweep Shipped(string name) => At(Path.Combine(Configs, name));

    private static Sweep At(string path) => (Sweep)ConfigFile.Load<ExperimentOptions>(path).Build(path);

    private static string Configs => Path.Combine(Path.GetDirectoryName(ThisFile())!, "..", "..", "..", "configs", "sweeps");

    private static string ThisFile([CallerFilePath] string path = "") => path;

    private Sweep Load(string text) => At(_folder.Write("sweep.yaml", $"type: sweep\n{text}"));
}
