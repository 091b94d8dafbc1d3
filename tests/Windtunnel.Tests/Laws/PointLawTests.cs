using System.Reflection;
using System.Text.Json.Serialization;
using Windtunnel.Laws;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Tests.Laws;

/// <summary>What holds for every registered law of independent rows, and the figures that each was published with.</summary>
public sealed class PointLawTests
{
    // RedPajama in Gadre et al. 2024's testbed (models.csv): N, D, loss on C4, error over 17 tasks. The first five fit the loss, six the error.
    private static readonly (double N, double D, double Loss, double Error)[] s_redPajama =
    [
        (10_569_312, 211_386_240, 5.38702091510821, 0.8134857367566677),
        (10_569_312, 3_382_179_840, 4.572292613487238, 0.7671019083970938),
        (78_914_048, 1_578_280_960, 3.899942990231468, 0.7250451834543663),
        (153_677_376, 3_073_547_520, 3.531147408490181, 0.6710080283365267),
        (411_616_256, 8_232_325_120, 3.149769456671634, 0.6365529066499542),
        (1_439_795_200, 28_795_904_000, 2.768756661738063, 0.5473253052024281),
        (1_439_795_200, 921_468_928_000, 2.502053562117363, 0.47521523167105284),
        (6_889_410_560, 137_788_211_200, 2.424993099368689, 0.47163718062288623),
    ];

    public static TheoryData<PointLaw> Registered() => [.. typeof(Law).GetCustomAttributes<JsonDerivedTypeAttribute>(inherit: false)
        .Select(derived => derived.DerivedType).Where(typeof(PointLaw).IsAssignableFrom)
        .Select(type => (PointLaw)Activator.CreateInstance(type, BindingFlags.OptionalParamBinding | BindingFlags.CreateInstance, null,
            [.. type.GetConstructors().Single().GetParameters().Select(_ => Type.Missing)], null)!)
        .Append(new PowerLaw(Offset: false)).Append(new ChinchillaLaw(Tied: true)).Append(new HyperparameterLaw(Saturating: false))];

    [Theory]
    [MemberData(nameof(Registered))]
    public void Derivatives_of_the_columns_agree_with_finite_differences(PointLaw law)
    {
        int coefficients = law.Coefficients, shapes = law.Parameters.Count - coefficients;
        double[] x = [.. law.Inputs.Select((_, i) => Inputs(law, 3)[i])];
        double[] at = [.. law.Parameters.Skip(coefficients).Select(shape => shape.Starts[1])];
        double[] columns = new double[coefficients], derivatives = new double[coefficients * shapes], above = new double[coefficients], below = new double[coefficients];
        law.Columns(x, at, columns, derivatives);
        for (int p = 0; p < shapes; p++)
        {
            double[] high = [.. at], low = [.. at];
            double step = 1e-6 * Math.Max(Math.Abs(at[p]), 1e-2);
            (high[p], low[p]) = (at[p] + step, at[p] - step);
            law.Columns(x, high, above, []);
            law.Columns(x, low, below, []);
            for (int j = 0; j < coefficients; j++)
            {
                double expected = (above[j] - below[j]) / (2 * step);
                Assert.Equal(expected, derivatives[(p * coefficients) + j], 1e-6 * Math.Max(Math.Abs(expected), Math.Abs(columns[j])));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Registered))]
    public void Parameters_are_recovered_from_rows_without_noise(PointLaw law)
    {
        double[] truth = [.. law.Parameters.Select((parameter, k) => law.Given.TryGetValue(parameter.Name, out double given) ? given
            : parameter.Kind == ParameterKind.Coefficient ? 1.5 + k : 0.8 * parameter.Starts[1])];
        double[][] rows = [.. Enumerable.Range(0, 40).Select(i => Inputs(law, i))];
        PointProblem problem = PointProblem.Bind(law, [.. rows.SelectMany(row => row)], [.. rows.Select(row => law.Predict(truth, row))]);

        Optimum found = new Fitter(problem, new LeastSquaresObjective(law.Objective.Log), law.Given).Search()[0];

        for (int k = 0; k < truth.Length; k++)
        {
            Assert.Equal(truth[k], found.Parameters[k], 1e-6 * Math.Abs(truth[k]));
        }
    }

