using Windtunnel.Laws;
using Windtunnel.Laws.Fitting;
using Windtunnel.Laws.IsoFlop;

namespace Windtunnel.Tests.Laws.IsoFlop;

public sealed class IsoFlopTests
{
    // The surface that Hoffmann et al. 2022 print: E, A, B, alpha, beta.
    private static readonly double[] s_hoffmann = [1.69, 406.4, 410.7, 0.34, 0.28];
    private static readonly double[] s_symmetric = [1.69, 400, 600, 0.3, 0.3];

    [Fact]
    public void Runs_are_grouped_by_compute_and_of_equal_sizes_the_best_counts()
    {
        IReadOnlyList<IsoFlopProfile> profiles = IsoFlopProfile.Group(
        [
            new(1e18, 2e8, 3.2), new(1.02e18, 1e8, 3.4), new(2e18, 1e8, 3.1), new(1e18, 2e8, 3.3), new(2e18, 3e8, 3.0),
        ]);

        Assert.Equal(2, profiles.Count);
        Assert.Equal([1e8, 2e8], profiles[0].Sizes);
        Assert.Equal([3.4, 3.2], profiles[0].Losses);
        Assert.Equal(2e18, profiles[1].Flops);
    }

    [Theory]
    [InlineData(ProfileMethod.Parabola)]
    [InlineData(ProfileMethod.Akima)]
    public void Without_a_minimum_inside_there_is_no_optimum(ProfileMethod method)
    {
        Assert.Null(Profile([1e8, 2e8, 4e8, 8e8], [3.4, 3.3, 3.2, 3.15]).Minimum(method));
        Assert.Null(Profile([1e8, 2e8, 4e8, 8e8], [3.2, 3.3, 3.3, 3.2]).Minimum(method));
        Assert.Null(Profile([1e8, 2e8], [3.2, 3.3]).Minimum(method));
    }

    [Fact]
    public void The_parabola_finds_the_vertex_of_a_parabola()
    {
        double[] sizes = [1e8, 1.7e8, 4e8, 9e8, 2e9];
        ComputeOptimum optimum = Profile(sizes, [.. sizes.Select(size => 3 + (0.02 * Math.Pow(Math.Log(size / 3e8), 2)))]).Minimum(ProfileMethod.Parabola)!.Value;

        Assert.Equal(3e8, optimum.Size, 1);
        Assert.Equal(3, optimum.Loss, 1e-12);
        Assert.Equal(1e18, optimum.Flops);
    }

    [Fact]
    public void A_released_curve_of_Porian_et_al_has_its_released_minimum()
    {
        // RefinedWeb, tuned, 2e17 operations (porian_isoflop.csv), and the minimum in porian_optima.csv.
        double[] sizes =
        [
            9809920, 15597568, 22487040, 28672000, 37060608, 57384960, 84787200, 108462080, 149045248, 220872704, 347078656, 455311360, 611958784, 901726208,
        ];
        double[] losses =
        [
            4.300920628769788, 4.1069607980697125, 3.994854746087898, 3.9334155177545194, 3.9034122363960115, 3.9108253953099616, 3.9812942990204747,
            4.078559731078, 4.325694231813026, 5.052634080247314, 6.00170506987935, 6.537024416144936, 7.020486770655535, 7.819681264855925,
        ];

        ComputeOptimum optimum = Profile(sizes, losses).Minimum(ProfileMethod.Akima)!.Value;
        Assert.Equal(43659152.68584214, optimum.Size, 1e-9 * 43659152);
        Assert.Equal(3.8990412454574463, optimum.Loss, 1e-12);
    }

    [Fact]
    public void A_resampled_minimum_moves_little_with_little_noise_and_repeats()
    {
        IsoFlopProfile profile = Surface(s_hoffmann, 1, 0)[2];
        (double size, double deviation) = profile.Resample(1e-6, 200)!.Value;
        double gap = Math.Log(profile.Sizes[1] / profile.Sizes[0]);

        Assert.Equal(profile.Minimum(ProfileMethod.Akima)!.Value.Size, size, 0.05 * size);
        Assert.InRange(deviation, 0.33 * gap, 0.35 * gap);
        Assert.Equal(profile.Resample(0.01, 200, seed: 4), profile.Resample(0.01, 200, seed: 4));
        Assert.True(profile.Resample(0.05, 200)!.Value.LogDeviation > deviation);
        Assert.Null(Profile([1e8, 2e8, 4e8], [3.4, 3.3, 3.2]).Resample(1e-6, 20));
    }

    [Fact]
    public void The_line_through_logarithms_weighs_its_points_and_knows_its_error()
    {
        (double, double)[] points = [(1, 2), (2, 3.1), (4, 3.9), (8, 6.5), (16, 8.8)];
        LogLogLine plain = LogLogLine.Through(points), weighted = LogLogLine.Through(points, [1, 2, 3, 2, 1]);

        Assert.Equal(0.534317855014145, plain.Exponent, 1e-13);
        Assert.Equal(2.0252519635501547, plain.Coefficient, 1e-12);
        Assert.Equal(0.030832089170421573, plain.StandardError, 1e-13);
        Assert.Equal(0.5342791710652525, weighted.Exponent, 1e-13);
        Assert.Equal(0.04432743616211591, weighted.StandardError, 1e-13);

        // Student's t with three degrees of freedom: 3.1824.
        Assert.Equal(plain.Exponent + (3.182446305284263 * plain.StandardError), plain.ExponentInterval().High, 1e-9);
        Assert.Equal(double.PositiveInfinity, LogLogLine.Through([(1, 2), (2, 3)]).ExponentInterval().High);
    }

