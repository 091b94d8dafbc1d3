using Windtunnel.Cli.Verbs;
using Windtunnel.Experiments;
using Windtunnel.Experiments.Ladders;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;

namespace Windtunnel.Tests.Cli;

[Collection(nameof(Tool))]
public sealed class QuickstartVerbTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_quickstart_trains_a_ladder_predicts_checks_samples_and_says_what_to_try_next()
    {
        string[] words =
        [
            "quickstart", "--run.schedule.warmup=2",
            "--sizes=[{layers: 1, width: 8, heads: 1, tokens: [2e4, 4e4, 6e4]}, {layers: 1, width: 16, heads: 1, tokens: [2e4, 4e4, 6e4]}]", "--headline=over-training", "--hold=null",
            "--targets=[{size: {layers: 1, width: 32, heads: 2}, tokens: 8e4}]", "--run.training.batchSize=4",
            "--runs", _folder.File("runs"), "--data", _folder.File("data"), "--experiments", _folder.File("experiments"),
        ];
        string output = Tool.Run(words).AssertSucceeds();

        foreach (string part in new[] { "ladder     2 sizes", "target     ", "before the targets are trained", "wrote what follows", "brotli -11", "gzip -9", "▸", "report: " })
        {
            Assert.Contains(part, output);
        }

        Assert.True(output.IndexOf("predicted from", StringComparison.Ordinal) < output.IndexOf("actual", StringComparison.Ordinal));
        Assert.True(File.Exists(_folder.File("experiments/miniature/report.html")));

        // What it suggests works as printed: these are the commands a newcomer tries.
        string[] suggestions = [.. output.Split('\n').Select(line => line.Trim()).Where(line => line.StartsWith("windtunnel sample", StringComparison.Ordinal) || line.StartsWith("windtunnel runs", StringComparison.Ordinal))];
        Assert.Equal(2, suggestions.Length);
        Assert.All(suggestions, line => Tool.Run([.. line.Replace("\"Returns the\"", "Returns", StringComparison.Ordinal).Split(' ')[1..]]).AssertSucceeds());

        // A target that diverged has no loss and perhaps no weights: what came is told all the same.
        string target = TunnelCheck.Load(_folder.File("experiments/miniature/check.json")).Targets[0].Id, record = _folder.File($"runs/{target}/run.json");
        (RunRecord.Load(record) with { Status = RunStatus.Diverged, Summary = null }).Save(record);
        Directory.Delete(_folder.File($"runs/{target}/checkpoints"), recursive: true);
        string diverged = Tool.Run(words).AssertSucceeds();
        Assert.Contains(" diverged ", diverged);
        Assert.DoesNotContain("wrote what follows", diverged);
        Assert.StartsWith("report: ", diverged.TrimEnd('\n').Split('\n')[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void The_ladder_that_ships_is_as_large_as_is_said()
    {
        Ladder ladder = (Ladder)ConfigFile.Load<ExperimentOptions>(QuickstartVerb.LadderPath).Build(QuickstartVerb.LadderPath);
        ILookup<string, LadderRun> sizes = ladder.Points.ToLookup(run => run.Size);
        Assert.True(sizes.Count >= 4);
        Assert.All(sizes, size => Assert.True(size.Count() >= 3 && size.All(run => run.Kind == LadderRunKind.Branch)));
        Assert.InRange(ladder.Points.Min(run => run.Counts.NonEmbedding), 15_000, 25_000);
        Assert.InRange(ladder.Points.Max(run => run.Counts.NonEmbedding), 140_000, 160_000);
        Assert.True(ladder.Targets[0].Flops >= 8 * ladder.Points.Max(run => run.Flops));
        Assert.True(ladder.Targets[1].Multiplier >= 1.9 * ladder.Points.Max(run => run.Multiplier));
        Assert.Equal("chinchilla", ladder.Headline);
    }

    [Fact]
    public void A_file_belongs_to_tunnel() => Tool.Run("quickstart", "ladder.yaml").AssertFails(2, "windtunnel tunnel ladder.yaml");
}
