using System.Diagnostics;
using Windtunnel.Experiments;
using Windtunnel.Training;

namespace Windtunnel.Cli;

/// <summary>
/// Workers on this machine, each a process of this tool on its own share of the cores; one that dies is replaced. They stop when
/// their standard input ends, so they do not outlive this process, however it ends.
/// </summary>
/// <param name="folder">The experiment's.</param>
/// <param name="places">Where runs and data are.</param>
/// <param name="count">How many.</param>
internal sealed class WorkerProcesses(ExperimentFolder folder, RunPlaces places, int count)
{
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(0.1), s_soon = TimeSpan.FromMinutes(1);

    private int _earlyDeaths;

    /// <summary>The command line of the worker, for whatever starts processes.</summary>
    public static IReadOnlyList<string> CommandLine(string folder, RunPlaces places) =>
        [.. Tool, "sweep", "worker", Path.GetFullPath(folder), "--runs", Path.GetFullPath(places.Runs), "--data", Path.GetFullPath(places.Data)];

    /// <summary>Starts them all; each task ends, with an exit code, when nothing is left to do or its worker stopped.</summary>
    public Task<int>[] Start(StopSignal stop)
    {
        int threads = Math.Max(1, Environment.ProcessorCount / count);
        return
        [
            .. Shares(Affinity(), Environment.ProcessorCount, count).Select(cores => Task.Factory.StartNew(
                () => Keep(threads, cores, stop), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)),
        ];
    }

    /// <summary>The cores of each worker, a bit each; 0, which is any, where the processors that this process may use are no certain cores.</summary>
    /// <param name="affinity">Of this process; 0 where it is not known.</param>
    /// <param name="processors">How many it may use: fewer than cores where a quota limits its time.</param>
    /// <param name="count">Workers.</param>
    internal static ulong[] Shares(ulong affinity, int processors, int count)
    {
        int[] cores = [.. Enumerable.Range(0, 64).Where(core => (affinity >> core & 1) == 1)];
        int share = Math.Max(1, processors / count);
        return [.. Enumerable.Range(0, count).Select(i => cores.Length == processors
            ? Enumerable.Range(i * share, share).Aggregate(0UL, (mask, core) => mask | (1UL << cores[core % cores.Length]))
            : 0)];
    }

    /// <summary>Says that runs came to an end, so that workers die for other reasons than that none can live.</summary>
    public void Progressed() => Interlocked.Exchange(ref _earlyDeaths, 0);

    private int Keep(int threads, ulong cores, StopSignal stop)
    {
        while (stop.ExitCode is null)
        {
            long started = Stopwatch.GetTimestamp();
            int exitCode = Run(threads, cores, stop);
            bool givesUp = Stopwatch.GetElapsedTime(started) < s_soon && Interlocked.Increment(ref _earlyDeaths) > RunQueue.DeathsMax * count;
            if (exitCode is >= 0 and <= 3 || givesUp)
            {
                return exitCode;
            }

            if (stop.ExitCode is null)
            {
                Console.WriteLine($"  a worker died with exit code {exitCode}; another takes its place");
            }
        }

        return 0;
    }

    private int Run(int threads, ulong cores, StopSignal stop)
    {
        IReadOnlyList<string> words = [.. CommandLine(folder.Path, places), "--threads", $"{threads}", "--supervised"];
        using Process process = new();
        process.StartInfo = new ProcessStartInfo(words[0], words.Skip(1)) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is { } text)
            {
                Console.Error.WriteLine(text);
            }
        };
        process.Start();
        Pin(process, cores);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        while (!process.WaitForExit(s_look))
        {
            if (stop.ExitCode is not null)
            {
                process.StandardInput.Close();
            }
        }

        process.WaitForExit();
        return process.ExitCode;
    }

    // At once, before the process has made the threads that inherit it.
    private static void Pin(Process process, ulong cores)
    {
        if (cores != 0 && (OperatingSystem.IsLinux() || OperatingSystem.IsWindows()))
        {
            try
            {
                process.ProcessorAffinity = (nint)cores;
            }
            catch (Exception error) when (error is InvalidOperationException or System.ComponentModel.Win32Exception)
            {
                // It has ended already, or may not be pinned: it runs as it is.
            }
        }
    }

    private static ulong Affinity()
    {
        using Process self = Process.GetCurrentProcess();
        return (OperatingSystem.IsLinux() || OperatingSystem.IsWindows()) && Environment.ProcessorCount <= 64 ? (ulong)self.ProcessorAffinity : 0;
    }

    /// <summary>How to start this tool: by its own executable, or by the runtime where that runs it.</summary>
    private static string[] Tool
    {
        get
        {
            string process = Environment.ProcessPath!, assembly = typeof(WorkerProcesses).Assembly.Location;
            string name = Path.GetFileNameWithoutExtension(process);
            return assembly.Length == 0 || name == "windtunnel" ? [process] : [name == "dotnet" ? process : "dotnet", assembly];
        }
    }
}
