using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws;
using Windtunnel.Laws.Fitting;
using Windtunnel.Laws.Planning;

namespace Windtunnel.Tests.Laws.Planning;

public sealed class PlannerTests
{
    private static readonly ModelShape[] s_shapes =
    [
        .. new[] { 0.1, 0.2, 0.4, 0.8, 1.6, 3.2 }.Select(billions => new ModelShape(
            $"{billions}b", (long)(billions * 1.2e9), (long)(billions * 1e9), 6.6 * billions * 1.2e9, 16, 1024, 32_768, 2048)),
    ];

    [Fact]
    public void The_optimum_of_a_fit_has_intervals_that_hold_the_truth()
    {
        Planner planner = new(Surfaces.Fit());

        (PlannedRun run, Interval n, Interval d) = planner.OfLaw(1e21);

        (double trueN, double trueD) = Surfaces.Besiroglu.OfCompute(1e21);
        Assert.True(n.Contains(trueN) && d.Contains(trueD));
        Assert.True(n.Contains(run.N) && d.Contains(run.D) && n.High < 2 * n.Low);
        Assert.Equal(1e21, 6 * run.N * run.D, 1e12);
        Assert.True(run.Loss.Mean.Contains(Surfaces.Besiroglu.At(run.N, run.D)));
        Assert.True(run.Loss.Single.Low < run.Loss.Mean.Low && run.Loss.Mean.High < run.Loss.Single.High);
        Assert.Equal(Math.Max(run.N / Math.Sqrt(1e20 / 6 / 2), run.D / Math.Sqrt(1e20 / 6 * 200)), run.Loss.Extrapolation, 1e-3);
    }

    [Fact]
    public void Of_models_the_one_that_ends_lowest_on_its_own_operations_is_chosen()
    {
        Planner planner = new(Surfaces.Fit());

        PlannedRun run = planner.OfShapes(1e20, s_shapes);

        Assert.Equal(1e20, run.Flops);
        Assert.Equal(run.Shape!.Parameters, run.N);
        Assert.Equal(1e20, run.D * run.Shape.FlopsAToken, 1e10);
        Assert.All(s_shapes, shape => Assert.True(planner.Surface.At(shape.Parameters, 1e20 / shape.FlopsAToken) >= planner.Surface.At(run.N, run.D)));
        Assert.True(planner.OfShapes(1e20, s_shapes, served: 1e13).N < run.N);
    }

    [Fact]
    public void Serving_costs_a_third_of_training_a_token_and_as_good_is_cheaper()
    {
        Planner planner = new(Surfaces.Fit());
        (PlannedRun optimum, _, _) = planner.OfLaw(1e21);

        PlannedRun cheapest = planner.AsGood(optimum, 1e13);

        Assert.Equal((6 * optimum.N * optimum.D) + (2 * optimum.N * 1e13), optimum.Lifetime(1e13), 1e12);
        Assert.Equal(optimum.Loss.Value, cheapest.Loss.Value, 1e-9);
        Assert.True(cheapest.N < optimum.N && cheapest.Flops > optimum.Flops);
        Assert.True(cheapest.Lifetime(1e13) < optimum.Lifetime(1e13));
    }

    [Theory]
    [InlineData("params", ParameterCount.All)]
    [InlineData("params_non_embedding", ParameterCount.NonEmbedding)]
    [InlineData("params-no-embed", ParameterCount.NonEmbedding)]
    [InlineData("n", ParameterCount.All)]
    public void The_column_tells_what_n_counts(string column, ParameterCount count)
    {
        Assert.Equal(count, new Planner(Surfaces.Fit(column: column)).Count);
        Assert.Equal(ParameterCount.NonEmbedding, new Planner(Surfaces.Fit(column: column), count: ParameterCount.NonEmbedding).Count);
    }

