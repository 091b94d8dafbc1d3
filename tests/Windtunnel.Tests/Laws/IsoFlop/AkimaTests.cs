using Windtunnel.Laws.IsoFlop;

namespace Windtunnel.Tests.Laws.IsoFlop;

public sealed class AkimaTests
{
    private static readonly double[] s_x = [0, 1, 2.5, 3, 5], s_y = [1, 3, 2, 2.5, 0];

    [Fact]
    public void The_curve_goes_through_its_points()
    {
        Akima curve = new(s_x, s_y);
        Assert.All(s_x.Zip(s_y), point => Assert.Equal(point.Second, curve.At(point.First), 1e-14));
    }

    [Theory]
    [InlineData(0.5, 2.371794871794872)]
    [InlineData(1.7, 2.5800608431116907)]
    [InlineData(2.8, 2.3323260007212405)]
    [InlineData(4.2, 1.5721702127659571)]
    public void Between_points_it_is_Akima_1970_with_its_extrapolated_ends(double x, double y) => Assert.Equal(y, new Akima(s_x, s_y).At(x), 1e-13);

    [Fact]
    public void Points_on_a_line_give_the_line()
    {
        Assert.Equal(7.4, new Akima([1, 2, 4, 7], [2, 4, 8, 14]).At(3.7), 1e-13);
        Assert.Equal(3, new Akima([1, 2], [2, 4]).At(1.5), 1e-13);
    }

    [Fact]
    public void A_stray_point_bends_nothing_beyond_its_neighbours()
    {
        double[] x = [.. Enumerable.Range(0, 12).Select(i => (double)i)];
        Assert.Equal(0, new Akima(x, [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]).At(2.5), 1e-14);
    }
}
