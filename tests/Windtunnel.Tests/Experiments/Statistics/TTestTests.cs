using Windtunnel.Experiments.Statistics;
using Windtunnel.Tensors;

namespace Windtunnel.Tests.Experiments.Statistics;

/// <summary>Tests of means against published values, and what they promise against simulated data.</summary>
public sealed class TTestTests
{
    // Extra sleep of ten patients under two drugs (Cushny and Peebles 1905; Student 1908), `sleep` in R.
    private static readonly double[] s_first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
    private static readonly double[] s_second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];

    // R 4: t.test(extra ~ group, data = sleep)
    [Fact]
    public void Welch_s_test_of_student_s_sleep_data_is_that_of_R()
    {
        TTest test = TTest.Welch(s_first, s_second);

        Assert.Equal(-1.8608, test.Difference / test.StandardError, 5e-5);
        Assert.Equal(17.776, test.DegreesOfFreedom, 5e-4);
        Assert.Equal(0.07939, test.PValue, 5e-6);
        Assert.Equal(-3.3654832, test.Interval(0.95).Low, 5e-8);
        Assert.Equal(0.2054832, test.Interval(0.95).High, 5e-8);
    }

    // R 4: t.test(sleep2$extra.1, sleep2$extra.2, paired = TRUE)
    [Fact]
    public void The_paired_test_of_student_s_sleep_data_is_that_of_R()
    {
        TTest test = TTest.Paired(s_first, s_second);

        Assert.Equal(-4.0621, test.Difference / test.StandardError, 5e-5);
        Assert.Equal(9, test.DegreesOfFreedom);
        Assert.Equal(0.002833, test.PValue, 5e-7);
        Assert.Equal(-2.4598858, test.Interval(0.95).Low, 5e-8);
        Assert.Equal(-0.7001142, test.Interval(0.95).High, 5e-8);
    }

    // d = -1.58 / sqrt((3.200556 + 4.009) / 2) = -0.832181, and Gamma(9) / (3 Gamma(8.5)) = 0.957646 for 18 degrees of freedom.
    [Fact]
    public void Hedges_g_is_cohen_s_d_less_its_bias()
    {
        Assert.Equal(-0.832181 * 0.957646, TTest.HedgesG(s_first, s_second), 2e-6);
    }

    // p.adjust(p, "holm") by hand: 4 * 0.01, 3 * 0.02, the larger of that and 2 * 0.03, and of that and 0.04; then with ties and a cap.
    [Fact]
    public void Holm_s_correction_multiplies_the_smallest_by_all_and_never_changes_the_order()
    {
        AssertClose([0.06, 0.04, 0.06, 0.06], TTest.Holm([0.03, 0.01, 0.04, 0.02]));
        AssertClose([1, 1, 0.003], TTest.Holm([0.9, 0.6, 0.001]));
        Assert.Empty(TTest.Holm([]));

        static void AssertClose(double[] expected, double[] actual) => Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First, pair.Second, 1e-12));
    }

    // Cohen 1988, tables 2.3 and 2.4, as G*Power and R's power.t.test print them: two samples of n and an effect d, or n pairs.
    [Theory]
    [InlineData(0.2, 394, 2, 0.8006)]
    [InlineData(0.5, 64, 2, 0.8015)]
    [InlineData(0.8, 26, 2, 0.8075)]
    [InlineData(1.0, 17, 2, 0.8070)]
    [InlineData(0.5, 34, 1, 0.8078)]
    [InlineData(0.5, 33, 1, 0.7954)]
    public void Power_is_that_of_cohen_s_tables(double effect, int n, int samples, double power)
    {
        Assert.Equal(power, TTest.Power(effect * Math.Sqrt((double)n / samples), samples * (n - 1), 0.05), 1e-3);
    }

    [Fact]
    public void Power_without_a_difference_is_the_significance()
    {
        Assert.Equal(0.05, TTest.Power(0, 2, 0.05), 1e-4);
        Assert.Equal(0.0125, TTest.Power(0, 6, 0.0125), 1e-4);
    }

    [Fact]
    public void Without_spread_a_difference_is_certain_and_none_is_none()
    {
        Assert.Equal(0, TTest.Paired([1, 2], [3, 4]).PValue);
        Assert.Equal(0, TTest.Welch([1, 1], [2, 2]).PValue);
        Assert.Equal(1, TTest.Welch([1, 1], [1, 1]).PValue);
        Assert.Equal(1, TTest.Paired([1, 2], [1, 2]).PValue);
    }

    // Welch's test keeps below its level with three values of each; the paired one meets it. 0.05 has a standard error of 0.0022 here.
    [Theory]
    [InlineData(true, 3, 0.05)]
    [InlineData(true, 5, 0.05)]
    [InlineData(false, 3, 0.036)]
    [InlineData(false, 10, 0.05)]
    public void Null_data_is_called_a_difference_one_time_in_twenty(bool paired, int n, double expected)
    {
        const int trials = 10_000;
        float[] normal = new float[trials * n * 2];
        Philox.Named(5, "null").FillNormal(normal, 1);
        int found = normal.Chunk(2 * n).Count(values =>
        {
            double[] a = [.. values[..n].Select(value => (double)value)], b = [.. values[n..].Select(value => (double)value)];
            return (paired ? TTest.Paired(a, b) : TTest.Welch(a, b)).PValue < 0.05;
        });

        Assert.Equal(expected, (double)found / trials, 0.008);
    }
}
