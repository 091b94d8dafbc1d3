using System.ComponentModel.DataAnnotations;
using MathNet.Numerics.Distributions;
using MathNet.Numerics.LinearAlgebra;
using Windtunnel.Laws;
using Windtunnel.Laws.Fitting;
using Windtunnel.Laws.Planning;

namespace Windtunnel.Tests.Laws.Planning;

public sealed class NextRunsTests
{
    private static readonly (double N, double D) s_target = (1e9, 2e10);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Every_half_width_is_that_of_the_whole_design(bool log)
    {
        Fit fit = Surfaces.Fit(objective: new LeastSquaresObjective(log));
        NextRuns design = new(fit, s_target.N, s_target.D);

        Assert.Equal(1, design.HalfWidth / BruteForce(fit), 1e-5);
        Assert.Equal(1, design.With((2e8, 4e9)) / BruteForce(fit, (2e8, 4e9)), 1e-5);
        Assert.Equal(1, design.With((2e8, 4e9), (1e7, 1e10), (2e8, 4e9)) / BruteForce(fit, (2e8, 4e9), (1e7, 1e10), (2e8, 4e9)), 1e-5);
    }

    [Fact]
    public void The_greedy_sequence_is_the_one_that_brute_force_finds()
    {
        Fit fit = Surfaces.Fit();
        IReadOnlyList<(double N, double D)> candidates = NextRuns.Candidates(1e18, 1e19, 5, 80);

        IReadOnlyList<NextRun> chosen = new NextRuns(fit, s_target.N, s_target.D).Choose(candidates, 3);

        List<(double N, double D)> sequence = [];
        double before = BruteForce(fit);
        foreach (NextRun run in chosen)
        {
            double variance = Variance(fit, [.. sequence]);
            ((double N, double D) Run, double Gain)[] all = [.. candidates.Except(sequence).Select(candidate => (candidate, Math.Log(variance / Variance(fit, [.. sequence, candidate]))))];
            double enough = Math.Min(-Math.Log(0.98 * 0.98), all.Max(each => each.Gain) / 2);
            (double N, double D) best = all.Where(each => each.Gain >= enough).MaxBy(each => each.Gain / (each.Run.N * each.Run.D)).Run;
            sequence.Add(best);
            double after = BruteForce(fit, [.. sequence]);
            Assert.Equal(best, (run.N, run.D));
            Assert.Equal(after, run.HalfWidth, 1e-5 * after);
            Assert.Equal(1 - (after / before), run.Shrinkage, 1e-4);
            Assert.Equal(6 * run.N * run.D, run.Flops);
            before = after;
        }

        Assert.Equal(3, chosen.Count);
    }

    [Fact]
    public void The_half_width_is_close_to_the_profile_and_a_refit_narrows_it_as_told()
    {
        Fit fit = Surfaces.Fit();
        (double N, double D) added = (1.5e9, 3e10);
        double told = new NextRuns(fit, s_target.N, s_target.D).With(added), now = new NextRuns(fit, s_target.N, s_target.D).HalfWidth;
        Interval profile = fit.Predict(s_target.N, s_target.D).Mean;
        Assert.Equal(1, Math.Log(profile.High / profile.Low) / 2 / now, 0.1);

        PointLaw law = (PointLaw)fit.Law;
        Observations with = fit.Data with
        {
            Labels = [.. fit.Data.Labels, "added"],
            Inputs = [.. fit.Data.Inputs, added.N, added.D],
            Observed = [.. fit.Data.Observed, law.Predict(fit.Values, added.N, added.D)],
        };
        Fit refitted = Fit.Of(law, with, new FitSettings(fit.Objective, Intervals: IntervalMethod.None));
        Assert.Equal(told / now, new NextRuns(refitted, s_target.N, s_target.D).HalfWidth / now, 0.03);
    }

