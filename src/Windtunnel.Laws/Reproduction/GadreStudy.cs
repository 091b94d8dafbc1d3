using System.ComponentModel.DataAnnotations;
using MathNet.Numerics.Statistics;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws.Reproduction;

/// <summary>
/// Gadre et al. 2024, "Language models scale reliably with over-training and on downstream tasks" (arXiv 2403.08540), from the 104 models of
/// its testbed: models.csv, task_errors.csv, tasks.csv. Loss is fitted to five small runs (fit_loss), error to those and 1.4B at M = 20 (fit_error).
/// </summary>
public sealed class GadreStudy : PublishedStudy
{
    private const string Loss = "loss_c4_val", Error17 = "err_avg17", Error46 = "err_avg46";

    // Exact optima of the released recipe: the paper's Table 6 at full precision, in the parameters of Eq. 4.
    private static readonly (string Set, double E, double A, double B, double Alpha, double Eta, double SmallA, double SmallB, double Ratio, double Sse)[] s_losses =
    [
        ("C4", 1.50826054, 113.692603, 152.512256, 0.242472239, 0.12123612, 141.277255, 189.515521, 3.35840, 4.14119e-4),
        ("RedPajama", 1.83664838, 166.210984, 287.168079, 0.272850703, 0.136425351, 212.236111, 366.687174, 7.41913, 4.25648e-4),
        ("RefinedWeb", 1.73446209, 125.095696, 196.02931, 0.254394845, 0.127197422, 157.116284, 246.206687, 5.84567, 8.24441e-5),
    ];

    private static readonly (string Set, string Column, double Eps, double K, double Gamma)[] s_errors =
    [
        ("C4", Error17, 0.849742, 2.078899, 0.756119), ("C4", Error46, 0.758949, 1.288516, 0.972164),
        ("RedPajama", Error17, 0.856992, 2.206491, 0.714591), ("RedPajama", Error46, 0.760850, 1.322899, 0.890708),
        ("RefinedWeb", Error17, 0.865279, 2.214816, 0.707049), ("RefinedWeb", Error46, 0.767679, 1.128074, 0.821523),
    ];

    // Relative errors in percent of the predicted loss, of the error through the whole chain, and of the error from the true loss.
    private static readonly (string Set, string Size, int Multiplier, double Loss, double Error, double? SecondLeg, double Tolerance)[] s_targets =
    [
        ("RedPajama", "1.4B", 640, 0.7103, 3.6365, 2.66, 1e-4), ("RedPajama", "6.9B", 20, 0.7320, 0.0464, -1.00, 1e-4),
        ("C4", "1.4B", 80, 1.498, 9.582, null, 6e-4), ("C4", "6.9B", 20, 4.295, 0.137, 5.62, 6e-4),
        ("RefinedWeb", "1.4B", 320, 0.005, 5.617, null, 6e-4), ("RefinedWeb", "6.9B", 20, 1.619, 2.939, 5.41, 6e-4),
    ];

    /// <inheritdoc/>
    public override string Name => "gadre";

    /// <inheritdoc/>
    public override string Source => "Gadre et al. 2024, over-training and downstream tasks";

    /// <inheritdoc/>
    protected override string Subfolder => "gadre";

