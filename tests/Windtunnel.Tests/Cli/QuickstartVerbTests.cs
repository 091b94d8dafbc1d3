namespace Windtunnel.Tests.Cli;

[Collection(nameof(Tool))]
public sealed class QuickstartVerbTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_quickstart_trains_charts_compares_samples_and_says_what_to_try_next()
    {
        string output = Tool.Run("quickstart", "--minutes", "0.02", "--runs", _folder.File("runs"), "--data", _folder.File("data")).AssertSucceeds();

        foreach (string part in new[] { "LLaMA, 5 layers", " steps, ", "completed at step", "loss, nats a token", "this model", "brotli -11", "gzip -9", "▸" })
        {
            Assert.Contains(part, output);
        }

        // What it suggests works as printed: these are the commands a newcomer tries.
        string[] suggestions = [.. output.Split('\n').Select(line => line.Trim()).Where(line => line.StartsWith("windtunnel sample", StringComparison.Ordinal) || line.StartsWith("windtunnel runs", StringComparison.Ordinal))];
        Assert.Equal(2, suggestions.Length);
        Assert.All(suggestions, line => Tool.Run([.. line.Replace("\"Returns the\"", "Returns", StringComparison.Ordinal).Split(' ')[1..]]).AssertSucceeds());
    }

    [Theory]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("NaN")]
    public void An_impossible_time_is_refused(string minutes) => Tool.Run("quickstart", "--minutes", minutes).AssertFails(2, "--minutes");

    [Fact]
    public void Impossible_threads_are_refused() =>
        Tool.Run("quickstart", "--threads", "-1", "--runs", _folder.File("runs"), "--data", _folder.File("data")).AssertFails(2, "threads: -1");
}
