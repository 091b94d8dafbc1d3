using System.Text.Json;
using Windtunnel.Laws;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Reproduction;

namespace Windtunnel.Tests.Laws.Curves;

/// <summary>Areas, annealing, loss drops and metrics, against values from independent code for the published schedules.</summary>
public class CurveAnchorTests
{
    private static readonly string[] s_models = ["25", "100"];

    [Fact]
    public void Schedules_areas_annealing_and_drops_match_the_anchors_to_1e_9()
    {
        using JsonDocument anchors = JsonDocument.Parse(File.ReadAllText(SharedData.Require("data/curves/anchors.json")));
        double[] readme = PublishedCurves.ReadmeParameters("25M");
        foreach (string name in PublishedCurves.Names)
        {
            JsonElement anchor = anchors.RootElement.GetProperty("sched_" + name);
            LearningRateSequence rates = PublishedCurves.Schedule(name);
            Assert.Equal(anchor.GetProperty("total").GetInt32(), rates.Last + 1);
            foreach (JsonProperty rate in anchor.GetProperty("lr").EnumerateObject())
            {
                Assert.Equal(rate.Value.GetDouble(), rates[int.Parse(rate.Name)], 1e-15);
            }

            Assert.Equal(anchor.GetProperty("S1_end").GetDouble(), rates.Areas([rates.Last], WarmupHandling.Ramp)[0], 1e-9);
            Assert.Equal(anchor.GetProperty("S1_end_constwarmup").GetDouble(), rates.Areas([rates.Last], WarmupHandling.Peak)[0], 1e-9);
            foreach (JsonProperty annealing in anchor.GetProperty("S2_end").EnumerateObject())
            {
                Assert.Equal(
                    annealing.Value.GetDouble(), rates.Annealing([rates.Last], double.Parse(annealing.Name), WarmupHandling.Ramp)[0], 1e-9);
            }

            Assert.Equal(anchor.GetProperty("LD_readme25").GetDouble(), LossDrop(0), 1e-9);
            Assert.Equal(anchor.GetProperty("LD_readme25").GetDouble(), LossDrop(0.0625), 3e-6);

            double LossDrop(double merge) =>
                -new MultiPowerLaw(Free: true, Merge: merge).PredictLast([0, 0, readme[2], .. readme.AsSpan(3)], rates);
        }
    }

    [Theory]
    [InlineData("25M", "mpl_readme_25", 0.99880, 0.00376, 0.00465, 0.00110, 0.00409)]
    [InlineData("100M", "mpl_readme_100", 0.99830, 0.00435, 0.00592, 0.00142, 0.00583)]
    public void Published_multi_power_parameters_score_as_published(
        string model, string anchored, double r2, double mae, double rmse, double predE, double worstE)
    {
        using JsonDocument anchors = JsonDocument.Parse(File.ReadAllText(SharedData.Require("data/curves/anchors.json")));
        MultiPowerLaw law = new(Free: true, Warmup: WarmupHandling.RampInDrops);
        List<CurveScore> test = [];
        foreach (string name in PublishedCurves.Names)
        {
            LossCurve curve = PublicCurves.Read(model, [name])[0];
            CurveScore score = CurveScore.Of(law.Predict(PublishedCurves.ReadmeParameters(model), curve.Rates, curve.Steps), curve.Losses);
            JsonElement anchor = anchors.RootElement.GetProperty(anchored).GetProperty(name);
            Assert.Equal(anchor.GetProperty("R2").GetDouble(), score.R2, 1e-5);
            Assert.Equal(anchor.GetProperty("MAE").GetDouble(), score.Mae, 1e-5);
            Assert.Equal(anchor.GetProperty("RMSE").GetDouble(), score.Rmse, 1e-5);
            Assert.Equal(anchor.GetProperty("PredE").GetDouble(), score.PredE, 1e-5);
            Assert.Equal(anchor.GetProperty("WorstE").GetDouble(), score.WorstE, 1e-5);
            Assert.Equal(anchor.GetProperty("final").GetDouble(), score.Final, 1e-5);
            if (PublishedCurves.Test.Contains(name))
            {
                test.Add(score);
            }
        }

        CurveScore mean = CurveScore.Mean(test);
        Assert.Equal([r2, mae, rmse, predE, worstE], [mean.R2, mean.Mae, mean.Rmse, mean.PredE, mean.WorstE], (a, b) => Math.Abs(a - b) < 1e-5);
    }

