using System.Diagnostics;
using Windtunnel.Runs;

namespace Windtunnel.Tests.Training;

/// <summary>SIGKILL at random instants, half of them inside checkpoint writes. WINDTUNNEL_SOAK=1 kills thirty times instead of five.</summary>
public sealed class KillTests : IDisposable
{
    private const int Steps = 600;
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("adamw")]
    [InlineData("muon")]
    public void A_run_that_is_killed_again_and_again_ends_with_the_bytes_of_one_that_was_not(string optimizer)
    {
        int kills = Environment.GetEnvironmentVariable("WINDTUNNEL_SOAK") == "1" ? 30 : 5;
        ChildRun child = new(_folder.Path);
        string config = child.Config(optimizer, Steps, saveEvery: 10);
        child.Run(null, "train", config, "--id", "whole");
        string whole = TinyRun.Fingerprint(child.Folder("whole"));
        string metrics = Metrics(child.Folder("whole"));

        Random random = new(1);
        int killed = 0, insideWrites = 0, runs = 0;
        while (killed < kills)
        {
            string id = $"killed-{++runs}";
            string[] words = ["train", config, "--id", id];
            while (true)
            {
                using Process process = child.Start(null, words);
                string checkpoints = Path.Combine(_folder.Path, "runs", id, "checkpoints");
                bool insideWrite = killed < kills && (killed % 2 == 0 ? WaitForWrite(process, checkpoints) : Pause(process, random.Next(200, 1500)));
                if (killed < kills && !process.HasExited)
                {
                    process.Kill();
                    killed++;
                    insideWrites += insideWrite ? 1 : 0;
                }

                process.WaitForExit();
                if (process.ExitCode == 0)
                {
                    break;
                }

                // Before its record is written there is no run to resume: what is there is started again.
                bool started = File.Exists(Path.Combine(_folder.Path, "runs", id, "run.json"));
                words = started ? ["resume", id] : ["train", config, "--id", id = $"killed-{++runs}"];
            }

            Assert.Equal(whole, TinyRun.Fingerprint(child.Folder(id)));
            Assert.Equal(metrics, Metrics(child.Folder(id)));
        }

        Assert.True(insideWrites >= kills / 3, $"only {insideWrites} of {kills} kills fell inside a checkpoint write");
    }

    // Every row of the log once, whatever was killed: losses, norms and validations, bit for bit.
    private static string Metrics(RunFolder folder) => string.Join('\n', MetricsLog.Read(folder.MetricsPath).Select(row =>
        $"{row.At.Step} {string.Join(' ', row.Values.Where(value => value.Key.StartsWith("train/", StringComparison.Ordinal) || value.Key.StartsWith("val/", StringComparison.Ordinal)).Select(value => value.Value.ToString("R")))}"));

    private static bool Pause(Process process, int milliseconds)
    {
        process.WaitForExit(milliseconds);
        return false;
    }

    private static bool WaitForWrite(Process process, string checkpoints)
    {
        while (!process.HasExited)
        {
            try
            {
                if (Directory.Exists(checkpoints) && Directory.EnumerateDirectories(checkpoints, "*.tmp-*").Any())
                {
                    return true;
                }
            }
            catch (DirectoryNotFoundException)
            {
                // Renamed between the two looks.
            }
        }

        return false;
    }
}
