using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Reproduction;

namespace Windtunnel.Tests.Laws.Curves;

public class SchedulePlanningTests
{
    private static readonly MultiPowerLaw s_published = new(Free: true, Warmup: WarmupHandling.RampInDrops);

    // From the README parameters of the multi-power law's repository, with the ramp counted as its fit counts it.
    [Theory]
    [InlineData("25M", 3.26539, 3.26626, 3.31519)]
    [InlineData("100M", 2.93412, 2.93520, 2.99002)]
    [InlineData("400M", 2.69935, 2.69981, 2.75707)]
    public void End_losses_of_published_parameters(string model, double linear, double exponential, double cosine)
    {
        double[] values = PublishedCurves.ReadmeParameters(model);
        Assert.Equal(linear, s_published.PredictLast(values, PublishedCurves.Schedule("wsdld_20000_24000")), 2e-5);
        Assert.Equal(exponential, s_published.PredictLast(values, PublishedCurves.Schedule("wsd_20000_24000")), 2e-5);
        Assert.Equal(cosine, s_published.PredictLast(values, PublishedCurves.Schedule("cosine_24000")), 2e-5);
    }

    [Fact]
    public void The_optimised_schedule_reaches_the_published_end_loss_and_is_stable_then_convex()
    {
        LearningRateSequence constant = PublishedCurves.Schedule("constant_24000");
        OptimizedSchedule best = ScheduleOptimizer.Of(s_published, PublishedCurves.ReadmeParameters("25M"), constant);
        Assert.Equal(3.25795, best.Loss, 2e-4);
        Assert.Equal(constant.Warmup, best.Rates.Warmup);
        Assert.Equal(constant.Last, best.Rates.Last);
        for (int step = best.Rates.Warmup; step <= best.Rates.Last; step++)
        {
            Assert.InRange(best.Rates[step], 0, best.Rates[step - 1]);
        }

        // Two thirds of the run stay at the peak; the published schedule ends at about 1.4e-6.
        Assert.Equal(3e-4, best.Rates[16_000], 1e-8);
        Assert.InRange(best.Rates[best.Rates.Last], 0.5e-6, 3e-6);
        double middle = best.Rates[22_500];
        Assert.True(middle < (best.Rates[21_500] + best.Rates[23_500]) / 2);
    }

    [Fact]
    public void Short_runs_and_laws_without_a_counted_ramp_are_optimised_as_well()
    {
        MultiPowerLaw law = new();
        double[] values = CurveLawTests.Truth(law);
        LearningRateSequence flat = CurveLawTests.Wsd(400, 0);
        OptimizedSchedule best = ScheduleOptimizer.Of(law, values, flat);
        CooldownScan family = CooldownScan.Of(law, values, fraction => CurveLawTests.Wsd(400, Math.Min(fraction, 0.75)));
        Assert.InRange(best.Loss, 0, family.Best.Loss);
        Assert.True(double.IsFinite(best.Loss));
    }

    [Fact]
    public void The_annealing_law_is_refused_for_schedules_of_free_form()
    {
        string message = Assert.Throws<ValidationException>(
            () => ScheduleOptimizer.Of(new AnnealingLaw(), [2.6, 0.4, 0.4, 0.5], PublishedCurves.Schedule("constant_24000"))).Message;
        Assert.Contains("fit the multi-power law", message);
    }

    [Fact]
    public void A_scan_names_the_best_cooldown_and_those_that_noise_cannot_tell_from_it()
    {
        MultiPowerLaw law = new();
        CooldownScan scan = CooldownScan.Of(law, CurveLawTests.Truth(law), fraction => CurveLawTests.Wsd(20_000, Math.Min(fraction, 0.99)));
        Assert.Equal(101, scan.Cooldowns.Count);
        Assert.InRange(scan.Best.Fraction, 0.05, 0.7);
        (double shortest, double longest) = scan.Within(0.0007);
        Assert.True(shortest < scan.Best.Fraction && scan.Best.Fraction < longest);
        Assert.All(
            scan.Cooldowns.Where(cooldown => cooldown.Fraction >= shortest && cooldown.Fraction <= longest),
            cooldown => Assert.InRange(cooldown.Loss, scan.Best.Loss, scan.Best.Loss + 0.0007));
    }

    [Fact]
    public void Training_sets_that_cannot_identify_a_law_are_warned_of()
    {
        AnnealingLaw law = new(0.99);
        LossCurve constant = CurveLawTests.Curve(law, CurveLawTests.Wsd(2000, 0)), cosine = CurveLawTests.Curve(law, CurveLawTests.Cosine(2000));
        LossCurve brief = CurveLawTests.Curve(law, CurveLawTests.Wsd(2000, 0.1)), lengthy = CurveLawTests.Curve(law, CurveLawTests.Wsd(2000, 0.6));
        Assert.Empty(CurveWarnings.OfCurves(law, [constant, brief, lengthy]));
        string[] alone = [.. CurveWarnings.OfCurves(law, [cosine])];
        Assert.Contains("falls throughout", alone[0]);
        Assert.Contains("one length only", alone[1]);
        Assert.Contains("one length only", Assert.Single(CurveWarnings.OfCurves(law, [constant, brief])));
        Assert.Contains("no curve has a cooldown", Assert.Single(CurveWarnings.OfCurves(law, [constant])));
        Assert.Contains("do not identify beta and gamma", Assert.Single(CurveWarnings.OfCurves(new MultiPowerLaw(Free: true), [brief, lengthy])));
        Assert.Empty(CurveWarnings.OfCurves(new MultiPowerLaw(), [brief, lengthy]));
    }

    [Fact]
    public void A_warm_up_that_was_not_stated_is_warned_of()
    {
        AnnealingLaw law = new(0.99);
        LossCurve[] curves = [.. new[] { 0, 0.1, 0.6 }.Select(decay => CurveLawTests.Curve(law, CurveLawTests.Wsd(2000, decay)))];
        LossCurve[] forgotten = [.. curves.Select(Forgotten)];
        Assert.Contains("made up and 2 more: the learning rate still rises after a warm-up of 10 steps, up to step 99", Assert.Single(CurveWarnings.OfCurves(law, forgotten)));
        Assert.Contains("made up: the learning rate", Assert.Single(CurveWarnings.OfCurves(law, [curves[0], forgotten[1], curves[2]])));

        static LossCurve Forgotten(LossCurve curve) => LossCurve.Of(
            curve.Name, curve.Steps.Zip(curve.Losses), LearningRateSequence.Of(curve.Rates.Last, step => curve.Rates[step], warmup: 10));
    }
}