    // Tissue et al. 2024: the constants of equation 1's fit, and three of its schedules at a peak of 2e-4.
    [Theory]
    [InlineData("constant", 60_000, 12.000200, 0, 2.737371)]
    [InlineData("cosine", 60_000, 6.645110, 0.179750, 2.705507)]
    [InlineData("wsd", 50_000, 9.000100, 0.191029, 2.677608)]
    public void The_annealing_law_gives_the_published_losses(string schedule, int last, double area, double annealing, double loss)
    {
        LearningRateSequence rates = schedule switch
        {
            "cosine" => LearningRateSequence.Of(
                last, step => step <= 500 ? 2e-4 * step / 500 : 2e-5 + (0.9e-4 * (1 + Math.Cos(Math.PI * (step - 500) / (last - 500)))), 501),
            "wsd" => CosineAnneal(last, 0.2),
            _ => LearningRateSequence.Of(last, _ => 2e-4, 0),
        };
        AnnealingLaw law = new(Warmup: WarmupHandling.Peak);
        Assert.Equal(area, rates.Areas([last], law.Warmup)[0], 1e-6);
        Assert.Equal(annealing, rates.Annealing([last], law.Lambda, law.Warmup)[0], 1e-6);
        Assert.Equal(loss, law.PredictLast([2.628, 0.429, 0.411, 0.550], rates), 1e-6);
    }

    [Fact]
    public void Annealing_by_recursion_equals_its_closed_form()
    {
        LearningRateSequence rates = CosineAnneal(50_000, 0.2);
        double closed = 0;
        for (int k = 1; k <= 45_000; k++)
        {
            closed += (rates[k - 1] - rates[k]) * (1 - Math.Pow(0.999, 45_000 - k + 1)) / (1 - 0.999);
        }

        Assert.Equal(0.0713719085329534, closed, 1e-13);
        Assert.Equal(closed, rates.Annealing([45_000], 0.999, WarmupHandling.Ramp)[0], 1e-13);
    }

    [Theory]
    [InlineData(0.999, 0.411, 10_000, 0.26)]
    [InlineData(0.999, 0.411, 20_000, 0.25)]
    [InlineData(0.999, 0.411, 40_000, 0.21)]
    [InlineData(0.999, 0.411, 60_000, 0.18)]
    [InlineData(0.999, 0.411, 80_000, 0.16)]
    [InlineData(0.999, 0.411, 100_000, 0.14)]
    [InlineData(0.99, 3.9157, 10_000, 0.09)]
    [InlineData(0.99, 3.9157, 20_000, 0.07)]
    [InlineData(0.99, 3.9157, 60_000, 0.04)]
    [InlineData(0.99, 3.9157, 100_000, 0.03)]
    public void The_best_cosine_anneal_ratio_shrinks_with_the_run(double lambda, double c, int last, double best)
    {
        Cooldown found = CooldownScan.Of(
            new AnnealingLaw(lambda), [2.628, 0.429, c, 0.550], ratio => CosineAnneal(last, ratio), Enumerable.Range(1, 50).Select(percent => percent / 100.0)).Best;
        Assert.Equal(best, found.Fraction, 1e-9);
    }

    // Steps 0 to last at 2e-4, the last part of them a cosine to zero.
    private static LearningRateSequence CosineAnneal(int last, double ratio)
    {
        double length = Math.Round(last * ratio), start = last - length;
        return LearningRateSequence.Of(last, step => step <= start ? 2e-4 : 1e-4 * (1 + Math.Cos(Math.PI * (step - start) / length)), 0);
    }
}
