using System.Text;
using Windtunnel.Runs;

namespace Windtunnel.Tests.Runs;

public sealed class MetricsLogTests
{
    private static Progress At(long step) => new(step, step * 1024, step * 1.5e9, step * 0.1, step / 7.0);

    private static string Written(TemporaryFolder folder, int rows)
    {
        string path = folder.File("metrics.jsonl");
        using MetricsLog log = new(path);
        for (int step = 1; step <= rows; step++)
        {
            log.Append(At(step), ("train/loss", Math.Exp(-step)), ("val/c4/loss", 1.0 / step));
        }

        return path;
    }

    [Fact]
    public void Rows_round_trip_to_the_bit()
    {
        using TemporaryFolder folder = new();
        string path = folder.File("metrics.jsonl");
        double[] values = [0.1 + 0.2, double.NaN, double.PositiveInfinity, double.NegativeInfinity, double.Epsilon, double.MaxValue, -0.0, 1e22];
        using (MetricsLog log = new(path))
        {
            for (int i = 0; i < values.Length; i++)
            {
                log.Append(At(i), ("train/loss", values[i]));
            }

            log.Append(new Progress(9, long.MaxValue, double.NaN, 0, 0));
            log.Flush();
        }

        MetricsRow[] rows = [.. MetricsLog.Read(path)];
        Assert.Equal(values.Select(BitConverter.DoubleToInt64Bits), rows.SkipLast(1).Select(row => BitConverter.DoubleToInt64Bits(row.Values["train/loss"])));
        Assert.Equal(At(5), rows[5].At);
        Assert.Equal(new Progress(9, long.MaxValue, double.NaN, 0, 0), rows[^1].At);
        Assert.Equal("""{"step":1,"tokens":1024,"flops":1500000000,"wall_s":0.1,"epoch":0.14285714285714285,"train/loss":"NaN"}""", File.ReadAllLines(path)[1]);
    }

    [Fact]
    public void A_log_cut_anywhere_gives_its_whole_rows_and_can_be_resumed()
    {
        using TemporaryFolder folder = new();
        byte[] whole = File.ReadAllBytes(Written(folder, 4));
        for (int length = 0; length <= whole.Length; length++)
        {
            string path = folder.File("cut.jsonl");
            File.WriteAllBytes(path, whole[..length]);
            int complete = whole.AsSpan(0, length).Count((byte)'\n') + (length < whole.Length && whole[length] == '\n' ? 1 : 0);
            Assert.Equal(complete, MetricsLog.Read(path).Count());
            Assert.Equal(whole.AsSpan(0, length).Count((byte)'\n'), MetricsLog.Last(path)?.At.Step ?? 0);
            using (MetricsLog log = new(path))
            {
                log.Append(At(99), ("train/loss", 1));
            }

            Assert.Equal(Enumerable.Range(1, complete).Append(99), MetricsLog.Read(path).Select(row => (int)row.At.Step));
        }
    }

    [Fact]
    public void Resuming_drops_the_rows_after_the_step()
    {
        using TemporaryFolder folder = new();
        string path = Written(folder, 10);
        string[] before = File.ReadAllLines(path);
        using (MetricsLog log = new(path, resumedStep: 6))
        {
            log.Append(At(7), ("train/loss", 0.5));
        }

        Assert.Equal(before[..6], File.ReadAllLines(path)[..6]);
        Assert.Equal([1, 2, 3, 4, 5, 6, 7], MetricsLog.Read(path).Select(row => (int)row.At.Step));
        Assert.Equal(["train/loss"], MetricsLog.Read(path).Last().Values.Keys);
        Assert.Single(Directory.GetFileSystemEntries(folder.Path));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("")]
    [InlineData("[1]")]
    [InlineData("""{"step":1,"tokens":1,"flops":1,"wall_s":1}""")]
    [InlineData("""{"step":1.5,"tokens":1,"flops":1,"wall_s":1,"epoch":0}""")]
    [InlineData("""{"step":1,"step":1,"tokens":1,"flops":1,"wall_s":1,"epoch":0}""")]
    [InlineData("""{"step":1,"tokens":1,"flops":1,"wall_s":1,"epoch":0,"a":"x"}""")]
    [InlineData("""{"step":1,"tokens":1,"flops":1,"wall_s":1,"epoch":0,"a":{"b":1}}""")]
    [InlineData("""{"step":1,"tokens":1,"flops":1,"wall_s":1,"epoch":0} x""")]
    public void A_bad_line_before_the_last_is_named(string line)
    {
        using TemporaryFolder folder = new();
        string path = Written(folder, 2);
        string good = File.ReadAllText(path);
        File.WriteAllText(path, good + line + "\n" + good);
        Assert.StartsWith($"{path}:3:", Assert.Throws<InvalidDataException>(() => MetricsLog.Read(path).Count()).Message);
        Assert.Throws<InvalidDataException>(() => new MetricsLog(path));
        Assert.Equal(good + line + "\n" + good, File.ReadAllText(path));
    }

    [Fact]
    public void An_endless_line_is_refused_without_reading_it_whole()
    {
        using TemporaryFolder folder = new();
        string path = folder.File("metrics.jsonl");
        using (FileStream file = File.Create(path))
        {
            file.SetLength(1L << 32);
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<InvalidDataException>(() => MetricsLog.Read(path).Count());
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 4 << 20);
    }

    [Fact]
    public void Mutated_logs_give_rows_or_a_typed_error()
    {
        using TemporaryFolder folder = new();
        byte[] whole = File.ReadAllBytes(Written(folder, 3));
        Random random = new(5);
        for (int i = 0; i < 5_000; i++)
        {
            byte[] bytes = [.. whole];
            for (int edits = random.Next(1, 4); edits > 0; edits--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            string path = folder.File("mutated.jsonl");
            File.WriteAllBytes(path, bytes);
            try
            {
                _ = MetricsLog.Read(path).Count();
            }
            catch (InvalidDataException)
            {
            }
        }
    }

    [Fact]
    public void Appending_allocates_nothing_once_warm()
    {
        using TemporaryFolder folder = new();
        using MetricsLog log = new(folder.File("metrics.jsonl"));
        log.Append(At(0), ("train/loss", 1), ("train/lr", 1e-3));
        log.Append(At(1), ("train/loss", 1), ("train/lr", 1e-3));
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int step = 2; step < 1_000; step++)
        {
            log.Append(At(step), ("train/loss", 1.0 / step), ("train/lr", 1e-3));
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void A_reader_follows_a_log_being_written()
    {
        using TemporaryFolder folder = new();
        string path = folder.File("metrics.jsonl");
        using MetricsLog log = new(path);
        for (int step = 1; step <= 5; step++)
        {
            log.Append(At(step), ("train/loss", step));
            Assert.Equal(step, MetricsLog.Read(path).Count());
        }

        Assert.Equal(5, Encoding.UTF8.GetString(File.ReadAllBytes(path)).Count(c => c == '\n'));
    }
}
