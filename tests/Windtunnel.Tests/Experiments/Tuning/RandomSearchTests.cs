using System.Globalization;
using System.Text.Json.Nodes;
using Windtunnel.Experiments.Tuning;

namespace Windtunnel.Tests.Experiments.Tuning;

/// <summary>Points drawn at random: which, how many, how spread.</summary>
public sealed class RandomSearchTests
{
    private static readonly Grid s_grid = new([new Axis("a", ["1", "2", "3", "4"]), new Axis("b", ["1", "2", "3"]), new Axis("c", ["1", "2"])]);

    [Theory]
    [InlineData(5, 5)]
    [InlineData(24, 24)]
    [InlineData(100, 24)]
    public void No_point_is_drawn_twice_and_all_of_a_smaller_grid_are(int runs, int expected)
    {
        GridPoint[] points = Draw(new RandomOptions(runs), s_grid);

        Assert.Equal(expected, points.Length);
        Assert.Equal(expected, points.Distinct().Count());
        Assert.Equal(points, Draw(new RandomOptions(runs), s_grid));
        Assert.NotEqual(points, Draw(new RandomOptions(runs, Seed: 2), s_grid));
    }

    [Fact]
    public void Every_point_of_the_grid_is_as_probable_as_any_other()
    {
        int[] counts = new int[24];
        GridPoint[] all = [.. s_grid.Points()];
        for (ulong seed = 0; seed < 2000; seed++)
        {
            foreach (GridPoint point in Draw(new RandomOptions(6, seed), s_grid))
            {
                counts[Array.IndexOf(all, point)]++;
            }
        }

        // Each is in a sample with probability 1/4: 500 with a standard deviation of 19.4.
        Assert.All(counts, count => Assert.InRange(count, 500 - 80, 500 + 80));
    }

    [Fact]
    public void More_runs_begin_with_the_same_points()
    {
        Assert.Equal(Draw(new RandomOptions(4), s_grid), Draw(new RandomOptions(9), s_grid)[..4]);
    }

    [Fact]
    public void Points_that_are_no_configurations_are_passed_over()
    {
        Grid grid = new(s_grid.Axes, point => point[0] != 2);

        Assert.Equal(18, Draw(new RandomOptions(100), grid).Length);
        Assert.DoesNotContain(Draw(new RandomOptions(10), grid), point => point[0] == 2);
    }

    [Fact]
    public void A_range_is_log_uniform_and_each_point_has_a_value_of_its_own()
    {
        RandomOptions options = new(Runs: 1000);
        Axis axis = options.AxisOf("optimizer.learningRate", JsonNode.Parse("""{"from": 1e-4, "to": 1e-1, "scale": "log"}""")!);
        Grid grid = new([new Axis("b", ["1", "2", "3"]), axis]);
        GridPoint[] points = Draw(options, grid);

        double[] values = [.. points.Select(point => double.Parse(grid.Value(point, 1), CultureInfo.InvariantCulture))];
        Assert.Equal(1000, points.Select(point => point[1]).Distinct().Count());
        Assert.All(values, value => Assert.InRange(value, 1e-4, 1e-1));
        for (int decade = -4; decade < -1; decade++)
        {
            // A third of 1000 with a standard deviation of 15.
            Assert.InRange(values.Count(value => Math.Floor(Math.Log10(value)) == decade), 333 - 60, 333 + 60);
        }

        Assert.All(Enumerable.Range(0, 3), value => Assert.InRange(points.Count(point => point[0] == value), 333, 334));
    }

    [Fact]
    public void A_grid_of_more_points_than_memory_holds_is_sampled_and_not_listed()
    {
        Grid grid = new([.. Enumerable.Range(0, 40).Select(i => new Axis($"{i}", ["1", "2", "3", "4", "5", "6", "7", "8"]))]);

        Assert.Equal(1L << 62, grid.Count);
        Assert.Equal(50, Draw(new RandomOptions(50), grid).Distinct().Count());
        Assert.Contains("use search: descent or random", Assert.Throws<System.ComponentModel.DataAnnotations.ValidationException>(
            () => new GridOptions().Build(grid, default)).Message, StringComparison.Ordinal);
    }

    private static GridPoint[] Draw(RandomOptions options, Grid grid) => [.. options.Build(grid, default).At(new Dictionary<GridPoint, double>()).Missing];
}
