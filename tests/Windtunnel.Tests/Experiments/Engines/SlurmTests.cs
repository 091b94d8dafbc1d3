using Windtunnel.Experiments.Engines;

namespace Windtunnel.Tests.Experiments.Engines;

/// <summary>Job arrays of workers in a real Slurm.</summary>
public sealed class SlurmTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly SlurmCluster _slurm = new(processors: 2);

    public void Dispose()
    {
        _slurm.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Every_worker_gets_its_processors_and_a_cancelled_array_does_not_come_back()
    {
        string folder = _folder.File("100% it's #1"), script = _folder.File("slurm.sh");
        Directory.CreateDirectory(Path.Combine(folder, "logs"));
        string[] worker = ["bash", "-c", "trap 'exit 143' TERM; echo started with $SLURM_CPUS_PER_TASK; while :; do sleep 0.02; done"];
        File.WriteAllText(script, new SlurmArray("toy", folder, worker, 2, ["cpus-per-task=1", "time=10"]).Script);

        string job = _slurm.Run("sbatch", "--parsable", script).AssertSucceeds().Trim();
        _slurm.Await("running", () => Log(0).StartsWith("started with 1\n", StringComparison.Ordinal) && Log(1).StartsWith("started with 1\n", StringComparison.Ordinal));
        _slurm.Run("scancel", job).AssertSucceeds();
        _slurm.Await("over", () => _slurm.Run("squeue", "--noheader").AssertSucceeds().Length == 0);

        Assert.Contains("JobState=CANCELLED", _slurm.Run("scontrol", "show", "job", job).AssertSucceeds());
        Assert.DoesNotContain("requeue", Log(0) + Log(1), StringComparison.OrdinalIgnoreCase);

        string Log(int task)
        {
            string path = Path.Combine(folder, "logs", $"slurm-{job}_{task}.log");
            return File.Exists(path) ? File.ReadAllText(path) : "";
        }
    }
}
