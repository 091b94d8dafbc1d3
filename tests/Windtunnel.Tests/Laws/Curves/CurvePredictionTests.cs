using System.ComponentModel.DataAnnotations;
using MathNet.Numerics.Distributions;
using MathNet.Numerics.Random;
using Windtunnel.Laws;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Tests.Laws.Curves;

/// <summary>What a fit of loss curves predicts under schedules that it has not seen, and how sure it is. WINDTUNNEL_SOAK=1 draws 300 data sets instead of 40.</summary>
public sealed class CurvePredictionTests(ITestOutputHelper output)
{
    // Of the logarithm of a loss, which is what the law's objective takes for equally noisy.
    private const double Noise = 0.002;

    private static readonly int s_sets = Environment.GetEnvironmentVariable("WINDTUNNEL_SOAK") == "1" ? 300 : 40;
    private static readonly AnnealingLaw s_law = new(0.99);

    // Errors of neighbours that are independent, and such as smoothed logs have.
    [Theory]
    [InlineData("annealing", 0)]
    [InlineData("annealing", 0.7)]
    [InlineData("multi-power", 0)]
    public void Intervals_of_the_end_loss_under_an_unseen_schedule_cover_the_truth(string name, double correlation)
    {
        CurveLaw law = name == "annealing" ? s_law : new MultiPowerLaw();
        LearningRateSequence[] seen = [CurveLawTests.Wsd(1500, 0), CurveLawTests.Wsd(1500, 0.1), CurveLawTests.Wsd(1200, 0.5), CurveLawTests.Cosine(1500)];
        LearningRateSequence unseen = CurveLawTests.Wsd(2000, 0.25);
        int hits = 0, single = 0;
        for (int set = 0; set < s_sets; set++)
        {
            MersenneTwister random = new(set + 1, threadSafe: false);
            double[] truth = law is AnnealingLaw
                ? [In(2, 3.2), In(0.3, 1), In(1, 3), In(0.3, 0.8)]
                : [In(2, 3.2), In(0.3, 1), In(200, 500), In(0.3, 0.8), In(-1, 1)];
            CurveFit fit = CurveFit.Of(law, [.. seen.Select(rates => Noisy(law, truth, rates, correlation, random))], "made up", new FitSettings(Replicates: 100, Seed: set));
            Prediction end = new FitPredictor(fit.Fit).Curve(unseen, [unseen.Last])[0];
            double actual = law.PredictLast(truth, unseen);
            hits += end.Mean.Contains(actual) ? 1 : 0;
            single += end.Single.Contains(actual * Math.Exp(Normal.Sample(random, 0, Noise))) ? 1 : 0;

            double In(double low, double high) => low + (random.NextDouble() * (high - low));
        }

        output.WriteLine($"{name}, errors of correlation {correlation}: {(double)hits / s_sets:P1} of end losses inside, {(double)single / s_sets:P1} of single runs, over {s_sets} data sets");
        Assert.InRange((double)hits / s_sets, 0.75, 1);
        Assert.InRange((double)single / s_sets, 0.75, 1);
    }

    [Fact]
    public void A_schedule_outside_the_curves_says_how_far()
    {
        double[] truth = CurveLawTests.Truth(s_law);
        LossCurve[] curves = [.. new[] { 0, 0.1, 0.5 }.Select(decay => CurveLawTests.Curve(s_law, CurveLawTests.Wsd(2000, decay)))];
        using TemporaryFolder folder = new();
        CurveFit.Of(s_law, curves, "made up", new FitSettings(Replicates: 20)).Fit.Save(folder.File("fit.json"));
        Fit fit = Fit.Load(folder.File("fit.json"));
        FitPredictor predictor = new(fit);

        Assert.Equal(1, At(CurveLawTests.Wsd(1800, 0.3)).Extrapolation, 0.02);
        Assert.Equal(4, At(CurveLawTests.Wsd(8000, 0.1)).Extrapolation, 0.3);
        Assert.Equal(3, At(Scaled(CurveLawTests.Wsd(1500, 0.1), 3)).Extrapolation, 0.1);
        Assert.Equal(10, At(Scaled(CurveLawTests.Wsd(1500, 0.1), 0.1)).Extrapolation, 1e-6);
        Prediction far = At(CurveLawTests.Wsd(8000, 0.1));
        Assert.Equal(s_law.PredictLast(truth, CurveLawTests.Wsd(8000, 0.1)), far.Value, 1e-4);

        string message = Assert.Throws<ValidationException>(() => At(Scaled(CurveLawTests.Wsd(5000, 0.5), 1000))).Message;
        Assert.StartsWith("the fit predicts a loss of -", message);
        Assert.Contains("times outside the curves that were fitted", message);
        Assert.DoesNotContain('\n', message);

        Prediction At(LearningRateSequence rates) => predictor.Curve(rates, [rates.Last])[0];
        static LearningRateSequence Scaled(LearningRateSequence rates, double factor) => LearningRateSequence.Of(rates.Last, step => factor * rates[step], rates.Warmup);
    }

    [Fact]
    public void The_range_of_curves_with_sizes_counts_them()
    {
        AnnealingLaw law = s_law with { Size = true };
        LossCurve[] curves = [.. new[] { 10e6, 40e6, 160e6 }.Select(size => CurveLawTests.Curve(law, CurveLawTests.Wsd(2000, 0.1), size))];
        CurveRange range = CurveRange.Of(law, curves);
        LearningRateSequence rates = curves[0].Rates;
        Assert.Equal(new Interval(10e6, 160e6), range.Parameters);
        Assert.Equal(5, range.Extrapolation(law, rates, [rates.Last], 800e6)[0], 1e-9);
        Assert.Equal(2, range.Extrapolation(law, rates, [rates.Last], 5e6)[0], 1e-9);
        Assert.Equal(1, range.Extrapolation(law, rates, [rates.Last], 40e6)[0], 1e-9);
    }

    private static LossCurve Noisy(CurveLaw law, double[] truth, LearningRateSequence rates, double correlation, Random random)
    {
        int[] steps = [.. Enumerable.Range(1, 60).Select(i => rates.Warmup + (i * (rates.Last - rates.Warmup) / 60))];
        double error = Normal.Sample(random, 0, Noise), fresh = Math.Sqrt(1 - (correlation * correlation));
        return LossCurve.Of("made up", [.. steps.Zip(law.Predict(truth, rates, steps), (step, loss) =>
        {
            error = (correlation * error) + (fresh * Normal.Sample(random, 0, Noise));
            return (step, loss * Math.Exp(error));
        })], rates);
    }
}
