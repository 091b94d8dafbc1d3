using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Training;

namespace Windtunnel.Tests.Cli;

/// <summary><c>windtunnel compare</c> on runs of a second.</summary>
[Collection(nameof(Tool))]
public sealed class CompareVerbTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _file;

    public CompareVerbTests() => _file = _folder.Write("toy.yaml", """
        type: comparison
        name: toy
        run:
          threads: 1
          data: {corpus: {type: synthetic, documents: 100, vocabularySize: 50}, tokenizer: bytes, validationFraction: 0.1}
          model: {type: llama, layers: 1, width: 16, heads: 2, feedForward: 32}
          training: {length: 20, sequenceLength: 32, batchSize: 4}
          validation: {every: 100%, tokens: 1000}
          logging: {tensorBoard: false}
        variants:
          slow: {optimizer: {type: adamw, learningRate: 1e-5}}
          fast: {optimizer: {type: adamw, learningRate: 2e-2}}
          same: {optimizer: {type: adamw, learningRate: 2e-2}, schedule: {type: wsd, decay: 25%}}
        baseline: fast
        seeds: [1, 2, 3]
        """);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Trains_every_variant_with_every_seed_once_and_says_which_is_worse()
    {
        string first = Compare(_file).AssertSucceeds(), second = Compare(_file).AssertSucceeds();

        Assert.Matches(@"\nfast +3 +0 .* baseline", first);
        Assert.Matches(@"\nslow +3 +0 .* \+[0-9.]+ .* paired t +worse", first);
        Assert.Contains("noise: two runs that differ in nothing but the seed differ by ", first, StringComparison.Ordinal);
        Assert.Equal(first[first.IndexOf("variant ", StringComparison.Ordinal)..], second[second.IndexOf("variant ", StringComparison.Ordinal)..]);
        Assert.Equal(9, Directory.GetDirectories(_folder.File("runs")).Length);
        Assert.EndsWith("report.html\n", first, StringComparison.Ordinal);
        Assert.True(File.Exists(_folder.File("experiments/toy/report.html")));
        string[] rows = File.ReadAllLines(_folder.File("experiments/toy/results.csv"));
        Assert.Equal(10, rows.Length);
        Assert.All(rows, row => Assert.Equal(12, row.Split(',').Length));

        File.Delete(_folder.File("experiments/toy/results.csv"));
        string shown = Tool.Run("sweep", "results", "toy", "--runs", _folder.File("runs"), "--data", _folder.File("data"), "--experiments", _folder.File("experiments")).AssertSucceeds();
        Assert.Matches(@"\nfast +3 +0 .* baseline", shown);
        Assert.Equal(rows, File.ReadAllLines(_folder.File("experiments/toy/results.csv")));

        // The same runs by their names.
        ILookup<string, string> ids = rows.Skip(1).Select(row => row.Split(',')).ToLookup(row => row[0], row => row[1]);
        string finished = Compare([.. ids["slow"], "--against", .. ids["fast"]]).AssertSucceeds();
        Assert.Matches(@"\nruns +3 +0 .* worse", finished);
    }

    [Fact]
    public void A_dry_run_says_what_would_be_run_and_leaves_nothing()
    {
        string output = Compare(_file, "--dry-run", "--seeds=[1,2]").AssertSucceeds();

        Assert.Contains("against fast, seeds 1, 2; ", output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder.File("runs")));
        Assert.False(Directory.Exists(_folder.File("experiments")));
    }

    [Fact]
    public void A_comparison_is_named_and_exists()
    {
        Compare().AssertFails(2, "name the experiment's file");
        Compare(_folder.File("no.yaml")).AssertFails(2, "no such file");
        Compare(_folder.Write("sweep.yaml", "type: sweep\ngrid: {optimizer.learningRate: [3e-3]}")).AssertFails(2, "is a sweep: windtunnel sweep run ");
        Compare("a", "--against", "b").AssertFails(2, "no such run");
    }

    [Theory]
    [InlineData("b: is named twice, and counts once", "a", "a", "--against", "b", "b")]
    [InlineData("a: is named twice, and counts once", "a", "--against", "a", "b")]
    [InlineData("a: has all settings of copy, the seed included", "c", "d", "--against", "b", "copy", "a")]
    [InlineData("copy: has all settings of a, the seed included", "copy", "--against", "a", "b")]
    [InlineData("long: training.length is not that of a; runs on one side differ in nothing but the seed", "c", "d", "--against", "a", "long")]
    [InlineData("d: optimizer.learningRate is not that of b; runs on one side", "c", "--against", "b", "d")]
    [InlineData("warm: what it starts from is not that of a; runs on one side", "c", "--against", "a", "warm")]
    [InlineData("halved: data.validationFraction is not that of a", "halved", "d", "--against", "a", "b")]
    [InlineData("pieces: data.tokenizer is not that of a", "c", "pieces", "--against", "a", "b")]
    public void Finished_runs_that_say_nothing_of_each_other_are_refused(string problem, params string[] words)
    {
        Finish("a", []);
        Finish("b", ["seed=2"]);
        Finish("c", ["optimizer.learningRate=1e-2"]);
        Finish("d", ["optimizer.learningRate=1e-2", "seed=2"]);
        Finish("copy", ["name=copy", "threads=2"]);
        Finish("warm", [], new RunInit("weights.safetensors", new string('0', 64)));
        Finish("long", ["training.length=40", "seed=3"]);
        Finish("halved", ["data.validationFraction=0.5", "optimizer.learningRate=1e-2"]);
        Finish("pieces", ["data.tokenizer=bpe", "optimizer.learningRate=1e-2", "seed=2"]);

        Compare("c", "d", "--against", "a", "b").AssertSucceeds();
        Compare("long", "--against", "a", "b").AssertSucceeds();
        Compare("warm", "--against", "a", "b").AssertSucceeds();
        Compare(words).AssertFails(2, problem);
    }

    // What a run of twenty steps leaves behind.
    private void Finish(string id, string[] overrides, RunInit? init = null)
    {
        RunFolder folder = RunFolder.Create(_folder.File("runs"), id, id);
        string[] settings = ["training.length=20", "training.sequenceLength=32", "training.batchSize=1", "data.tokenizer=bytes", .. overrides];
        RunConfig config = ConfigFile.Bind<RunConfig>(ConfigFile.Apply<RunConfig>([], "test", settings), "test");
        folder.WriteConfig(config, null, []);
        RunRecord record = RunRecord.Start(folder, id, config.Seed);
        (record with { Status = RunStatus.Completed, Init = init, Summary = new Dictionary<string, double> { ["val/x/loss"] = 3 + (0.01 * config.Seed) } }).Save(folder.RecordPath);
        File.WriteAllText(folder.MetricsPath, "");
    }

    private Outcome Compare(params string[] words) =>
        Tool.Run(["compare", .. words, "--runs", _folder.File("runs"), "--data", _folder.File("data"), "--experiments", _folder.File("experiments")]);
}