    [Fact]
    public void Noise_on_optima_is_covered_by_the_interval_as_often_as_promised()
    {
        Random random = new(7);
        int covered = Enumerable.Range(0, 2000).Count(_ => LogLogLine
            .Through([.. Enumerable.Range(0, 8).Select(i => (Math.Pow(2, i), 3 * Math.Pow(2, 0.5 * i) * Math.Exp(0.05 * Gaussian(random))))])
            .ExponentInterval().Contains(0.5));
        Assert.InRange(covered / 2000.0, 0.93, 0.97);
    }

    [Fact]
    public void On_a_symmetric_surface_sampled_around_its_optimum_the_parabola_is_right()
    {
        ProfileBias bias = ProfileBias.Of(Surface(s_symmetric, 1, 0), s_symmetric, ProfileMethod.Parabola);
        Assert.Equal(0.5, bias.TrueExponent, 1e-12);
        Assert.Equal(0, bias.OfExponent, 1e-9);
        Assert.All(bias.SizeRatios, ratio => Assert.Equal(1, ratio!.Value, 1e-9));
    }

    [Fact]
    public void A_constant_offset_of_the_sizes_moves_the_optima_and_a_drift_moves_the_exponent()
    {
        ProfileBias offset = ProfileBias.Of(Surface(s_symmetric, 3, 0), s_symmetric, ProfileMethod.Parabola);
        Assert.All(offset.SizeRatios, ratio => Assert.InRange(Math.Abs(ratio!.Value - 1), 0.01, 0.5));
        Assert.Equal(0, offset.OfExponent, 1e-9);

        ProfileBias drift = ProfileBias.Of(Surface(s_symmetric, 1, 0.25), s_symmetric, ProfileMethod.Parabola);
        Assert.InRange(Math.Abs(drift.OfExponent), 0.002, 0.1);
        Assert.InRange(Math.Abs(ProfileBias.Of(Surface(s_symmetric, 1, 0.25), s_symmetric, ProfileMethod.Akima).OfExponent), 0, 0.3 * Math.Abs(drift.OfExponent));
    }

    [Fact]
    public void Lopsided_exponents_bias_the_parabola_even_around_the_optimum()
    {
        ProfileBias parabola = ProfileBias.Of(Surface(s_hoffmann, 1, 0), s_hoffmann, ProfileMethod.Parabola);
        ProfileBias akima = ProfileBias.Of(Surface(s_hoffmann, 1, 0), s_hoffmann, ProfileMethod.Akima);

        Assert.Equal(0.28 / 0.62, parabola.TrueExponent, 1e-12);
        Assert.All(parabola.SizeRatios.Zip(akima.SizeRatios), pair => Assert.True(Math.Abs(pair.First!.Value - 1) > 3 * Math.Abs(pair.Second!.Value - 1)));
    }

    [Fact]
    public void The_surface_is_recovered_from_exact_profiles()
    {
        double[] surface = ProfileBias.Surface(Surface(s_hoffmann, 1, 0));
        Assert.All(s_hoffmann.Zip(surface), pair => Assert.Equal(pair.First, pair.Second, 1e-5 * pair.First));
    }

    [Fact]
    public void The_envelope_of_dense_loss_curves_has_the_exponent_of_the_surface()
    {
        ChinchillaLaw law = new();
        List<ComputeRun> runs = [];
        for (double size = 1e7; size < 1e10; size *= 1.2)
        {
            for (double tokens = size; tokens < 400 * size; tokens *= 1.1)
            {
                runs.Add(new ComputeRun(6 * size * tokens, size, law.Predict(s_hoffmann, size, tokens)));
            }
        }

        IReadOnlyList<ComputeOptimum> envelope = Envelope.Of(runs);
        Assert.InRange(envelope.Count, 500, 1500);
        Assert.DoesNotContain(envelope, optimum => optimum.Size is 1e7 or > 9e9);
        Assert.Equal(0.28 / 0.62, LogLogLine.Through([.. envelope.Select(optimum => (optimum.Flops, optimum.Size))]).Exponent, 0.01);
    }

    [Fact]
    public void An_envelope_needs_three_curves_of_two_points()
    {
        Assert.Empty(Envelope.Of([]));
        Assert.Empty(Envelope.Of([new(1e18, 1e8, 3), new(2e18, 1e8, 2.9), new(1e18, 2e8, 3), new(2e18, 2e8, 2.9), new(1e18, 3e8, 3)]));
    }

    private static IsoFlopProfile Profile(double[] sizes, double[] losses) => IsoFlopProfile.Group(sizes.Zip(losses, (size, loss) => new ComputeRun(1e18, size, loss))).Single();

    // Nine sizes over two decades around the optimum, off by a factor that starts at offset and drifts with compute.
    private static IReadOnlyList<IsoFlopProfile> Surface(double[] p, double offset, double drift)
    {
        ChinchillaLaw law = new();
        List<ComputeRun> runs = [];
        for (double flops = 1e18; flops < 2e21; flops *= 4)
        {
            double sum = p[3] + p[4], best = Math.Pow(p[3] * p[1] / (p[4] * p[2]), 1 / sum) * Math.Pow(flops / 6, p[4] / sum);
            for (int i = -4; i <= 4; i++)
            {
                double size = best * Math.Pow(10, i / 4.0) * offset * Math.Pow(flops / 1e18, drift);
                runs.Add(new ComputeRun(flops, size, law.Predict(p, size, flops / (6 * size))));
            }
        }

        return IsoFlopProfile.Group(runs);
    }

    private static double Gaussian(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
