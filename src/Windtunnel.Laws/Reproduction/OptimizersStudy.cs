using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws.Reproduction;

/// <summary>
/// Wen et al. 2025, "Fantastic pretraining optimizers and where to find them" (arXiv 2509.02046), from the released runs (results.csv):
/// AdamW's loss over tokens, the speedup of the others, and the hyperparameters predicted for 1.2B.
/// </summary>
public sealed class OptimizersStudy : PublishedStudy
{
    private static readonly (string Size, double Alpha, double Exponent, double Beta)[] s_baselines =
        [("130m", 0.4179, 0.4950, 3.1113), ("300m", 0.3498, 0.4774, 2.9130), ("520m", 0.3417, 0.3973, 2.7627), ("1.2b", 0.2394, 0.4848, 2.6649)];

    // At 1, 2, 4 and 8 times 20 N, against AdamW's fit to those four.
    private static readonly (string Optimizer, string Size, double[] Speedups)[] s_speedups =
    [
        ("muon", "130m", [1.42, 1.33, 1.32, 1.41]), ("muon", "300m", [1.30, 1.20, 1.19, 1.26]),
        ("muon", "520m", [1.30, 1.23, 1.23, 1.24]), ("muon", "1.2b", [1.17, 1.12, 1.13, 1.10]),
        ("soape", "130m", [1.27, 1.27, 1.32, 1.41]), ("soape", "520m", [1.22, 1.20, 1.23, 1.27]), ("soape", "1.2b", [1.06, 1.09, 1.08, 1.09]),
    ];

    // The released predictions at 1.2B for 1 and 8 times 20 N, of every hyperparameter whose optima differ.
    private static readonly (string Optimizer, string Key, double At1, double At8)[] s_predictions =
    [
        ("adamw", "learning_rate", 0.00290361523752658, 0.003060494442182815),
        ("adamw", "weight_decay", 0.1900557961706113, 0.15418294264418364),
        ("adamw", "warmup", 1045.4376023758668, 761.282067705295),
        ("adamw", "max_grad_norm", 1.3216856553521268, 1.8701216049572054),
        ("adamw", "train_batch_size", 263.3135917668793, 322.71251059191434),
        ("nadamw", "learning_rate", 0.004806796112886147, 0.0035811230505080616),
        ("nadamw", "warmup", 4548.031946393661, 4469.770961367525),
        ("nadamw", "beta1", 0.9739493003296076, 0.9831408790423453),
        ("nadamw", "train_batch_size", 148.89744760855683, 238.3294341370638),
        ("muon", "learning_rate", 0.0063033792833417255, 0.006010946493792101),
        ("muon", "momentum", 0.9805788894979632, 0.9805789215762512),
        ("muon", "max_grad_norm", 1.798312756947098, 2.1046857208509664),
        ("muon", "decay", 0.9909103592199529, 1.0477325540801985),
        ("muon", "train_batch_size", 183.00027658848558, 289.9184870721074),
        ("soape", "learning_rate", 0.007366335788384575, 0.007366148327149689),
        ("soape", "block_size", 516.4629149061292, 516.466393834417),
        ("soape", "precondition_frequency", 10.000712505823387, 10.000712505823392),
        ("soape", "shampoo_beta", 0.9214189843854566, 0.9214189843854559),
        ("soape", "train_batch_size", 211.1942646095788, 367.1030670135567),
    ];

    private const double Target = 1_207_959_552;

    /// <inheritdoc/>
    public override string Name => "optimizers";

    /// <inheritdoc/>
    public override string Source => "Wen et al. 2025, pretraining optimizers";

    /// <inheritdoc/>
    protected override string Subfolder => "optimizers";