    [Fact]
    public void The_over_training_law_is_the_tied_law_of_parameters_and_tokens()
    {
        OverTrainingLaw law = new();
        double[] p = [1.8, 212, 367, 0.1364];
        double a = law.Derived.Single(quantity => quantity.Name == "A").Value(p), b = law.Derived.Single(quantity => quantity.Name == "B").Value(p);
        (double n, double d) = OverTrainingLaw.Allocate(1e21, 50);

        Assert.Equal(50, d / n, 1e-12 * 50);
        Assert.Equal(1e21, 6 * n * d, 1e9);
        Assert.Equal(1.8 + (((212 * Math.Pow(50, 0.1364)) + (367 * Math.Pow(50, -0.1364))) * Math.Pow(1e21, -0.1364)), law.Predict(p, n, d), 1e-12);
        Assert.Equal(new ChinchillaLaw(Tied: true).Predict([1.8, a, b, 0.2728], n, d), law.Predict(p, n, d), 1e-12);
    }

    [Fact]
    public void At_the_optimal_multiplier_the_over_training_law_is_lowest()
    {
        OverTrainingLaw law = new();
        double[] p = [1.8, 212, 367, 0.1364];
        double best = law.Derived[0].Value(p);

        double At(double multiplier)
        {
            (double n, double d) = OverTrainingLaw.Allocate(1e21, multiplier);
            return law.Predict(p, n, d);
        }

        Assert.True(At(best) < At(1.01 * best));
        Assert.True(At(best) < At(best / 1.01));
    }

    [Fact]
    public void Five_runs_of_RedPajama_give_the_parameters_of_Gadre_et_al()
    {
        double[] p = Fit(new OverTrainingLaw(), s_redPajama[..5], run => [run.N, run.D], run => run.Loss);

        double[] published = [1.83664838, 212.236111, 366.687174, 0.136425351];
        Assert.All(published.Zip(p), pair => Assert.Equal(pair.First, pair.Second, 1e-5 * pair.First));
        Assert.Equal(7.41913, new OverTrainingLaw().Derived[0].Value(p), 1e-5 * 7.4);
    }

    [Fact]
    public void The_chain_predicts_the_over_trained_model_as_published_and_shows_both_legs()
    {
        double[] loss = Fit(new OverTrainingLaw(), s_redPajama[..5], run => [run.N, run.D], run => run.Loss);
        double[] error = Fit(new DownstreamErrorLaw(), s_redPajama[..6], run => [run.Loss], run => run.Error);
        LossToErrorChain chain = new(new OverTrainingLaw(), loss, error);
        (double n, double d, double trueLoss, double trueError) = s_redPajama[6];

        ChainPrediction over = chain.At(n, d, trueLoss, trueError);
        Assert.Equal(0.7103, 100 * over.LossDeviation!.Value, 1e-4);
        Assert.Equal(3.6365, 100 * over.ErrorDeviation!.Value, 1e-4);
        Assert.Equal(2.66, 100 * over.ErrorFromTrueLossDeviation!.Value, 0.006);

        // 0.05 % that is two errors cancelling.
        ChainPrediction large = chain.AtCompute(6 * s_redPajama[7].N * s_redPajama[7].D, 20, s_redPajama[7].Loss, s_redPajama[7].Error);
        Assert.Equal(0.7320, 100 * large.LossDeviation!.Value, 1e-4);
        Assert.Equal(0.0464, 100 * large.ErrorDeviation!.Value, 1e-4);
        Assert.Equal(-1.00, 100 * large.ErrorFromTrueLossDeviation!.Value, 0.006);
        Assert.Null(chain.At(n, d).ErrorFromTrueLoss);
    }

    [Theory]
    [InlineData(4.5, 1.02e5)]
    [InlineData(3, 1.275e6)]
    [InlineData(2.5, 3.98e6)]
    public void MiniCPM_batch_sizes_follow_from_the_loss(double loss, double tokens) =>
        Assert.Equal(tokens, new BatchSizeLaw().Predict([1.21e9, 6.24], loss), 0.005 * tokens);

    [Theory]
    [InlineData(1e18, 84)]
    [InlineData(1e19, 105)]
    [InlineData(1e20, 132)]
    [InlineData(1e21, 167)]
    [InlineData(1e22, 210)]
    public void MiniCPM_optimal_ratio_grows_with_compute(double compute, double ratio) =>
        Assert.Equal(ratio, ModelDataLaw.OptimalRatio(0.01, -0.10, compute), 0.5);

    [Fact]
    public void The_derived_ratio_of_the_model_data_law_is_its_minimum_at_the_stated_compute()
    {
        ModelDataLaw law = new(Compute: 3e20);
        double[] p = [0.075, 0.29, 0.25, 0.32, 0.27];
        double ratio = law.Derived[2].Value(p);
        double At(double each) => law.Predict(p, Math.Sqrt(3e20 / (6 * each)), Math.Sqrt(3e20 * each / 6));

        Assert.Equal("D/N at C = 3e+20", law.Derived[2].Name);
        Assert.True(At(ratio) < At(1.01 * ratio));
        Assert.True(At(ratio) < At(ratio / 1.01));
    }

