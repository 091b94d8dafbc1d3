using System.Text.Json.Nodes;
using Windtunnel.Laws;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Fitting;
using Windtunnel.Laws.Planning;
using Windtunnel.Runs.Config;
using Windtunnel.Tests.Laws.Planning;
using Windtunnel.Training;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Tests.Cli;

[Collection(nameof(Tool))]
public sealed class PlanVerbTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public PlanVerbTests() => Surfaces.Fit().Save(_folder.File("fit.json"));

    [Fact]
    public void A_plan_is_a_table_a_file_and_a_config_that_training_takes()
    {
        string output = Plan("--gpu-hours", "100", "--gpu", "h100", "--gpus", "8", "--price", "2.5", "--inference-tokens", "1e12", "--next", "2").AssertSucceeds();

        Assert.Contains("1.42e20 operations: 100.0 hours of NVIDIA H100 SXM at 40 % of its 989 TFLOP/s in bf16, 250 at 2.5 an hour", output);
        Assert.Contains("12:30:00 on 8 x NVIDIA H100 SXM, 250 in all", output);
        Assert.Contains("serving 1.00T tokens", output);
        JsonObject plan = JsonNode.Parse(File.ReadAllText(_folder.File("plan/plan.json")))!.AsObject();
        Assert.Equal("windtunnel-plan-1", (string?)plan["format"]);
        Assert.Equal(2, plan["next"]!.AsArray().Count);
        foreach (string name in (string[])["compute-optimal", "over-trained"])
        {
            JsonNode recipe = plan["runs"]!.AsArray().Single(each => (string?)each!["run"]!["name"] == name)!, run = recipe["run"]!;
            RunConfig config = ConfigFile.Load<RunConfig>(_folder.File($"plan/{name}.yaml"));
            RunEstimate estimate = RunEstimate.Of(config.Resolve(config.Data.Tokenizer.VocabularySizeMax()));
            Assert.Equal((long)run["shape"]!["parameters"]!, estimate.Counts.Total);
            Assert.Equal(1.424e20, estimate.Flops, 0.005e20);
            Assert.Equal((double)run["d"]!, estimate.Tokens, 0.001 * estimate.Tokens);
            Assert.Equal((double)recipe["learningRate"]!["value"]!, config.Optimizer.LearningRate);
            Assert.Contains($"# operations  ", Tool.Run("train", _folder.File($"plan/{name}.yaml"), "--dry-run").AssertSucceeds());
        }
    }

    [Fact]
    public void A_config_gives_what_the_plan_does_not_decide()
    {
        Plan("model=gpt2", "--training.sequenceLength=128", "--training.batchSize=4", "--training.gradientAccumulation=2", "--data.tokenizer.vocabularySize=600", "--flops", "1e14").AssertSucceeds();

        RunConfig config = ConfigFile.Load<RunConfig>(_folder.File("plan/compute-optimal.yaml"));
        Assert.IsType<Windtunnel.Models.Gpt2Options>(config.Model);
        Assert.Equal(2, config.Training.GradientAccumulation);
        Assert.IsType<WsdOptions>(config.Schedule);
        Assert.Equal((128, 4, 600), (config.Training.SequenceLength, config.Training.BatchSize, config.Data.Tokenizer.VocabularySizeMax()));
    }

    // Around 2e7 parameters the usual sequence length changes: shape and config have to agree on it.
    [Theory]
    [InlineData("6e16")]
    [InlineData("8e16")]
    [InlineData("1e17")]
    [InlineData("1.4e17")]
    public void The_config_spends_the_budget(string flops)
    {
        Plan("--flops", flops).AssertSucceeds();

        RunConfig config = ConfigFile.Load<RunConfig>(_folder.File("plan/compute-optimal.yaml"));
        RunConfig resolved = config.Resolve(config.Data.Tokenizer.VocabularySizeMax());
        double spent = config.TotalSteps * config.Training.TokensAStep * resolved.Model.Count().TrainingFlopsAToken(config.Training.SequenceLength);
        Assert.Equal(1, spent / double.Parse(flops), 0.01);
    }

    [Fact]
    public void Fits_set_the_batch_the_rate_the_decay_and_the_error()
    {
        Surfaces.Exact(new BatchSizeLaw(), "batch", ["loss"], [[2], [3], [4], [5]], x => 4e8 / Math.Pow(x[0], 6)).Save(_folder.File("batch.json"));
        Surfaces.Exact(new PowerLaw(Offset: false), "lr", ["compute"], [[1e18], [1e19], [1e20], [1e21]], x => 20 * Math.Pow(x[0], -0.2)).Save(_folder.File("rate.json"));
        Surfaces.Exact(new DownstreamErrorLaw(), "error", ["loss"], [[2], [2.5], [3], [3.5], [4]], x => 0.85 - (2.1 * Math.Exp(-0.75 * x[0]))).Save(_folder.File("error.json"));
        Curve(new MultiPowerLaw(), [3.0, 0.5, 400, 0.5, 1.0]).Save(_folder.File("curve.json"));

        string output = Plan(
            "--flops", "1e18", "--batch", _folder.File("batch.json"), "--learning-rate", _folder.File("rate.json"), "--curve", _folder.File("curve.json"),
            "--error", _folder.File("error.json")).AssertSucceeds();

        RunConfig config = ConfigFile.Load<RunConfig>(_folder.File("plan/compute-optimal.yaml"));
        JsonNode run = JsonNode.Parse(File.ReadAllText(_folder.File("plan/plan.json")))!["runs"]![0]!["run"]!;
        double loss = (double)run["loss"]!["value"]!, tokens = 4e8 / Math.Pow(loss, 6);
        Assert.InRange(config.Training.TokensAStep / tokens, 0.7, 1.42);
        Assert.Equal(20 * Math.Pow(1e18, -0.2), config.Optimizer.LearningRate, 1e-5);
        Assert.Equal(0.85 - (2.1 * Math.Exp(-0.75 * loss)), (double)run["error"]!["value"]!, 1e-4);
        Assert.Contains("multi-power ends lowest there, and within 0.0007 nats of it from ", output);

        // The chosen decay is the best of its shape, and its shape the best of all.
        WsdOptions chosen = Assert.IsType<WsdOptions>(config.Schedule);
        double best = EndLoss(chosen);
        Assert.All(Enum.GetValues<DecayShape>().Where(shape => shape != DecayShape.Exponential), shape =>
            Assert.All([0.05, 0.2, 0.4, 0.6, 0.8], share => Assert.True(EndLoss(chosen with { Shape = shape, Decay = Duration.OfRun(share) }) >= best - 1e-9)));

        double EndLoss(WsdOptions schedule)
        {
            Schedule built = schedule.Build(config.TotalSteps, config.Training.TokensAStep);
            LearningRateSequence rates = LearningRateSequence.OfUpdates(
                (int)config.TotalSteps, update => config.Optimizer.LearningRate * built.Factor(update), (int)schedule.Warmup.Steps(1, config.TotalSteps));
            return new MultiPowerLaw().PredictLast([3.0, 0.5, 400, 0.5, 1.0], rates);
        }
    }

    [Fact]
    public void A_learning_rate_follows_parameters_and_tokens()
    {
        Surfaces.Exact(
            new PowerProductLaw(), "lr", ["n", "d"], [[1e8, 1e9], [1e8, 1e10], [1e9, 1e10], [1e9, 1e11]], x => 1.797 * Math.Pow(x[0], -0.713) * Math.Pow(x[1], 0.307)).Save(_folder.File("rate.json"));

        Assert.Contains("(power-product)", Plan("--flops", "1e19", "--learning-rate", _folder.File("rate.json")).AssertSucceeds());

        JsonNode run = JsonNode.Parse(File.ReadAllText(_folder.File("plan/plan.json")))!["runs"]![0]!["run"]!;
        double expected = 1.797 * Math.Pow((double)run["shape"]!["nonEmbedding"]!, -0.713) * Math.Pow((double)run["d"]!, 0.307);
        Assert.Equal(1, ConfigFile.Load<RunConfig>(_folder.File("plan/compute-optimal.yaml")).Optimizer.LearningRate / expected, 0.005);
    }

    [Fact]
    public void Next_runs_lie_between_the_fitted_ones_and_the_target()
    {
        Plan("--flops", "1e22", "--next", "5").AssertSucceeds();

        JsonArray next = JsonNode.Parse(File.ReadAllText(_folder.File("plan/plan.json")))!["next"]!.AsArray();
        double[] n = [.. Surfaces.Fit().Data.Inputs.Where((_, index) => index % 2 == 0)];
        Assert.InRange(next.Count, 2, 5);
        Assert.Equal(next.Count, next.Select(run => ((double)run!["n"]!, (double)run["d"]!)).Distinct().Count());
        Assert.All(next, run => Assert.InRange((double)run!["n"]!, 0.99 * n.Min(), 1e10));
        Assert.All(next, run => Assert.InRange((double)run!["shrinkage"]!, NextRuns.Visible, 1));
    }

    [Fact]
    public void A_schedule_far_from_the_fitted_curves_is_warned_of_and_refused_where_it_makes_no_sense()
    {
        CurveRange range = new(20_000, new Interval(3e-4, 3e-4), new Interval(0.1, 6), 0.3, null);
        Fit curve = Curve(new AnnealingLaw(), [2.6, 0.43, 0.41, 0.55]);
        (curve with { Data = curve.Data with { Curves = range } }).Save(_folder.File("curve.json"));

        Assert.DoesNotContain("the schedule lies", Plan("--flops", "1e18", "--learning-rate", "2e-4", "--batch", "131072", "--curve", _folder.File("curve.json")).AssertSucceeds());
        Assert.Contains("! compute-optimal: the schedule lies 10 times outside the curves", Plan("--flops", "1e18", "--learning-rate", "3e-3", "--batch", "131072", "--curve", _folder.File("curve.json")).AssertSucceeds());
        Plan("--flops", "1e18", "--learning-rate", "3e-1", "--batch", "65536", "--curve", _folder.File("curve.json")).AssertFails(2, "predicts a loss of -");
    }

    [Fact]
    public void The_annealing_law_chooses_a_length_and_says_that_it_must_not_choose_more()
    {
        Curve(new AnnealingLaw(), [2.6, 0.43, 0.41, 0.55]).Save(_folder.File("curve.json"));

        string output = Plan("--flops", "1e18", "--learning-rate", "2e-4", "--batch", "65536", "--curve", _folder.File("curve.json")).AssertSucceeds();

        Assert.Contains("! the annealing law only compares lengths of one shape of decay: it must not choose a schedule", output);
        Assert.Equal(DecayShape.Linear, ((WsdOptions)ConfigFile.Load<RunConfig>(_folder.File("plan/compute-optimal.yaml")).Schedule).Shape);
    }

    [Fact]
    public void Far_from_the_fitted_runs_the_plan_says_so()
    {
        Assert.Contains("times outside the fitted range", Plan("--flops", "1e23").AssertSucceeds());
        Assert.DoesNotContain("times outside the fitted range", Plan("--flops", "1e19").AssertSucceeds());
    }

    [Theory]
    [InlineData(2, "give one budget")]
    [InlineData(2, "give one budget", "--flops", "1e20", "--gpu-hours", "5", "--gpu", "a100")]
    [InlineData(2, "--gpu-hours: needs --gpu", "--gpu-hours", "5")]
    [InlineData(2, "--dollars: needs --price", "--dollars", "5", "--gpu", "a100")]
    [InlineData(2, "'h1000' is not an accelerator", "--gpu-hours", "5", "--gpu", "h1000")]
    [InlineData(2, "NVIDIA T4 has no published peak for bf16", "--gpu-hours", "5", "--gpu", "t4", "--precision", "bf16")]
    [InlineData(2, "a utilisation (MFU) of 40", "--gpu-hours", "5", "--gpu", "a100", "--mfu", "40")]
    [InlineData(2, "--gpus: needs --gpu", "--flops", "1e20", "--gpus", "8")]
    [InlineData(2, "must lie between", "--flops", "-1e20")]
    [InlineData(2, "steps of 1 tokens are more than any run has", "--flops", "1e25", "--training.batchSize=1", "--training.sequenceLength=1")]
    [InlineData(2, "--inference-tokens -5", "--flops", "1e20", "--inference-tokens", "-5")]
    [InlineData(2, "--next-flops 1E+20 1E+19", "--flops", "1e20", "--next", "1", "--next-flops", "1e20", "1e19")]
    [InlineData(2, "--next-flops 1E+22 1E+23: no such run lies between", "--flops", "1e20", "--next", "1", "--next-flops", "1e22", "1e23")]
    [InlineData(2, "--next 0: ask for 1 to 50 runs", "--flops", "1e20", "--next", "0")]
    [InlineData(2, "--next 1000000000: ask for 1 to 50 runs", "--flops", "1e20", "--next", "1000000000")]
    [InlineData(2, "no such file", "--flops", "1e20", "--curve", "none.json")]
    [InlineData(2, "a rate of 50 makes no sense", "--flops", "1e20", "--learning-rate", "50")]
    [InlineData(2, "is less than one sequence", "--flops", "1e20", "--batch", "12")]
    [InlineData(2, "model.siz", "--flops", "1e20", "--model.siz=1m")]
    [InlineData(2, "needs a fit of loss curves", "--flops", "1e20", "--curve", "3")]
    [InlineData(2, "the law downstream", "--flops", "1e20", "--error", "FIT")]
    public void What_cannot_be_planned_is_one_line(int exitCode, string expected, params string[] words)
    {
        Plan([.. words.Select(word => word == "FIT" ? _folder.File("fit.json") : word)]).AssertFails(exitCode, expected);
        Assert.False(File.Exists(_folder.File("plan/plan.json")));
    }

    [Fact]
    public void The_help_explains_every_option_and_shows_examples()
    {
        string help = Tool.Run("plan", "--help").AssertSucceeds();

        Assert.DoesNotContain("<no description>", help);
        Assert.Contains("windtunnel plan fits/chinchilla/fit.json --flops 1e20", help);
    }

    [Theory]
    [InlineData("A", double.NaN, 3, "a value is out of its bounds")]
    [InlineData("B", 0, 2, "the fit has no compute-optimal run")]
    [InlineData("alpha", -0.3, 3, "a value is out of its bounds")]
    [InlineData("E", double.PositiveInfinity, 3, "a value is out of its bounds")]
    public void A_fit_that_was_tampered_with_is_one_line(string parameter, double value, int exitCode, string message)
    {
        Fit fit = Surfaces.Fit();
        string path = _folder.File("bad.json");
        (fit with { Parameters = [.. fit.Parameters.Select(each => each.Name == parameter ? each with { Value = value } : each)] }).Save(path);

        Tool.Run("plan", path, "--flops", "1e20", "--out", _folder.File("plan")).AssertFails(exitCode, message);
    }

    [Fact]
    public void A_file_that_is_no_fit_is_refused()
    {
        _folder.Write("bad.json", "{\"format\": 3}");

        Tool.Run("plan", _folder.File("bad.json"), "--flops", "1e20").AssertFails(3, "bad.json");
        Tool.Run("plan", _folder.File("none.json"), "--flops", "1e20").AssertFails(2, "no such file");
    }

    public void Dispose() => _folder.Dispose();

    private Outcome Plan(params string[] words) => Tool.Run(["plan", _folder.File("fit.json"), "--out", _folder.File("plan"), .. words]);

    // A law of loss curves with given parameters, as fitted curves leave it.
    private static Fit Curve(CurveLaw law, double[] values) => new(
        "windtunnel-fit-1", law, law.Objective, new Dictionary<string, double>(),
        [.. law.Parameters.Zip(values, (parameter, value) => new FittedValue(parameter.Name, parameter.Unit, value, null))], [],
        new FitQuality(0, 0, 0, 0, 1, FitStatus.Converged, 1, null), [], new Observations("curves", null, new Dictionary<string, string>(), [], [], [], []));
}