    /// <inheritdoc/>
    public override StudyReport Run(string folder)
    {
        PointTable runs = Read(folder, "results.csv");
        PointTable best = runs.Where("record=min_over_sweep"), chosen = runs.Where("record=selected_config");
        List<ReproducedFigure> figures = [];
        foreach ((string size, double alpha, double exponent, double beta) in s_baselines)
        {
            Speedup fit = Speedup.Over([.. Losses(best, "adamw", size, 8)]);
            Add("L = alpha R^-B + beta", $"AdamW {size} alpha", alpha, fit.Alpha, 5.1e-5);
            Add("L = alpha R^-B + beta", $"AdamW {size} B", exponent, fit.Exponent, 5.1e-5);
            Add("L = alpha R^-B + beta", $"AdamW {size} beta", beta, fit.Beta, 5.1e-5);
        }

        foreach ((string optimizer, string size, double[] published) in s_speedups)
        {
            Speedup over = Speedup.Over([.. Losses(best, "adamw", size, 8)]);
            foreach (((double ratio, double loss), double speedup) in Losses(best, optimizer, size, 8).Zip(published))
            {
                Add("speedup over AdamW", $"{optimizer} {size} {ratio}x", speedup, over.At(ratio, loss), 5.1e-3);
            }
        }

        (double Ratio, double Loss) last = Losses(best, "nadamw", "1.2b", 8).Last();
        Add("speedup over AdamW", "nadamw 1.2b 8x", 1.095, Speedup.Over([.. Losses(best, "adamw", "1.2b", 8)]).At(last.Ratio, last.Loss), 5.1e-4);
        last = Losses(best, "muon", "130m", 8).Last();
        Add("speedup over AdamW", "muon 130m 8x, 16x in the fit as released", 1.30, Speedup.Over([.. Losses(best, "adamw", "130m", 16)]).At(last.Ratio, last.Loss), 5.1e-3);

        List<string> lines = [];
        foreach ((string optimizer, string key, double at1, double at8) in s_predictions)
        {
            HyperparameterLaw law = new();
            Optimum fit = FromReleasedStart(law, Optima(chosen, optimizer, key));
            foreach ((double ratio, double published) in new[] { (1, at1), (8, at8) })
            {
                figures.Add(ReproducedFigure.Relative("h = A N^B R^C + D at 1.2B", $"{optimizer} {key} {ratio}x", published, law.Predict(fit.Parameters, Target, ratio), 1e-3));
            }

            if (fit.Parameters[2] == 0)
            {
                lines.Add($"{optimizer} {key}");
            }
        }

        return new StudyReport(figures,
        [
            $"In {lines.Count} of {s_predictions.Length} hyperparameter fits the exponents go to zero: the released prediction is a line in log N and log R ({string.Join(", ", lines)}).",
            "Not compared: epsilon, whose fits stop where they start because its values are far below their tolerance, and Soap's warm-up, eleven equal values and one other.",
            "Speedups are in tokens. Losses come from one seed each; differences below 0.003 are noise.",
        ]);

        void Add(string part, string what, double published, double ours, double tolerance) => figures.Add(new ReproducedFigure(part, what, published, ours, tolerance));
    }

    // By tokens; cells without a loss did not finish.
    private static IEnumerable<(double Ratio, double Loss)> Losses(PointTable runs, string optimizer, string size, int ratioMax)
    {
        PointTable own = runs.Where($"optimizer={optimizer}").Where($"model_size={size}").Where($"chinchilla<={ratioMax}");
        return Numbers(own, "chinchilla").Zip(own.Numbers("loss_c4en")).Where(row => double.IsFinite(row.Second)).OrderBy(row => row.First);
    }

    // The optima of the three small sizes without the first and the last, as the released script has them.
    private static Fitter Optima(PointTable chosen, string optimizer, string key)
    {
        PointTable own = chosen.Where($"optimizer={optimizer}").Where("nonembed_params<1e9").Where("chinchilla<=8");
        HyperparameterLaw law = new();
        (double N, double Ratio, double Value)[] rows =
            [.. Numbers(own, "nonembed_params").Zip(Numbers(own, "chinchilla"), Numbers(own, key)).OrderBy(row => row.First).ThenBy(row => row.Second).Skip(1).SkipLast(1)];
        return new Fitter(PointProblem.Bind(law, [.. rows.SelectMany(row => new[] { row.N, row.Ratio })], [.. rows.Select(row => row.Value)]), law.Objective);
    }

    // The minimum that B = C = -1/2 leads to. Some lie at infinity, where h is a step in N: those searches go on while there is progress.
    private static Optimum FromReleasedStart(HyperparameterLaw law, Fitter fitter)
    {
        Dictionary<string, double> start = new() { ["s"] = -Math.Sqrt(0.5), ["t"] = Math.PI / 4 };
        Optimum optimum = new Fitter(fitter.Problem, law.Objective, start).Search()[0];
        do
        {
            optimum = fitter.Refine(optimum.Parameters);
        }
        while (optimum.Status == FitStatus.MaxIterations && optimum.Parameters[2] > -20);

        return optimum;
    }
}