    [Fact]
    public void Tokens_seen_once_are_worth_themselves_and_repeated_ones_less_and_less()
    {
        Assert.Equal(1e9, DataConstrainedLaw.Effective(1e9, 1e9, 15.4));
        double four = DataConstrainedLaw.Effective(4e9, 1e9, 15.4);
        Assert.InRange(four, 3.6e9, 4e9);
        Assert.Equal(1e9 * (1 + 15.4), DataConstrainedLaw.Effective(1e15, 1e9, 15.4), 1);

        // Close to the 2.8B parameters and 55B tokens of Muennighoff et al.: a quarter of them four times is nearly as good.
        DataConstrainedLaw law = new();
        double[] p = [law.E, law.A, law.B, 15.387756, 5.309743];
        Assert.Equal(law.E + (law.A * Math.Pow(2.75e9, -law.Alpha)) + (law.B * Math.Pow(55e9, -law.Beta)), law.Predict(p, 2.75e9, 55e9, 55e9), 1e-12);
        Assert.InRange(law.Predict(p, 2.75e9, 55e9, 55e9 / 4) / law.Predict(p, 2.75e9, 55e9, 55e9), 1, 1.01);
        Assert.True(law.Predict(p, 2.75e9, 55e9, 1.25e9) > 1.1 * law.Predict(p, 2.75e9, 55e9, 55e9));
    }

    [Fact]
    public void Parameters_that_are_optimal_for_some_data_minimise_the_base_law()
    {
        DataConstrainedLaw law = new();
        double best = law.OptimalParameters(1e9), compute = 6 * best * 1e9;

        double At(double n) => (law.A * Math.Pow(n, -law.Alpha)) + (law.B * Math.Pow(compute / (6 * n), -law.Beta));
        Assert.True(At(best) < At(1.01 * best));
        Assert.True(At(best) < At(best / 1.01));
    }

    [Fact]
    public void The_base_of_the_data_constrained_law_is_held_without_being_asked()
    {
        DataConstrainedLaw law = new();
        double[][] rows = [.. Enumerable.Range(0, 40).Select(i => Inputs(law, i))];
        double[] truth = [law.E, law.A, law.B, 12, 4];
        Observations data = new(
            "table", null, new Dictionary<string, string>(), [.. rows.Select((_, i) => $"line {i}")], [.. rows.SelectMany(row => row)],
            [.. rows.Select(row => law.Predict(truth, row))], []);

        Fit fit = Windtunnel.Laws.Fit.Of(law, data);
        Assert.Equal(["E", "A", "B"], fit.Parameters.Where(parameter => parameter.Pinned).Select(parameter => parameter.Name));
        Assert.Equal(12, fit.Values[3], 1e-4);
        Assert.Equal(2.0, Windtunnel.Laws.Fit.Of(law, data, new FitSettings(PinnedValues: new Dictionary<string, double> { ["E"] = 2 })).Values[0]);
    }

    [Fact]
    public void The_hyperparameter_law_is_smooth_where_it_becomes_a_line_in_logarithms()
    {
        HyperparameterLaw law = new();
        double line = law.Predict([3, 2, 0, 0.4], 5e8, 4);
        Assert.Equal(3 + (2 * ((Math.Cos(0.4) * Math.Log(0.5)) + (Math.Sin(0.4) * Math.Log(4)))), line, 1e-12);
        Assert.Equal(line, law.Predict([3, 2, -1e-7, 0.4], 5e8, 4), 1e-6);

        double[] p = [3, 2, -0.7, 0.4];
        double[] abcd = [.. law.Derived.Select(quantity => quantity.Value(p))];
        Assert.Equal((abcd[0] * Math.Pow(0.5, abcd[1]) * Math.Pow(4, abcd[2])) + abcd[3], law.Predict(p, 5e8, 4), 1e-12);
    }

    [Fact]
    public void AdamW_batch_size_at_a_billion_parameters_follows_from_the_small_optima()
    {
        // Wen et al. 2025: the chosen batch at 130M, 300M and 520M for 1, 2, 4 and 8 times 20 N, without the first and the last as they do.
        double[] batches = [128, 128, 256, 128, 128, 256, 256, 256, 256, 256];
        (double N, double R)[] cells = [.. new[] { 134_217_728.0, 301_989_888, 536_870_912 }.SelectMany(n => new[] { 1.0, 2, 4, 8 }, (n, r) => (n, r)).Skip(1).SkipLast(1)];
        HyperparameterLaw law = new();
        double[] p = Fit(law, [.. cells.Zip(batches, (cell, batch) => (cell.N, cell.R, batch, 0.0))], row => [row.N, row.D], row => row.Loss);

        Assert.Equal(263.3135917668793, law.Predict(p, 1_207_959_552, 1), 0.26);
        Assert.Equal(322.71251059191434, law.Predict(p, 1_207_959_552, 8), 0.32);
    }

