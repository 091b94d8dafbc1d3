using System.Globalization;
using System.Text.Json.Nodes;
using Windtunnel.Laws;

namespace Windtunnel.Tests.Cli;

[Collection(nameof(Tool))]
public sealed class FitVerbTests(Tool tool) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static string RedPajama => Path.Combine(Tool.ConfigFolder, "..", "..", "docs", "examples", "redpajama.csv");

    [Fact]
    public void The_example_of_the_readme_has_its_figures_and_files()
    {
        string output = Fit("over-training", RedPajama, "--where", "fit=1").AssertSucceeds();

        Assert.Matches(@"E +1\.8366\d+ +0 +3\.1\d+ +nats/token", output);
        Assert.Contains("5 rows, 1 degree of freedom; ", output);
        Assert.Matches(@"\(sum of squares\), converged in \d+ steps; ", output);
        Assert.Contains("! one degree of freedom", output);
        Assert.Equal(0.1364252, Value("fit.json", "eta"), 1e-6);
        Assert.StartsWith("<svg", File.ReadAllText(_folder.File("out/fit.svg")));
        Assert.True(File.Exists(_folder.File("out/fit.csv")));
    }

    [Fact]
    public void A_back_test_that_cannot_be_made_leaves_the_fit()
    {
        Fit("over-training", RedPajama, "--where", "fit=1", "--intervals", "none", "--back-test", "9").AssertFails(2, "back-test: can hide 1 to 3");

        Assert.Equal(0.1364252, Value("fit.json", "eta"), 1e-6);
    }

    [Fact]
    public void Groups_are_fitted_on_their_own_and_one_that_cannot_be_does_not_stop_the_others()
    {
        string rows = string.Concat(
            Rows("A/B", 0.3), "lone,1e8,1e9,3\n", Rows("A_B", 0.4), Rows("", 0.5), "worse,1e8,none,3\n");
        string path = _folder.Write("runs.csv", "set,n,d,loss\n" + rows);

        Outcome outcome = Fit("chinchilla", path, "--group", "set", "--intervals", "none", "--objective", "least-squares");

        Assert.Equal(3, outcome.ExitCode);
        Assert.Equal(2, outcome.Error.Count(c => c == '\n'));
        Assert.StartsWith("windtunnel: set 'lone': ", outcome.Error);
        Assert.Contains("windtunnel: set 'worse': ", outcome.Error);
        Assert.Contains(": d: 'none' is not a number", outcome.Error);
        Assert.Equal(0.3, Value("A_B/fit.json", "alpha"), 1e-3);
        Assert.Equal(0.4, Value("A_B-2/fit.json", "alpha"), 1e-3);
        Assert.Equal(0.5, Value("empty/fit.json", "alpha"), 1e-3);
    }

    [Fact]
    public void Curves_take_columns_and_sizes_by_name()
    {
        string small = CurveFiles.Write(_folder, "small.csv", 25e6, 600, 100, "at,val,rate"), large = CurveFiles.Write(_folder, "large.csv", 1e8, 800, 300, "at,val,rate");
        string third = CurveFiles.Write(_folder, "third.csv", 4e8, 700, 200, "at,val,rate");
        string[] words = ["annealing", small, large, third, "--size=true", "--lambda", "0.99", "--warmup", "50", "--step", "at", "--loss", "val", "--lr", "rate", "--intervals", "none"];

        string output = Fit([.. words, "--params", "25e6,1e8,4e8"]).AssertSucceeds();

        Assert.Contains("N^gamma", output);
        Assert.Equal(CurveFiles.Values[4], Value("fit.json", "alpha"), 0.05);
        Fit(words).AssertFails(2, "small: the law needs its non-embedding parameters; give --params 25e6,100e6,");
        Fit([.. words, "--params", "25e6,1e8"]).AssertFails(2, "2 sizes for 3 curves (small, large, third)");
        Fit([.. words, "--params", "25e6,big,1"]).AssertFails(2, "'big' is not a positive number");
        Fit([.. words.Where(word => word != "--size=true"), "--params", "1e8"]).AssertFails(2, "--params: this law has no size in it");
    }

    [Fact]
    public void A_run_tells_the_size_of_its_model()
    {
        string run = tool.RunFile("trunk");
        string[] words = ["annealing", run, "--size=true", "--fix", "L0=1", "--fix", "A=1", "--fix", "B=1", "--fix", "beta=0.3", "--fix", "gamma=0", "--fix", "alpha=0.5", "--intervals", "none"];

        Outcome outcome = Fit(words);

        Assert.DoesNotContain("non-embedding", outcome.Error);
        outcome.AssertSucceeds();
        Fit([.. words, "--loss", "val"]).AssertFails(2, "--loss: names a column of a CSV file");
    }

    [Theory]
    [InlineData(2, "--n: given 2 times: a, b", "chinchilla", "FILE", "--n", "a", "--n=b")]
    [InlineData(2, "--tied: has no value; write --tied=VALUE, such as --tied=true", "chinchilla", "FILE", "--tied")]
    [InlineData(2, "--tied: has no value", "chinchilla", "FILE", "--tied", "--n", "n")]
    [InlineData(2, "no column 'size'; it has n, d, loss", "chinchilla", "FILE", "--n", "size")]
    [InlineData(2, "'chinchila' is not a law", "chinchila", "FILE")]
    [InlineData(2, "give a table or folder of runs", "chinchilla")]
    [InlineData(2, "give one table or folder", "chinchilla", "FILE", "FILE")]
    [InlineData(2, "no such file or folder", "chinchilla", "nowhere.csv")]
    [InlineData(2, "has no rows with fit=7", "chinchilla", "FILE", "--where", "fit=7")]
    [InlineData(2, "--warmup: is about loss curves, and chinchilla is a law of single runs", "chinchilla", "FILE", "--warmup", "5")]
    [InlineData(2, "--scan-lambda: is about loss curves", "chinchilla", "FILE", "--scan-lambda")]
    [InlineData(2, "--params: is about loss curves", "chinchilla", "FILE", "--params", "1e8")]
    [InlineData(2, "--group: is about tables of runs, and annealing is a law of loss curves", "annealing", "FILE", "--group", "d")]
    [InlineData(2, "--from -1: must be 0 or more", "annealing", "FILE", "--from", "-1")]
    [InlineData(2, "--intervals exact: must be one of profile, bootstrap, none", "chinchilla", "FILE", "--intervals", "exact")]
    [InlineData(2, "--seed 1e9: must be a whole number", "chinchilla", "FILE", "--seed", "1e9")]
    [InlineData(2, "--fix alpha", "chinchilla", "FILE", "--fix", "alpha")]
    [InlineData(2, "--resamples 3", "chinchilla", "FILE", "--resamples", "3")]
    public void What_is_wrong_is_one_line(int exitCode, string expected, params string[] words)
    {
        string file = RedPajama;
        Fit([.. words.Select(word => word == "FILE" ? file : word)]).AssertFails(exitCode, expected);
        Assert.False(Directory.Exists(_folder.File("out")));
    }

    [Fact]
    public void Text_of_files_reaches_the_terminal_short_and_without_control_characters()
    {
        string wide = _folder.Write("wide.csv", string.Join(',', Enumerable.Range(0, 1030).Select(i => $"c{i}")) + "\n" + string.Join(',', new int[1030]) + "\n");
        Fit("chinchilla", wide).AssertFails(2, "c29, and 1,000 more");

        string cell = _folder.Write("cell.csv", $"n,d,loss\n\e[31m{new string('x', 5000)},1e9,3\n");
        Outcome outcome = Fit("chinchilla", cell);
        outcome.AssertFails(3, "line 2: n: '?[31mxxx");
        Assert.InRange(outcome.Error.Length, 50, 300);
        Assert.DoesNotContain('\e', outcome.Error);

        string names = _folder.Write("names.csv", "set,n,d,loss\n" + Rows("\e]0;x\a", 0.3));
        Assert.Contains("== ?]0;x?", Fit("chinchilla", names, "--group", "set", "--intervals", "none").AssertSucceeds());
    }

    [Fact]
    public void A_figure_of_many_rows_draws_some_of_them_and_says_so()
    {
        string rows = string.Concat(Enumerable.Range(0, 6000).Select(i => string.Create(CultureInfo.InvariantCulture, $"{1e6 + i},{3 / Math.Pow(1e6 + i, 0.1):R}\n")));
        Fit("power", _folder.Write("many.csv", "x,y\n" + rows), "--offset=false", "--intervals", "none").AssertSucceeds();

        string figure = File.ReadAllText(_folder.File("out/fit.svg"));
        Assert.Contains("5,000 of 6,000 rows are drawn", figure);
        Assert.Equal(6000, JsonNode.Parse(File.ReadAllText(_folder.File("out/fit.json")))!["data"]!["observed"]!.AsArray().Count);
    }

    [Fact]
    public void A_law_is_shown_with_what_it_minimises()
    {
        Assert.Contains("objective  sum of Huber, delta 0.001 of logarithms", Tool.Run("laws", "chinchilla").AssertSucceeds());
    }

    public void Dispose() => _folder.Dispose();

    private Outcome Fit(params string[] words) => Tool.Run(["fit", .. words, "--out", _folder.File("out")]);

    private double Value(string file, string parameter) =>
        (double)JsonNode.Parse(File.ReadAllText(Path.Combine(_folder.File("out"), file)))!["parameters"]!.AsArray().Single(each => (string?)each!["name"] == parameter)!["value"]!;

    private static string Rows(string group, double alpha) => string.Concat(
        from n in new[] { 1e7, 4e7, 1.6e8, 6.4e8 }
        from ratio in new[] { 5, 20, 80 }
        select string.Create(CultureInfo.InvariantCulture, $"{group},{n:R},{ratio * n:R},{new ChinchillaLaw().Predict([1.7, 400 * Math.Pow(1e8, alpha - 0.34), 410, alpha, 0.28], n, ratio * n):R}\n"));
}
