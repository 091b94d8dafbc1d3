using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;

namespace Windtunnel.Experiments;

/// <summary>
/// Who trains which run of an experiment, and which runs failed: plain files in its folder, which workers on one machine, or on many
/// that share a file system, agree by. There is no list of what is to be done: that follows from the experiment and its results.
/// </summary>
/// <remarks>
/// A lease is <c>leases/&lt;run&gt;.&lt;n&gt;.json</c>, created exclusively, and only where lease n - 1 was given back or its holder is gone.
/// None is ever deleted, so no number is given twice, and of all who find a holder gone one takes its place. A holder is gone when
/// its process has ended, which its own host knows at once, or when it has not touched its lease for <see cref="StaleAfter"/>, by the
/// clock of the file system.
/// </remarks>
/// <param name="folder">The experiment's.</param>
/// <param name="staleAfter">In place of <see cref="StaleAfter"/>.</param>
/// <param name="heartbeatEvery">In place of <see cref="HeartbeatEvery"/>.</param>
public sealed class RunQueue(string folder, TimeSpan? staleAfter = null, TimeSpan? heartbeatEvery = null)
{
    /// <summary>How often a holder touches its lease.</summary>
    public static readonly TimeSpan HeartbeatEvery = TimeSpan.FromSeconds(10);

    /// <summary>How long a holder may be silent. Longer than a network file system may show old times, a minute by default.</summary>
    public static readonly TimeSpan StaleAfter = TimeSpan.FromMinutes(2);

    /// <summary>A run is given up when so many workers in a row died while they trained it, and none got further than the one before.</summary>
    public const int DeathsMax = 5;

    private const int MaxBytes = 100_000;

    private readonly string _leases = Path.Combine(folder, "leases"), _failures = Path.Combine(folder, "failures");

    /// <summary>The ids of the runs that failed and are not tried again.</summary>
    public IReadOnlySet<string> Failed => Directory.Exists(_failures)
        ? Directory.EnumerateFiles(_failures, "*.json").Select(path => Path.GetFileNameWithoutExtension(path)).ToHashSet()
        : new HashSet<string>();

    /// <summary>Why a run failed; null where it has not, or is to be tried again.</summary>
    public RunFailure? FailureOf(string run) => Read<RunFailure>(FailurePath(run), out _) ?? (File.Exists(FailurePath(run)) ? RunFailure.Unreadable : null);

    /// <summary>Takes a run for a worker.</summary>
    /// <param name="run">The run's id.</param>
    /// <param name="worker">What the worker is called.</param>
    /// <param name="savedStep">How far the run is.</param>
    /// <returns>Null where another worker has it.</returns>
    public RunLease? TryTake(string run, string worker, long savedStep)
    {
        Directory.CreateDirectory(_leases);
        int number = Newest(run);
        Lease? before = null;
        if (number > 0)
        {
            before = Read<Lease>(LeasePath(run, number), out DateTime touched);
            if (IsHeld(before, touched, Now))
            {
                return null;
            }
        }

        int deaths = before is null or { Returned: true } ? 0 : savedStep > before.SavedStep ? 1 : before.Deaths + 1;
        Lease lease = new(run, worker, Environment.MachineName, Environment.ProcessId, DateTimeOffset.UtcNow, savedStep, deaths);
        using FileStream? file = CreateExclusively(LeasePath(run, number + 1));
        if (file is null)
        {
            return null;
        }

        file.Write(lease.ToBytes());
        return new RunLease(this, lease, number + 1, heartbeatEvery ?? HeartbeatEvery);
    }

    /// <summary>Who trains a run at this moment; null where nobody does.</summary>
    public Lease? HolderOf(string run)
    {
        int number = Newest(run);
        return number > 0 && Read<Lease>(LeasePath(run, number), out DateTime touched) is { } lease && IsHeld(lease, touched, NowOrHere) ? lease : null;
    }

    /// <summary>How often a run was taken.</summary>
    public int AttemptsAt(string run) => Newest(run);

    /// <summary>Records that a run failed: no worker takes it until it is retried.</summary>
    public void Fail(string run, string error)
    {
        Directory.CreateDirectory(_failures);
        RunFailure failure = new(error.ReplaceLineEndings(" "), AttemptsAt(run), Environment.MachineName, DateTimeOffset.UtcNow);
        AtomicFile.WriteText(FailurePath(run), JsonSerializer.Serialize(failure, ConfigFile.JsonOptions) + "\n");
    }

    /// <summary>Makes a failed run one to be trained again.</summary>
    /// <returns>False where it had not failed.</returns>
    public bool Retry(string run)
    {
        bool failed = File.Exists(FailurePath(run));
        File.Delete(FailurePath(run));
        return failed;
    }

    internal string LeasePath(string run, int number) => Path.Combine(_leases, $"{run}.{number}.json");

