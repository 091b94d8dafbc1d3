using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws;
using Windtunnel.Runs;

namespace Windtunnel.Tests.Laws;

public sealed class PointTableTests
{
    private static readonly ChinchillaLaw s_law = new();
    private static readonly Dictionary<string, string> s_noMapping = [];

    [Fact]
    public void Rows_that_diverged_or_did_not_finish_are_left_out_and_listed()
    {
        Observations data = Read("""
            params,tokens,loss,status
            1e6,2e7,4.0,completed
            1e6,4e7,nan,completed
            2e6,4e7,,completed
            2e6,8e7,3.5,diverged
            4e6,8e7,3.2,killed
            4e6,1e8,3.1,completed
            """).Observe(s_law, s_noMapping);
        Assert.Equal([1e6, 2e7, 4e6, 1e8], data.Inputs);
        Assert.Equal([4.0, 3.1], data.Observed);
        Assert.Equal(["line 3", "line 4", "line 5", "line 6"], data.Excluded.Select(row => row.Row));
        Assert.Equal(
            ["it diverged: its result is nan", "it has no result", "its status is diverged", "its status is killed"], data.Excluded.Select(row => row.Reason));
    }

    [Theory]
    [InlineData("params,tokens\n1,2\n", "no column 'loss'; name one with --loss: params, tokens")]
    [InlineData("n,d,loss\n1e6,-3,4\n", "line 2: d: -3 must be positive")]
    [InlineData("n,d,loss\n1e6,0,4\n", "line 2: d: 0 must be positive")]
    [InlineData("n,d,loss\nmany,3,4\n", "line 2: n: 'many' is not a number")]
    [InlineData("n,d,loss\nNaN,3,4\n", "line 2: n: 'NaN' is not a number")]
    [InlineData("n,d,loss\n1e6,3,-4\n", "line 2: loss: -4 must be positive")]
    [InlineData("n,d,loss\n1e6,3,low\n", "line 2: loss: 'low' is not a number")]
    [InlineData("n,d,loss\n1e6,3\n", "line 2: 2 values under 3 headings")]
    [InlineData("n,d,d\n", "column 'd' is there twice")]
    [InlineData("", "empty; it needs a line of headings")]
    public void Bad_input_is_one_clear_line(string text, string message)
    {
        Exception error = Assert.ThrowsAny<Exception>(() => Read(text).Observe(s_law, s_noMapping));
        Assert.True(error is ValidationException or InvalidDataException);
        Assert.Contains(message, error.Message);
        Assert.DoesNotContain('\n', error.Message);
        Assert.StartsWith("runs.csv", Path.GetFileName(error.Message.Split(':')[0]));
    }

    [Theory]
    [InlineData("n,d,loss\n1e6,2e7,4\n", "1 usable rows are too few for 5 parameters (E, A, B, alpha, beta)")]
    [InlineData("n,d,loss\n1e6,1e7,4\n1e6,2e7,3.9\n1e6,3e7,3.8\n1e6,4e7,3.7\n1e6,5e7,3.6\n1e6,6e7,3.5\n", "n is 1000000 in every row")]
    public void Data_that_cannot_say_anything_is_refused(string text, string message) =>
        Assert.Contains(message, Assert.Throws<ValidationException>(() => Fit.Of(s_law, Read(text).Observe(s_law, s_noMapping))).Message);

    [Fact]
    public void Conditions_groups_and_mappings_choose_rows_and_columns()
    {
        PointTable table = Read("""
            set,size,seen,c4
            a,1e6,2e7,4.0
            b,1e6,2e7,5.0
            a,2e6,4e7,3.5
            """);
        Dictionary<string, string> mapping = new() { ["n"] = "size", ["d"] = "seen", ["loss"] = "c4" };
        Assert.Equal([4.0, 3.5], table.Where("set=a").Observe(s_law, mapping).Observed);
        Assert.Equal([3.5], table.Where("size>1e6").Observe(s_law, mapping).Observed);
        Assert.Equal(["a", "b"], table.GroupBy("set").Select(group => group.Group));
        Assert.Contains("no column 'sat'", Assert.Throws<ValidationException>(() => table.Where("sat=a")).Message);
    }

    [Fact]
    public void A_folder_of_runs_is_a_table()
    {
        using TemporaryFolder root = new();
        RunFolder folder = RunFolder.Create(root.Path, "one", "one");
        (RunRecord.Start(folder, "one", 1) with { Status = RunStatus.Completed, Model = new RunModel(5_000_000, 3_000_000) }).Save(folder.RecordPath);
        using (MetricsLog log = new(folder.MetricsPath))
        {
            log.Append(new Progress(10, 1000, 1e9, 1, 0.1), ("val/a/loss", 3.25));
        }

        Observations data = PointTable.Read(root.Path).Observe(s_law, new Dictionary<string, string> { ["n"] = "params_non_embedding" });
        Assert.Equal([3_000_000, 1000], data.Inputs);
        Assert.Equal([3.25], data.Observed);
        Assert.Equal(["one"], data.Labels);
        Assert.Contains("holds no runs", Assert.Throws<ValidationException>(() => PointTable.Read(Directory.CreateDirectory(root.File("empty")).FullName)).Message);
        Assert.Contains("no such file", Assert.Throws<ValidationException>(() => PointTable.Read(root.File("absent.csv"))).Message);
    }

    private static PointTable Read(string text)
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder.File("runs.csv"), text);
        return PointTable.Read(folder.File("runs.csv"));
    }
}
