using System.ComponentModel.DataAnnotations;
using System.Runtime.CompilerServices;
using Windtunnel.Experiments;
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
        optimizers:
          muon:
            start: {optimizer: {type: muon, learningRate: 2e-2}}
            grid: {optimizer.learningRate: [1e-2, 2e-2]}
          adamw:
            cells: [{size: 20k, ratios: [2, 1]}, {size: 50k}]
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
        RunConfig config = cell.Config(cell.Start.With(0, 0).With(1, 0).With(2, 1), seed: 6);

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
            optimizers: {lion: {start: {optimizer: lion}}}
            """);

        RunConfig config = sweep.Cells[0].Config(sweep.Cells[0].Start);
        Assert.Equal((32, 2), (config.Training.SequenceLength, config.Training.BatchSize));
        Assert.Equal(new LionOptions(), config.Optimizer);
        Assert.Equal("lion", sweep.Baseline);
    }

    [Theory]
    [InlineData("optimizers: {}", "what is to be tuned?")]
    [InlineData("optimisers: {a: {}}", "did you mean optimizers?")]
    [InlineData("optimizers: {a: {}}\nbaseline: b", "'b' is none of a")]
    [InlineData("optimizers: {a: {}}\nseeds: [1, 1]", "seeds must be different ones")]
    [InlineData("optimizers: {a: {}}\ntolerance: -1", "tolerance -1 must be at least 0")]
    [InlineData("optimizers: {a: {}}\nname: ../up", "name '../up'")]
    [InlineData("optimizers: {a: {}}\nrun: [1]", "run must be settings of a run")]
    [InlineData("optimizers: {a: {}}\nrun: no.yaml", "no such file")]
    [InlineData("optimizers: {a: {}}\ncells: [{ratios: [0]}]", "ratio 0 must be positive")]
    [InlineData("optimizers: {a: {}}\ncells: [{size: big}]", "'big' is neither")]
    [InlineData("optimizers: {a: {start: {optimizer: adamx}}}", "optimizers.a")]
    [InlineData("optimizers: {a: {grid: {optimizer.beta9: [1]}}}", "optimizer.beta9 is not a setting")]
    [InlineData("optimizers: {a: {grid: {optimizer.beta2: [0.5, 0.6]}}}", "grid.optimizer.beta2: none of 0.5, 0.6 is the start's")]
    [InlineData("optimizers: {a: {grid: {optimizer.beta2: [0.95, 1]}}}", "optimizer.beta2: 1 must be")]
    [InlineData("optimizers: {a: {grid: {optimizer.beta2: [0.95, 0.95]}}}", "each of them once")]
    public void What_makes_no_sense_is_one_clear_line(string text, string problem)
    {
        ValidationException error = Assert.Throws<ValidationException>(() => Load(text));

        Assert.Contains(problem, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Theory]
    [MemberData(nameof(Shipped))]
    public void Every_shipped_sweep_loads(string name)
    {
        Sweep sweep = Sweep.Load(Path.Combine(Configs, name));

        Assert.Equal(Path.GetFileNameWithoutExtension(name), sweep.Name);
        Assert.All(sweep.Cells, cell => Assert.True(cell.Grid.Count > 1));
    }

    [Fact]
    public void The_study_s_grids_are_those_of_its_eleven_optimizers_in_its_six_cells()
    {
        Sweep sweep = Sweep.Load(Path.Combine(Configs, "study-phase-1.yaml"));

        Assert.Equal(
            ["adam-mini", "adamw", "cautious", "kron", "lion", "mars", "muon", "nadamw", "scion", "soap", "sophia"],
            sweep.Cells.Select(cell => cell.Optimizer).Distinct().Order(StringComparer.Ordinal));
        Assert.Equal(11 * 6, sweep.Cells.Count);
        Cell adamW = sweep.Cells[0];
        Assert.Equal(4 * 3 * 3 * 3 * 4 * 3 * 4 * 4, adamW.Grid.Count);
        Assert.Equal(2_684_354_560, adamW.Tokens, 1_000_000.0);
        Assert.Equal(5120, adamW.Resolve(adamW.Start).TotalSteps, 2.0);
    }

    [Fact]
    public void The_small_study_tunes_every_registered_optimizer()
    {
        Sweep sweep = Sweep.Load(Path.Combine(Configs, "dotnet-docs-optimizers.yaml"));

        Assert.Equal(
            Windtunnel.Cli.Verbs.OptimizersVerb.Registered.Keys.Order(StringComparer.Ordinal),
            sweep.Cells.Select(cell => cell.Optimizer).Distinct().Order(StringComparer.Ordinal));
        Assert.Equal([1, 2, 4], sweep.Cells.Take(3).Select(cell => cell.Ratio));
        Assert.All(sweep.Cells, cell => Assert.InRange(cell.Resolve(cell.Start).Model.Count().NonEmbedding, 140_000, 160_000));
    }

    public static TheoryData<string> Shipped() => [.. Directory.GetFiles(Configs, "*.yaml").Select(path => Path.GetFileName(path)!)];

    private static string Configs => Path.Combine(Path.GetDirectoryName(ThisFile())!, "..", "..", "..", "configs", "sweeps");

    private static string ThisFile([CallerFilePath] string path = "") => path;

    private Sweep Load(string text) => Sweep.Load(_folder.Write("sweep.yaml", $"type: sweep\n{text}"));
}
