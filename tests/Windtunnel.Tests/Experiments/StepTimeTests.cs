using Windtunnel.Experiments;
using Windtunnel.Runs;

namespace Windtunnel.Tests.Experiments;

/// <summary>The time of a step from a run's own clock.</summary>
public sealed class StepTimeTests
{
    [Fact]
    public void Other_work_for_most_of_a_run_does_not_show()
    {
        Assert.Equal(0.1, StepTime.Of(Rows(1000, step => step is > 100 and < 900 ? 0.4 : 0.1)), 1e-9);
    }

    [Fact]
    public void What_happens_every_ten_steps_is_shared_out()
    {
        Assert.Equal(0.19, StepTime.Of(Rows(1000, step => step % 10 == 0 ? 1 : 0.1)), 1e-9);
    }

    [Theory]
    [InlineData(20, 0.1)]
    [InlineData(1, double.NaN)]
    public void A_short_run_is_one_window(int steps, double expected)
    {
        Assert.Equal(expected, StepTime.Of(Rows(steps, _ => 0.1)), 1e-9);
    }

    [Fact]
    public void Processor_time_is_that_of_the_rows_that_have_it()
    {
        // The mean over the steps since the row before, twice as long at first; validation rows have none.
        MetricsRow[] rows =
        [
            .. Rows(1000, _ => 5).SelectMany(row => new[]
            {
                row with { Values = new Dictionary<string, double> { ["time/cpu_s"] = row.At.Step <= 500 ? 0.2 : 0.1 } },
                row with { Values = new Dictionary<string, double> { ["val/x/loss"] = 3 } },
            }),
        ];

        Assert.Equal(0.1, StepTime.OfProcessor(rows), 1e-9);
        Assert.True(double.IsNaN(StepTime.OfProcessor(Rows(1000, _ => 5))));
    }

    private static MetricsRow[] Rows(int steps, Func<int, double> seconds)
    {
        double wall = 0;
        return
        [
            .. from step in Enumerable.Range(1, steps)
               let at = wall += seconds(step)
               where step == 1 || step % 5 == 0
               select new MetricsRow(new Progress(step, step, step, at, 0), new Dictionary<string, double>()),
        ];
    }
}
