using Windtunnel.Laws.Figures;

namespace Windtunnel.Tests.Laws.Figures;

public sealed class TicksTests
{
    [Fact]
    public void Any_range_has_three_to_nine_ticks_that_rise_and_lie_inside()
    {
        Random random = new(1);
        for (int i = 0; i < 1_000; i++)
        {
            // From a millionth of the value to six hundred decades wide, on both sides of zero.
            double low = Math.Pow(10, (600 * random.NextDouble()) - 300);
            double high = i % 2 == 0 ? low * (1 + Math.Pow(10, (8 * random.NextDouble()) - 6)) : Math.Pow(10, (600 * random.NextDouble()) - 300);
            (low, high) = (Math.Min(low, high), Math.Min(1e300, Math.Max(low, high)));
            Check(Ticks.Log(low, high, random.Next(12), out double[] minor, out _), low, high);
            Assert.True(minor.All(value => value >= low && value <= high));
            Check(Ticks.Linear(low, high, random.Next(12), out _), low, high);
            Check(Ticks.Linear(-low, high, random.Next(12), out _), -low, high);
            Check(Ticks.Linear(-high, -low, random.Next(12), out _), -high, -low);
        }

        static void Check(double[] ticks, double low, double high)
        {
            Assert.True(ticks.Length is >= 3 and <= 9, $"{low:R} to {high:R}: {ticks.Length} ticks");
            Assert.True(ticks[0] >= low && ticks[^1] <= high);
            Assert.True(ticks.Zip(ticks.Skip(1)).All(pair => pair.First < pair.Second));
        }
    }

    [Theory]
    [InlineData(0, 0.3, 4, new[] { 0, 0.1, 0.2, 0.3 })]
    [InlineData(2.31, 3.39, 6, new[] { 2.4, 2.6, 2.8, 3.0, 3.2 })]
    [InlineData(-15.2, 5.1, 5, new[] { -15.0, -10, -5, 0, 5 })]
    [InlineData(0, 72_000, 5, new[] { 0.0, 20_000, 40_000, 60_000 })]
    public void Linear_ticks_are_round(double low, double high, int wanted, double[] expected) =>
        Assert.Equal(expected, Ticks.Linear(low, high, wanted, out _));

    [Theory]
    [InlineData(3e15, 2e22, 8, new[] { 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 })]
    [InlineData(3e15, 2e22, 5, new[] { 1e16, 1e18, 1e20, 1e22 })]
    [InlineData(4e6, 3e8, 6, new[] { 5e6, 1e7, 2e7, 5e7, 1e8, 2e8 })]
    [InlineData(4.5, 400, 5, new[] { 10.0, 30, 100, 300 })]
    [InlineData(2.2, 6.4, 6, new[] { 3.0, 4, 5, 6 })]
    public void Logarithmic_ticks_are_decades_parts_of_them_or_multiples(double low, double high, int most, double[] expected) =>
        Assert.Equal(expected, Ticks.Log(low, high, most, out _, out _));

    [Theory]
    [InlineData(1.4e9, "1.4B")]
    [InlineData(3_200_000, "3.2M")]
    [InlineData(20_000, "20k")]
    [InlineData(0.5, "0.5")]
    [InlineData(1e12, "1T")]
    [InlineData(2e18, "2×10^18")]
    [InlineData(0, "0")]
    public void Counts_are_short(double value, string expected) => Assert.Equal(expected, NumberLabel.Count(value));

    [Theory]
    [InlineData(1e18, "10^18")]
    [InlineData(2e18, "2×10^18")]
    [InlineData(3e-4, "3×10^−4")]
    [InlineData(-1e-300, "−10^−300")]
    [InlineData(7, "7")]
    [InlineData(0, "0")]
    public void Powers_keep_their_exponent(double value, string expected) => Assert.Equal(expected, NumberLabel.Power(value));

    [Fact]
    public void Linear_labels_have_the_decimals_of_their_step()
    {
        Assert.Equal(["−0.5", "0.0", "0.5", "1.0"], NumberLabel.OfTicks([-0.5, 0, 0.5, 1], NumberStyle.Auto, 1));
        Assert.Equal(["0", "10^5", "2×10^5"], NumberLabel.OfTicks([0, 1e5, 2e5], NumberStyle.Auto, 0));
        Assert.Equal(["0", "10^−4", "2×10^−4"], NumberLabel.OfTicks([0, 1e-4, 2e-4], NumberStyle.Auto, 4));
        Assert.Equal(["0.01", "1", "100"], NumberLabel.OfTicks([0.01, 1, 100], NumberStyle.Auto, null));
    }
}
