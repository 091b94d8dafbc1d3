using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;

namespace Windtunnel.Tests.Runs;

public sealed class RunFolderTests
{
    private sealed class FixedClock(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }

    private static readonly FixedClock s_clock = new(new DateTimeOffset(2026, 2, 3, 4, 5, 6, TimeSpan.Zero));

    [Fact]
    public void Ids_are_the_name_the_time_and_a_number_where_taken()
    {
        using TemporaryFolder root = new();
        string[] ids = [.. Enumerable.Range(0, 3).Select(_ => RunFolder.Create(root.Path, "tiny", clock: s_clock).Id)];
        Assert.Equal(["tiny-20260203-040506", "tiny-20260203-040506-2", "tiny-20260203-040506-3"], ids);
        Assert.Equal(3, Directory.GetFileSystemEntries(root.Path).Length);
    }

    [Fact]
    public void Racing_creators_get_a_folder_each()
    {
        using TemporaryFolder root = new();
        string[] ids = new string[64];
        Parallel.For(0, ids.Length, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i => ids[i] = RunFolder.Create(root.Path, "r", clock: s_clock).Id);
        Assert.Equal(64, ids.Distinct().Count());
        Assert.Equal(64, Directory.GetDirectories(root.Path).Length);
    }

    [Fact]
    public void A_chosen_id_that_is_taken_is_refused()
    {
        using TemporaryFolder root = new();
        RunFolder.Create(root.Path, "a", id: "mine");
        Assert.Contains("already exists", Assert.Throws<ValidationException>(() => RunFolder.Create(root.Path, "a", id: "mine")).Message);
        Assert.Single(Directory.GetFileSystemEntries(root.Path));
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("a/b")]
    [InlineData("a\n")]
    [InlineData("é")]
    [InlineData("../x")]
    public void Bad_ids_are_refused(string id)
    {
        using TemporaryFolder root = new();
        Assert.Throws<ValidationException>(() => RunFolder.Open(root.Path, id));
        Assert.Throws<ValidationException>(() => RunFolder.Create(root.Path, "a", id));
        Assert.False(RunFolder.IsValidId(new string('a', 101)));
        Assert.Empty(Directory.GetFileSystemEntries(root.Path));
    }

    [Fact]
    public void Paths_that_lead_out_are_refused()
    {
        using TemporaryFolder root = new();
        using TemporaryFolder elsewhere = new();
        RunFolder run = RunFolder.Create(root.Path, "a", id: "run");
        RunFolder.Create(root.Path, "a", id: "run2");
        Directory.CreateSymbolicLink(Path.Combine(run.Path, "link"), elsewhere.Path);
        Directory.CreateSymbolicLink(root.File("linked"), elsewhere.Path);
        foreach (string path in new[] { "..", "../run2/x", "/etc/passwd", "link", "link/x", "evals/../../run2", "" })
        {
            Assert.Throws<ValidationException>(() => run.Resolve(path));
        }

        Assert.Throws<ValidationException>(() => RunFolder.Open(root.Path, "linked"));
        Assert.Equal(Path.Combine(RunFolder.Open(root.Path, "run").Path, "evals", "x.json"), run.Resolve("evals/x.json"));
    }

    [Fact]
    public void A_second_holder_is_refused_while_the_first_lives()
    {
        using TemporaryFolder root = new();
        RunFolder run = RunFolder.Create(root.Path, "a");
        using (run.Lock())
        {
            Assert.Contains($"in use by process {Environment.ProcessId} on ", Assert.Throws<IOException>(run.Lock).Message);
        }

        run.Lock().Dispose();
    }

    [Fact]
    public void A_folder_can_be_created_locked_so_that_nobody_else_ever_has_it()
    {
        using TemporaryFolder root = new();
        (RunFolder run, RunLock held) = RunFolder.CreateLocked(root.Path, "a", id: "mine");

        Assert.True(run.IsLocked);
        Assert.Throws<IOException>(RunFolder.Open(root.Path, "mine").Lock);
        Assert.Throws<ValidationException>(() => RunFolder.CreateLocked(root.Path, "a", id: "mine"));
        Assert.Single(Directory.GetDirectories(root.Path));
        held.Dispose();
        Assert.False(run.IsLocked);
        run.Lock().Dispose();
    }

