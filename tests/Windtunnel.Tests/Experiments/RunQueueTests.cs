using System.Diagnostics;
using System.Text.Json;
using Windtunnel.Experiments;
using Windtunnel.Runs.Config;

namespace Windtunnel.Tests.Experiments;

/// <summary>Leases: one holder at a time, whoever dies, sleeps or hurries.</summary>
public sealed class RunQueueTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Of_many_who_want_a_run_one_gets_it_until_it_gives_it_back()
    {
        RunQueue queue = new(_folder.Path);
        for (int round = 1; round <= 50; round++)
        {
            RunLease lease = Assert.Single(Race(queue, "run"));

            Assert.Empty(Race(queue, "run"));
            Assert.Equal(lease.Lease, queue.HolderOf("run"));
            lease.Dispose();
            Assert.Null(queue.HolderOf("run"));
            Assert.Equal(round, queue.AttemptsAt("run"));
        }
    }

    [Fact]
    public void Of_many_who_find_a_holder_dead_one_takes_its_place()
    {
        RunQueue queue = new(_folder.Path);
        int dead = DeadProcess();
        for (int round = 0; round < 50; round++)
        {
            string run = $"run-{round}";
            Write(run, 1, new Lease(run, "worker", Environment.MachineName, dead, DateTimeOffset.UtcNow, 7));

            RunLease lease = Assert.Single(Race(queue, run));
            Assert.Equal(2, queue.AttemptsAt(run));
            lease.Dispose();
        }
    }

    [Fact]
    public void Whoever_only_looks_needs_no_right_to_write()
    {
        RunQueue queue = new(_folder.Path);
        using RunLease lease = queue.TryTake("run", "me", 0)!;

        // What stands where the clock's file would be written keeps it from being written.
        Directory.CreateDirectory(_folder.File($"leases/.clock-{Environment.MachineName}-{Environment.ProcessId}-{Environment.CurrentManagedThreadId}"));

        Assert.Equal(lease.Lease, queue.HolderOf("run"));
        Assert.Throws<UnauthorizedAccessException>(() => queue.TryTake("run", "other", 0));
    }

    [Fact]
    public void A_holder_on_another_host_is_gone_when_it_has_been_silent_for_too_long_by_the_clock_of_the_file_system()
    {
        RunQueue queue = new(_folder.Path, TimeSpan.FromMinutes(2));
        Lease elsewhere = new("run", "worker", "another-host", Environment.ProcessId, DateTimeOffset.UnixEpoch, 0);
        string path = Write("run", 1, elsewhere);

        Assert.Null(queue.TryTake("run", "me", 0));
        Assert.Equal(elsewhere, queue.HolderOf("run"));

        File.SetLastWriteTimeUtc(path, File.GetLastWriteTimeUtc(path) - TimeSpan.FromMinutes(3));
        Assert.Null(queue.HolderOf("run"));
        using RunLease? lease = queue.TryTake("run", "me", 0);
        Assert.Equal((Environment.MachineName, Environment.ProcessId, "me"), (lease!.Lease.Host, lease.Lease.Process, lease.Lease.Worker));
    }

    [Fact]
    public void A_heartbeat_keeps_a_lease_and_a_holder_that_slept_through_it_learns_that_it_lost_the_run()
    {
        RunQueue queue = new(_folder.Path, TimeSpan.FromMinutes(2));
        using RunLease asleep = queue.TryTake("run", "asleep", 0)!;
        bool lost = false;
        asleep.Lost += () => lost = true;

        Age("run", 1);
        asleep.Touch();
        Assert.Null(queue.TryTake("run", "other", 0));
        Assert.False(lost);

        Age("run", 1);
        using RunLease? other = queue.TryTake("run", "other", 0);
        Assert.NotNull(other);
        asleep.Touch();
        Assert.True(lost);
        asleep.Dispose();
        Assert.Equal(other.Lease, queue.HolderOf("run"));
    }

    [Fact]
    public void A_holder_touches_its_lease_by_itself_and_learns_by_itself_that_it_lost_the_run()
    {
        RunQueue queue = new(_folder.Path, TimeSpan.FromMinutes(2), heartbeatEvery: TimeSpan.FromMilliseconds(50));
        using RunLease lease = queue.TryTake("run", "me", 0)!;
        using ManualResetEventSlim lost = new();
        lease.Lost += lost.Set;

        for (int beat = 0; beat < 2; beat++)
        {
            Age("run", 1);
            Assert.True(SpinWait.SpinUntil(() => File.GetLastWriteTimeUtc(PathOf("run", 1)) > DateTime.UtcNow - TimeSpan.FromMinutes(1), TimeSpan.FromSeconds(30)));
        }

        Assert.False(lost.IsSet);
        Write("run", 2, lease.Lease with { Worker = "other" });
        Assert.True(lost.Wait(TimeSpan.FromSeconds(30)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{\"run\": \"run\", \"process\": -1}")]
    [InlineData("{\"run\": \"run\", \"worker\": 3, \"host\": [], \"process\": 1e99, \"taken\": \"soon\", \"savedStep\": 0}")]
    public void A_lease_that_says_nothing_counts_by_its_age(string text)
    {
        Directory.CreateDirectory(_folder.File("leases"));
        File.WriteAllText(PathOf("run", 1), text);
        RunQueue queue = new(_folder.Path);

        Assert.Null(queue.TryTake("run", "me", 0));
        Age("run", 1);
        queue.TryTake("run", "me", 0)!.Dispose();
    }

    [Fact]
    public void Workers_that_die_are_counted_until_one_gets_further_or_gives_the_run_back()
    {
        RunQueue queue = new(_folder.Path);
        int dead = DeadProcess();

        Assert.Equal([0, 1, 2, 1, 2, 3, 0, 1], new[] { Dies(0), Dies(0), Dies(0), Dies(5), Dies(5), GivesBack(5), Dies(5), Dies(5) });

        int Dies(long step)
        {
            int before = GivesBack(step);
            string path = PathOf("run", queue.AttemptsAt("run"));
            Lease lease = JsonSerializer.Deserialize<Lease>(File.ReadAllText(path), ConfigFile.JsonOptions)!;
            Write("run", queue.AttemptsAt("run"), lease with { Process = dead, Returned = false });
            return before;
        }

        int GivesBack(long step)
        {
            using RunLease lease = queue.TryTake("run", "worker", step)!;
            return lease.Lease.Deaths;
        }
    }

    [Fact]
    public void A_failure_is_one_line_that_stays_until_it_is_retried()
    {
        RunQueue queue = new(_folder.Path);
        Assert.Empty(queue.Failed);
        queue.TryTake("run", "me", 0)!.Dispose();

        queue.Fail("run", "it\nbroke");

        RunFailure failure = new RunQueue(_folder.Path).FailureOf("run")!;
        Assert.Equal(("it broke", 1, Environment.MachineName), (failure.Error, failure.Attempts, failure.Host));
        Assert.Equal(["run"], queue.Failed);
        File.WriteAllText(_folder.File("failures/other.json"), "{");
        Assert.Contains("can't be read", queue.FailureOf("other")!.Error, StringComparison.Ordinal);
        Assert.True(queue.Retry("run"));
        Assert.False(queue.Retry("run"));
        Assert.Null(queue.FailureOf("run"));
    }

    // All at once, as well as threads can.
    private static RunLease[] Race(RunQueue queue, string run)
    {
        const int Threads = 8;
        RunLease?[] leases = new RunLease?[Threads];
        using Barrier barrier = new(Threads);
        Thread[] threads =
        [
            .. Enumerable.Range(0, Threads).Select(i => new Thread(() =>
            {
                barrier.SignalAndWait();
                leases[i] = queue.TryTake(run, $"worker {i}", 0);
            })),
        ];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        return [.. leases.OfType<RunLease>()];
    }

    private static int DeadProcess()
    {
        using Process process = Process.Start("dotnet", ["--version"]);
        process.WaitForExit();
        return process.Id;
    }

    private string PathOf(string run, int number) => _folder.File($"leases/{run}.{number}.json");

    private string Write(string run, int number, Lease lease)
    {
        Directory.CreateDirectory(_folder.File("leases"));
        File.WriteAllText(PathOf(run, number), JsonSerializer.Serialize(lease, ConfigFile.JsonOptions));
        return PathOf(run, number);
    }

    private void Age(string run, int number) => File.SetLastWriteTimeUtc(PathOf(run, number), DateTime.UtcNow - TimeSpan.FromMinutes(3));
}
