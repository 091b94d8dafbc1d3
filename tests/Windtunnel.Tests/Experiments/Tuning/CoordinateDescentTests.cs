using System.ComponentModel.DataAnnotations;
using Windtunnel.Experiments.Tuning;

namespace Windtunnel.Tests.Experiments.Tuning;

/// <summary>The descent on landscapes whose optima are known.</summary>
public sealed class CoordinateDescentTests
{
    private const double Tolerance = 3e-3;

    [Fact]
    public void Runs_the_start_alone_then_every_change_of_one_coordinate()
    {
        CoordinateDescent descent = new(GridOf(3, 2), new GridPoint(1, 0));

        Assert.Equal([new GridPoint(1, 0)], descent.At(new Dictionary<GridPoint, double>()).Missing);
        Descent now = descent.At(new Dictionary<GridPoint, double> { [new(1, 0)] = 3 });
        Assert.Equal([new GridPoint(0, 0), new GridPoint(2, 0), new GridPoint(1, 1)], now.Missing);
        Assert.False(now.IsOptimum);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(Tolerance)]
    [InlineData(0.05)]
    public void Ends_where_no_change_of_one_coordinate_is_better_by_more_than_the_tolerance(double tolerance)
    {
        for (uint seed = 0; seed < 60; seed++)
        {
            Grid grid = GridOf(4, 3, 5, 2);
            Func<GridPoint, double> loss = Rough(seed);
            HashSet<GridPoint> seen = [];
            (Descent end, IReadOnlyDictionary<GridPoint, double> losses) = Run(
                new CoordinateDescent(grid, new GridPoint(1, 1, 2, 0), tolerance), point => seen.Add(point) ? loss(point) : throw new InvalidOperationException("run twice"));

            Assert.True(end.IsOptimum);
            Assert.Empty(end.Missing);
            double best = losses.Values.Min();
            Assert.Equal(best, losses[end.Best!.Value]);
            Assert.InRange(losses[end.Baseline], best, best + tolerance);
            Assert.All(grid.Neighbours(end.Baseline), neighbour => Assert.True(losses[neighbour] >= losses[end.Baseline] - tolerance));
            Assert.Equal(losses.Where(run => run.Value <= best + tolerance).Select(run => run.Key).Order(), end.ApproximatelyBest.Order());
        }
    }

    [Fact]
    public void Finds_the_best_of_all_where_settings_do_not_interact_after_few_of_the_runs()
    {
        for (uint seed = 0; seed < 60; seed++)
        {
            double[][] parts = [.. new[] { 5, 4, 6, 3 }.Select((count, axis) => Enumerable.Range(0, count).Select(i => Uniform(seed, axis, i)).ToArray())];
            (Descent end, IReadOnlyDictionary<GridPoint, double> losses) = Run(
                new CoordinateDescent(GridOf(5, 4, 6, 3), new GridPoint(0, 0, 0, 0), tolerance: 0), point => parts.Index().Sum(part => part.Item[point[part.Index]]));

            Assert.Equal(parts.Sum(part => part.Min()), losses[end.Best!.Value], 1e-12);
            Assert.InRange(losses.Count, 15, 90);
        }
    }

    [Fact]
    public void Stays_in_a_valley_that_only_two_changes_at_once_lead_out_of()
    {
        (Descent end, IReadOnlyDictionary<GridPoint, double> losses) = Run(new CoordinateDescent(GridOf(5, 5), new GridPoint(0, 0)), point => point[0] == point[1] ? 3 - (0.1 * point[0]) : 4);

        Assert.Equal(new GridPoint(0, 0), end.Best);
        Assert.True(end.IsOptimum);
    }

    [Fact]
    public void Goes_on_after_any_run_as_if_it_had_not_been_stopped()
    {
        CoordinateDescent descent = new(GridOf(4, 3, 5), new GridPoint(0, 0, 0), Tolerance);
        List<GridPoint> whole = [];
        Descent end = Run(descent, point => Log(whole, point)).End;

        for (int stop = 0; stop < whole.Count; stop++)
        {
            List<GridPoint> parts = [];
            Descent stopped = Run(descent, point => parts.Count == stop ? null : Log(parts, point)).End;
            Assert.Equal(whole[stop], stopped.Missing[0]);
            Assert.False(stopped.IsOptimum);
            HashSet<GridPoint> known = [.. parts];
            Descent resumed = Run(descent, point => known.Contains(point) ? Rough(7)(point) : Log(parts, point)).End;
            Assert.Equal(whole, parts);
            Assert.Equal(end.Baseline, resumed.Baseline);
            Assert.Equal(end.ApproximatelyBest, resumed.ApproximatelyBest);
        }

        static double? Log(List<GridPoint> log, GridPoint point)
        {
            log.Add(point);
            return Rough(7)(point);
        }
    }

    [Fact]
    public void A_diverged_run_is_a_run_and_never_the_best()
    {
        (Descent end, IReadOnlyDictionary<GridPoint, double> losses) = Run(
            new CoordinateDescent(GridOf(4, 2), new GridPoint(3, 0)), point => point[0] == 3 ? double.PositiveInfinity : point[0] == 2 ? double.NaN : 3 + point[0] + point[1]);

        Assert.Equal(new GridPoint(0, 0), end.Best);
        Assert.True(end.IsOptimum);
        Assert.Equal(double.PositiveInfinity, losses[new GridPoint(3, 0)]);
    }

    [Fact]
    public void Ends_without_an_optimum_where_everything_around_the_start_diverges()
    {
        Descent end = Run(new CoordinateDescent(GridOf(3, 3), new GridPoint(1, 1)), _ => double.PositiveInfinity).End;

        Assert.Null(end.Best);
        Assert.False(end.IsOptimum);
        Assert.Empty(end.Missing);
        Assert.Empty(end.ApproximatelyBest);
    }

