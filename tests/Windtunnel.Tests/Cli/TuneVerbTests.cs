namespace Windtunnel.Tests.Cli;

/// <summary><c>windtunnel tune</c> on a sweep of seconds.</summary>
[Collection(nameof(Tool))]
public sealed class TuneVerbTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _sweep;

    public TuneVerbTests() => _sweep = _folder.Write("toy.yaml", """
        type: sweep
        name: toy
        run:
          threads: 1
          data: {corpus: {type: synthetic, documents: 100, vocabularySize: 50}, tokenizer: bytes, validationFraction: 0.1}
          model: {type: llama, layers: 1, width: 16, heads: 2, feedForward: 32}
          training: {sequenceLength: 32, batchSize: 4}
          validation: {every: 100%, tokens: 1000}
          logging: {tensorBoard: false}
        cells: [{ratios: [0.05]}]
        seeds: [1, 2]
        arms:
          adamw:
            cells: [{ratios: [0.03, 0.05, 0.1]}]
            start: {optimizer: {type: adamw, learningRate: 1e-2}}
            grid: {optimizer.learningRate: [1e-2, 3e-2]}
          muon:
            start: {optimizer: {type: muon, learningRate: 2e-2}}
            grid: {optimizer.learningRate: [2e-2, 4e-2]}
        """);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Tunes_compares_and_does_nothing_when_there_is_nothing_left()
    {
        string first = Tune().AssertSucceeds();
        string csv = File.ReadAllText(_folder.File("runs/toy.csv"));
        string second = Tune().AssertSucceeds();

        Assert.Equal(1 + (4 * 3), csv.Count(c => c == '\n'));
        Assert.Equal(csv, File.ReadAllText(_folder.File("runs/toy.csv")));
        Assert.Equal(12, Directory.GetDirectories(_folder.File("runs")).Length);
        Assert.Contains("muon 0.05x", first, StringComparison.Ordinal);
        Assert.Contains("L(R) = ", first, StringComparison.Ordinal);
        Assert.Contains("noise: a run's standard deviation", first, StringComparison.Ordinal);
        Assert.Equal(Table(first), Table(second));
    }

    [Fact]
    public void A_spent_budget_is_no_failure_and_says_how_to_go_on()
    {
        string output = Tune("--budget-minutes", "0.000001").AssertSucceeds();

        Assert.Contains("the same command goes on from here", output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_dry_run_says_what_would_be_run_and_leaves_nothing()
    {
        string output = Tune("--dry-run", "--seeds=[1,2,3]").AssertSucceeds();

        Assert.Contains("4 cells, baseline adamw", output, StringComparison.Ordinal);
        Assert.Contains("optimizer.learningRate 0.02, 0.04", output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder.File("runs")));
    }

    [Fact]
    public void A_sweep_is_named_and_exists()
    {
        Tool.Run("tune").AssertFails(2, "name a sweep file");
        Tool.Run("tune", _folder.File("no.yaml")).AssertFails(2, "no such file");
        Tool.Run("tune", _sweep, "--budget-minutes", "-1").AssertFails(2, "must be positive");
    }

    private Outcome Tune(params string[] words) => Tool.Run(["tune", _sweep, "--runs", _folder.File("runs"), "--data", _folder.File("data"), .. words]);

    private static string Table(string output) => output[output.IndexOf("searched", StringComparison.Ordinal)..];
}