    /// <inheritdoc/>
    public override StudyReport Run(string folder)
    {
        PointTable models = Read(folder, "models.csv");
        List<ReproducedFigure> figures = [];
        foreach (var set in s_losses)
        {
            OverTrainingLaw law = new();
            Optimum fit = FitLoss(Of(models, set.Set), Loss);
            double[] p = fit.Parameters;
            double[] derived = [.. law.Derived.Select(quantity => quantity.Value(p))];
            Add("Eq. 4, five runs", set.Set, 1e-5, ("E", set.E, p[0]), ("a", set.SmallA, p[1]), ("b", set.SmallB, p[2]), ("eta", set.Eta, p[3]),
                ("M*", set.Ratio, derived[0]), ("A", set.A, derived[1]), ("B", set.B, derived[2]), ("alpha", set.Alpha, derived[3]), ("SSE", set.Sse, fit.Value));
        }

        foreach (var set in s_errors)
        {
            double[] p = FitError(Of(models, set.Set), set.Column);
            Add("Eq. 5, six runs", $"{set.Set} {set.Column}", 1e-5, ("eps", set.Eps, p[0]), ("k", set.K, p[1]), ("gamma", set.Gamma, p[2]));
        }

        foreach (var target in s_targets)
        {
            ChainPrediction chain = Predict(models, target.Set, Error17, target.Size, target.Multiplier);
            string what = $"{target.Set} {target.Size} M={target.Multiplier}";
            figures.Add(new ReproducedFigure("relative error, %", $"{what} loss", target.Loss, 100 * Math.Abs(chain.LossDeviation!.Value), target.Tolerance));
            figures.Add(new ReproducedFigure("relative error, %", $"{what} error, whole chain", target.Error, 100 * Math.Abs(chain.ErrorDeviation!.Value), target.Tolerance));
            if (target.SecondLeg is { } leg)
            {
                figures.Add(new ReproducedFigure("relative error, %", $"{what} error from the true loss", leg, 100 * chain.ErrorFromTrueLossDeviation!.Value, 0.006));
            }
        }

        figures.AddRange(Headlines(models));
        figures.AddRange(Panels(models));
        figures.Add(TaskRule(Read(folder, "tasks.csv"), Read(folder, "task_errors.csv")));
        PointTable over = Of(models, "RedPajama").Where("size=1.4B").Where("multiplier=640");
        double literal = new OverTrainingLaw().Predict([1.84, 166, 367, 0.272], Numbers(over, "params")[0], Numbers(over, "tokens")[0]);
        return new StudyReport(figures,
        [
            $"Table 6 prints A, the b of Eq. 4 and alpha under the names a, b and eta; read as Eq. 4 it predicts a loss of {literal:F3} for RedPajama 1.4B M=640, which is {Numbers(over, Loss)[0]:F3}.",
            "The paper's M* of 2.87, 4.30 and 3.79 are Eq. 10 on those columns; the ones above follow from the parameters of Eq. 4.",
            "The 0.05 % of RedPajama 6.9B, like the 0.14 % of C4 6.9B, is two errors that cancel: see the error from the true loss.",
            "Four parameters on five runs: one degree of freedom.",
        ]);

        void Add(string part, string what, double tolerance, params ReadOnlySpan<(string Name, double Published, double Ours)> values)
        {
            foreach ((string name, double published, double ours) in values)
            {
                figures.Add(ReproducedFigure.Relative(part, $"{what} {name}", published, ours, tolerance));
            }
        }
    }

    /// <summary>
    /// Any cell of the reliability figures: a model of the testbed predicted from the fit to the five small runs of its training set.
    /// </summary>
    /// <param name="trainSet">C4, RedPajama or RefinedWeb.</param>
    /// <param name="evalSet">
    /// A loss such as c4_val or paloma_ptb, fitted to losses of that set; or avg17 or avg46 for the error, which goes by the loss on c4_val. A
    /// prediction of another loss says nothing of errors.
    /// </param>
    /// <param name="size">Such as 0.411B.</param>
    /// <param name="multiplier">Tokens a parameter.</param>
    public ChainPrediction Cell(string folder, string trainSet, string evalSet, string size, int multiplier) =>
        Predict(Read(folder, "models.csv"), trainSet, evalSet.StartsWith("avg", StringComparison.Ordinal) ? $"err_{evalSet}" : $"loss_{evalSet}", size, multiplier);

    private static PointTable Of(PointTable models, string set) => models.Where($"dataset={set}");

    private static Optimum FitLoss(PointTable set, string column) =>
        Bind(new OverTrainingLaw(), set.Where("fit_loss=1"), null, ("n", "params"), ("d", "tokens"), ("loss", column)).Search()[0];

    private static double[] FitError(PointTable set, string column, string condition = "fit_error=1") =>
        Bind(new DownstreamErrorLaw(), set.Where(condition), null, ("loss", Loss), ("error", column)).Search()[0].Parameters;

    private static ChainPrediction Predict(PointTable models, string trainSet, string column, string size, int multiplier)
    {
        PointTable set = Of(models, trainSet), cell = set.Where($"size={size}").Where($"multiplier={multiplier}");
        if (cell.Count != 1)
        {
            throw new ValidationException($"{models.Source}: has {cell.Count} models of {trainSet}, {size}, M={multiplier}; there are {string.Join(", ", set.Count == 0
                ? models.Texts("dataset").Distinct() : set.Texts("size").Zip(set.Texts("multiplier"), (each, m) => $"{each} M={m}"))}");
        }

