using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using Windtunnel.Runs;
using Windtunnel.Training.Checkpoints;

namespace Windtunnel.Tests.Training.Checkpoints;

public sealed class CheckpointStoreTests
{
    private static readonly string[] s_files = ["model.safetensors", "optim.safetensors", "state.json"];

    private static byte[] Bytes(string name, long step)
    {
        byte[] bytes = new byte[name.Length * 1000];
        new Random(HashCode(name) + (int)step).NextBytes(bytes);
        return bytes;

        static int HashCode(string text) => text.Sum(c => c);
    }

    private static void Write(CheckpointWriter writer, long step)
    {
        foreach (string name in s_files)
        {
            using Stream file = writer.Create(name);
            foreach (byte[] chunk in Bytes(name, step).Chunk(4096))
            {
                file.Write(chunk);
            }
        }

        writer.Tokens = 1000 * step;
        writer.ConfigHash = "c0ffee";
        writer.Parent = new RunParent("parent", 5, RunParentKind.Branch);
        writer.State = new JsonObject { ["cursor"] = new JsonObject { ["document"] = 12345678901 }, ["rng"] = "a/b" };
    }

    private static Checkpoint Save(CheckpointStore store, long step) => store.Save(step, writer => Write(writer, step));

    private static void AssertHolds(Checkpoint? checkpoint, long step)
    {
        Assert.NotNull(checkpoint);
        Assert.Equal(step, checkpoint.Step);
        foreach (string name in s_files)
        {
            Assert.Equal(Bytes(name, step), File.ReadAllBytes(checkpoint.FilePath(name)));
        }
    }

    private static string Step(string folder, long step) => Path.Combine(folder, $"step-{step:D8}");

    private static void Copy(string from, string to)
    {
        foreach (string path in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(to, Path.GetRelativePath(from, path));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(path, target);
        }
    }

    [Fact]
    public void What_was_saved_is_read_back()
    {
        using TemporaryFolder folder = new();
        CheckpointStore store = new(folder.File("checkpoints"));
        Assert.Null(store.OpenNewest());
        AssertHolds(Save(store, 10), 10);
        AssertHolds(Save(store, 20), 20);
        Checkpoint newest = new CheckpointStore(folder.File("checkpoints")).OpenNewest()!;
        AssertHolds(newest, 20);
        Assert.Equal((20_000, "c0ffee", new RunParent("parent", 5, RunParentKind.Branch)), (newest.Manifest.Tokens, newest.Manifest.ConfigHash, newest.Manifest.Parent));
        Assert.Equal("""{"cursor":{"document":12345678901},"rng":"a/b"}""", newest.Manifest.State.ToJsonString());
        Assert.Empty(newest.Rejected);
        AssertHolds(store.Open(10), 10);
        using (FileStream stream = newest.OpenRead("state.json"))
        {
            Assert.Equal(Bytes("state.json", 20).Length, stream.Length);
        }

        Assert.Contains("steps 10, 20", Assert.Throws<InvalidDataException>(() => store.Open(15)).Message);
        Assert.Throws<InvalidDataException>(() => newest.FilePath("../step-00000010/state.json"));
    }

    [Fact]
    public async Task A_reader_finds_a_checkpoint_however_fast_the_run_saves_and_prunes()
    {
        using TemporaryFolder folder = new();
        string checkpoints = folder.File("checkpoints");
        CheckpointStore writer = new(checkpoints), reader = CheckpointStore.Reader(checkpoints);
        Save(writer, 1);
        bool done = false;
        Task saving = Task.Run(() =>
        {
            for (int step = 2; step < 200; step++)
            {
                Save(writer, step);
            }

            Volatile.Write(ref done, true);
        }, TestContext.Current.CancellationToken);
        long last = 0;
        while (!Volatile.Read(ref done))
        {
            long step = reader.OpenNewest()!.Step;
            Assert.True(step >= last, $"step {step} after {last}");
            last = step;
        }

        await saving;
        Assert.Equal(199, reader.OpenNewest()!.Step);
    }

