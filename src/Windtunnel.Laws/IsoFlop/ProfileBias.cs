using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws.IsoFlop;

/// <summary>
/// What approach 2 gets wrong on runs without any noise. On the surface L = E + A N^-alpha + B D^-beta a profile is no parabola in log N
/// but a sum of two exponentials, lopsided unless alpha = beta, and the vertex of the parabola depends on which sizes were trained: sizes
/// that lie off the optimum by a constant factor shift the optima, a factor that drifts with compute shifts the exponent.
/// </summary>
/// <param name="TrueExponent">The exponent of N in C on the surface, beta / (alpha + beta).</param>
/// <param name="Exponent">The one the method finds from exact losses at the sizes of the profiles.</param>
/// <param name="SizeRatios">Of each profile, the size found over the true one; null where the method finds none.</param>
public sealed record ProfileBias(double TrueExponent, double Exponent, IReadOnlyList<double?> SizeRatios)
{
    /// <summary>The error of the exponent.</summary>
    public double OfExponent => Exponent - TrueExponent;

    /// <summary>E, A, B, alpha and beta of the surface fitted to all losses of some profiles.</summary>
    public static double[] Surface(IReadOnlyList<IsoFlopProfile> profiles)
    {
        ChinchillaLaw law = new();
        double[] inputs = [.. profiles.SelectMany(profile => profile.Sizes.SelectMany(size => new[] { size, profile.Flops / (6 * size) }))];
        return new Fitter(PointProblem.Bind(law, inputs, [.. profiles.SelectMany(profile => profile.Losses)]), law.Objective).Search()[0].Parameters;
    }

    /// <summary>Applies a method to exact losses of a surface.</summary>
    /// <param name="surface">E, A, B, alpha, beta, as <see cref="ChinchillaLaw"/> is fitted to the same runs.</param>
    public static ProfileBias Of(IReadOnlyList<IsoFlopProfile> profiles, IReadOnlyList<double> surface, ProfileMethod method)
    {
        (double alpha, double beta) = (surface[3], surface[^1]);
        double g = Math.Pow(alpha * surface[1] / (beta * surface[2]), 1 / (alpha + beta)), exponent = beta / (alpha + beta);
        ChinchillaLaw law = new();
        double[] parameters = [.. surface.Take(4), beta];
        List<(double, double)> found = [];
        List<double?> ratios = [];
        foreach (IsoFlopProfile profile in profiles)
        {
            IsoFlopProfile exact = profile.With(profile.Sizes.Select(size => law.Predict(parameters, size, profile.Flops / (6 * size))));
            double? size = exact.Minimum(method)?.Size;
            ratios.Add(size / (g * Math.Pow(profile.Flops / 6, exponent)));
            if (size is { } best)
            {
                found.Add((profile.Flops, best));
            }
        }

        return new ProfileBias(exponent, found.Count > 1 ? LogLogLine.Through(found).Exponent : double.NaN, ratios);
    }
}
