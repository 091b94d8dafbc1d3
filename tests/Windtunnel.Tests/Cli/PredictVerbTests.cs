using System.Globalization;
using Windtunnel.Laws;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Fitting;
using Windtunnel.Tests.Laws.Planning;

namespace Windtunnel.Tests.Cli;

[Collection(nameof(Tool))]
public sealed class PredictVerbTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static string RedPajama => Path.Combine(Tool.ConfigFolder, "..", "..", "docs", "examples", "redpajama.csv");

    private string Loss => _folder.File("loss/fit.json");

    private string Error => _folder.File("error/fit.json");

    private string Curve => _folder.File("curve.json");

    [Fact]
    public void The_example_of_the_readme_has_its_figures()
    {
        FitLoss();
        string output = Tool.Run("predict", Loss, "--targets", RedPajama, "--where", "fit=0", "--out", _folder.File("out")).AssertSucceeds();

        Assert.Matches(@"line 7  1\.44B  28\.8B  2\.7657( +[\d.]+){4} +3\.5x  2\.7688  -0\.11%", output);
        Assert.Matches(@"line 8  1\.44B   921B  2\.5198 +1\.8\d+ +3\.2\d+ +1\.[78]\d+ +3\.2\d+ +111\.9x  2\.5021  \+0\.71%", output);
        Assert.Matches(@"line 9  6\.89B   138B  2\.4427 .* 16\.7x  2\.4250  \+0\.73%", output);
        Assert.StartsWith("<svg", File.ReadAllText(_folder.File("out/predict.svg")));
    }

    [Fact]
    public void Both_legs_of_the_error_are_shown_row_by_row_with_the_intervals_of_both_laws()
    {
        FitLoss();
        FitError();
        string output = Tool.Run("predict", Loss, "--targets", RedPajama, "--where", "fit=0", "--error-fit", Error).AssertSucceeds();

        // Each row has its own measured error, as the table gives them.
        Assert.Matches(@"line 7 +0\.5\d+ .* 0\.5\d+  0\.5473 +\+5\.\d\d% +\+5\.\d\d%", output);
        Assert.Matches(@"line 8 +0\.5\d+ .* 0\.5\d+  0\.4752 +\+12\.\d\d% +\+12\.\d\d%", output);
        Assert.Matches(@"line 9 +0\.5\d+ .* 0\.5\d+  0\.4716 +\+\d+\.\d\d% +\+9\.\d\d%", output);
        Assert.Contains("two errors that cancel", output);

        // The interval of the chain holds what the ends of the loss's interval lead to.
        Fit loss = Fit.Load(Loss), error = Fit.Load(Error);
        Prediction of = loss.Predict(1439795200, 921468928000), chain = new ErrorOfLoss(error).At(of), second = error.Predict(of.Value);
        double low = ((PointLaw)error.Law).Predict(error.Values, of.Mean.Low), high = ((PointLaw)error.Law).Predict(error.Values, of.Mean.High);
        Assert.Equal(second.Value, chain.Value);
        Assert.True(chain.Mean.Low < Math.Min(low, second.Mean.Low) && chain.Mean.High > Math.Max(high, second.Mean.High));
        Assert.Matches($@"line 8 +{chain.Value:F4} +{chain.Mean.Low:G5} +{chain.Mean.High:G5} ", output);

        Tool.Run("predict", Loss, "--targets", RedPajama, "--error-fit", Error, "--actual-error", "0.5").AssertFails(2, "--actual-error: is one value for 8 targets");
        Assert.Matches(@" 0\.5000 +[+-]\d+\.\d\d%", Tool.Run("predict", Loss, "--c", "8e21", "--m", "640", "--error-fit", Error, "--actual-error", "0.5").AssertSucceeds());
    }

    [Fact]
    public void Runs_may_be_given_by_compute_and_tokens_a_parameter()
    {
        FitLoss();
        (double n, double d) = (1439795200, 921468928000);
        string c = (6 * n * d).ToString("R", CultureInfo.InvariantCulture), m = (d / n).ToString("R", CultureInfo.InvariantCulture);
        string own = _folder.Write("own.csv", $"c,m,loss\n{c},{m},2.5\n"), mapped = _folder.Write("mapped.csv", $"work,ratio,end\n{c},{m},2.5\n");

        string expected = Tool.Run("predict", Loss, "--n", $"{n}", "--d", $"{d}", "--actual", "2.5").AssertSucceeds();
        Assert.Contains("2.5198", expected);
        foreach (string output in new[]
        {
            Tool.Run("predict", Loss, "--c", c, "--m", m, "--actual", "2.5").AssertSucceeds(),
            Tool.Run("predict", Loss, "--targets", own).AssertSucceeds(),
            Tool.Run("predict", Loss, "--targets", mapped, "--c", "work", "--m", "ratio", "--loss", "end").AssertSucceeds(),
        })
        {
            Assert.Matches(@" 1\.44B +921B  2\.5198 .* 111\.9x  2\.5000  \+0\.79%", output);
        }
    }

    [Fact]
    public void A_schedule_may_come_from_a_file_and_the_end_be_compared()
    {
        SaveCurve();
        LearningRateSequence rates = CurveFiles.Rates(600, 100);
        string file = _folder.Write("rates.csv", "update,rate\n" + string.Concat(
            Enumerable.Range(0, 601).Select(step => string.Create(CultureInfo.InvariantCulture, $"{step},{rates[step]:R}\n"))));
        double end = new AnnealingLaw(Lambda: 0.99, Size: true).PredictLast(CurveFiles.Values, rates, 1e8);

        string output = Tool.Run(
            "predict", Curve, "--schedule-file", file, "--warmup", "50", "--step", "update", "--lr", "rate", "--params", "1e8", "--actual", $"{end / 1.1:R}").AssertSucceeds();

        Assert.Contains($"at the end: predicted {end:F4}, actual {end / 1.1:F4}, error +10.00%", output);
        Assert.Matches($@"\n +600  .*  {end:F4} ", output);
    }

    [Fact]
    public void A_schedule_by_name_ends_at_its_last_update()
    {
        SaveCurve();
        string output = Tool.Run("predict", Curve, "--steps", "24", "--lr", "0.01", "--params", "1e8", "--schedule", "wsd", "--schedule.warmup=2").AssertSucceeds();

        Assert.Matches(@"\n +24  \d\.\d\de[+-]\d\d  \d\.\d{4}", output);
    }

    [Theory]
    [InlineData(2, "give one fit.json")]
    [InlineData(2, "none.json: no such file", "none.json")]
    [InlineData(3, "bad.json", "BAD")]
    [InlineData(2, "predict: give --n", "LOSS")]
    [InlineData(2, "--n: given 2 times: 1e9, 2e9", "LOSS", "--n", "1e9", "--n", "2e9", "--d", "1e10")]
    [InlineData(2, "--n many: must be a positive number", "LOSS", "--n", "many", "--d", "1e10")]
    [InlineData(2, "--steps: is about loss curves, and chinchilla is a law of single runs", "LOSS", "--n", "1e9", "--d", "1e10", "--steps", "5")]
    [InlineData(2, "--schedule-file: is about loss curves", "LOSS", "--schedule-file", "x.csv")]
    [InlineData(2, "--where: chooses among --targets", "LOSS", "--n", "1e9", "--d", "1e10", "--where", "n=1")]
    [InlineData(2, "--actual-error: needs --error-fit", "LOSS", "--n", "1e9", "--d", "1e10", "--actual-error", "0.5")]
    [InlineData(2, "is a fit of chinchilla, not of the downstream law", "LOSS", "--n", "1e9", "--d", "1e10", "--error-fit", "LOSS")]
    [InlineData(2, "--actual: is one value for 2 targets", "LOSS", "--targets", "TABLE", "--actual", "3")]
    [InlineData(2, "--error: is no column that is needed", "LOSS", "--targets", "TABLE", "--error", "loss")]
    [InlineData(3, "line 3: d: 'many' is not a positive number", "LOSS", "--targets", "TABLE")]
    [InlineData(2, "holds no target", "LOSS", "--targets", "TABLE", "--where", "n=7")]
    [InlineData(2, "--steps 1e4: must be a whole number", "CURVE", "--steps", "1e4")]
    [InlineData(2, "--targets: is about single runs, and annealing is a law of loss curves", "CURVE", "--targets", "TABLE")]
    [InlineData(2, "--error-fit: is about single runs", "CURVE", "--error-fit", "LOSS")]
    [InlineData(2, "this law needs --params", "CURVE", "--steps", "100", "--lr", "1e-3")]
    [InlineData(2, "a curve needs --steps and --lr, or --schedule-file", "CURVE", "--params", "1e8")]
    [InlineData(2, "a curve needs --lr", "CURVE", "--params", "1e8", "--steps", "100")]
    [InlineData(2, "--lr fast: must be a positive number", "CURVE", "--params", "1e8", "--steps", "100", "--lr", "fast")]
    [InlineData(2, "--warmup: is for --schedule-file", "CURVE", "--params", "1e8", "--steps", "100", "--lr", "1e-3", "--warmup", "10")]
    [InlineData(2, "--steps: is for schedules by name", "CURVE", "--params", "1e8", "--steps", "100", "--schedule-file", "RATES")]
    [InlineData(2, "--schedule: does not go with --schedule-file", "CURVE", "--params", "1e8", "--schedule", "wsd", "--schedule-file", "RATES")]
    [InlineData(2, "no column 'lr'; name one with --lr: step, rate", "CURVE", "--params", "1e8", "--schedule-file", "RATES")]
    [InlineData(3, "line 3: rate: '-1' is not a learning rate", "CURVE", "--params", "1e8", "--schedule-file", "RATES", "--lr", "rate")]
    [InlineData(2, "no learning rate is logged after the warm-up of 900 steps", "CURVE", "--params", "1e8", "--schedule-file", "RISE", "--warmup", "900")]
    [InlineData(2, "leaves nothing to predict", "CURVE", "--params", "1e8", "--steps", "100", "--lr", "1e-3", "--schedule", "wsd", "--schedule.warmup=100", "--schedule.decay=0")]
    public void What_is_wrong_is_one_line(int exitCode, string expected, params string[] words)
    {
        Surfaces.Fit().Save(_folder.File("loss.json"));
        SaveCurve();
        Dictionary<string, string> files = new()
        {
            ["LOSS"] = _folder.File("loss.json"),
            ["CURVE"] = Curve,
            ["BAD"] = _folder.Write("bad.json", "{\"format\": 3}"),
            ["TABLE"] = _folder.Write("targets.csv", "n,d,loss\n1e9,1e10,3\n2e9,many,3\n"),
            ["RATES"] = _folder.Write("rates.csv", "step,rate\n0,1\n1,-1\n"),
            ["RISE"] = _folder.Write("rise.csv", "step,lr\n0,1\n1,1\n"),
        };

        Tool.Run(["predict", .. words.Select(word => files.GetValueOrDefault(word, word))]).AssertFails(exitCode, expected);
    }

    [Fact]
    public void Warnings_of_a_file_reach_the_terminal_without_control_characters()
    {
        (Surfaces.Fit() with { Warnings = ["\e[2Jclear"] }).Save(_folder.File("loss.json"));

        Assert.Contains("! ?[2Jclear", Tool.Run("predict", _folder.File("loss.json"), "--n", "1e9", "--d", "1e10").AssertSucceeds());
    }

    [Fact]
    public void A_huge_number_is_short()
    {
        Surfaces.Fit().Save(_folder.File("loss.json"));
        string output = Tool.Run("predict", _folder.File("loss.json"), "--n", "1e300", "--d", "1e10").AssertSucceeds();

        Assert.Contains("1e+300", output);
        Assert.All(output.Split('\n'), line => Assert.InRange(line.Length, 0, 200));
    }

    public void Dispose() => _folder.Dispose();

    private void FitLoss() => Tool.Run("fit", "over-training", RedPajama, "--where", "fit=1", "--out", _folder.File("loss")).AssertSucceeds();

    private void FitError() => Tool.Run("fit", "downstream", RedPajama, "--where", "fit=1", "--out", _folder.File("error")).AssertSucceeds();

    // A law of loss curves with known parameters, as fitted curves leave it.
    private void SaveCurve()
    {
        AnnealingLaw law = new(Lambda: 0.99, Size: true);
        new Fit(
            "windtunnel-fit-1", law, law.Objective, new Dictionary<string, double>(),
            [.. law.Parameters.Zip(CurveFiles.Values, (parameter, value) => new FittedValue(parameter.Name, parameter.Unit, value, null))], [],
            new FitQuality(0, 0, 0, 0, 1, FitStatus.Converged, 1, null), [], new Observations("curves", null, new Dictionary<string, string>(), [], [], [], [])).Save(Curve);
    }
}
