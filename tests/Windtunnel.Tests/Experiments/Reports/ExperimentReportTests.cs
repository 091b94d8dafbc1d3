using System.Globalization;
using System.Xml.Linq;
using Windtunnel.Experiments;
using Windtunnel.Experiments.Ladders;
using Windtunnel.Experiments.Reports;
using Windtunnel.Laws.Figures;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Tests.Training;
using Windtunnel.Training;

namespace Windtunnel.Tests.Experiments.Reports;

/// <summary>Reports of experiments, before their first run, on the way, and at their end.</summary>
public sealed class ExperimentReportTests : IDisposable
{
    private const string Run = """
        run:
          threads: 1
          data: {corpus: {type: synthetic, documents: 400, sentencesPerDocument: 2, vocabularySize: 20}, tokenizer: bytes, validationFraction: 0.1}
          model: {type: llama, size: 1k}
          training: {length: 4, sequenceLength: 32, batchSize: 4}
          validation: {every: 50%, tokens: 500}
          logging: {every: 1, tensorBoard: false}
        """;

    private const string Comparison = $$$"""
        type: comparison
        name: toy
        {{{Run}}}
        seeds: [1, 2]
        variants:
          adamw: {optimizer: {type: adamw, learningRate: 1e-3}}
          "<script>alert(1)</script>": {optimizer: {type: adamw, learningRate: 2e-2}}
          wild: {optimizer: {type: adamw, learningRate: 1e30, weightDecay: 0}}
        """;

    private const string Sweep = $$$"""
        type: sweep
        name: toy
        {{{Run}}}
        search: {type: grid}
        seeds: [1, 2]
        arms:
          adamw: {start: {optimizer: {type: adamw, weightDecay: 0}}, grid: {optimizer.learningRate: [1e-3, 1e-2, 1e30]}}
          "<img src=x>": {start: {optimizer: {type: lion}}, grid: {optimizer.learningRate: [1e-4, 1e-3]}}
        """;

    private const string Ladder = $$$"""
        type: ladder
        name: toy
        {{{Run}}}
        overrides: ["schedule={type: wsd, warmup: 20%, decay: 20%}"]
        sizes: [2k, 4k, 8k]
        multipliers: [3, 6, 12]
        targets: [{size: 16k, multiplier: 6}]
        """;

    private readonly TemporaryFolder _folder = new();
    private readonly StopSignal _stop = StopSignal.Listen();
    private readonly RecordingListener _listener = new();

    public void Dispose()
    {
        _stop.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(Comparison)]
    [InlineData(Sweep)]
    [InlineData(Ladder)]
    public void An_experiment_that_has_not_begun_is_a_report_without_figures(string text)
    {
        Report report = ExperimentReport.Of(Create(text), Store());

        Assert.DoesNotContain(Points(report), point => double.IsFinite(point.Y) && double.IsFinite(point.X) && point.Note.Length == 0);
        Assert.Equal("experiment.yaml", report.Sections.SelectMany(section => section.Blocks).OfType<ReportListing>().Single().Title);
        Save(report);
    }

    [Fact]
    public void A_comparison_shows_verdicts_and_the_differences_that_they_are_of()
    {
        ExperimentFolder folder = Create(Comparison);
        Train(folder);

        Report report = ExperimentReport.Of(folder, Store());
        XElement page = Save(report);

        ComparisonResults results = ((Comparison)folder.Load()).Judge(Store().Find);
        DataPoint bar = report.Figures.Single(figure => figure.FileName == "differences.csv").Figure.Figure.Panels[0].Marks.OfType<BarMark>().Single().Points[0];
        Assert.Equal(results.Contrasts[0].Test!.Difference, bar.X);
        Assert.Equal(results.Contrasts[0].Test!.Interval(0.95).Low, bar.Low);
        string[][] rows = [.. page.Descendants("tbody").First().Elements("tr").Select(row => row.Elements("td").Select(cell => cell.Value).ToArray())];
        Assert.Equal(["adamw", "<script>alert(1)</script>", "wild"], rows.Select(row => row[0]));
        Assert.Equal(["baseline", "diverged"], [rows[0][1], rows[2][1]]);
        Assert.Equal(results.Contrasts[0].Sample.Mean.ToString("F4", CultureInfo.InvariantCulture), rows[1][3]);
        Assert.Contains(page.Descendants("li"), note => note.Value.StartsWith("wild: 2 of 2 runs diverged", StringComparison.Ordinal));
        Assert.DoesNotContain(page.Descendants(), element => element.Name.LocalName == "script");
    }

    [Fact]
    public void A_sweep_shows_the_best_of_each_cell_its_slices_and_what_diverged()
    {
        ExperimentFolder folder = Create(Sweep);
        Train(folder);

        Report report = ExperimentReport.Of(folder, Store());
        XElement page = Save(report);

        SweepResults results = SweepResults.Of((Sweep)folder.Load(), Store().Find);
        Assert.Contains(results.Cells.Min(cell => cell.Mean).ToString("F4", CultureInfo.InvariantCulture), report.Lead);
        Figure slices = report.Figures.First(figure => figure.FileName.StartsWith("slices-adamw", StringComparison.Ordinal)).Figure.Figure;
        Assert.Equal("diverged", slices.Panels[0].Marks.OfType<RuleMark>().Single().Text);
        CellResult adamw = results.Cells.First(cell => cell.Cell.Arm == "adamw");
        Assert.Equal(
            adamw.Runs.Where(run => run.Seed == 1 && double.IsFinite(run.Loss!.Value)).Select(run => run.Loss!.Value).Order(),
            slices.Panels[0].Marks.OfType<PointMark>().First().Points.Select(point => point.Y).Order());
        ReportFigure arms = report.Figures.Single(figure => figure.FileName.StartsWith("arms-", StringComparison.Ordinal)).Figure;
        DataPoint bar = arms.Figure.Panels[0].Marks.OfType<BarMark>().Single().Points[0];
        Assert.Equal(bar.X - results.Noise.Chance(2, 2), bar.Low);
        Assert.Contains("(Student's t, 2 degrees of freedom)", arms.Caption);
        Assert.Contains("The seed that the best was chosen by is among those averaged", arms.Caption);
        Assert.DoesNotContain(page.Descendants(), element => element.Name.LocalName == "img");
        Assert.Contains(page.Descendants("td"), cell => cell.Value.StartsWith("<img src=x>", StringComparison.Ordinal));
    }