        double Value(string name) => Numbers(cell, name)[0];
        bool error = column is Error17 or Error46;
        string lossColumn = error ? Loss : column;
        LossToErrorChain chain = new(new OverTrainingLaw(), FitLoss(set, lossColumn).Parameters, FitError(set, error ? column : Error17));
        return chain.At(Value("params"), Value("tokens"), Value(lossColumn), error ? Value(column) : null);
    }

    private static IEnumerable<ReproducedFigure> Headlines(PointTable models)
    {
        ChainPrediction all = Predict(models, "RedPajama", Error46, "1.4B", 640), large = Predict(models, "RedPajama", Error46, "6.9B", 20);
        yield return new ReproducedFigure("relative error, %", "RedPajama 1.4B M=640 error, 46 tasks", 3.4362, 100 * Math.Abs(all.ErrorDeviation!.Value), 1e-4);
        yield return new ReproducedFigure("relative error, %", "RedPajama 6.9B M=20 error, 46 tasks", 2.0969, 100 * Math.Abs(large.ErrorDeviation!.Value), 1e-4);

        PointTable red = Of(models, "RedPajama");
        double Compute(string condition) => Numbers(red.Where(condition), "flops_6nd").Sum();
        double six = Compute("fit_error=1"), five = Compute("fit_loss=1");
        double small = Numbers(red.Where("size=1.4B").Where("multiplier=640"), "flops_6nd")[0], big = Numbers(red.Where("size=6.9B"), "flops_6nd")[0];
        yield return new ReproducedFigure("compute saved, x", "loss of 1.4B M=640", 329.8, small / five, 0.05);
        yield return new ReproducedFigure("compute saved, x", "loss of 6.9B M=20", 235.9, big / five, 0.05);
        yield return new ReproducedFigure("compute saved, x", "error of 1.4B M=640", 29.2, small / six, 0.05);
        yield return new ReproducedFigure("compute saved, x", "error of 6.9B M=20", 20.9, big / six, 0.05);

        foreach ((string set, double published) in new[] { ("C4", 0.42), ("RedPajama", 10.64), ("RefinedWeb", 15.79) })
        {
            PointTable rows = Of(models, set);
            LossToErrorChain chain = new(new OverTrainingLaw(), FitLoss(rows, Loss).Parameters, FitError(rows, Error17, "fit_loss=1"));
            PointTable target = rows.Where("size=6.9B");
            double error = Numbers(target, Error17)[0], ours = chain.At(Numbers(target, "params")[0], Numbers(target, "tokens")[0], null, error).ErrorDeviation!.Value;
            yield return new ReproducedFigure("Table 7, %", $"{set} 6.9B error without the 1.4B run", published, 100 * Math.Abs(ours), 0.006);
        }

        PointTable over = models.Where("params>1.4e9");
        IEnumerable<double> predicted = over.Texts("dataset").Zip(over.Texts("size"), Numbers(over, "multiplier"))
            .Select(model => Predict(models, model.First, Error17, model.Second, (int)model.Third).Error);
        yield return new ReproducedFigure("rank correlation", $"predicted and true error, {over.Count} models of 1.4B and more", 0.88333, Correlation.Spearman(predicted, Numbers(over, Error17)), 5e-6);
    }

    // Figures 7 and 10: the worst cells of the reliability panels, and one panel's parameters.
    private static IEnumerable<ReproducedFigure> Panels(PointTable models)
    {
        foreach ((string set, string eval, string size, int multiplier, double published) in new[]
        {
            ("RedPajama", "loss_paloma_redpajama", "1.4B", 640, 15.4),
            ("C4", "loss_paloma_100pl", "0.411B", 320, 22.4),
            ("C4", "loss_paloma_ptb", "0.079B", 640, 24.3),
        })
        {
            yield return new ReproducedFigure(
                "Figures 7 and 10, %", $"{set} {size} M={multiplier} {eval}", published, 100 * Math.Abs(Predict(models, set, eval, size, multiplier).LossDeviation!.Value), 0.0501);
        }

        OverTrainingLaw law = new();
        double[] p = FitLoss(Of(models, "RedPajama"), "loss_paloma_redpajama").Parameters;
        yield return ReproducedFigure.Relative("Figure 7", "RedPajama on its own Paloma split, A", 1910.089, law.Derived[1].Value(p), 1e-5);
        yield return ReproducedFigure.Relative("Figure 7", "the same, b", 11728.142, p[2], 1e-5);
        yield return ReproducedFigure.Relative("Figure 7", "the same, alpha", 0.43725, law.Derived[3].Value(p), 2e-5);
        yield return ReproducedFigure.Relative("Figure 7", "the same, E", 1.87677, p[0], 5e-6);
    }

    // A task counts if any 0.154B model is ten points or more above chance: exactly the 17 that the paper averages.
    private static ReproducedFigure TaskRule(PointTable tasks, PointTable errors)
    {
        PointTable small = errors.Where("size=0.154B");
        IReadOnlyList<double> chance = Numbers(tasks, "random_baseline_acc"), counted = Numbers(tasks, "in17");
        int agree = tasks.Texts("task").Where((task, i) => (1 - Numbers(small, task).Min() >= chance[i] + 0.1) == (counted[i] == 1)).Count();
        return new ReproducedFigure("task selection", $"tasks of {tasks.Count} on which the ten-point rule and the list of 17 agree", 46, agree, 0);
    }
}
