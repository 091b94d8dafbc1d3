using Windtunnel.Laws.IsoFlop;

namespace Windtunnel.Laws.Reproduction;

/// <summary>
/// Porian et al. 2024, "Resolving discrepancies in compute-optimal scaling of language models" (arXiv 2406.19146): 15 settings of IsoFLOP
/// curves (porian_isoflop.csv), the minima released with them (porian_optima.csv), and the exponents of N in C.
/// </summary>
public sealed class PorianStudy : PublishedStudy
{
    // The weighted exponents as printed in the paper's tables, and the released fits by least squares and weighted.
    private static readonly (string Setting, double? Printed, double Plain, double Weighted)[] s_exponents =
    [
        ("rw,base,long,kaplan,kaplan,train", 0.835, 0.833768, 0.835300),
        ("rw,base,long,kaplan,standard,val", 0.706, 0.700899, 0.706470),
        ("rw,base,short,kaplan,standard,val", 0.602, 0.603528, 0.602038),
        ("rw,base,short,chinchilla,standard,val", 0.571, 0.571425, 0.571495),
        ("rw,tuned,short,const,standard,val", 0.497, 0.497029, 0.496895),
        ("rw,base,long,kaplan,attention,train", null, 0.715916, 0.717058),
        ("rw,base,short,kaplan,attention,train", null, 0.624012, 0.622251),
        ("rw,base,short,chinchilla,attention,train", null, 0.577811, 0.577193),
        ("rw,tuned,short,const,attention,train", null, 0.504066, 0.505266),
        ("rw,tuned,long,const,kaplan,train", null, 0.708059, 0.711488),
        ("owt2,base,long,kaplan,kaplan,train", 0.864, 0.869992, 0.863511),
        ("owt2,base,long,kaplan,standard,val", 0.699, 0.699987, 0.698501),
        ("owt2,base,short,kaplan,standard,val", 0.603, 0.601611, 0.603196),
        ("owt2,base,short,chinchilla,standard,val", 0.574, 0.568890, 0.574295),
        ("owt2,tuned,short,const,standard,val", 0.518, 0.518406, 0.518454),
    ];

    private static readonly string[] s_keys = ["dataset", "hparams", "warmup", "decay", "param_count", "val"];

    /// <inheritdoc/>
    public override string Name => "porian";

    /// <inheritdoc/>
    public override string Source => "Porian et al. 2024, discrepancies in compute-optimal scaling";

    /// <inheritdoc/>
    protected override string Subfolder => "scaling";

    /// <inheritdoc/>
    public override StudyReport Run(string folder)
    {
        PointTable curves = Read(folder, "porian_isoflop.csv"), optima = Read(folder, "porian_optima.csv");
        List<ReproducedFigure> figures = [];
        List<string> remarks = [];
        int released = 0, equal = 0;
        foreach ((string setting, double? printed, double plain, double weighted) in s_exponents)
        {
            PointTable own = Only(optima, setting);
            IReadOnlyList<double> argmins = own.Numbers("n_star_akima_argmin");
            (double Flops, double Size, double Deviation, double Argmin)[] stars = [.. own.Numbers("flops").Zip(own.Numbers("n_star"), own.Numbers("n_star_std"))
                .Select((star, i) => (star.First, star.Second, star.Third, argmins[i])).Where(star => double.IsFinite(star.Second))];
            (double, double)[] points = [.. stars.Select(star => (star.Flops, star.Size))];
            LogLogLine line = LogLogLine.Through(points), byNoise = LogLogLine.Through(points, [.. stars.Select(star => 1 / (star.Deviation * star.Deviation))]);
            figures.Add(new ReproducedFigure("released minima, least squares", setting, plain, line.Exponent, 5e-7));
            figures.Add(new ReproducedFigure("released minima, weighted", setting, weighted, byNoise.Exponent, 5e-7));
            if (printed is { } value)
            {
                figures.Add(new ReproducedFigure("as printed", setting, value, byNoise.Exponent, 5.1e-4));
            }

            IReadOnlyList<IsoFlopProfile> profiles = Profiles(Only(curves, setting));
            released += stars.Length;
            equal += stars.Count(star => profiles.Any(profile =>
                profile.Flops == star.Flops && profile.Minimum(ProfileMethod.Akima) is { } found && Math.Abs((found.Size / star.Argmin) - 1) < 1e-9));
            remarks.Add(Summary(setting, profiles, byNoise));
        }

        figures.Insert(0, new ReproducedFigure("IsoFLOP curves", $"minima of Akima's curve equal to the {released} released", 173, equal, 0));
        return new StudyReport(figures, remarks);
    }

    private static PointTable Only(PointTable table, string setting) =>
        s_keys.Zip(setting.Split(',')).Aggregate(table, (rows, pair) => rows.Where($"{pair.First}={pair.Second}"));

    private static IReadOnlyList<IsoFlopProfile> Profiles(PointTable curves) => IsoFlopProfile.Group(
        Numbers(curves, "flops").Zip(Numbers(curves, "params"), Numbers(curves, "loss")).Select(row => new ComputeRun(row.First, row.Second, row.Third)));

    // What the parabola makes of the same curves, and how much of the difference is its bias.
    private static string Summary(string setting, IReadOnlyList<IsoFlopProfile> profiles, LogLogLine released)
    {
        LogLogLine akima = Line(ProfileMethod.Akima), parabola = Line(ProfileMethod.Parabola);
        ProfileBias bias = ProfileBias.Of(profiles, ProfileBias.Surface(profiles), ProfileMethod.Parabola);
        Fitting.Interval interval = released.ExponentInterval();
        return $"{setting}: weighted {released.Exponent:F4} [{interval.Low:F3}, {interval.High:F3}]; ours by Akima {akima.Exponent:F4}, by parabola {parabola.Exponent:F4}; "
            + $"the surface fitted to these losses has {bias.TrueExponent:F4}, of which the parabola finds {bias.Exponent:F4} (bias {bias.OfExponent:+0.0000;-0.0000})";

        LogLogLine Line(ProfileMethod method) => LogLogLine.Through([.. profiles.Select(profile => profile.Minimum(method)).OfType<ComputeOptimum>().Select(optimum => (optimum.Flops, optimum.Size))]);
    }
}
