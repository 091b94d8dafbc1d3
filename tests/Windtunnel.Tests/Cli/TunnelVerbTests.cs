using System.Globalization;

namespace Windtunnel.Tests.Cli;

/// <summary><c>windtunnel tunnel</c> on a ladder of seconds, and its runs as <c>runs list</c> shows them.</summary>
[Collection(nameof(Tool))]
public sealed class TunnelVerbTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _ladder;

    public TunnelVerbTests() => _ladder = _folder.Write("toy.yaml", """
        type: ladder
        name: toy
        run:
          data: {corpus: {type: synthetic, documents: 1000, sentencesPerDocument: 2, vocabularySize: 20}, tokenizer: bytes, validationFraction: 0.1}
          model: {type: llama}
          optimizer: {type: adamw, learningRate: 1e-2}
          schedule: {type: wsd, warmup: 20%, decay: 20%}
          training: {sequenceLength: 32, batchSize: 8}
          validation: {every: 25%, tokens: null}
          logging: {tensorBoard: false}
        sizes: [2k, 4k, 8k]
        multipliers: [2, 4, 8]
        targets: [{size: 16k, multiplier: 4}]
        """);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_tunnel_prints_its_prediction_and_its_check_and_again_without_training()
    {
        string first = Tunnel().AssertSucceeds(), second = Tunnel().AssertSucceeds();

        Assert.Matches(@"predicted from 9 runs, before the targets are trained; the headline is over-training\n", first);
        Assert.Matches(@"\n16k-x4-s1 +over-training +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+ +[+-][0-9.]+% +(yes|no)\n", first);
        Assert.Matches(@"\nover-training: E = [0-9.]+ nats/token .*; the language's entropy is 0\.[0-9]+, (inside|outside)\n", first);
        Assert.Equal(first[first.IndexOf("predicted from", StringComparison.Ordinal)..].Split('\n')[..10], second[second.IndexOf("predicted from", StringComparison.Ordinal)..].Split('\n')[..10]);
        Assert.Equal(13, Directory.GetDirectories(_folder.File("runs")).Length);
        foreach (string output in (string[])[first, second])
        {
            string last = output.TrimEnd('\n').Split('\n')[^1];
            Assert.StartsWith("report: ", last, StringComparison.Ordinal);
            Assert.Equal(_folder.File("experiments/toy/report.html"), Path.GetFullPath(last["report: ".Length..]));
        }

        Assert.True(File.Exists(_folder.File("experiments/toy/report.html")));
        string csv = File.ReadAllText(_folder.File("experiments/toy/results.csv"));
        string[][] rows = [.. csv.TrimEnd('\n').Split('\n').Select(row => row.Split(','))];
        Assert.Equal(["run", "name", "kind", "status", "size", "multiplier", "seed", "parameters", "tokens", "flops", "loss", "predicted"], rows[0]);
        Assert.Equal((3, 9, 1), (rows.Count(row => row[2] == "trunk"), rows.Count(row => row[2] == "branch"), rows.Count(row => row[2] == "target")));
        Assert.All(rows.Skip(1), row => Assert.Equal(row[2] == "trunk", row[^1].Length == 0));
        File.Delete(_folder.File("experiments/toy/results.csv"));
        string results = Tool.Run("sweep", "results", "toy", "--runs", _folder.File("runs"), "--data", _folder.File("data"), "--experiments", _folder.File("experiments")).AssertSucceeds();
        Assert.Matches(@"\n16k-x4-s1 +target ", results);
        Assert.Equal(csv, File.ReadAllText(_folder.File("experiments/toy/results.csv")));

        // A command that is refused changes nothing.
        string experiment = File.ReadAllText(_folder.File("experiments/toy/experiment.yaml"));
        Tunnel("--seeds=[2]").AssertFails(2, "give the changed ladder another name");
        Assert.Equal(experiment, File.ReadAllText(_folder.File("experiments/toy/experiment.yaml")));

        string[] lines = Tool.Run("runs", "list", "--runs", _folder.File("runs")).AssertSucceeds().Split('\n', StringSplitOptions.RemoveEmptyEntries)[1..];
        Assert.Equal(13, lines.Length);
        for (int i = 0; i < lines.Length; i++)
        {
            Assert.Equal(lines[i].StartsWith('└'), lines[i].Contains('@', StringComparison.Ordinal));
            Assert.True(i > 0 || !lines[i].StartsWith('└'));
        }

        File.AppendAllText(_folder.File("experiments/toy/prediction.json"), " ");
        Tunnel().AssertFails(3, "was changed after the targets were started");
    }

    [Fact]
    public void A_dry_run_shows_every_dimension_and_its_costs_add_up()
    {
        string[] lines = [.. Tunnel("--dry-run").AssertSucceeds().Split('\n').SkipWhile(line => !line.StartsWith("run ", StringComparison.Ordinal))];
        string[][] rows = [.. lines.Skip(1).TakeWhile(line => line.Length > 0).Select(line => line.Replace(" x ", "x", StringComparison.Ordinal).Split("  ", StringSplitOptions.RemoveEmptyEntries))];

        Assert.Equal(["run", "layers", "width", "heads", "ffn", "vocab", "N", "batch", "rate", "from step", "to", "tokens", "epochs", "FLOP", "memory", "time"], lines[0].Split("  ", StringSplitOptions.RemoveEmptyEntries).Select(word => word.Trim()));
        Assert.Equal(13, rows.Length);
        Assert.Equal(Flops(lines.Single(line => line.StartsWith("ladder", StringComparison.Ordinal)).Split(": ")[1].Split(',')[0]), rows[..^1].Sum(row => Flops(row[13])), 0.01 * Flops(rows[^1][13]));
        Assert.Equal(["0", "0"], [rows[0][9].Trim(), rows[^1][9].Trim()]);
        Assert.False(Directory.Exists(_folder.File("runs")));
        Assert.False(Directory.Exists(_folder.File("experiments")));

        static double Flops(string text) => double.Parse(text.Trim().Split(' ')[0], CultureInfo.InvariantCulture) * text.Trim().Split(' ')[1] switch { "MFLOP" => 1e6, "GFLOP" => 1e9, _ => double.NaN };
    }

    [Fact]
    public void A_ladder_is_named_and_is_one()
    {
        Tool.Run("tunnel").AssertFails(2, "configs/ladders/miniature.yaml");
        Tool.Run("tunnel", _folder.File("no.yaml")).AssertFails(2, "no such file");
        Tool.Run("tunnel", Path.Combine(Tool.ConfigFolder, "..", "sweeps", "study-phase-1.yaml")).AssertFails(2, "is a sweep: windtunnel sweep run ");
        Tunnel("--sizes=[]").AssertFails(2, "sizes names none");
        Tunnel("--dry-run", "--workers", "0").AssertFails(2, "--workers 0");
        Tunnel("--budget-minutes", "0").AssertFails(2, "--budget-minutes 0: must be positive");
        Tunnel("--budget-minutes", "100000").AssertFails(2, "--budget-minutes 100000: must be positive, and at most 70,000");
    }

    [Fact]
    public void A_spent_budget_is_no_failure_and_says_how_to_go_on()
    {
        string output = Tunnel("--budget-minutes", "0.000001").AssertSucceeds();

        Assert.Contains("the same command goes on from here", output, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder.File("experiments/toy/prediction.json")));
    }

    private Outcome Tunnel(params string[] words) => Tool.Run(
        ["tunnel", _ladder, "--runs", _folder.File("runs"), "--data", _folder.File("data"), "--experiments", _folder.File("experiments"), .. words]);
}
