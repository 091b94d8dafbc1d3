using System.Globalization;
using System.Text;
using Windtunnel.Laws;

namespace Windtunnel.Tests.Cli;

[Collection(nameof(Tool))]
public sealed class IsoFlopVerbTests
{
    [Fact]
    public void The_best_sizes_their_growth_and_the_bias_are_shown()
    {
        using TemporaryFolder folder = new();
        string output = Tool.Run("isoflop", folder.Write("runs.csv", Table()), "--n", "size", "--loss", "l", "--at", "1e22").AssertSucceeds();

        // Hoffmann et al. 2022 as printed: a = 0.28 / 0.62 = 0.4516.
        Assert.Matches(@"1.00e\+18 +7 ", output);
        Assert.Matches(@"2: Akima +0.45\d\d +0.4\d\d\d  0.4\d\d\d +0.\d{4} +5 +\d", output);
        Assert.Matches(@"3: surface +0.4516 ", output);
        Assert.Contains("N at 1e+22", output);
        Assert.Contains("without noise and at these sizes, approach 2 finds 0.", output);
    }

    [Fact]
    public void Operations_may_come_from_parameters_and_tokens()
    {
        using TemporaryFolder folder = new();
        string path = folder.Write("runs.csv", Table());
        Assert.Equal(
            Tool.Run("isoflop", path, "--n", "size", "--loss", "l").AssertSucceeds(),
            Tool.Run("isoflop", path, "--n", "size", "--loss", "l", "--d", "seen").AssertSucceeds());
    }

    [Fact]
    public void What_is_wrong_with_a_table_is_one_line()
    {
        using TemporaryFolder folder = new();
        string path = folder.Write("runs.csv", Table());
        Tool.Run("isoflop", folder.File("nowhere.csv")).AssertFails(2, "no such file or folder");
        Tool.Run("isoflop", path).AssertFails(2, "no column 'n'");
        Tool.Run("isoflop", path, "--n", "size", "--loss", "l", "--where", "flops=1e18").AssertFails(2, "fewer than two have a best size");
        Tool.Run("isoflop", path, "--n", "size", "--loss", "l", "--noise", "-1").AssertFails(2, "--noise");
        Tool.Run("isoflop", path, "--n", "size", "--loss", "l", "--tolerance", "2").AssertFails(2, "--tolerance");
        Tool.Run("isoflop", folder.Write("nan.csv", "n,flops,loss\n1e8,1e18,nan\n"), "--loss", "loss").AssertFails(3, "loss: 'nan' is not a positive number");
    }

    private static string Table()
    {
        StringBuilder table = new("size,seen,flops,l\n");
        ChinchillaLaw law = new();
        for (double flops = 1e18; flops < 1e21; flops *= 4)
        {
            for (int i = -3; i <= 3; i++)
            {
                double n = 0.1 * Math.Sqrt(flops) * Math.Pow(2, i), d = flops / (6 * n);
                table.AppendLine(CultureInfo.InvariantCulture, $"{n:R},{d:R},{flops:R},{law.Predict([1.69, 406.4, 410.7, 0.34, 0.28], n, d):R}");
            }
        }

        return table.ToString();
    }
}