    [Fact]
    public void No_run_is_proposed_twice_and_each_helps()
    {
        NextRuns design = new(Surfaces.Fit(), 1e11, 2e12);
        IReadOnlyList<(double N, double D)> candidates = NextRuns.Candidates(3e17, 1e22, 2, 200);
        IReadOnlyList<NextRun> chosen = design.Choose(candidates, 5);
        Assert.Equal(5, chosen.Select(run => (run.N, run.D)).Distinct().Count());
        Assert.All(chosen, run => Assert.InRange(run.Shrinkage, NextRuns.Visible, 1));
        Assert.Equal(2, design.Choose([.. candidates.Take(2)], 50).Count);
    }

    [Fact]
    public void Runs_below_all_fitted_ones_or_beyond_the_target_are_not_between()
    {
        Fit fit = Surfaces.Fit();
        double[][] fitted = [.. fit.Data.Inputs.Chunk(2)];
        double least = fitted.Min(run => run[0]), few = fitted.Min(run => run[1]);
        NextRuns design = new(fit, 1e11, 2e12);
        Assert.All(fitted, run => Assert.True(design.IsBetween(run[0], run[1])));
        Assert.True(design.IsBetween(1e10, 1e12));
        Assert.False(design.IsBetween(least / 8, 1e10));
        Assert.False(design.IsBetween(1e9, few / 2));
        Assert.False(design.IsBetween(2e11, 1e12));
        Assert.False(design.IsBetween(1e11, 3e12));
    }

    [Fact]
    public void Candidates_cover_the_range()
    {
        IReadOnlyList<(double N, double D)> runs = NextRuns.Candidates(1e18, 1e20, 10, 40);

        Assert.Equal(5 * 3, runs.Count);
        Assert.Equal(1e18, runs.Min(run => 6 * run.N * run.D), 1e9);
        Assert.Equal(1e20, runs.Max(run => 6 * run.N * run.D), 1e11);
        Assert.Equal(10, runs.Min(run => run.D / run.N), 1e-9);
        Assert.Equal(40, runs.Max(run => run.D / run.N), 1e-9);
    }

    [Fact]
    public void A_fit_without_a_degree_of_freedom_cannot_tell()
    {
        Fit fit = Surfaces.Fit();
        Observations few = fit.Data with { Labels = [.. fit.Data.Labels.Take(5)], Inputs = fit.Data.Inputs[..10], Observed = fit.Data.Observed[..5] };

        Assert.Contains("next runs: ", Assert.Throws<ValidationException>(() => new NextRuns(fit with { Data = few }, s_target.N, s_target.D)).Message);
    }

    private static double BruteForce(Fit fit, params (double N, double D)[] added)
    {
        int freedom = fit.Quality.DegreesOfFreedom;
        double noise = Math.Sqrt(fit.Quality.Value / freedom);
        return StudentT.InvCDF(0, 1, freedom + added.Length, 0.975) * noise * Math.Sqrt(Variance(fit, added));
    }

    // g'(J'J)^-1 g with every row written out.
    private static double Variance(Fit fit, (double N, double D)[] added)
    {
        IEnumerable<(double N, double D)> rows = fit.Data.Inputs.Chunk(2).Select(row => (row[0], row[1])).Concat(added);
        Matrix<double> jacobian = Matrix<double>.Build.DenseOfRowVectors(rows.Select(row => Row(fit, row)));
        Vector<double> target = Row(fit, s_target);
        return target * (jacobian.TransposeThisAndMultiply(jacobian).Inverse() * target);
    }

    private static Vector<double> Row(Fit fit, (double N, double D) run)
    {
        double[] p = fit.Values;
        double ofN = Math.Pow(run.N, -p[3]), ofD = Math.Pow(run.D, -p[4]), scale = fit.Objective.Log ? p[0] + (p[1] * ofN) + (p[2] * ofD) : 1;

        // By E, ln A, ln B, alpha and beta: the choice of coordinates does not matter, their scale does to the inverse.
        return Vector<double>.Build.Dense([1 / scale, p[1] * ofN / scale, p[2] * ofD / scale, -p[1] * ofN * Math.Log(run.N) / scale, -p[2] * ofD * Math.Log(run.D) / scale]);
    }
}
