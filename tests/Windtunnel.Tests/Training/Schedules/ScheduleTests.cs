using System.ComponentModel.DataAnnotations;
using Windtunnel.Training;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Tests.Training.Schedules;

public class ScheduleTests
{
    private static readonly Duration TenSteps = Duration.OfSteps(10);

    public static TheoryData<ScheduleOptions> All =>
    [
        new ConstantOptions(TenSteps), new LinearOptions(TenSteps), new CosineOptions(TenSteps), new InverseSquareRootOptions(TenSteps),
        new MultiStepOptions(TenSteps), new WsdOptions(TenSteps, Duration.OfSteps(20)),
        new WsdOptions(TenSteps, Duration.OfSteps(20), DecayShape.Cosine), new WsdOptions(TenSteps, Duration.OfSteps(20), DecayShape.Exponential),
        new WsdOptions(TenSteps, Duration.OfSteps(20), DecayShape.OneMinusSqrt), new WsdOptions(TenSteps, Duration.OfSteps(20), DecayShape.Square),
    ];

    [Theory]
    [MemberData(nameof(All))]
    public void Warm_up_is_linear_and_reaches_one_and_the_factor_never_rises_after(ScheduleOptions options)
    {
        Schedule schedule = options.Build(100, 1);
        for (int step = 1; step <= 10; step++)
        {
            Assert.Equal(step / 10.0, schedule.Factor(step), 1e-12);
        }

        for (int step = 11; step <= 100; step++)
        {
            Assert.InRange(schedule.Factor(step), 0, schedule.Factor(step - 1));
        }
    }

    [Theory]
    [InlineData(DecayShape.Linear, 0.5, 0)]
    [InlineData(DecayShape.Cosine, 0.5, 0)]
    [InlineData(DecayShape.OneMinusSqrt, 0.29289321881345254, 0)]
    [InlineData(DecayShape.Square, 0.25, 0)]
    [InlineData(DecayShape.Exponential, 0.25, 0.0625)]
    public void A_wsd_decay_has_its_shape_at_the_middle_and_at_the_end(DecayShape shape, double middle, double end)
    {
        Schedule schedule = new WsdOptions(Duration.Zero, Duration.OfSteps(20), shape, HalfLife: Duration.OfSteps(5)).Build(100, 1);
        Assert.Equal(1, schedule.Factor(80));
        Assert.True(schedule.Factor(81) < 1);
        Assert.Equal(middle, schedule.Factor(90), 1e-12);
        Assert.Equal(end, schedule.Factor(100), 1e-12);
    }

    [Fact]
    public void Durations_in_tokens_and_fractions_give_the_same_schedule_as_steps()
    {
        Schedule steps = new WsdOptions(Duration.OfSteps(10), Duration.OfSteps(20)).Build(100, 512);
        Schedule tokens = new WsdOptions(Duration.Parse("5120 tokens"), Duration.Parse("10240 tokens")).Build(100, 512);
        Schedule shares = new WsdOptions(Duration.Parse("10%"), Duration.Parse("0.2")).Build(100, 512);
        for (int step = 1; step <= 100; step++)
        {
            Assert.Equal(steps.Factor(step), tokens.Factor(step));
            Assert.Equal(steps.Factor(step), shares.Factor(step));
        }
    }

    [Fact]
    public void Known_values_of_the_other_schedules()
    {
        Assert.Equal(0.1, new CosineOptions().Build(100, 1).Factor(100), 1e-12);
        Assert.Equal(0.55, new CosineOptions().Build(100, 1).Factor(50), 1e-12);
        Assert.Equal(0.25, new LinearOptions().Build(100, 1).Factor(75), 1e-12);
        Assert.Equal(0.5, new InverseSquareRootOptions(Duration.OfSteps(25)).Build(100, 1).Factor(100), 1e-12);
        Schedule drops = new MultiStepOptions(At: [Duration.OfSteps(80), Duration.OfSteps(90)], Gamma: 0.1).Build(100, 1);
        Assert.Equal([1, 0.1, 0.1, 0.01], new long[] { 80, 81, 90, 91 }.Select(drops.Factor), (a, b) => Math.Abs(a - b) < 1e-12);
    }

    [Theory]
    [InlineData("wsd", "schedule.decay")]
    [InlineData("warmup", "schedule.warmup")]
    [InlineData("ratio", "schedule.minRatio")]
    public void What_does_not_fit_the_run_is_one_clear_error(string what, string setting)
    {
        ScheduleOptions options = what switch
        {
            "wsd" => new WsdOptions(Duration.OfSteps(60), Duration.OfSteps(60)),
            "warmup" => new CosineOptions(Duration.OfSteps(101)),
            _ => new LinearOptions(MinRatio: 2),
        };
        Assert.StartsWith(setting, Assert.Throws<ValidationException>(() => options.Build(100, 1)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("500", 500, DurationUnit.Steps)]
    [InlineData("500 steps", 500, DurationUnit.Steps)]
    [InlineData("1 step", 1, DurationUnit.Steps)]
    [InlineData("2k", 2000, DurationUnit.Steps)]
    [InlineData("1e3", 1000, DurationUnit.Steps)]
    [InlineData("20m tokens", 20e6, DurationUnit.Tokens)]
    [InlineData("1.5b tokens", 1.5e9, DurationUnit.Tokens)]
    [InlineData("0.1", 0.1, DurationUnit.Fraction)]
    [InlineData("10%", 0.1, DurationUnit.Fraction)]
    [InlineData("100%", 1, DurationUnit.Fraction)]
    [InlineData("0", 0, DurationUnit.Steps)]
    public void A_duration_reads_and_writes(string text, double value, DurationUnit unit)
    {
        Duration duration = Duration.Parse(text);
        Assert.Equal(new Duration(value, unit), duration);
        Assert.Equal(duration, Duration.Parse(duration.ToString()));
    }

    [Theory]
    [InlineData("")]
    [InlineData("soon")]
    [InlineData("-5")]
    [InlineData("1.5")]
    [InlineData("120%")]
    [InlineData("10% tokens")]
    [InlineData("5 apples")]
    [InlineData("NaN")]
    [InlineData("1e300")]
    public void What_is_no_duration_is_refused(string text) => Assert.Throws<ValidationException>(() => Duration.Parse(text));
}