    [Fact]
    public void A_tunnel_shows_its_prediction_the_hash_of_it_and_what_came()
    {
        ExperimentFolder folder = Create(Ladder);
        Tunnel tunnel = new(folder, Store());
        int stage = 0;
        Assert.Null(tunnel.Run(_ => stage++ == 0 && Train(folder)));
        Assert.Contains("none of the models has been trained", ExperimentReport.Of(folder, Store()).Lead);
        TunnelCheck check = new Tunnel(folder, Store()).Run(_ => Train(folder))!;

        Report report = ExperimentReport.Of(folder, Store());
        XElement page = Save(report);

        CheckedLoss headline = check.Targets[0].Laws[0];
        Assert.Contains(page.Descendants("pre"), text => text.Value == check.PredictionSha256);
        Assert.Contains(page.Descendants("p"), text => text.Value.Contains("in prediction.json.sha256, in check.json, in run.json of 16k-x6-s1 since they were started", StringComparison.Ordinal));
        Assert.Contains(page.Descendants("li"), note => note.Value.StartsWith("intervals treat the ladder's runs as independent", StringComparison.Ordinal) && note.Value.Contains("the trunk", StringComparison.Ordinal));
        Assert.Contains(page.Descendants("li"), note => note.Value.StartsWith("16k-x6-s1: ", StringComparison.Ordinal));
        Assert.Equal(tunnel.Verify()!.Fits.Keys.Select(law => $"law-{law}.csv"), report.Figures.Select(figure => figure.FileName).Where(name => name.StartsWith("law-", StringComparison.Ordinal)));
        Assert.Contains("annealing", tunnel.Verify()!.Fits.Keys);
        Assert.Contains(page.Descendants("dd"), key => key.Value.Contains($"predicted {headline.PredictedNats:F4}", StringComparison.Ordinal) && key.Value.Contains($"actual {check.Targets[0].LossNats:F4}", StringComparison.Ordinal));
        Assert.Contains($"{Math.Abs(headline.RelativeError):P2}", report.Lead);
        Mark[] marks = [.. report.Figures.Single(figure => figure.FileName == $"law-{headline.Law}.csv").Figure.Figure.Panels[0].Marks];
        Assert.Equal(headline.PredictedNats, marks.Single(mark => mark.Name == "predicted").Points.Single().Y);
        Assert.Equal(check.Targets[0].LossNats, marks.Single(mark => mark.Name == "actual").Points.Single().Y);
        ReportTree tree = report.Sections.SelectMany(section => section.Blocks).OfType<ReportTree>().Single();
        Assert.Equal([0, 3, 3, 3], tree.Roots.Select(root => root.Branches.Count).Order());
        Assert.Contains("8k-x12-s1", tree.Roots.SelectMany(root => root.Branches).Select(branch => branch.Name));

        // A target that diverged is one that was trained.
        string record = Path.Combine(_folder.File("runs"), check.Targets[0].Id, "run.json");
        RunRecord completed = RunRecord.Load(record);
        (completed with { Status = RunStatus.Diverged }).Save(record);
        Assert.EndsWith("before any of the models was trained. All that were trained diverged.", ExperimentReport.Of(folder, Store()).Lead, StringComparison.Ordinal);
        completed.Save(record);

        // What was said can't be said differently later.
        File.AppendAllText(tunnel.PredictionPath, " ");
        Assert.Throws<InvalidDataException>(() => ExperimentReport.Of(folder, Store()));
    }

    [Fact]
    public void Runs_that_failed_are_named_with_the_reason()
    {
        ExperimentFolder folder = Create(Comparison);
        Directory.CreateDirectory(Path.Combine(folder.Path, "failures"));
        File.WriteAllText(Path.Combine(folder.Path, "failures", "adamw-0.json"), "<b>torn");

        XElement page = Save(ExperimentReport.Of(folder, Store()));

        Assert.Contains(page.Descendants("li"), note => note.Value.StartsWith("adamw-0 failed", StringComparison.Ordinal));
    }

    private static IEnumerable<DataPoint> Points(Report report) => RunsReportTests.Marks(report).Where(mark => mark is not RuleMark and not RegionMark).SelectMany(mark => mark.Points);

    private ExperimentFolder Create(string text)
    {
        string path = _folder.Write("toy.yaml", text);
        return ExperimentFolder.Create(_folder.File("experiments"), ConfigFile.Load<ExperimentOptions>(path), path);
    }

    private RunStore Store() => new(new RunPlaces(_folder.File("runs"), _folder.File("data")), _listener);

    private bool Train(ExperimentFolder folder)
    {
        new Worker("test", folder.Load(), Store(), folder.Queue, _ => { }).Run(_stop);
        return true;
    }

    private XElement Save(Report report)
    {
        report.Save(_folder.File("report.html"));
        return ReportPageTests.Parse(File.ReadAllText(_folder.File("report.html")));
    }
}
