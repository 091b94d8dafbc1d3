using Windtunnel.Experiments;

namespace Windtunnel.Cli;

/// <summary>What a worker did, a line each after its UTC time, in a file that only it writes and only ever appends to.</summary>
internal sealed class WorkerLog
{
    private readonly string _path;

    /// <summary>The log of this process's worker.</summary>
    public WorkerLog(ExperimentFolder folder)
    {
        _path = folder.LogPath(Worker);
        Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
    }

    /// <summary>What the worker is called.</summary>
    public string Worker { get; } = $"{Environment.MachineName}-{Environment.ProcessId}";

    /// <summary>Appends a line; where the disk is full it is lost, for runs are worth more than what is said of them.</summary>
    public void Write(string line)
    {
        try
        {
            File.AppendAllText(_path, $"{DateTime.UtcNow:O} {line.ReplaceLineEndings(" ")}\n");
        }
        catch (IOException)
        {
        }
    }
}
