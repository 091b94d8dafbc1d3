using Windtunnel.Laws.Curves;

namespace Windtunnel.Laws.Reproduction;

/// <summary>Published loss curves, with their schedules by formula: the logged rates are coarse, and some files start where a run was branched.</summary>
internal static class PublishedCurves
{
    private const double Peak = 3e-4, End = 3e-5;
    private const int Warmup = 2160;

    /// <summary>The nine schedules of Luo et al. 2025.</summary>
    public static readonly string[] Names =
        ["cosine_24000", "constant_24000", "wsdcon_9", "constant_72000", "cosine_72000", "wsd_20000_24000", "wsdld_20000_24000", "wsdcon_3", "wsdcon_18"];

    /// <summary>Their split: three curves to fit.</summary>
    public static IReadOnlyList<string> Training => Names[..3];

    /// <summary>And six to predict.</summary>
    public static IReadOnlyList<string> Test => Names[3..];

    /// <summary>L0, A, B, alpha, log C, beta, gamma as printed in the README of the multi-power law's repository, which counts the ramp as annealing.</summary>
    public static double[] ReadmeParameters(string model) => model switch
    {
        "25M" => [3.04045406, 0.52468604, 363.787516, 0.50786857, Math.Log(2.06560812), 0.58279013, 0.64142257],
        "100M" => [2.6514477, 0.60115152, 437.9464276, 0.45295811, Math.Log(2.13245612), 0.59785199, 0.65523644],
        "400M" => [2.37474466, 0.65421216, 523.42464371, 0.42878731, Math.Log(2.02462735), 0.59350493, 0.63472457],
        _ => throw new ArgumentException(model, nameof(model)),
    };

    /// <summary>One of the nine schedules: a warm-up that reaches the peak at its last step, then the part by name.</summary>
    public static LearningRateSequence Schedule(string name)
    {
        string[] parts = name.Split('_');
        int total = parts[0] == "wsdcon" ? 16000 : int.Parse(parts[^1]);
        return LearningRateSequence.Of(total - 1, step => step < Warmup ? Peak * step / (Warmup - 1) : Rate(step), Warmup);

        double Rate(int step) => parts[0] switch
        {
            "constant" => Peak,
            "cosine" => End + ((Peak - End) * 0.5 * (1 + Math.Cos(Math.PI * (step - Warmup) / (total - Warmup)))),
            "wsdcon" => step < 8000 ? Peak : int.Parse(parts[1]) * 1e-5,
            "wsd" => step < 20000 ? Peak : Math.Pow(Peak, 1 - ((step - 20000) / 4000.0)) * Math.Pow(End, (step - 20000) / 4000.0),
            "wsdld" => step < 20000 ? Peak : Peak - ((Peak - End) * (step - 20000) / 4000.0),
            _ => throw new ArgumentException(name, nameof(name)),
        };
    }

    /// <summary>Curves of the 25M or 100M model of Luo et al. 2025.</summary>
    /// <param name="read">Reads a file of the study.</param>
    public static LossCurve[] Read(Func<string, PointTable> read, string model, IEnumerable<string> names) =>
        [.. names.Select(name => LossCurve.Read(read($"mpl_{model}_{name}.csv"), rates: Schedule(name), parameters: model == "25M" ? 25e6 : 101e6))];

    /// <summary>
    /// The 124M runs of Schaipp et al. 2025 on SlimPajama at one peak rate, from step 1000 on: a cosine to a tenth or to zero, or a
    /// cooldown to zero over the last part, linear or 1 - sqrt. Series that repeat others are left out.
    /// </summary>
    /// <param name="read">Reads a file of the study.</param>
    public static LossCurve[] ReadCooldowns(Func<string, PointTable> read, double peak)
    {
        const int Rise = 300;
        PointTable index = read("index.csv").Where("source=fabian-sp/lr-scheduling").Where("dataset=slimpajama").Where($"peak_lr={peak}");
        return [.. index.Texts("file").Zip(index.Texts("schedule"), index.Texts("decay_type")).Zip(index.Numbers("iters").Zip(index.Numbers("decay")))
            .Where(row => !row.First.First.Contains("grad_norm") && !row.First.First.Contains("_sl_"))
            .Select(row => Curve(row.First.First, row.First.Second == "cos", row.First.Third == "sqrt", (int)row.Second.First, row.Second.Second))];

        LossCurve Curve(string file, bool cosine, bool root, int total, double decay)
        {
            double start = total * (1 - decay), floor = file.Contains("cos-zero") ? 0 : 0.1;
            return LossCurve.Read(read(file), rates: LearningRateSequence.Of(total, step => peak * Factor(step), Rise)).From(1000);

            double Factor(int step)
            {
                double x = (step - start) / (total - start);
                return step < Rise ? (step + 1.0) / Rise
                    : cosine ? floor + ((1 - floor) * 0.5 * (1 + Math.Cos(Math.PI * (step - Rise) / (total - Rise))))
                    : step <= start ? 1
                    : root ? 1 - Math.Sqrt(x)
                    : 1 - x;
            }
        }
    }
}