    [Fact]
    public void Muon_is_a_tenth_faster_than_AdamW_at_a_billion_parameters()
    {
        // Wen et al. 2025, best runs at 1.2B for 1, 2, 4 and 8 times 20 N.
        Speedup over = Speedup.Over([(1, 2.904270648956299), (2, 2.835987091064453), (4, 2.7871193885803223), (8, 2.752276659011841)]);
        Assert.Equal((0.2394, 0.4848, 2.6649), (Math.Round(over.Alpha, 4), Math.Round(over.Exponent, 4), Math.Round(over.Beta, 4)));

        (double Ratio, double Loss, double Speedup)[] muon =
            [(1, 2.8862736225128174, 1.17), (2, 2.827101230621338, 1.12), (4, 2.7799859046936035, 1.13), (8, 2.7483625411987305, 1.10)];
        Assert.All(muon, run => Assert.Equal(run.Speedup, over.At(run.Ratio, run.Loss), 5.1e-3));
        Assert.Equal(double.PositiveInfinity, over.At(8, 2.66));
    }

    // Forty rows over two decades of each input, no two inputs moving together.
    // The means of the Step Law's fits (Li et al. 2025), on the sizes and tokens of its grid, with optima that are off by up to 10 %.
    [Fact]
    public void Optimal_rates_and_batches_come_back_as_power_laws()
    {
        double[] sizes = [60e6, 120e6, 210e6, 430e6, 1.07e9], tokens = [2e9, 4e9, 8e9, 20e9, 50e9, 100e9];
        (double N, double D)[] grid = [.. sizes.SelectMany(n => tokens.Select(d => (n, d)))];
        Windtunnel.Laws.Fit rate = Powers(new PowerProductLaw(), [.. grid.SelectMany(run => new[] { run.N, run.D })], row => 1.797 * Math.Pow(grid[row].N, -0.713) * Math.Pow(grid[row].D, 0.307));
        Windtunnel.Laws.Fit batch = Powers(new PowerLaw(Offset: false), [.. grid.Select(run => run.D)], row => 0.581 * Math.Pow(grid[row].D, 0.571));
        Assert.Equal(0.713, rate.Values[1], 0.03);
        Assert.Equal(-0.307, rate.Values[2], 0.03);
        Assert.Equal(-0.571, batch.Values[1], 0.03);
        Assert.Equal([true, true, true], rate.Parameters.Zip([1.797, 0.713, -0.307], (fitted, truth) => fitted.Interval!.Value.Contains(truth)));
        Assert.Equal([true, true], batch.Parameters.Zip([0.581, -0.571], (fitted, truth) => fitted.Interval!.Value.Contains(truth)));

        Windtunnel.Laws.Fit Powers(PointLaw law, double[] inputs, Func<int, double> optimum) => Windtunnel.Laws.Fit.Of(law, new Observations(
            "grid", null, new Dictionary<string, string>(), [.. grid.Select((_, row) => $"line {row + 2}")], inputs,
            [.. grid.Select((_, row) => optimum(row) * Math.Exp(0.1 * Math.Sin((7 * row) + 1)))], []));
    }

    private static double[] Inputs(PointLaw law, int row)
    {
        double[] steps = [(row * 0.618) % 1, (row * 0.755) % 1, (row * 0.570) % 1];
        return [.. law.Inputs.Select((input, i) => input.Name switch
        {
            "n" => 3e7 * Math.Pow(100, steps[i]),
            "d" => 1e9 * Math.Pow(100, steps[i]),
            "unique" => 3e8 * Math.Pow(30, steps[i]),
            "loss" => 2 + (3 * steps[i]),
            _ => Math.Pow(30, steps[i]),
        })];
    }

    private static double[] Fit(
        PointLaw law, (double N, double D, double Loss, double Error)[] rows,
        Func<(double N, double D, double Loss, double Error), double[]> inputs, Func<(double N, double D, double Loss, double Error), double> output) =>
        new Fitter(PointProblem.Bind(law, [.. rows.SelectMany(inputs)], [.. rows.Select(output)]), law.Objective).Search()[0].Parameters;
}
