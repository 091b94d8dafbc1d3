using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using MathNet.Numerics.Random;
using Windtunnel.Laws;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Tests.Laws;

public sealed class FitTests
{
    private static readonly OverTrainingLaw s_law = new();

    [Theory]
    [InlineData(IntervalMethod.Profile)]
    [InlineData(IntervalMethod.Bootstrap)]
    [InlineData(IntervalMethod.None)]
    public void A_fit_reads_back_and_predicts_the_same(IntervalMethod intervals)
    {
        using TemporaryFolder folder = new();
        Fit fit = Fit.Of(s_law, Ladder(), new FitSettings(Intervals: intervals, Replicates: 50));
        fit.Save(folder.File("fit.json"));
        Fit read = Fit.Load(folder.File("fit.json"));
        Assert.Equal(fit.Values, read.Values);
        Assert.Equal(fit.Quality, read.Quality);
        Assert.Equal(fit.Predict(2e9, 8e11), read.Predict(2e9, 8e11));
        Assert.Equal(intervals == IntervalMethod.None, fit.Parameters[0].Interval is null);
    }

    [Fact]
    public void A_damaged_fit_is_a_typed_error()
    {
        using TemporaryFolder folder = new();
        string path = folder.File("fit.json");
        Fit.Of(s_law, Ladder()).Save(path);
        byte[] good = File.ReadAllBytes(path);
        MersenneTwister random = new(4, threadSafe: false);
        for (int trial = 0; trial < 300; trial++)
        {
            byte[] bad = [.. good];
            for (int i = 0; i <= trial % 4; i++)
            {
                bad[random.Next(bad.Length)] = (byte)random.Next(256);
            }

            File.WriteAllBytes(path, trial % 5 == 0 ? bad[..random.Next(bad.Length)] : bad);
            try
            {
                _ = Fit.Load(path).Values;
            }
            catch (InvalidDataException error)
            {
                Assert.StartsWith(path, error.Message);
                Assert.DoesNotContain('\n', error.Message);
            }
        }

        File.WriteAllText(path, "null");
        Assert.Throws<InvalidDataException>(() => Fit.Load(path));
        JsonObject other = JsonNode.Parse(good)!.AsObject();
        other["format"] = "windtunnel-fit-9";
        File.WriteAllText(path, other.ToJsonString());
        Assert.Contains("windtunnel-fit-9", Assert.Throws<InvalidDataException>(() => Fit.Load(path)).Message);
        Assert.Contains("windtunnel fit", Assert.Throws<ValidationException>(() => Fit.Load(folder.File("none.json"))).Message);
    }

    [Fact]
    public void Five_runs_and_four_parameters_are_warned_about_and_have_wide_intervals()
    {
        Observations all = Ladder();
        Fit fit = Fit.Of(s_law, all with { Labels = [.. all.Labels.Take(5)], Inputs = all.Inputs[..10], Observed = all.Observed[..5] });
        Assert.Contains(fit.Warnings, warning => warning.StartsWith("one degree of freedom", StringComparison.Ordinal));
        Prediction far = fit.Predict(1e11, 1e13);
        Assert.True(far.Extrapolation > 100);
        Assert.True(far.Single.High - far.Single.Low > 10 * (fit.Predict(all.Inputs[0], all.Inputs[1]).Single.High - fit.Predict(all.Inputs[0], all.Inputs[1]).Single.Low));
        Assert.True(far.Single.Low <= far.Mean.Low && far.Mean.High <= far.Single.High);
    }

    [Fact]
    public void A_back_test_hides_the_largest_rungs_and_predicts_them()
    {
        BackTest test = BackTest.Run(s_law, Ladder(), hidden: 2);
        Assert.Equal(2, test.Rungs.Count);
        Assert.Equal(8, test.Rows.Count);
        Assert.All(test.Fit.Data.Inputs.Where((_, index) => index % 2 == 0), n => Assert.True(n < test.Rungs[^1]));
        Assert.InRange(test.WorstError, 0, 0.01);
        Assert.InRange(test.Coverage, 0.75, 1);
        Assert.Contains("1 to 5", Assert.Throws<ValidationException>(() => BackTest.Run(s_law, Ladder(), hidden: 6)).Message);
    }

    [Fact]
    public void A_back_test_over_loss_hides_the_lowest_losses_which_are_those_of_the_largest_models()
    {
        double[] losses = [2.4, 2.8, 3.2, 3.6, 4, 4.4];
        foreach (PointLaw law in new PointLaw[] { new DownstreamErrorLaw(), new BatchSizeLaw() })
        {
            double[] truth = law is BatchSizeLaw ? [1.21e9, 6.24] : [0.85, 2.1, 0.75];
            Observations data = new(
                "losses.csv", null, new Dictionary<string, string>(), [.. losses.Select(loss => $"at {loss}")], losses, [.. losses.Select(loss => law.Predict(truth, loss))], []);
            BackTest test = BackTest.Run(law, data, hidden: 2);
            Assert.Equal([2.4, 2.8], test.Rungs);
            Assert.Equal([3.2, 3.6, 4, 4.4], test.Fit.Data.Inputs);
            Assert.InRange(test.WorstError, 0, 1e-4);
        }
    }

    // Six sizes, four multipliers, noise of 0.003.
    private static Observations Ladder()
    {
        MersenneTwister random = new(8, threadSafe: false);
        double[][] rows = [.. new[] { 1e7, 3e7, 1e8, 3e8, 1e9, 3e9 }.SelectMany(n => new[] { 5.0, 20, 80, 320 }.Select(m => new[] { n, n * m }))];
        double[] observed = [.. rows.Select(x => s_law.Predict([1.8, 200, 350, 0.135], x) + (0.006 * (random.NextDouble() - 0.5)))];
        return new Observations("ladder.csv", null, new Dictionary<string, string>(), [.. rows.Select((_, i) => $"line {i + 2}")], [.. rows.SelectMany(x => x)], observed, []);
    }
}
