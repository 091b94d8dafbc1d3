using System.ComponentModel.DataAnnotations;
using System.Xml.Linq;
using Windtunnel.Experiments.Reports;
using Windtunnel.Laws.Figures;
using Windtunnel.Runs;

namespace Windtunnel.Tests.Experiments.Reports;

/// <summary>Reports of run folders, whatever became of the runs.</summary>
public sealed class RunsReportTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_branch_starts_on_its_trunk()
    {
        Run("trunk", steps: 10);
        Run("branch", steps: 12, first: 7, parent: new RunParent("trunk", 6, RunParentKind.Branch), lower: 0.5);

        Report report = RunsReport.Of(_folder.Path, ["trunk", "branch"]);

        DataPoint[] branch = [.. Lines(report).Where(line => line.Name == "branch").MaxBy(line => line.Points.Max(point => point.Y))!.Points];
        Assert.Equal([600, 700, 800, 900, 1000, 1100, 1200], branch.Select(point => point.X));
        Assert.Equal(Loss(6), branch[0].Y);
        Assert.Equal(Loss(7) - 0.5, branch[1].Y);
        ReportTree tree = report.Sections.SelectMany(section => section.Blocks).OfType<ReportTree>().Single();
        Assert.Equal("branch", Assert.Single(Assert.Single(tree.Roots).Branches).Name);
        Assert.Contains("branch at step 6", tree.Roots[0].Branches[0].Detail);
        Assert.Contains($"{Loss(12) - 0.5:F4}", report.Lead);
    }

    [Fact]
    public void What_a_branch_has_of_its_trunk_is_counted_once()
    {
        Run("trunk", steps: 10);
        Run("branch", steps: 12, first: 7, parent: new RunParent("trunk", 6, RunParentKind.Branch));
        Run("warm", steps: 3, parent: new RunParent("trunk", 6, RunParentKind.Init));
        Run("orphan", steps: 4, first: 3, parent: new RunParent("nobody", 2, RunParentKind.Branch));

        ReportFacts facts = RunsReport.Of(_folder.Path, ["trunk", "branch", "warm", "orphan"]).Sections.SelectMany(section => section.Blocks).OfType<ReportFacts>().Single();

        // A step is 1 MFLOP and a second; of a parent that is gone nothing is known.
        Assert.Equal(Quantity.Flops((10 + 6 + 3 + 4) * 1e6), facts.Facts.Single(fact => fact.Name == "total compute").Value);
        Assert.Equal(Quantity.Time(10 + 6 + 3 + 4), facts.Facts.Single(fact => fact.Name == "total time of runs").Value);
    }

    [Fact]
    public void The_file_of_a_figure_has_the_losses_of_the_log()
    {
        Run("a", steps: 5);

        Report report = RunsReport.Of(_folder.Path, ["a"]);

        string csv = Assert.Single(report.Figures).Figure.Figure.ToCsv();
        foreach (int step in Enumerable.Range(1, 5))
        {
            Assert.Contains($",{100 * step},{Loss(step):R},,,a\n", csv);
        }
    }

    [Fact]
    public void Long_runs_are_thinned_from_the_first_point_to_the_last()
    {
        Run("long", steps: 5000);

        LineMark line = Lines(RunsReport.Of(_folder.Path, ["long"])).MaxBy(line => line.Points.Count)!;

        Assert.InRange(line.Points.Count, 500, 1000);
        Assert.Equal((100, 500_000), (line.Points[0].X, line.Points[^1].X));
    }

    [Fact]
    public void Runs_that_diverged_failed_never_began_or_cannot_be_read_are_reported_all_the_same()
    {
        Run("good", steps: 4);
        Run("diverged", steps: 3, status: RunStatus.Diverged);
        Run("empty", steps: 0, status: RunStatus.Failed);
        Directory.CreateDirectory(_folder.File("broken"));
        _folder.Write("broken/run.json", "{<script>");
        Run("cycle", steps: 2, parent: new RunParent("cycle", 1, RunParentKind.Branch));

        Report report = RunsReport.Of(_folder.Path, ["good", "diverged", "empty", "broken", "cycle"]);
        XElement page = Save(report);

        Assert.Equal(["completed", "diverged", "failed", "unreadable", "completed"], page.Descendants("table").First().Descendants("td").Where((_, i) => i % 9 == 1).Select(cell => cell.Value));
        Assert.Contains(page.Descendants("li"), item => item.Value.Contains("broken: ", StringComparison.Ordinal) && item.Value.Contains("run record", StringComparison.Ordinal));
        Assert.Contains(Marks(report).OfType<NoteMark>(), note => note.Text == "diverged");
        Assert.Contains($"{Loss(4):F4}", report.Lead);
    }

    [Fact]
    public void A_run_without_any_loss_has_no_figure()
    {
        Run("empty", steps: 0, status: RunStatus.Running);

        Report report = RunsReport.Of(_folder.Path, ["empty"]);
        Save(report);

        Assert.Empty(report.Figures);
        Assert.Contains("without a validation loss", report.Lead);
    }

    [Fact]
    public void What_a_run_says_of_itself_stays_text()
    {
        const string hostile = "<script>alert(1)</script>";
        Run("a", steps: 3, hostile: hostile, config: $"name: \"{hostile}\"\n");
        Run("b", steps: 3, config: "name: b\n");

        XElement page = Save(RunsReport.Of(_folder.Path, ["a", "b"]));

        Assert.DoesNotContain(page.Descendants(), element => element.Name.LocalName == "script");
        Assert.Contains(page.Descendants("pre"), listing => listing.Value.Contains(hostile, StringComparison.Ordinal));
        Assert.Contains(page.Descendants("dd"), fact => fact.Value.Contains(hostile, StringComparison.Ordinal));
        Assert.Contains(page.Descendants("td"), cell => cell.Value == hostile);
    }

    [Fact]
    public void A_run_that_is_not_there_is_named()
    {
        Assert.Contains("no such run", Assert.Throws<ValidationException>(() => RunsReport.Of(_folder.Path, ["nobody"])).Message);
        Assert.Throws<ValidationException>(() => RunsReport.Of(_folder.Path, ["../x"]));
    }

    internal static double Loss(int step) => 2 + (3.0 / (1 + step));

    internal static IEnumerable<Mark> Marks(Report report) => report.Figures.SelectMany(figure => figure.Figure.Figure.Panels).SelectMany(panel => panel.Marks);

    private static IEnumerable<LineMark> Lines(Report report) => Marks(report).OfType<LineMark>().Where(line => line.Points.Count > 0);

    private XElement Save(Report report)
    {
        report.Save(_folder.File("report.html"));
        return ReportPageTests.Parse(File.ReadAllText(_folder.File("report.html")));
    }

    private void Run(
        string id, int steps, int first = 1, RunStatus status = RunStatus.Completed, RunParent? parent = null, double lower = 0, string? hostile = null, string config = "seed: 1\n")
    {
        RunFolder folder = RunFolder.Create(_folder.Path, id, id);
        File.WriteAllText(folder.ConfigPath, config);
        RunRecord record = RunRecord.Start(folder, hostile ?? id, 1, parent) with { Status = status, Model = new RunModel(1000, 500) };
        (hostile is null ? record : record with { Host = hostile, GitSha = hostile, ToolVersion = hostile, Data = new RunData(hostile, hostile) }).Save(folder.RecordPath);
        using MetricsLog log = new(folder.MetricsPath);
        for (int step = first; step <= steps; step++)
        {
            log.Append(new Progress(step, 100 * step, 1e6 * step, step, 0), ("train/loss_ema", Loss(step) + 0.1 - lower), ("train/lr", 1e-3));
            log.Append(new Progress(step, 100 * step, 1e6 * step, step, 0), ("val/set/loss", Loss(step) - lower), ("val/set/bpb", 1));
        }
    }
}