    [Fact]
    public void An_error_goes_through_both_laws_and_its_interval_too()
    {
        double[][] losses = [[2.2], [2.6], [3.0], [3.4], [3.8], [4.2]];
        Fit exact = Surfaces.Exact(new DownstreamErrorLaw(), "error", ["loss"], losses, x => 0.85 - (2.1 * Math.Exp(-0.75 * x[0])));

        PlannedRun run = new Planner(Surfaces.Fit(), exact).OfLaw(1e20).Run;

        Assert.Equal(0.85 - (2.1 * Math.Exp(-0.75 * run.Loss.Value)), run.Error!.Value, 1e-6);
        Assert.Equal(0.85 - (2.1 * Math.Exp(-0.75 * run.Loss.Mean.Low)), run.Error.Mean.Low, 1e-4);
        Assert.Equal(0.85 - (2.1 * Math.Exp(-0.75 * run.Loss.Single.High)), run.Error.Single.High, 1e-4);
    }

    [Fact]
    public void Laws_of_hyperparameters_get_what_they_ask_for()
    {
        PlannedRun run = new Planner(Surfaces.Fit()).OfShapes(1e20, s_shapes);
        ModelShape shape = run.Shape!;
        double[][] grid = [[3e8, 1], [3e8, 4], [6e8, 1], [6e8, 4], [1.2e9, 1], [1.2e9, 4], [2e9, 2]];
        Fit rate = Surfaces.Exact(new HyperparameterLaw(), "lr", ["n", "r"], grid, x => (0.002 * Math.Pow(x[0] / 1e9, -0.5) * Math.Pow(x[1], -0.3)) + 0.0003);
        double expected = (0.002 * Math.Pow(shape.NonEmbedding / 1e9, -0.5) * Math.Pow(run.D / 20 / shape.NonEmbedding, -0.3)) + 0.0003;
        Assert.Equal(expected, run.Predict(rate).Value, 1e-6);

        double[][] runs = [[1e8, 1e9], [1e8, 1e10], [1e9, 1e10], [1e9, 1e11]];
        AssertPredicts(
            1.797 * Math.Pow(shape.NonEmbedding, -0.713) * Math.Pow(run.D, 0.307),
            Surfaces.Exact(new PowerProductLaw(), "lr", ["n", "tokens"], runs, x => 1.797 * Math.Pow(x[0], -0.713) * Math.Pow(x[1], 0.307)));

        double[][] loss = [[2.5], [3], [3.5], [4]];
        AssertPredicts(1.21e9 / Math.Pow(run.Loss.Value, 6.24), Surfaces.Exact(new BatchSizeLaw(), "batch", ["loss"], loss, x => 1.21e9 / Math.Pow(x[0], 6.24)));

        double[][] x = [[1e9], [1e10], [1e11], [1e12]];
        AssertPredicts(0.58 * Math.Pow(run.D, 0.571), Power("tokens", 0.58, -0.571));
        AssertPredicts(Math.Pow(1e20, 0.25), Power("compute", 1, -0.25));
        AssertPredicts(Math.Sqrt(run.N), Power("params", 1, -0.5));
        AssertPredicts(Math.Sqrt(shape.NonEmbedding), Power("params_non_embedding", 1, -0.5));
        Assert.Contains("'temperature'", Assert.Throws<ValidationException>(() => run.Predict(Power("temperature", 1, -0.5))).Message);

        void AssertPredicts(double expected, Fit fit) => Assert.Equal(1, run.Predict(fit).Value / expected, 1e-6);
        Fit Power(string column, double a, double b) => Surfaces.Exact(new PowerLaw(Offset: false), "y", [column], x, at => a * Math.Pow(at[0], -b));
    }

    [Theory]
    [InlineData(1e13)]
    [InlineData(double.PositiveInfinity)]
    [InlineData(double.NaN)]
    public void A_fit_that_cannot_tell_parameters_from_tokens_is_refused(double condition)
    {
        Fit fit = Surfaces.Fit();
        Fit blind = fit with { Quality = fit.Quality with { ConditionNumber = condition } };
        Assert.StartsWith("N and D cannot be told apart: ", Assert.Throws<ValidationException>(() => new Planner(blind)).Message);
    }

    [Fact]
    public void Fits_of_other_things_are_refused()
    {
        Fit loss = Surfaces.Fit();
        Fit without = loss with { Parameters = [.. loss.Parameters.Select(value => value.Name == "B" ? value with { Value = 0 } : value)] };

        Assert.Contains("does not fall with d", Assert.Throws<ValidationException>(() => new Planner(without)).Message);
        Assert.Contains("law downstream", Assert.Throws<ValidationException>(() => new Planner(loss, loss)).Message);
    }
}
