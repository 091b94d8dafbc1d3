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
        Assert.All(rows, row => Assert.Equal(11, row.Split(',').Length));

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
        Compare(_folder.Write("sweep.yaml", "type: sweep\ngrid: {optimizer.learningRate: [3e-3]}")).AssertFails(2, "is no comparison");
        Compare("a", "--against", "b").AssertFails(2, "no such run");
    }

    private Outcome Compare(params string[] words) =>
        Tool.Run(["compare", .. words, "--runs", _folder.File("runs"), "--data", _folder.File("data"), "--experiments", _folder.File("experiments")]);
}
