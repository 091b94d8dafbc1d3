using System.Diagnostics;
using System.Globalization;
using Windtunnel.Experiments;
using Windtunnel.Tests.Training;
using Windtunnel.Training;

namespace Windtunnel.Tests.Experiments;

/// <summary>
/// Worker processes that are killed at random, and with them now and then the process that started them: every run ends once.
/// WINDTUNNEL_SOAK=1 trains 300 runs with 4 workers and kills 50 times, instead of 24, 3 and 6.
/// </summary>
public sealed class ExactlyOnceTests : IDisposable
{
    private static readonly bool s_soak = Environment.GetEnvironmentVariable("WINDTUNNEL_SOAK") == "1";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_sweep_whose_workers_are_killed_again_and_again_has_every_result_once()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "finds its workers in /proc");
        (int runs, int workers, int kills) = s_soak ? (300, 4, 50) : (24, 3, 6);
        string rates = string.Join(", ", Enumerable.Range(1, runs).Select(i => (i * 1e-4).ToString("R", CultureInfo.InvariantCulture)));
        string sweep = _folder.Write("toy.yaml", """
            type: sweep
            name: toy
            run:
              data: {corpus: {type: synthetic, documents: 50, vocabularySize: 50}, tokenizer: bytes, validationFraction: 0.1}
              model: {type: llama, layers: 1, width: 16, heads: 2, feedForward: 32}
              training: {sequenceLength: 16, batchSize: 2}
              validation: {every: 100%, tokens: 500}
              logging: {tensorBoard: false}
            cells: [{ratios: [0.02]}]
            search: grid
            grid: {optimizer.learningRate: [RATES]}
            """.Replace("RATES", rates, StringComparison.Ordinal));

        Random random = new(1);
        int killed = 0;
        while (true)
        {
            using Process supervisor = Start(sweep, workers);
            while (!supervisor.WaitForExit(random.Next(1, 100)))
            {
                // Evenly over the sweep, wherever in a run they fall.
                if (killed < kills && Completed().Count() >= (killed + 1) * runs / (kills + 1))
                {
                    Process[] alive = [.. Workers()];
                    if (killed % 10 == 5)
                    {
                        supervisor.Kill();
                        killed++;
                    }
                    else if (alive.Length > 0)
                    {
                        random.GetItems(alive, 1)[0].Kill();
                        killed++;
                    }

                    Array.ForEach(alive, worker => worker.Dispose());
                }
            }

            if (supervisor.ExitCode == 0)
            {
                break;
            }

            Assert.Equal(137, supervisor.ExitCode);
        }

        RunStore store = new(new RunPlaces(_folder.File("runs"), _folder.File("data")), new RecordingListener());
        ExperimentFolder folder = ExperimentFolder.Open(_folder.File("experiments"), "toy");
        ExperimentStatus status = ExperimentStatus.Of(folder.Load(), store, folder.Queue);
        string[] ids = [.. status.Ended.Select(run => run.Outcome.Id).Order(StringComparer.Ordinal)], completed = [.. Completed()];
        Assert.Equal(kills, killed);
        Assert.Equal((runs, 0, 0), (ids.Length, status.Open.Count, status.Failed.Count));
        Assert.Equal(ids, Directory.GetDirectories(store.Places.Runs).Select(path => Path.GetFileName(path)).Where(name => name[0] != '~').Order(StringComparer.Ordinal));
        Assert.Equal(1 + runs, File.ReadLines(folder.ResultsPath).Count());

        // A worker may die between a run's end and the line that says so, and then nobody trains it again.
        Assert.Equal(completed.Distinct().Count(), completed.Length);
        Assert.InRange(completed.Length, runs - kills, runs);

        // Those that were taken twice have the bits of those that were not.
        RunStore elsewhere = new(store.Places with { Runs = _folder.File("again") }, new RecordingListener());
        using StopSignal stop = StopSignal.Listen();
        (PlannedRun, RunOutcome Outcome)[] interrupted = [.. status.Ended.Where(run => folder.Queue.AttemptsAt(run.Outcome.Id) > 1)];
        Assert.NotEmpty(interrupted);
        Assert.All(interrupted.Take(3), run => Assert.Equal(elsewhere.Train(run.Item1, stop)!.LossNats, run.Outcome.LossNats));
    }

    private Process Start(string sweep, int workers)
    {
        Process process = Process.Start(new ProcessStartInfo("dotnet",
        [
            Path.Combine(AppContext.BaseDirectory, "windtunnel.dll"), "sweep", "run", sweep, "--workers", $"{workers}",
            "--experiments", _folder.File("experiments"), "--runs", _folder.File("runs"), "--data", _folder.File("data"),
        ])
        { RedirectStandardOutput = true, RedirectStandardError = true })!;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    private IEnumerable<string> Logs => Directory.Exists(_folder.File("experiments/toy/logs")) ? Directory.EnumerateFiles(_folder.File("experiments/toy/logs")) : [];

    // Whole lines only: a worker may be writing one.
    private IEnumerable<string> Completed() =>
        from log in Logs
        let text = ReadShared(log)
        from line in text[..(text.LastIndexOf('\n') + 1)].Split('\n')
        where line.EndsWith(" completed", StringComparison.Ordinal)
        select line.Split(' ')[1];

    private IEnumerable<Process> Workers()
    {
        foreach (int id in Logs.Select(log => int.Parse(Path.GetFileNameWithoutExtension(log).Split('-')[^1], CultureInfo.InvariantCulture)))
        {
            // Numbers are used again: only what works on this sweep is a worker of it.
            string commandLine = $"/proc/{id}/cmdline";
            if (File.Exists(commandLine) && ReadShared(commandLine).Contains(_folder.Path, StringComparison.Ordinal))
            {
                yield return Process.GetProcessById(id);
            }
        }
    }

    private static string ReadShared(string path)
    {
        try
        {
            using StreamReader reader = new(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
            return reader.ReadToEnd();
        }
        catch (IOException)
        {
            return ""; // It ended between two looks.
        }
    }
}
