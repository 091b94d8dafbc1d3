using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Tests.Laws.Curves;

/// <summary>What holds for every law of loss curves, on made-up schedules.</summary>
public class CurveLawTests
{
    private const int Warmup = 100;

    public static TheoryData<CurveLaw> All =>
    [
        new AnnealingLaw(0.99), new AnnealingLaw(0), new AnnealingLaw(0.99, WarmupHandling.Peak), new AnnealingLaw(0.99, Size: true),
        new MultiPowerLaw(), new MultiPowerLaw(Free: true), new MultiPowerLaw(Free: true, Warmup: WarmupHandling.RampInDrops),
    ];

    [Theory]
    [MemberData(nameof(All))]
    public void Derivatives_by_the_shapes_agree_with_differences(CurveLaw law)
    {
        CurveProblem problem = law.Bind([Curve(law, Cosine(2000)), Curve(law, Wsd(1500, 0.3))]);
        int coefficients = problem.Coefficients, shapes = problem.Shapes;
        double[] at = Truth(law)[coefficients..], columns = new double[problem.Rows * coefficients], above = new double[columns.Length], below = new double[columns.Length];
        double[] derivatives = new double[columns.Length * shapes];
        problem.Evaluate(at, columns, derivatives);
        for (int shape = 0; shape < shapes; shape++)
        {
            const double Change = 1e-6;
            problem.Evaluate([.. at.Select((value, k) => k == shape ? value + Change : value)], above, []);
            problem.Evaluate([.. at.Select((value, k) => k == shape ? value - Change : value)], below, []);
            for (int i = 0; i < columns.Length; i++)
            {
                double difference = (above[i] - below[i]) / (2 * Change);
                int index = (((i / coefficients * shapes) + shape) * coefficients) + (i % coefficients);
                Assert.Equal(difference, derivatives[index], 1e-7 * Math.Max(1, Math.Abs(columns[i])));
            }
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void A_fit_of_exact_curves_recovers_the_law(CurveLaw law)
    {
        double[] truth = Truth(law);
        LossCurve[] curves = law.NeedsParameters
            ? [.. new[] { 10e6, 40e6, 160e6 }.SelectMany(size => new[] { Curve(law, Wsd(2000, 0), size), Curve(law, Wsd(2000, 0.1), size), Curve(law, Wsd(1500, 0.5), size) })]
            : [Curve(law, Wsd(2500, 0)), Curve(law, Wsd(2000, 0.1)), Curve(law, Wsd(1500, 0.6)), Curve(law, Cosine(2500))];
        Optimum best = new Fitter(law.Bind(curves), law.Objective).Search()[0];
        for (int k = 0; k < truth.Length; k++)
        {
            Assert.Equal(truth[k], best.Parameters[k], 1e-6 * Math.Max(1, Math.Abs(truth[k])));
        }
    }

    [Fact]
    public void Merged_drops_change_the_loss_by_less_than_the_noise_of_losses()
    {
        foreach (LearningRateSequence rates in new[] { Cosine(20_000), Wsd(20_000, 0.2), Cyclic() })
        {
            foreach (WarmupHandling warmup in Enum.GetValues<WarmupHandling>())
            {
                int[] steps = Steps(rates);
                MultiPowerLaw exact = new(Free: true, Warmup: warmup, Merge: 0);
                double[] truth = Truth(exact), merged = (exact with { Merge = 0.0625 }).Predict(truth, rates, steps);
                Assert.Equal(exact.Predict(truth, rates, steps), merged, (a, b) => Math.Abs(a - b) < 2e-5);
            }
        }
    }

    [Fact]
    public void The_annealing_law_without_momentum_sees_the_rate_lost_so_far()
    {
        LearningRateSequence rates = Wsd(1000, 0.5);
        foreach (int step in Steps(rates))
        {
            Assert.Equal(rates.Peak - rates[step], rates.Annealing([step], 0, WarmupHandling.Ramp)[0], 1e-15);
        }
    }

    [Fact]
    public void Updates_counted_from_one_start_after_a_step_without_rate()
    {
        LearningRateSequence rates = LearningRateSequence.OfUpdates(10, update => Math.Min(1, update / 4.0), 4);
        Assert.Equal([0, 0.25, 0.5, 0.75, 1, 1], Enumerable.Range(0, 6).Select(step => rates[step]));
        Assert.Equal([2.5, 3.5], rates.Areas([4, 5], WarmupHandling.Ramp));
        Assert.Equal([5, 6], rates.Areas([4, 5], WarmupHandling.Peak));
        Assert.Equal([0], rates.Annealing([10], 0.9, WarmupHandling.Ramp));
        Assert.True(rates.Annealing([10], 0.9, WarmupHandling.RampInDrops)[0] < 0);
        Assert.Equal([0], LearningRateSequence.OfUpdates(10, _ => 1, 0).Annealing([10], 0.9, WarmupHandling.Ramp));
    }

    [Fact]
    public void Logged_rates_are_interpolated_and_continued_back_to_the_warm_up()
    {
        LearningRateSequence rates = LearningRateSequence.Interpolated([2, 10, 20], [0.3, 2, 1], 5);
        Assert.Equal([0, 0.5, 1, 1.5, 2, 2, 2], Enumerable.Range(0, 7).Select(step => rates[step]));
        Assert.Equal(1.5, rates[15], 1e-15);
        Assert.Equal(20, rates.Last);
        Assert.Equal(10, rates.CooldownSteps);
    }

    [Fact]
    public void A_logged_change_between_constant_stretches_is_a_jump()
    {
        LearningRateSequence rates = LearningRateSequence.Interpolated([4, 8, 12, 16, 20, 24], [1, 1, 0.5, 0.5, 0.25, 0.2], 0);
        Assert.Equal([1, 1, 0.5, 0.5], new[] { 8, 9, 10, 12 }.Select(step => rates[step]));
        Assert.Equal([0.5, 0.375, 0.25, 0.225], new[] { 16, 18, 20, 22 }.Select(step => rates[step]), (a, b) => Math.Abs(a - b) < 1e-15);
    }

    [Fact]
    public void Too_few_losses_are_refused_unless_parameters_are_held()
    {
        AnnealingLaw law = new(0.99);
        LossCurve curve = Curve(law, Wsd(1000, 0.5));
        LossCurve brief = curve.From(curve.Steps[^3]);
        Assert.Contains("3 losses after the warm-up are too few for 4 parameters", Error(() => CurveFit.Of(law, [brief], "a.csv", new FitSettings())));
        FitSettings held = new(PinnedValues: new Dictionary<string, double> { ["alpha"] = 0.5, ["C"] = 2 }, Intervals: IntervalMethod.None);
        Assert.Equal(2.6, CurveFit.Of(law, [brief], "a.csv", held).Fit.Values[0], 1e-6);
    }

    [Fact]
    public void Blocks_are_runs_of_neighbours_within_a_curve()
    {
        AnnealingLaw law = new(0.99);
        CurveProblem problem = law.Bind([Curve(law, Cosine(2000)), Curve(law, Wsd(1500, 0.3))]);
        Range second = problem.RowsOf(1);
        Assert.Equal(problem.Rows, second.End.Value);
        Assert.Equal(0, problem.BlockOf(0));
        for (int row = 1; row < problem.Rows; row++)
        {
            Assert.InRange(problem.BlockOf(row) - problem.BlockOf(row - 1), row == second.Start.Value ? 1 : 0, 1);
        }
    }

    [Fact]
    public void Options_and_curves_that_make_no_sense_are_one_clear_error()
    {
        LearningRateSequence rates = Cosine(1000);
        AnnealingLaw law = new();
        Assert.Contains("law.lambda", Error(() => (law with { Lambda = 1 }).PredictLast([3, 1, 1, 0.5], rates)));
        Assert.Contains("law.merge", Error(() => new MultiPowerLaw(Merge: -1).PredictLast([3, 1, 1, 0.5, 1], rates)));
        Assert.Contains("number of non-embedding parameters", Error(() => (law with { Size = true }).Bind([Curve(law, rates)])));
        Assert.Contains("none to fit", Error(() => law.Bind([])));
        Assert.Contains("learning rate of step 1 is NaN", Error(() => Of(1, double.NaN)));
        Assert.Contains("after the warm-up is zero", Error(() => Of(0, 0, 0)));
        Assert.Contains("warm-up that fits", Error(() => LearningRateSequence.Of(1, _ => 1, 3)));
        Assert.Contains("2000000000", Error(() => LearningRateSequence.Of(2_000_000_000, _ => 1, 0)));
        Assert.Contains("no loss after the warm-up", Error(() => LossCurve.Of("a", [(50, 3)], rates)));
        Assert.Contains("steps 0 to 999", Error(() => LossCurve.Of("a", [(1000, 3)], rates)));
        Assert.Contains("a: the loss at step 200 is NaN", Error(() => LossCurve.Of("a", [(200, double.NaN)], rates)));

        static LearningRateSequence Of(params double[] values) => new(values);
    }

    internal static LearningRateSequence Cosine(int total) =>
        Sequence(total, step => 0.1 + (0.9 * 0.5 * (1 + Math.Cos(Math.PI * (step - Warmup) / (total - Warmup)))));

    internal static LearningRateSequence Wsd(int total, double decay)
    {
        double length = total * decay, start = total - length;
        return Sequence(total, step => step <= start ? 1 : 1 - (0.95 * (step - start) / length));
    }

    internal static double[] Truth(CurveLaw law) => law switch
    {
        AnnealingLaw { Size: true } => [1.6, 0.5, 1.2, 2, 0.45, 0.16, 0.12],
        AnnealingLaw { Lambda: 0 } => [2.6, 0.5, 200, 0.5],
        AnnealingLaw => [2.6, 0.5, 2, 0.5],
        MultiPowerLaw { Free: true } => [2.6, 0.5, 300, 0.5, 1.1, 0.55, 0.45],
        _ => [2.6, 0.5, 300, 0.5, 1.1],
    };

    internal static LossCurve Curve(CurveLaw law, LearningRateSequence rates, double parameters = 30e6)
    {
        int[] steps = Steps(rates);
        return LossCurve.Of("made up", steps.Zip(law.Predict(Truth(law), rates, steps, parameters)), rates, law.NeedsParameters ? parameters : double.NaN);
    }

    // A cosine that rises again, twice.
    private static LearningRateSequence Cyclic() => Sequence(9000, step => 0.55 + (0.45 * Math.Cos(Math.PI * (step - Warmup) / 1500)));

    private static LearningRateSequence Sequence(int total, Func<int, double> factor) =>
        LearningRateSequence.Of(total - 1, step => 1e-3 * (step < Warmup ? step / (Warmup - 1.0) : factor(step)), Warmup);

    private static int[] Steps(LearningRateSequence rates) => [.. Enumerable.Range(1, 60).Select(i => Warmup + (i * (rates.Last - Warmup) / 60))];

    private static string Error(Action action) => Assert.Throws<ValidationException>(action).Message;
}
