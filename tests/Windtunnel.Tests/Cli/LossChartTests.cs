using Windtunnel.Cli;
using Windtunnel.Runs;

namespace Windtunnel.Tests.Cli;

public sealed class LossChartTests
{
    [Theory]
    [InlineData(80)]
    [InlineData(100)]
    [InlineData(40)]
    public void No_line_is_wider_than_the_terminal(int width) =>
        Assert.All(LossChart.Draw(Rows(500), width).Split('\n'), line => Assert.True(line.TrimEnd().Length <= width, line));

    [Fact]
    public void The_curve_falls_from_left_to_right_and_the_rate_falls_at_the_end()
    {
        string[] lines = LossChart.Draw(Rows(500)).Split('\n');
        string[] plot = [.. lines.Where(line => line.Contains('│') || line.Contains('┤'))];
        Assert.Equal(12, plot.Length);
        Assert.True(Dots(plot[0]).Max() < 40, plot[0]);
        Assert.True(Dots(plot[^1]).Min() > 40, plot[^1]);
        Assert.Contains("50.0k", lines[^3]);
        Assert.Contains("█▇", lines[^2]);
        Assert.EndsWith("▁", lines[^2].TrimEnd());

        static IEnumerable<int> Dots(string line) => line.Index().Where(cell => cell.Item is > '\u2800' and <= '\u28FF').Select(cell => cell.Index);
    }

    [Fact]
    public void Held_out_losses_are_circles_at_their_tokens()
    {
        MetricsRow validation = new(new Progress(250, 25_000, 0, 0, 0), new Dictionary<string, double> { ["val/text/loss"] = 4.0 });
        string line = Assert.Single(LossChart.Draw([.. Rows(500), validation]).Split('\n').Skip(1), line => line.Contains('●'));
        Assert.InRange(line.IndexOf('●'), 40, 46);
    }

    [Fact]
    public void Losses_that_are_not_numbers_and_logs_without_losses_draw_nothing()
    {
        Assert.Equal("", LossChart.Draw([]));
        Assert.Equal("", LossChart.Draw(Rows(1)));
        Assert.Equal("", LossChart.Draw(Rows(50).Select(row => row with { Values = new Dictionary<string, double> { ["train/loss"] = double.NaN } })));
    }

    [Fact]
    public void A_loss_that_never_changes_can_be_drawn() =>
        Assert.Contains("2.0", LossChart.Draw(Rows(50).Select(row => row with { Values = new Dictionary<string, double> { ["train/loss"] = 2 } })));

    private static IEnumerable<MetricsRow> Rows(int steps) => Enumerable.Range(1, steps).Select(step => new MetricsRow(
        new Progress(step, step * 100, 0, 0, 0),
        new Dictionary<string, double> { ["train/loss"] = 3 + (5 / Math.Sqrt(step)), ["train/lr"] = Math.Min(1, (steps - step) / (0.25 * steps)) }));
}