    [Fact]
    public void A_lock_dies_with_a_killed_process()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/flock"), "needs flock(1) as the other process");
        using TemporaryFolder root = new();
        RunFolder run = RunFolder.Create(root.Path, "a");
        using Process holder = Process.Start(new ProcessStartInfo("/usr/bin/flock", ["-x", Path.Combine(run.Path, "lock"), "-c", "echo held; exec sleep 60"])
        {
            RedirectStandardOutput = true,
        })!;
        Assert.Equal("held", holder.StandardOutput.ReadLine());
        Assert.Throws<IOException>(run.Lock);
        holder.Kill(entireProcessTree: true);
        holder.WaitForExit();
        Assert.True(SpinWait.SpinUntil(() => { try { run.Lock().Dispose(); return true; } catch (IOException) { return false; } }, 5_000));
    }

    [Fact]
    public void The_configuration_is_kept_as_resolved_and_as_typed()
    {
        using TemporaryFolder root = new();
        RunFolder run = RunFolder.Create(root.Path, "a");
        TinyOptions options = new(Steps: 7);
        run.WriteConfig(options, "steps: 5 # five\n", ["--steps=7"]);
        Assert.Equal(options, ConfigFile.Load<TinyOptions>(run.ConfigPath));
        Assert.Equal("steps: 5 # five\n", File.ReadAllText(run.Resolve("config.source.yaml")));
        Assert.Equal("--steps=7\n", File.ReadAllText(run.Resolve("overrides.txt")));
    }

    public sealed record TinyOptions(int Steps = 1);

    [Fact]
    public void Run_records_round_trip()
    {
        using TemporaryFolder root = new();
        RunFolder run = RunFolder.Create(root.Path, "a");
        RunRecord started = RunRecord.Start(run, "a", ulong.MaxValue, new RunParent("p", 10, RunParentKind.Branch), s_clock);
        started.Save(run.RecordPath);
        RunRecord loaded = RunRecord.Load(run.RecordPath);
        Assert.Equal(started, loaded);

        RunRecord ended = started with { Status = RunStatus.Diverged, ExitCode = 4, Ended = s_clock.GetUtcNow(), Summary = new Dictionary<string, double> { ["train/loss"] = double.NaN, ["val/c4/bpb"] = 0.1 } };
        ended.Save(run.RecordPath);
        loaded = RunRecord.Load(run.RecordPath);
        Assert.Equal(ended with { Summary = null }, loaded with { Summary = null });
        Assert.Equal(ended.Summary!, loaded.Summary!);
        Assert.Contains("\"status\": \"diverged\"", File.ReadAllText(run.RecordPath));
        Assert.Contains("\"kind\": \"branch\"", File.ReadAllText(run.RecordPath));
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("""{"id":"a","name":"a","seed":1,"created":"2026-01-01T00:00:00Z","extra":1}""")]
    [InlineData("""{"id":"a","id":"a","name":"a","seed":1,"created":"2026-01-01T00:00:00Z"}""")]
    [InlineData("""{"id":"a","name":"a","seed":-1,"created":"2026-01-01T00:00:00Z"}""")]
    public void Bad_run_records_are_named(string json)
    {
        using TemporaryFolder root = new();
        string path = root.Write("run.json", json);
        Assert.StartsWith(path, Assert.Throws<InvalidDataException>(() => RunRecord.Load(path)).Message);
        Assert.Throws<InvalidDataException>(() => RunRecord.Load(root.File("none")));
    }

    [Fact]
    public void A_failed_atomic_write_leaves_the_old_bytes_and_nothing_else()
    {
        using TemporaryFolder root = new();
        string path = root.Write("a.txt", "old");
        Assert.Throws<IOException>(() => AtomicFile.Write(path, file =>
        {
            file.Write("half"u8);
            throw new IOException("disk full");
        }));
        Assert.Equal("old", File.ReadAllText(path));
        Assert.Single(Directory.GetFileSystemEntries(root.Path));
        AtomicFile.WriteText(path, "new");
        Assert.Equal("new", File.ReadAllText(path));
        Assert.Throws<IOException>(() => AtomicFile.SyncDirectory(root.File("none")));
    }

    [Fact]
    public void The_commit_of_a_working_folder_is_read_from_gits_files()
    {
        using TemporaryFolder root = new();
        string hash = new('a', 40);
        Directory.CreateDirectory(root.File(".git/refs/heads"));
        Directory.CreateDirectory(root.File(".git/worktrees/w"));
        Directory.CreateDirectory(root.File("tree/sub"));
        root.Write(".git/HEAD", "ref: refs/heads/main\n");
        Assert.Null(GitHead.Read(root.Path));
        root.Write(".git/packed-refs", $"# pack-refs\n{hash} refs/heads/main\n");
        Assert.Equal(hash, GitHead.Read(root.File("tree/sub")));
        root.Write(".git/refs/heads/main", new string('b', 40) + "\n");
        Assert.Equal(new string('b', 40), GitHead.Read(root.Path));
        root.Write("tree/.git", "gitdir: ../.git/worktrees/w\n");
        root.Write(".git/worktrees/w/HEAD", "ref: refs/heads/main\n");
        root.Write(".git/worktrees/w/commondir", "../..\n");
        Assert.Equal(new string('b', 40), GitHead.Read(root.File("tree/sub")));
        root.Write(".git/HEAD", hash);
        Assert.Equal(hash, GitHead.Read(root.Path));
    }
}