    private static FileStream? CreateExclusively(string path)
    {
        try
        {
            return new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (IOException) when (File.Exists(path))
        {
            return null;
        }
    }

    private string FailurePath(string run) => Path.Combine(_failures, $"{run}.json");

    private int Newest(string run)
    {
        int number = 0;
        while (File.Exists(LeasePath(run, number + 1)))
        {
            number++;
        }

        return number;
    }

    // What can't be read may be in the making: only its age counts.
    private bool IsHeld(Lease? lease, DateTime touched, Func<DateTime> now)
    {
        if (lease is { Returned: true } || (lease?.Host == Environment.MachineName && !IsAlive(lease.Process)))
        {
            return false;
        }

        return now() - touched < (staleAfter ?? StaleAfter);
    }

    private static bool IsAlive(int process)
    {
        try
        {
            using Process _ = Process.GetProcessById(process);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    // The file system's: clocks of hosts differ.
    private DateTime Now()
    {
        string path = Path.Combine(_leases, $".clock-{Environment.MachineName}-{Environment.ProcessId}-{Environment.CurrentManagedThreadId}");
        using FileStream file = new(path, FileMode.Create, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0, FileOptions.DeleteOnClose);
        file.WriteByte(0);
        return File.GetLastWriteTimeUtc(file.SafeFileHandle);
    }

    // Whoever only looks may do so without the right to write.
    private DateTime NowOrHere()
    {
        try
        {
            return Now();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return DateTime.UtcNow;
        }
    }

    private static T? Read<T>(string path, out DateTime touched)
        where T : class
    {
        touched = DateTime.MaxValue;
        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            touched = File.GetLastWriteTimeUtc(file.SafeFileHandle);
            return file.Length <= MaxBytes ? JsonSerializer.Deserialize<T>(file, ConfigFile.JsonOptions) : null;
        }
        catch (Exception e) when (e is IOException or JsonException or InvalidOperationException)
        {
            return null;
        }
    }
}

/// <summary>What a lease file says.</summary>
/// <param name="Run">The run's id.</param>
/// <param name="Worker">What the worker is called.</param>
/// <param name="Host">Where it runs.</param>
/// <param name="Process">Its number there.</param>
/// <param name="Taken">When.</param>
/// <param name="SavedStep">How far the run was.</param>
/// <param name="Deaths">How many workers in a row had died while they trained it from there.</param>
/// <param name="Returned">Whether it was given back; a worker that dies can't.</param>
public sealed record Lease(string Run, string Worker, string Host, int Process, DateTimeOffset Taken, long SavedStep, int Deaths = 0, bool Returned = false)
{
    internal byte[] ToBytes() => Encoding.UTF8.GetBytes(JsonSerializer.Serialize(this, ConfigFile.JsonOptions) + "\n");
}

/// <summary>The right to train a run, kept alive by a heartbeat until it is disposed, which gives it back.</summary>
public sealed class RunLease : IDisposable
{
    private readonly RunQueue _queue;
    private readonly int _number;
    private readonly Timer _heartbeat;

    internal RunLease(RunQueue queue, Lease lease, int number, TimeSpan heartbeatEvery)
    {
        (_queue, Lease, _number) = (queue, lease, number);
        _heartbeat = new Timer(_ => Touch(), null, heartbeatEvery, heartbeatEvery);
    }

    /// <summary>What the lease file says.</summary>
    public Lease Lease { get; }

    /// <summary>Raised when another worker has taken the run, for this one was silent for too long: a machine that slept.</summary>
    public event Action? Lost;

    /// <summary>Gives the run back.</summary>
    public void Dispose()
    {
        using ManualResetEvent stopped = new(false);
        if (_heartbeat.Dispose(stopped))
        {
            stopped.WaitOne();
            AtomicFile.Write(Path, file => file.Write((Lease with { Returned = true }).ToBytes()));
        }
    }

    private string Path => _queue.LeasePath(Lease.Run, _number);

    // Written, for a time that is set would be one of this host's clock.
    internal void Touch()
    {
        try
        {
            using (FileStream file = new(Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete))
            {
                file.Seek(-1, SeekOrigin.End);
                file.WriteByte((byte)'\n');
            }

            if (File.Exists(_queue.LeasePath(Lease.Run, _number + 1)))
            {
                Lost?.Invoke();
            }
        }
        catch (IOException)
        {
            // A file system that is away for a moment; the next heartbeat tries again.
        }
    }
}

/// <summary>Why a run is not tried again until it is retried.</summary>
/// <param name="Error">One line.</param>
/// <param name="Attempts">How often the run was taken.</param>
/// <param name="Host">Where it failed.</param>
/// <param name="Time">When.</param>
public sealed record RunFailure(string Error, int Attempts, string Host, DateTimeOffset Time)
{
    internal static RunFailure Unreadable { get; } = new("the record of its failure can't be read", 0, "", DateTimeOffset.UnixEpoch);
}
