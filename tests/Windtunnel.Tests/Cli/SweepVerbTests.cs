using System.Diagnostics;
using Windtunnel.Experiments;
using Windtunnel.Runs.Config;
using Windtunnel.Tests.Training;
using Windtunnel.Training;

namespace Windtunnel.Tests.Cli;

/// <summary><c>windtunnel sweep</c> on a sweep of seconds.</summary>
[Collection(nameof(Tool))]
public sealed class SweepVerbTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _sweep;

    public SweepVerbTests()
    {
        _folder.Write("run.yaml", """
            threads: 1
            data: {corpus: {type: synthetic, documents: 100, vocabularySize: 50}, tokenizer: bytes, validationFraction: 0.1}
            model: {type: llama, layers: 1, width: 16, heads: 2, feedForward: 32}
            training: {sequenceLength: 32, batchSize: 4}
            validation: {every: 100%, tokens: 1000}
            logging: {tensorBoard: false}
            """);
        _sweep = _folder.Write("toy.yaml", """
            type: sweep
            name: toy
            run: run.yaml
            cells: [{ratios: [0.03]}]
            seeds: [1, 2]
            arms:
              adamw:
                start: {optimizer: {type: adamw, learningRate: 1e-2}}
                grid: {optimizer.learningRate: [1e-2, 3e-2]}
              muon:
                start: {optimizer: {type: muon, learningRate: 2e-2}}
                grid: {optimizer.learningRate: [2e-2, 4e-2]}
            """);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Runs_a_sweep_shows_what_it_found_and_does_nothing_when_there_is_nothing_left()
    {
        string first = Sweep("run", _sweep).AssertSucceeds();
        string csv = File.ReadAllText(_folder.File("experiments/toy/results.csv"));
        string second = Sweep("run", _sweep, "--workers", "2").AssertSucceeds();

        Assert.Equal(1 + (2 * 3), csv.Count(c => c == '\n'));
        Assert.Equal(6, Directory.GetDirectories(_folder.File("runs")).Length);
        Assert.All(Directory.GetFiles(_folder.File("runs"), "config.yaml", SearchOption.AllDirectories), config => Assert.Contains("\nthreads: 1\n", File.ReadAllText(config), StringComparison.Ordinal));
        Assert.Contains("6 done, 0 running, 0 waiting, 0 failed\n", first, StringComparison.Ordinal);
        Assert.Contains("muon", first, StringComparison.Ordinal);
        Assert.EndsWith("report.html\n", first, StringComparison.Ordinal);
        Assert.True(File.Exists(_folder.File("experiments/toy/report.html")));
        Assert.DoesNotContain("6 done", second, StringComparison.Ordinal);
        Assert.Equal(csv, File.ReadAllText(_folder.File("experiments/toy/results.csv")));
        Assert.Equal("toy: 6 done, 0 running, 0 waiting, 0 failed\n", Sweep("status", "toy").AssertSucceeds());
        File.Delete(_folder.File("experiments/toy/results.csv"));
        Assert.Contains("muon", Sweep("results", _sweep).AssertSucceeds(), StringComparison.Ordinal);
        Assert.Equal(csv, File.ReadAllText(_folder.File("experiments/toy/results.csv")));
    }

    [Fact]
    public void A_failed_run_is_named_and_retried()
    {
        Sweep("run", _sweep, "--budget-minutes", "0.000001").AssertSucceeds();
        ExperimentFolder folder = ExperimentFolder.Open(_folder.File("experiments"), "toy");
        RunStore store = new(new RunPlaces(_folder.File("runs"), _folder.File("data")), new RecordingListener());
        string[] ids = [.. folder.Load().Plan(_ => null).Select(store.IdOf)];
        folder.Queue.Fail(ids[^1], "it broke");

        Assert.Contains($"failed   {ids[^1]}  ", Sweep("status", "toy").AssertSucceeds(), StringComparison.Ordinal);
        Outcome failed = Sweep("run", _sweep);
        failed.AssertFails(1, $"{ids[^1]}: it broke; try again with: windtunnel sweep retry toy");
        Sweep("retry", "toy", "--run", ids[0]).AssertFails(2, "has not failed");
        Assert.Equal("1 run to be tried again\n", Sweep("retry", "toy", "--run", ids[^1]).AssertSucceeds());
        Sweep("run", _sweep).AssertSucceeds();
        Assert.Equal("0 runs to be tried again\n", Sweep("retry", _sweep).AssertSucceeds());
    }

    [Fact]
    public void A_spent_budget_is_no_failure_and_says_how_to_go_on()
    {
        string output = Sweep("run", _sweep, "--budget-minutes", "0.000001").AssertSucceeds();

        Assert.Contains("the same command goes on from here", output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_dry_run_says_what_would_be_run_and_leaves_nothing()
    {
        string output = Sweep("run", _sweep, "--dry-run", "--seeds=[1,2,3]").AssertSucceeds();

        Assert.Contains("optimizer.learningRate 0.02, 0.04", output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder.File("runs")));
        Assert.False(Directory.Exists(_folder.File("experiments")));
    }

    [Theory]
    [InlineData("{type: descent}", 3, 3)]
    [InlineData("{type: descent, runsMax: 1}", 2, 2)]
    [InlineData("{type: grid}", 3, 3)]
    [InlineData("{type: random, runs: 1}", 2, 2)]
    public void A_dry_run_counts_the_runs_that_the_search_may_take_and_those_of_other_seeds(string search, int least, int most)
    {
        string output = Sweep("run", _sweep, "--dry-run", $"--search={search}").AssertSucceeds();

        Assert.Matches($@"\nmuon 0.03x +\S+ +[\d.]+ \w+ +{least} +{most} ", output);
    }

    [Fact]
    public void The_folder_of_a_sweep_has_all_of_it_so_that_its_workers_need_no_other_file()
    {
        Sweep("run", _sweep, "--seeds=[1]", "--budget-minutes", "0.000001").AssertSucceeds();
        File.Delete(_folder.File("run.yaml"));

        ExperimentFolder folder = ExperimentFolder.Open(_folder.File("experiments"), "toy");
        Assert.Equal(32, folder.Load().Plan(_ => null)[0].Config.Training.SequenceLength);
        SweepOptions options = Assert.IsType<SweepOptions>(ConfigFile.Load<ExperimentOptions>(folder.ExperimentPath));
        Assert.Equal([1ul], options.Seeds!);
    }

    [Fact]
    public void A_sweep_is_named_and_exists()
    {
        Tool.Run("sweep", "run").AssertFails(2, "name the experiment's file");
        Tool.Run("sweep", "run", _folder.File("no.yaml")).AssertFails(2, "no such file");
        Sweep("run", _sweep, "--budget-minutes", "-1").AssertFails(2, "must be positive");
        Sweep("run", _sweep, "--workers", "0").AssertFails(2, "between 1 and 1024");
        string comparison = _folder.Write("ab.yaml", "type: comparison\nname: ab\nvariants: {a: {}, b: {}}");
        Sweep("run", comparison).AssertFails(2, $"{comparison}: is a comparison: windtunnel compare {comparison}");
        Sweep("status", "none").AssertFails(2, "no such experiment");
        Sweep("status", "../up").AssertFails(2, "neither a file nor the name of an experiment");
        Sweep("status", _folder.Write("untyped.yaml", "name: toy")).AssertFails(2, "type is missing");
    }

    [Fact]
    public void A_dry_run_for_slurm_prints_the_batch_script_and_leaves_nothing()
    {
        string output = Sweep("run", _sweep, "--engine", "slurm", "--workers", "8", "--sbatch", "partition=gpu", "--sbatch=time=4:00:00", "--dry-run").AssertSucceeds();

        Assert.StartsWith("#!/bin/bash\n#SBATCH --job-name=\"toy\"\n#SBATCH --array=\"0-7\"\n", output, StringComparison.Ordinal);
        Assert.Contains("\n#SBATCH --partition=\"gpu\"\n#SBATCH --time=\"4:00:00\"\n", output, StringComparison.Ordinal);
        Assert.Contains($" sweep worker {_folder.File("experiments/toy")} --runs {_folder.File("runs")} --data {_folder.File("data")} --threads", output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder.File("experiments")));
    }

    [Theory]
    [InlineData("needs --engine slurm", "--sbatch", "partition=gpu")]
    [InlineData("--sbatch array=0-9: ", "--engine", "slurm", "--sbatch", "array=0-9")]
    [InlineData("--budget-minutes", "--engine", "slurm", "--budget-minutes", "5")]
    [InlineData("--workers 0: must be positive", "--engine", "slurm", "--workers", "0")]
    [InlineData("--engine slrum: must be one of local, slurm", "--engine", "slrum")]
    public void Options_that_do_not_go_with_an_engine_are_refused(string problem, params string[] words)
    {
        Sweep("run", [_sweep, .. words]).AssertFails(2, problem);
        Assert.False(Directory.Exists(_folder.File("experiments")));
    }

    [Fact]
    public void Without_slurm_the_script_stays_for_where_there_is_one()
    {
        ProcessStartInfo start = new("dotnet",
        [
            Path.Combine(AppContext.BaseDirectory, "windtunnel.dll"), "sweep", "run", _sweep, "--engine", "slurm",
            "--experiments", _folder.File("experiments"), "--runs", _folder.File("runs"), "--data", _folder.File("data"),
        ])
        { RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment["PATH"] = _folder.Path;
        using Process tool = Process.Start(start)!;
        string error = tool.StandardError.ReadToEnd();
        tool.WaitForExit();

        new Outcome(tool.ExitCode, "", error).AssertFails(2, "sbatch is not on the path");
        Assert.StartsWith("#!/bin/bash\n", File.ReadAllText(_folder.File("experiments/toy/slurm.sh")), StringComparison.Ordinal);
    }

    private Outcome Sweep(string verb, params string[] words)
    {
        string[] places = verb == "retry" ? [] : ["--runs", _folder.File("runs"), "--data", _folder.File("data")];
        return Tool.Run(["sweep", verb, .. words, "--experiments", _folder.File("experiments"), .. places]);
    }
}
