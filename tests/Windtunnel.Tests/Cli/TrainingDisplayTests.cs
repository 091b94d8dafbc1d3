using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Windtunnel.Tests.Cli;

[Collection(nameof(Tool))]
public sealed class TrainingDisplayTests(Tool tool)
{
    [Fact]
    public void Redirected_it_is_a_line_for_each_logged_step_in_fixed_columns()
    {
        string[] lines = tool.Trunk.AssertSucceeds().Split('\n');

        string heading = Assert.Single(lines, line => line.Contains("grad norm", StringComparison.Ordinal));
        string[] steps = [.. lines.Where(line => Regex.IsMatch(line, @"^ +\d+ +\d+\.\d{4} "))];
        Assert.Equal(["1", "10", "20", "30", "40"], steps.Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[0]));
        Assert.InRange(heading.Length, 1, 79);
        Assert.All(steps, line => Assert.Equal(heading.Length, line.Length));
        Assert.Contains(lines, line => line.EndsWith("saved step-00000040", StringComparison.Ordinal));
        Assert.Contains(lines, line => Regex.IsMatch(line, @"^ +40  validation on synthetic: \d\.\d{4} nats/token, \d\.\d{4} bits/byte$"));
    }

    [Fact]
    public void On_a_terminal_it_is_a_panel_redrawn_in_place()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/script"), "needs script, to have a terminal");
        string program = Path.Combine(AppContext.BaseDirectory, "windtunnel.dll");
        string command = $"stty cols 90 rows 30; exec dotnet '{program}' train '{Tool.Tiny}' --runs '{tool.Runs}' --data '{tool.Data}' --id panel --training.length=40 --schedule.decay=10";
        ProcessStartInfo start = new("/usr/bin/script", ["-qec", command, "/dev/null"]) { RedirectStandardOutput = true, RedirectStandardInput = true };
        start.Environment["TERM"] = "xterm-256color";
        start.Environment.Remove("NO_COLOR");
        start.Environment.Remove("CI");
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();

        Assert.Equal(0, process.ExitCode);
        string[] panels = Regex.Split(output, @"\e\[7F\e\[J");
        Assert.True(panels.Length > 2, output);
        string[] last = [.. Regex.Replace(panels[^1], @"\e\[[0-9;?]*[a-zA-Z]", "").Split('\n').Select(line => line.TrimEnd('\r'))];
        Assert.All(last[..7], line => Assert.Equal(90, line.Length));
        Assert.StartsWith("╭─tiny─", last[0]);
        Assert.Contains("40 of 40 steps", last[1]);
        Assert.Contains("last saved    40", last[4]);
        Assert.Matches(@"bits/byte     \d\.\d{4}", last[4]);
        Assert.Equal("completed at step 40", last[7]);
    }
}
