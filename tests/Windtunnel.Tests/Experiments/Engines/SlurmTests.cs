using System.Text.RegularExpressions;
using Windtunnel.Experiments.Engines;
using Windtunnel.Tests.Cli;

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
    public void A_sweep_whose_workers_are_preempted_finds_what_it_finds_on_one_machine()
    {
        // A run is long enough to be interrupted: seconds.
        string sweep = _folder.Write("toy.yaml", """
            type: sweep
            name: toy
            run:
              threads: 1
              data: {corpus: {type: synthetic, documents: 200, vocabularySize: 50}, tokenizer: bytes}
              model: {type: llama, layers: 1, width: 32, heads: 2, feedForward: 64}
              training: {length: 1000, sequenceLength: 64, batchSize: 8}
              validation: {every: 100%, tokens: 1000}
              logging: {every: 1, tensorBoard: false}
            search: grid
            grid: {optimizer.learningRate: [3e-3, 1e-2, 3e-2]}
            """);
        Sweep("here", "run", sweep, "--workers", "2").AssertSucceeds();

        Sweep("there", "run", sweep, "--engine", "slurm", "--sbatch", "partition=nowhere").AssertFails(2, "invalid partition specified: nowhere");
        string submitted = Sweep("there", "run", sweep, "--engine", "slurm", "--workers", "2").AssertSucceeds();
        string job = Regex.Match(submitted, "2 workers submitted as Slurm job ([0-9]+)").Groups[1].Value;
        _slurm.Await("in training", () => Directory.Exists(_folder.File("there/runs"))
            && Directory.GetFiles(_folder.File("there/runs"), "metrics.jsonl", SearchOption.AllDirectories).Count(file => new FileInfo(file).Length > 0) >= 2);

        // One worker hears that its time is up, then both may hear that another job is to have the node.
        _slurm.Run("scancel", "--signal=USR1", $"{job}_0").AssertSucceeds();
        _slurm.Run("sbatch", "--partition=urgent", "--ntasks=2", "--output=/dev/null", "--wrap=true").AssertSucceeds();
        _slurm.Await("over", () => _slurm.Run("squeue", "--noheader").AssertSucceeds().Length == 0);

        string logs = string.Concat(Directory.GetFiles(_folder.File("there/experiments/toy/logs"), "slurm-*.log").Select(File.ReadAllText));
        string[] tasks = [.. Enumerable.Range(0, 2).Select(task => _slurm.Run("scontrol", "show", "job", $"{job}_{task}").AssertSucceeds())];
        Assert.All(tasks, task => Assert.Matches("JobState=COMPLETED.*\n.* Restarts=[1-9]", task));
        Assert.Matches("given back at step [1-9]", logs);
        Assert.Contains("3 done, 0 running, 0 waiting, 0 failed", Sweep("there", "status", "toy").AssertSucceeds());
        Sweep("there", "results", "toy").AssertSucceeds();
        Assert.Equal(ResultsWithoutTimes("here"), ResultsWithoutTimes("there"));
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

    private Outcome Sweep(string place, string verb, params string[] words) => _slurm.Run(
        "dotnet",
        [
            Path.Combine(AppContext.BaseDirectory, "windtunnel.dll"), "sweep", verb, .. words, "--experiments", _folder.File($"{place}/experiments"),
            "--runs", _folder.File($"{place}/runs"), "--data", _folder.File("data"),
        ]);

    private string[] ResultsWithoutTimes(string place)
    {
        string[][] rows = [.. File.ReadLines(_folder.File($"{place}/experiments/toy/results.csv")).Select(line => line.Split(','))];
        Assert.Equal(4, rows.Length);
        return [.. rows.Select(row => string.Join(',', row.Where((_, column) => !rows[0][column].EndsWith("_s", StringComparison.Ordinal))))];
    }
}
