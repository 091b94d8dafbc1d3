using System.Diagnostics;
using Windtunnel.Runs;

namespace Windtunnel.Tests.Training;

/// <summary>A run on a small disk of its own, a tmpfs that only the child sees, which fills up while it trains and then has room again.</summary>
public sealed class FullDiskTests
{
    private const string Script = """
        disk=$1 copy=$2; shift 2
        mount -t tmpfs -o size=8m tmpfs "$disk" || exit 99
        "$@" > "$copy/output" 2> "$copy/error" & run=$!
        alive() { kill -0 $run 2> /dev/null && sleep 0.02; }
        until [ -d "$disk/full/checkpoints/step-00000100" ]; do alive || break; done
        cat /dev/zero > "$disk/filler" 2> /dev/null
        until grep -q "metrics can't be written" "$copy/output"; do alive || break; done
        rm "$disk/filler"
        wait $run; code=$?
        cp -r "$disk/full" "$copy"
        exit $code
        """;

    [Fact]
    public void A_disk_that_fills_up_costs_rows_of_the_log_and_not_the_run()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs a tmpfs");
        using TemporaryFolder folder = new();
        ChildRun child = new(folder.Path);
        string config = child.Config("adamw", steps: 2000, saveEvery: 100);
        string disk = Directory.CreateDirectory(folder.File("disk")).FullName, copy = Directory.CreateDirectory(folder.File("runs")).FullName;
        using Process process = Process.Start("unshare", ["--map-root-user", "--mount", "sh", "-c", Script, "sh", disk, copy,
            "dotnet", Path.Combine(AppContext.BaseDirectory, "windtunnel.dll"), "train", config, "--id", "full", "--logging.every=1",
            "--logging.tensorBoard=false", "--runs", disk, "--data", folder.File("data")]);
        process.WaitForExit();
        Assert.SkipWhen(process.ExitCode is 1 or 99 && !File.Exists(Path.Combine(copy, "error")), "this machine mounts nothing for its users");

        Assert.Equal("", File.ReadAllText(Path.Combine(copy, "error")));
        Assert.Equal(0, process.ExitCode);
        Assert.Equal(1, File.ReadLines(Path.Combine(copy, "output")).Count(line => line.Contains("metrics can't be written, training goes on", StringComparison.Ordinal)));
        RunFolder full = child.Folder("full");
        Assert.Equal(RunStatus.Completed, RunRecord.Load(full.RecordPath).Status);

        child.Run(null, "train", config, "--id", "whole", "--logging.every=1");
        MetricsRow[] rows = [.. MetricsLog.Read(full.MetricsPath)], whole = [.. MetricsLog.Read(child.Folder("whole").MetricsPath)];
        Assert.InRange(rows.Length, 100, whole.Length - 1);
        Assert.Equal(2000, rows[^1].At.Step);
        Assert.Equal(TinyRun.Fingerprint(child.Folder("whole")), TinyRun.Fingerprint(full));
    }
}
