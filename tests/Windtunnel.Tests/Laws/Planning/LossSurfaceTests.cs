using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws;
using Windtunnel.Laws.Planning;

namespace Windtunnel.Tests.Laws.Planning;

public sealed class LossSurfaceTests
{
    public static TheoryData<double, double, double, double, double> Random
    {
        get
        {
            Random random = new(5);
            TheoryData<double, double, double, double, double> cases = [];
            for (int i = 0; i < 20; i++)
            {
                cases.Add(Between(10, 3000), Between(0.1, 0.8), Between(10, 3000), Between(0.1, 0.8), Between(1e12, 1e26));
            }

            return cases;

            double Between(double low, double high) => low * Math.Pow(high / low, random.NextDouble());
        }
    }

    [Theory]
    [MemberData(nameof(Random))]
    public void The_optimum_is_the_closed_form_for_any_exponents(double a, double alpha, double b, double beta, double compute)
    {
        (double n, double d) = new LossSurface(1.7, a, alpha, b, beta).OfCompute(compute);

        double g = Math.Pow(alpha * a / (beta * b), 1 / (alpha + beta));
        Assert.Equal(1, n / (g * Math.Pow(compute / 6, beta / (alpha + beta))), 1e-9);
        Assert.Equal(1, d * g / Math.Pow(compute / 6, alpha / (alpha + beta)), 1e-9);
    }

    [Theory]
    [MemberData(nameof(Random))]
    public void No_run_of_the_same_compute_is_better(double a, double alpha, double b, double beta, double compute)
    {
        LossSurface surface = new(1.7, a, alpha, b, beta);

        (double n, double d) = surface.OfCompute(compute);

        Assert.Equal(1, 6 * n * d / compute, 1e-9);
        Assert.All([0.5, 0.9, 0.999, 1.001, 1.1, 2], factor => Assert.True(surface.At(n * factor, d / factor) > surface.At(n, d)));
    }

    // Gadre et al. 2024, its fits to C4, RedPajama and RefinedWeb in the parametrisation of Eq. 4: M* = (b/a)^(1/(2 eta)).
    [Theory]
    [InlineData(1.50826054, 141.277255, 189.515521, 0.12123612, 3.35840)]
    [InlineData(1.83664838, 212.236111, 366.687174, 0.136425351, 7.41913)]
    [InlineData(1.73446209, 157.116284, 246.206687, 0.127197422, 5.84567)]
    public void Tied_exponents_have_one_best_multiplier(double e, double a, double b, double eta, double multiplier)
    {
        LossSurface surface = LossSurface.Of(new OverTrainingLaw(), [e, a, b, eta]);

        Assert.All([1e17, 1e21, 1e25], compute =>
        {
            (double n, double d) = surface.OfCompute(compute);
            Assert.Equal(multiplier, d / n, 1e-4);
            Assert.Equal(e + (((a * Math.Pow(d / n, eta)) + (b * Math.Pow(d / n, -eta))) * Math.Pow(compute, -eta)), surface.At(n, d), 1e-9);
        });
    }

    // kyo-takano's chinchilla, from its README's parameters: 1e24 FLOPs -> 160.5B parameters, 1.0T tokens.
    [Fact]
    public void A_published_allocation_is_met()
    {
        (double n, double d) = new LossSurface(1.70024, 184.69, 0.28901, 1633.5, 0.35579).OfCompute(1e24);

        Assert.Equal(160.5e9, n, 0.15e9);
        Assert.Equal(1.04e12, d, 0.005e12);
    }

    // MiniCPM's fit to Ultratext, read off its figure 10: 91.2 tokens a parameter from the rounded numbers, at any compute.
    [Fact]
    public void MiniCpms_law_gives_its_ratio()
    {
        double[] ultratext = [7.54e-2, 2.92e-1, 0.25, 0.30, 0.30];
        (double n, double d) = LossSurface.Of(new ModelDataLaw(), ultratext).OfCompute(1e21);

        Assert.Equal(91.2, d / n, 0.05);

        ModelDataLaw law = new(Compute: 3e20);
        double[] free = [0.07, 0.3, 0.25, 0.29, 0.23];
        (n, d) = LossSurface.Of(law, free).OfCompute(3e20);
        Assert.Equal(law.Derived[2].Value(free), d / n, 1e-6);
        Assert.Equal(law.Predict(free, n, d), LossSurface.Of(law, free).At(n, d), 1e-12);
    }

    // Sardana et al. 2024 on Hoffmann's parameters: as good as a Chinchilla-optimal 13B (30B) that serves 2e12 (1e13) tokens is a 7B (13.6B)
    // model at 17 % (28 %) less compute in all, 1.7e22 operations for the first; the second sees 2.84 times the tokens.
    [Theory]
    [InlineData(13e9, 2e12, 6.97e9, 0.1745, 2.165)]
    [InlineData(30e9, 1e13, 13.6e9, 0.2798, 2.845)]
    public void Serving_makes_smaller_models_trained_longer_the_cheapest(double chinchilla, double served, double parameters, double saved, double longer)
    {
        LossSurface surface = Surfaces.Hoffmann;
        double low = 1e18, high = 1e26;
        while (high / low > 1 + 1e-12)
        {
            double middle = Math.Sqrt(low * high);
            (low, high) = surface.OfCompute(middle).N < chinchilla ? (middle, high) : (low, middle);
        }

        (double n0, double d0) = surface.OfCompute(low);
        (double n, double d) = surface.OfLoss(surface.At(n0, d0), served);

        Assert.Equal(1, n / parameters, 2e-3);
        Assert.Equal(longer, d / d0, 2e-3);
        Assert.Equal(saved, 1 - (Cost(n, d) / Cost(n0, d0)), 2e-4);

        double Cost(double parameters, double tokens) => (6 * parameters * tokens) + (2 * parameters * served);
    }

    [Theory]
    [InlineData(1e10)]
    [InlineData(1e12)]
    [InlineData(1e14)]
    public void No_run_as_good_is_cheaper_to_train_and_serve(double served)
    {
        LossSurface surface = Surfaces.Besiroglu;
        (double n, double d) = surface.OfCompute(1e21, served);
        double loss = surface.At(n, d), cost = (6 * n * d) + (2 * n * served);

        (double again, double tokens) = surface.OfLoss(loss, served);
        Assert.Equal(1, again / n, 1e-6);
        Assert.Equal(1, tokens / d, 1e-6);
        Assert.All([0.6, 0.9, 0.99, 1.01, 1.1, 2], factor =>
        {
            double other = n * factor, needed = Math.Pow(surface.B / (loss - surface.E - (surface.A * Math.Pow(other, -surface.Alpha))), 1 / surface.Beta);
            Assert.True(double.IsNaN(needed) || (6 * other * needed) + (2 * other * served) > cost);
        });
        Assert.True(d / n > surface.OfCompute(1e21).D / surface.OfCompute(1e21).N);
    }

    [Fact]
    public void A_loss_below_the_irreducible_is_refused_and_so_are_other_laws()
    {
        Assert.Contains("cannot be reached", Assert.Throws<ValidationException>(() => Surfaces.Hoffmann.OfLoss(1.6)).Message);
        Assert.Contains("not from downstream", Assert.Throws<ValidationException>(() => LossSurface.Of(new DownstreamErrorLaw(), [1, 1, 1])).Message);
    }
}
