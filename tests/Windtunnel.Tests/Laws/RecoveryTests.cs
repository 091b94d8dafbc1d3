using MathNet.Numerics.Distributions;
using MathNet.Numerics.Random;
using Windtunnel.Laws;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Tests.Laws;

/// <summary>
/// Every law on synthetic data sets from random true parameters: without noise the exponents come back, with noise the 95 % intervals
/// cover the truth as often as they say. WINDTUNNEL_SOAK=1 draws 1,000 data sets a law instead of 60.
/// </summary>
public sealed class RecoveryTests(ITestOutputHelper output)
{
    private static readonly bool s_soak = Environment.GetEnvironmentVariable("WINDTUNNEL_SOAK") == "1";
    private static readonly int s_sets = s_soak ? 1000 : 60;

    // True parameters, one row of inputs, and the noise on the scale of the law's objective.
    private static readonly Dictionary<string, (Func<Random, double[]> Truth, Func<Random, double[]> Row, double Noise)> s_cases = new()
    {
        ["chinchilla"] = (r => [In(r, 1.4, 2), Log(r, 200, 800), Log(r, 400, 2000), In(r, 0.28, 0.4), In(r, 0.25, 0.4)], Run, 0.004),
        ["over-training"] = (r => [In(r, 1.4, 2), Log(r, 100, 300), Log(r, 150, 400), In(r, 0.11, 0.15)], Run, 0.01),
        ["downstream"] = (r => [In(r, 0.8, 0.9), In(r, 1.5, 2.5), In(r, 0.6, 0.9)], r => [In(r, 2.2, 6)], 0.005),
        ["data-constrained"] = (r => [.. new DataConstrainedLaw().Given.Values, Log(r, 5, 30), Log(r, 2, 10)], Repeated, 0.003),
        ["minicpm"] = (r => [In(r, 0.05, 0.1), In(r, 0.2, 0.4), In(r, 0.2, 0.3), In(r, 0.25, 0.35), In(r, 0.25, 0.35)], Run, 0.001),
        ["batch-size"] = (r => [Log(r, 5e8, 3e9), In(r, 5, 7)], r => [In(r, 2.4, 4.5)], 0.1),
        ["hyperparameter"] = (r => [In(r, 3, 5), In(r, -2, -1), In(r, -0.7, -0.4), In(r, 0.3, 0.7)], r => [Log(r, 1e8, 2e9), Log(r, 1, 16)], 0.02),
        ["power-product"] = (r => [Log(r, 0.5, 4), In(r, 0.5, 0.9), In(r, -0.5, 0.2)], Run, 0.1),
        ["power"] = (r => [In(r, 2.6, 3.1), In(r, 0.3, 0.5), In(r, 0.4, 0.6)], r => [Log(r, 0.3, 30)], 0.003),
    };

    public static TheoryData<string> PointLaws => [.. LawCatalog.Names.Where(name => LawCatalog.Default(name) is PointLaw)];

    [Theory]
    [MemberData(nameof(PointLaws))]
    public void Without_noise_the_shapes_come_back(string name)
    {
        PointLaw law = (PointLaw)LawCatalog.Default(name);
        double worst = 0;
        ForEachSet(name, law, noise: 0, (truth, problem) =>
        {
            Optimum found = new Fitter(problem, law.Objective, law.Given).Search()[0];
            double error = truth.Skip(law.Coefficients).Zip(found.Parameters.Skip(law.Coefficients), (t, f) => Math.Abs(t - f) / Math.Max(1, Math.Abs(t))).Max();
            lock (s_cases)
            {
                worst = Math.Max(worst, error);
            }
        });
        output.WriteLine($"{name}: worst error of a shape {worst:E1} over {s_sets} data sets");
        Assert.InRange(worst, 0, 1e-6);
    }

    [Theory]
    [MemberData(nameof(PointLaws))]
    public void Intervals_cover_the_truth_as_often_as_they_say(string name)
    {
        PointLaw law = (PointLaw)LawCatalog.Default(name);
        double[] beyond = s_cases[name].Row(new MersenneTwister(99, threadSafe: false));
        int[] covered = new int[law.Parameters.Count + 1];
        ForEachSet(name, law, s_cases[name].Noise, (truth, problem) =>
        {
            Fitter fitter = new(problem, law.Objective, law.Given);
            ProfileLikelihood likelihood = new(fitter, fitter.Search()[0]);
            for (int k = 0; k < truth.Length; k++)
            {
                Count(covered, k, likelihood.Of(k).Contains(truth[k]));
            }

            Count(covered, truth.Length, likelihood.Of(parameters => law.Predict([.. parameters], beyond)).Contains(law.Predict(truth, beyond)));
        });

        double[] shares = [.. covered.Where((_, k) => k == law.Parameters.Count || !law.Given.ContainsKey(law.Parameters[k].Name)).Select(count => (double)count / s_sets)];
        output.WriteLine($"{name}: {string.Join(" ", shares.Select(share => $"{share:P1}"))}; mean {shares.Average():P1}");

        // Parameters of one data set are hits or misses together: the bounds are those of one binomial, five standard deviations wide.
        double slack = 5 * Math.Sqrt(0.95 * 0.05 / s_sets);
        Assert.All(shares, share => Assert.InRange(share, 0.95 - slack, 1));
        Assert.InRange(shares.Average(), s_soak ? 0.93 : 0.95 - slack, s_soak ? 0.97 : 1);
    }

    [Fact]
    public void Every_law_of_rows_has_synthetic_data_here() => Assert.Equal(PointLaws.Select(row => row.Data).Order(), s_cases.Keys.Order());

    private static void ForEachSet(string name, PointLaw law, double noise, Action<double[], PointProblem> check) => Parallel.For(0, s_sets, set =>
    {
        const int Rows = 40;
        MersenneTwister random = new(set + 1, threadSafe: false);
        double[] truth = s_cases[name].Truth(random), observed = new double[Rows];
        double[][] rows = [.. Enumerable.Range(0, Rows).Select(_ => s_cases[name].Row(random))];
        for (int row = 0; row < Rows; row++)
        {
            double value = law.Predict(truth, rows[row]), error = noise * Normal.Sample(random, 0, 1);
            observed[row] = law.Objective.Log ? value * Math.Exp(error) : value + error;
        }

        check(truth, PointProblem.Bind(law, [.. rows.SelectMany(row => row)], observed));
    });

    private static void Count(int[] covered, int k, bool hit)
    {
        if (hit)
        {
            Interlocked.Increment(ref covered[k]);
        }
    }

    private static double In(Random random, double low, double high) => low + (random.NextDouble() * (high - low));

    private static double Log(Random random, double low, double high) => low * Math.Pow(high / low, random.NextDouble());

    private static double[] Run(Random random)
    {
        double n = Log(random, 3e6, 3e9);
        return [n, n * Log(random, 5, 320)];
    }

    private static double[] Repeated(Random random)
    {
        double n = Log(random, 1e7, 3e9), unique = Log(random, 1e8, 2e10);
        return [n, unique * Log(random, 1, 100), unique];
    }
}