    [Fact]
    public void Does_not_move_for_less_than_the_tolerance()
    {
        (Descent end, IReadOnlyDictionary<GridPoint, double> losses) = Run(new CoordinateDescent(GridOf(4, 4), new GridPoint(0, 0), Tolerance), point => 3 - (0.0009 * (point[0] + point[1])));

        Assert.Equal(new GridPoint(0, 0), end.Baseline);
        Assert.Equal(7, losses.Count);
        Assert.True(end.IsOptimum);
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(2, false)]
    public void Moves_from_the_best_to_one_as_good_where_that_saves_ten_runs(int missing, bool stays)
    {
        // Of the twelve by twelve, the start's row has run, and all of its column but `missing`; the best lacks all of its own column.
        Dictionary<GridPoint, double> losses = [];
        for (int i = 0; i < 12; i++)
        {
            losses[new GridPoint(i, 0)] = 4;
            if (i < 12 - missing)
            {
                losses[new GridPoint(0, i)] = 4;
            }
        }

        (losses[new GridPoint(0, 0)], losses[new GridPoint(1, 0)]) = (3.002, 3);
        Descent now = new CoordinateDescent(GridOf(12, 12), new GridPoint(0, 0), Tolerance).At(losses);

        Assert.Equal(new GridPoint(1, 0), now.Best);
        Assert.Equal(stays ? new GridPoint(0, 0) : new GridPoint(1, 0), now.Baseline);
        Assert.Equal(stays ? missing : 11, now.Missing.Count);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(9)]
    public void Runs_no_more_than_it_may(int runsMax)
    {
        (Descent end, IReadOnlyDictionary<GridPoint, double> losses) = Run(new CoordinateDescent(GridOf(5, 5, 5), new GridPoint(0, 0, 0), 0, runsMax), point => 9 - point[0] - point[1] - point[2]);

        Assert.Equal(runsMax, losses.Count);
        Assert.False(end.IsOptimum);
        Assert.Empty(end.Missing);
    }

    [Fact]
    public void With_a_reach_of_one_walks_along_the_axis_and_stops_when_the_best_has_both_its_neighbours()
    {
        CoordinateDescent descent = new(GridOf(9, 3), new GridPoint(2, 1), 0, reach: 1);
        (Descent end, IReadOnlyDictionary<GridPoint, double> losses) = Run(descent, point => Math.Abs(point[0] - 4) + Math.Abs(point[1] - 1));

        Assert.Equal([new GridPoint(1, 1), new GridPoint(3, 1), new GridPoint(2, 0), new GridPoint(2, 2)], descent.At(new Dictionary<GridPoint, double> { [new(2, 1)] = 2 }).Missing);
        Assert.True(end.IsOptimum);
        Assert.Equal(new GridPoint(4, 1), end.Best);
        Assert.Equal([1, 2, 3, 4, 5], losses.Keys.Where(point => point[1] == 1).Select(point => point[0]).Order());
    }

    // Values 3 and 4 are within the tolerance of each other; 5 is far better, and seen only from 4.
    [Fact]
    public void With_a_reach_the_best_itself_needs_its_neighbours_whatever_the_tolerance()
    {
        double[] losses = [9, 8, 7, 6.00, 5.99, 3, 4, 5];
        (Descent end, _) = Run(new CoordinateDescent(GridOf(8), new GridPoint(3), 0.02, reach: 1), point => losses[point[0]]);

        Assert.True(end.IsOptimum);
        Assert.Equal(new GridPoint(5), end.Best);
    }

    [Fact]
    public void Points_that_are_no_configurations_are_not_missing()
    {
        Grid grid = new([new Axis("warmup", ["1", "2", "3"]), new Axis("rate", ["a", "b"])], point => point[0] < 2);
        (Descent end, IReadOnlyDictionary<GridPoint, double> losses) = Run(new CoordinateDescent(grid, new GridPoint(0, 0)), point => 3 - point[0]);

        Assert.Equal(new GridPoint(1, 0), end.Best);
        Assert.DoesNotContain(losses.Keys, point => point[0] == 2);
        Assert.Equal(["warmup=2", "rate=a"], grid.Overrides(end.Best!.Value));
    }

    [Fact]
    public void An_axis_has_each_value_once_and_a_setting_one_axis()
    {
        Assert.Throws<ValidationException>(() => new Grid([new Axis("a", [])]));
        Assert.Throws<ValidationException>(() => new Grid([new Axis("a", ["1", "1"])]));
        Assert.Throws<ValidationException>(() => new Grid([new Axis("a", ["1"]), new Axis("a", ["2"])]));
    }

    internal static Grid GridOf(params int[] counts) =>
        new([.. counts.Select((count, i) => new Axis($"axis{i}", [.. Enumerable.Range(0, count).Select(value => $"{value}")]))]);

    // A bowl with bumps.
    private static (Descent End, IReadOnlyDictionary<GridPoint, double> Losses) Run(CoordinateDescent descent, Func<GridPoint, double?> loss)
    {
        SearchReplay replay = descent.Replay(loss);
        return ((Descent)replay.State, replay.Losses);
    }

    private static Func<GridPoint, double> Rough(uint seed) => point =>
    {
        double bowl = 0;
        int cell = 0;
        for (int axis = 0; axis < 3; axis++)
        {
            bowl += 0.02 * Math.Pow(point[axis] - (4 * Uniform(seed, axis, 99)), 2);
            cell = (cell * 7) + point[axis];
        }

        return 3 + bowl + (0.03 * Uniform(seed, 50, cell));
    };

    private static double Uniform(uint seed, int stream, int index) => new Random((int)((seed * 7919) + ((uint)stream * 104729) + (uint)index)).NextDouble();
}
