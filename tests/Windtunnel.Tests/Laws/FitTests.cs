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

    [Theory]
    [InlineData("\"data\":{\"inputs\":[],\"observed\":[],\"labels\":[]}", "do not belong together")]
    [InlineData("\"parameters\":[null]", "null")]
    [InlineData("\"bootstrap\":[null,null]", "bootstrap")]
    [InlineData("\"parameters\":[{\"value\":\"NaN\"}]", "out of its bounds")]
    [InlineData("\"parameters\":[{\"value\":-1}]", "out of its bounds")]
    [InlineData("\"data\":{\"inputs\":[\"Infinity\"]}", "not a number")]
    [InlineData("\"data\":{\"inputs\":[-1]}", "not positive")]
    [InlineData("\"data\":{\"observed\":[\"NaN\"]}", "not a number")]
    [InlineData("\"pins\":{\"E\":3,\"a\":1}", "pins")]
    [InlineData("\"objective\":{\"type\":\"huber\",\"delta\":-1,\"log\":true}", "delta")]
    public void A_fit_that_does_not_hold_together_is_refused(string patch, string message)
    {
        using TemporaryFolder folder = new();
        string path = folder.File("fit.json");
        Fit.Of(s_law, Ladder()).Save(path);
        JsonObject fit = JsonNode.Parse(File.ReadAllBytes(path))!.AsObject();
        Patch(fit, JsonNode.Parse("{" + patch + "}")!.AsObject());
        File.WriteAllText(path, fit.ToJsonString());
        Assert.Contains(message, Assert.Throws<InvalidDataException>(() => Fit.Load(path)).Message);

        // Objects are merged; a list of one element replaces the first, any other replaces the list.
        static void Patch(JsonObject target, JsonObject patch)
        {
            foreach ((string name, JsonNode? value) in patch)
            {
                if (value is JsonObject inner && target[name] is JsonObject old && name is not ("pins" or "objective"))
                {
                    Patch(old, inner);
                }
                else if (value is JsonArray { Count: 1 } array && target[name] is JsonArray list)
                {
                    if (array[0] is JsonObject element)
                    {
                        Patch(list[0]!.AsObject(), element);
                    }
                    else
                    {
                        list[0] = array[0]?.DeepClone();
                    }
                }
                else
                {
                    target[name] = value?.DeepClone();
                }
            }
        }
    }

    [Fact]
    public void Runs_of_one_ratio_do_not_tell_parameters_from_tokens_and_the_intervals_say_so()
    {
        Observations all = Ladder();
        int[] rows = [.. Enumerable.Range(0, 6).Select(size => (4 * size) + 1)];
        Fit fit = Fit.Of(s_law, all with
        {
            Labels = [.. rows.Select(row => all.Labels[row])],
            Inputs = [.. rows.SelectMany(row => all.Inputs[(2 * row)..((2 * row) + 2)])],
            Observed = [.. rows.Select(row => all.Observed[row])],
        });
        Assert.Contains(fit.Warnings, warning => warning.Contains("N and D cannot be told apart", StringComparison.Ordinal));
        Assert.True(double.IsInfinity(fit.Derived.Single(value => value.Name == "M*").Interval!.Value.High));
        Assert.True(double.IsInfinity(fit.Predict(1e10, 640e10).Mean.High));
        Assert.InRange(fit.Predict(1e10, 20e10).Mean.High - fit.Predict(1e10, 20e10).Mean.Low, 1e-4, 0.2);
    }

    [Fact]
    public void Intervals_of_a_coefficient_agree_in_every_parametrisation()
    {
        // The five runs of RedPajama in Gadre et al. 2024: b = B 6^eta, so that b and B have a lower limit both or neither.
        Fit fit = Fit.Of(s_law, new Observations("five", null, new Dictionary<string, string>(), ["1", "2", "3", "4", "5"],
            [10_569_312, 211_386_240, 10_569_312, 3_382_179_840, 78_914_048, 1_578_280_960, 153_677_376, 3_073_547_520, 411_616_256, 8_232_325_120],
            [5.387021, 4.572293, 3.899943, 3.531147, 3.149769], []));
        Interval b = fit.Parameters[2].Interval!.Value, whole = fit.Derived.Single(value => value.Name == "B").Interval!.Value;
        Assert.InRange(b.Low, whole.Low, whole.Low * 1.3);
        Assert.InRange(whole.Low, 18, 22);
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