    [Fact]
    public void The_same_state_gives_the_same_bytes()
    {
        using TemporaryFolder folder = new();
        string[] manifests = [.. new[] { "a", "b" }.Select(name => File.ReadAllText(Path.Combine(Save(new CheckpointStore(folder.File(name)), 7).Path, "manifest.json")))];
        Assert.Equal(manifests[0], manifests[1]);
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("optim.safetensors")]
    [InlineData("state.json")]
    [InlineData("manifest.json")]
    public void Damage_at_200_random_offsets_is_detected_named_and_an_older_one_used(string name)
    {
        using TemporaryFolder folder = new();
        string checkpoints = folder.File("checkpoints");
        CheckpointStore store = new(checkpoints);
        Save(store, 1);
        Save(store, 2);
        string path = Path.Combine(Step(checkpoints, 2), name);
        byte[] whole = File.ReadAllBytes(path);
        Random random = new(name.Length);
        int detected = 0;
        for (int i = 0; i < 200; i++)
        {
            int offset = random.Next(whole.Length);
            byte[] damaged = i % 2 == 0 ? whole[..offset] : [.. whole];
            if (i % 2 == 1)
            {
                damaged[offset] ^= (byte)(1 << random.Next(8));
            }

            File.WriteAllBytes(path, damaged);
            Checkpoint used = store.OpenNewest()!;
            AssertHolds(used, 1);
            Assert.Contains(path, Assert.Single(used.Rejected));
            Directory.Move(Step(checkpoints, 2) + ".bad", Step(checkpoints, 2));
            detected++;
        }

        Assert.Equal(200, detected);
        File.WriteAllBytes(path, whole);
        AssertHolds(store.OpenNewest(), 2);
        File.Delete(path);
        Assert.Contains(path + ": missing", Assert.Single(store.OpenNewest()!.Rejected));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void A_failure_at_any_operation_leaves_the_previous_checkpoint_and_no_litter(long step)
    {
        int operations = 0;
        using (TemporaryFolder folder = new())
        {
            Prepare(folder.Path);
            Save(new CheckpointStore(folder.Path, null, _ => operations++), step);
        }

        Assert.InRange(operations, 20, 200);
        for (int fail = 0; fail < operations; fail++)
        {
            using TemporaryFolder folder = new();
            Prepare(folder.Path);
            int count = 0;
            string failed = "";
            CheckpointStore store = new(folder.Path, null, operation =>
            {
                if (count++ == fail)
                {
                    failed = operation;
                    throw new IOException("No space left on device");
                }
            });
            Assert.Contains("No space", Assert.Throws<IOException>(() => Save(store, step)).Message);
            Assert.True(Directory.GetDirectories(folder.Path).All(path => !path.Contains(".tmp-") && !path.EndsWith(".bad")), failed);

            // Until the new one is in place the old ones stand; after that, the new one does.
            bool renamed = failed is "sync parent" or "verify" or "prune";
            AssertHolds(store.OpenNewest(), renamed ? step : 2);
            AssertHolds(Save(store, 4), 4);
        }

        static void Prepare(string path)
        {
            CheckpointStore store = new(path);
            Save(store, 1);
            Save(store, 2);
        }
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void A_kill_at_any_operation_leaves_a_checkpoint_that_loads(long step)
    {
        using TemporaryFolder folder = new();
        string checkpoints = folder.File("checkpoints");
        Save(new CheckpointStore(checkpoints), 1);
        Save(new CheckpointStore(checkpoints), 2);
        List<(string Operation, string Copy)> instants = [];
        CheckpointStore store = new(checkpoints, null, operation =>
        {
            // What a killed process leaves is the folder as it stands.
            string copy = folder.File($"killed-{instants.Count}");
            Copy(checkpoints, copy);
            instants.Add((operation, copy));
        });
        Save(store, step);
        Assert.InRange(instants.Count, 20, 200);
        foreach ((string operation, string copy) in instants)
        {
            CheckpointStore reopened = new(copy);
            Checkpoint newest = reopened.OpenNewest()!;
            AssertHolds(newest, operation is "sync parent" or "verify" or "prune" ? step : 2);
            Assert.Empty(newest.Rejected);
            Assert.All(Directory.GetDirectories(copy), path => Assert.Matches(@"step-\d{8}$", path));
        }
    }

    [Fact]
    public void Retention_keeps_the_last_the_permanent_and_every_so_many()
    {
        using TemporaryFolder folder = new();
        CheckpointStore store = new(folder.Path, new CheckpointRetention(Last: 3, Permanent: [30, 70], Every: 50));
        for (long step = 10; step <= 150; step += 10)
        {
            Save(store, step);
        }

        Assert.Equal([30, 50, 70, 100, 130, 140, 150], store.Steps);
        Assert.Equal(7, Directory.GetFileSystemEntries(folder.Path).Length);
        Assert.Throws<ValidationException>(() => new CheckpointRetention(Last: 1));
        Assert.Throws<ValidationException>(() => new CheckpointRetention(Every: 0));
    }

    [Fact]
    public void Quarantine_never_overwrites_and_all_bad_is_an_error_that_stays()
    {
        using TemporaryFolder folder = new();
        CheckpointStore store = new(folder.Path);
        for (int round = 0; round < 3; round++)
        {
            Save(store, 1);
            File.AppendAllText(Path.Combine(Step(folder.Path, 1), "state.json"), "x");
            InvalidDataException error = Assert.Throws<InvalidDataException>(store.OpenNewest);
            Assert.Contains(Path.Combine(Step(folder.Path, 1), "state.json"), error.Message);
            Assert.DoesNotContain('\n', error.Message);
        }

        Assert.Equal(["step-00000001.bad", "step-00000001.bad-2", "step-00000001.bad-3"], Directory.GetDirectories(folder.Path).Select(Path.GetFileName).Order());

        // A requeued job must not take the quarantine for a fresh start.
        Assert.Contains("start over", Assert.Throws<InvalidDataException>(new CheckpointStore(folder.Path).OpenNewest).Message);
    }

    [Fact]
    public void Every_bad_candidate_is_listed()
    {
        using TemporaryFolder folder = new();
        CheckpointStore store = new(folder.Path);
        Save(store, 1);
        Save(store, 2);
        File.Delete(Path.Combine(Step(folder.Path, 1), "manifest.json"));
        File.WriteAllText(Path.Combine(Step(folder.Path, 2), "model.safetensors"), "");
        string message = Assert.Throws<InvalidDataException>(store.OpenNewest).Message;
        Assert.Contains(Path.Combine(Step(folder.Path, 1), "manifest.json") + ": missing", message);
        Assert.Contains(Path.Combine(Step(folder.Path, 2), "model.safetensors") + ": 0 bytes", message);
    }

    [Fact]
    public void A_checkpoint_under_the_name_of_another_step_is_bad()
    {
        using TemporaryFolder folder = new();
        CheckpointStore store = new(folder.Path);
        Save(store, 1);
        Directory.Move(Step(folder.Path, 1), Step(folder.Path, 9));
        Assert.Contains("holds step 1", Assert.Throws<InvalidDataException>(store.OpenNewest).Message);
    }

    [Fact]
    public void A_checkpoint_being_replaced_comes_back_where_the_new_one_proves_bad()
    {
        using TemporaryFolder folder = new();
        Save(new CheckpointStore(folder.Path), 1);
        CheckpointStore store = new(folder.Path, null, operation =>
        {
            if (operation == "verify")
            {
                File.AppendAllText(Path.Combine(Step(folder.Path, 1), "model.safetensors"), "x");
            }
        });
        Assert.Contains("set aside", Assert.Throws<InvalidDataException>(() => Save(store, 1)).Message);
        AssertHolds(new CheckpointStore(folder.Path).OpenNewest(), 1);
        Assert.Equal(["step-00000001", "step-00000001.bad"], Directory.GetDirectories(folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void A_step_before_the_newest_is_refused()
    {
        using TemporaryFolder folder = new();
        CheckpointStore store = new(folder.Path);
        Save(store, 5);
        Assert.Contains("saved step 5", Assert.Throws<ValidationException>(() => Save(store, 4)).Message);
        Assert.Equal([5], store.Steps);
    }

    [Fact]
    public void Leftovers_of_killed_saves_go_when_the_store_opens()
    {
        using TemporaryFolder folder = new();
        Save(new CheckpointStore(folder.Path), 1);
        Directory.CreateDirectory(Step(folder.Path, 2) + ".tmp-77");
        File.WriteAllText(Path.Combine(Step(folder.Path, 2) + ".tmp-77", "model.safetensors"), "half");
        AssertHolds(new CheckpointStore(folder.Path).OpenNewest(), 1);
        Assert.Single(Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public void Bad_file_names_and_unfinished_files_are_refused()
    {
        using TemporaryFolder folder = new();
        CheckpointStore store = new(folder.Path);
        foreach (string name in new[] { "manifest.json", "a/b", "..", "", "/x" })
        {
            Assert.Throws<ArgumentException>(() => store.Save(1, writer => writer.Create(name)));
        }

        Assert.Throws<InvalidOperationException>(() => store.Save(1, writer => writer.Create("a")));
        Assert.Throws<ArgumentException>(() => store.Save(1, writer =>
        {
            writer.Create("a").Dispose();
            writer.Create("a");
        }));
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
    }
}
