using System.ComponentModel.DataAnnotations;
using Windtunnel.Runs;

namespace Windtunnel.Tests.Runs;

public sealed class RunTableTests
{
    private static void Add(TemporaryFolder root, string id, RunStatus status, RunParent? parent, params double[] losses)
    {
        RunFolder run = RunFolder.Create(root.Path, id, id);
        (RunRecord.Start(run, id + "-name", 1, parent) with { Status = status }).Save(run.RecordPath);
        using MetricsLog log = new(run.MetricsPath);
        for (int i = 0; i < losses.Length; i++)
        {
            log.Append(new Progress(i + 1, 100 * (i + 1), 1e6 * (i + 1), i, 0), ("val/b/loss", losses[i]), ("val/a/loss", losses[i] + 1), ("val/a/bpb", losses[i] / 2));
            log.Append(new Progress(i + 1, 100 * (i + 1), 1e6 * (i + 1), i + 0.5, 0), ("train/loss", 9));
        }
    }

    private static TemporaryFolder Runs()
    {
        TemporaryFolder root = new();
        Add(root, "one", RunStatus.Completed, null, 3, 1, 2);
        Add(root, "two", RunStatus.Running, new RunParent("one", 2, RunParentKind.Branch), 5);
        Add(root, "new", RunStatus.Running, null);
        Directory.CreateDirectory(root.File("not-a-run"));
        Add(root, "bad", RunStatus.Completed, null, 1);
        root.Write("bad/run.json", "{");
        return root;
    }

    [Fact]
    public void A_run_that_nobody_holds_is_not_running_but_killed()
    {
        using TemporaryFolder root = Runs();
        using (RunFolder.Open(root.Path, "two").Lock())
        {
            Assert.Equal(["unreadable", "killed", "completed", "running"], RunTable.Read(root.Path).Select(row => row.Status));
        }

        Assert.Equal(["new", "two"], RunTable.Where(RunTable.Read(root.Path), "status=killed").Select(row => row.Id));
    }

    [Fact]
    public void Rows_tell_the_end_and_the_best_of_each_run()
    {
        using TemporaryFolder root = Runs();
        IReadOnlyList<RunRow> rows = RunTable.Read(root.Path);
        Assert.Equal(["bad", "new", "one", "two"], rows.Select(row => row.Id));
        RunRow one = rows[2];
        Assert.Equal((3L, 300L, 3e6, 2.5), (one.Last!.Value.Step, one.Last.Value.Tokens, one.Last.Value.Flops, one.Last.Value.WallSeconds));
        Assert.Equal((3.0, 2.0, 1.0, 0.5), (one.ValLoss!.Value, one.ValLossBest!.Value, one.ValBpb!.Value, one.ValBpbBest!.Value));
        Assert.Null(rows[1].Last);
        Assert.Contains("run.json", rows[0].Problem);
        Assert.Equal((2.0, 1.0), (RunTable.Read(root.Path, "b")[2].ValLoss!.Value, RunTable.Read(root.Path, "b")[2].ValLossBest!.Value));
        Assert.Empty(RunTable.Read(root.File("none")));
    }

    [Fact]
    public void Rows_sort_by_any_column_with_the_empty_last()
    {
        using TemporaryFolder root = Runs();
        IReadOnlyList<RunRow> rows = RunTable.Read(root.Path);
        Assert.Equal(["one", "two", "bad", "new"], RunTable.Sort(rows, "val_loss").Select(row => row.Id));
        Assert.Equal(["two", "one", "bad", "new"], RunTable.Sort(rows, "val_loss", descending: true).Select(row => row.Id));
        foreach (string column in RunTable.Columns)
        {
            Assert.Equal(4, RunTable.Sort(rows, column).Count);
        }

        Assert.Contains("val_bpb_best", Assert.Throws<ValidationException>(() => RunTable.Sort(rows, "loss")).Message);
    }

    [Theory]
    [InlineData("status=completed", "one")]
    [InlineData("status != killed", "bad one")]
    [InlineData("status=unreadable", "bad")]
    [InlineData("val_loss<4", "one")]
    [InlineData("val_loss>=3", "one two")]
    [InlineData("tokens = 1e2", "two")]
    [InlineData("name~NE", "new one")]
    [InlineData("parent=one", "two")]
    [InlineData("created>2020-01-01", "new one two")]
    public void Rows_filter_by_a_condition(string condition, string ids)
    {
        using TemporaryFolder root = Runs();
        Assert.Equal(ids, string.Join(' ', RunTable.Where(RunTable.Read(root.Path), condition).Select(row => row.Id)));
    }

    [Theory]
    [InlineData("status")]
    [InlineData("nothing=1")]
    [InlineData("val_loss<low")]
    public void A_bad_condition_is_named(string condition)
    {
        using TemporaryFolder root = Runs();
        Assert.Throws<ValidationException>(() => RunTable.Where(RunTable.Read(root.Path), condition));
    }
}
