using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Figures;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws;

/// <summary>The figure of a fit: what was measured, what the law says of it, and what it predicts.</summary>
public static class FitFigure
{
    /// <summary>Of more rows than this, as many are drawn, and written to the CSV of the figure: evenly over their order along the horizontal axis, both ends among them.</summary>
    public const int MostRows = 5000;

    private const int MostGroups = 6, PointsOfALine = 60;

    /// <summary>Draws a fit of rows.</summary>
    /// <param name="targets">Runs predicted: their inputs, the prediction, and the actual value, NaN where it is not known.</param>
    public static Figure Draw(Fit fit, IReadOnlyList<(double[] X, Prediction Predicted, double Actual)>? targets = null)
    {
        PointLaw law = (PointLaw)fit.Law;
        bool ofRuns = law.Inputs.Count == 2 && law.Inputs[0].Name == "n" && law.Inputs[1].Name == "d", ofOne = law.Inputs.Count == 1;
        Axis output = new(law.Output.Name, law.Output.Unit, Log: true);
        FitPredictor predictor = new(fit);
        double[][] rows = [.. fit.Data.Inputs.Chunk(law.Inputs.Count)];
        double XOf(double[] x) => ofRuns ? 6 * x[0] * x[1] : ofOne ? x[0] : law.Predict(fit.Values, x);

        Axis input = ofRuns ? new Axis("training compute 6ND", "FLOP", Log: true, Style: NumberStyle.Power)
            : ofOne ? new Axis(law.Inputs[0].Name, law.Inputs[0].Unit, Log: true, Style: NumberStyle.Count)
            : new Axis($"predicted {law.Output.Name}", law.Output.Unit, Log: true);
        int[] drawn = Thin(rows, XOf);
        double farthest = (targets ?? []).Select(target => XOf(target.X)).Concat(rows.Select(XOf)).Max(), nearest = rows.Min(XOf);
        double[] ratios = ofRuns ? Ratios(rows) : [];
        bool byRatio = ofRuns && ratios.Distinct().Count() <= Math.Min(MostGroups, rows.Select(row => row[0]).Distinct().Count());
        IReadOnlyList<LawGroup> groups =
        [
            .. (byRatio ? ByRatio(ratios, drawn) : ofRuns ? BySize(rows, drawn) : [("measured", drawn)]).Select(group => new LawGroup(
                group.Name,
                [.. group.Rows.Select(row => new LawPoint(XOf(rows[row]), fit.Data.Observed[row], law.Predict(fit.Values, rows[row]), Note: fit.Data.Labels[row]))],
                Line(group.Rows))),
        ];
        return LawFigure.Draw(
            $"{law.Title[..1].ToUpperInvariant()}{law.Title[1..]}", input, output, groups,
            [.. Thin(targets ?? [], target => XOf(target.X)).Select(i => targets![i]).Select(target => new LawTarget(
                ofRuns ? $"{NumberLabel.Short(target.X[0], NumberStyle.Count)}, {NumberLabel.Short(target.X[1], NumberStyle.Count)} tokens" : "",
                XOf(target.X), target.Predicted.Value, Finite(target.Predicted.Single.Low), Finite(target.Predicted.Single.High), target.Actual))],
            law.Formula + (drawn.Length < rows.Length ? $"; {drawn.Length:N0} of {rows.Length:N0} rows are drawn" : "")
                + (targets?.Count > MostRows ? $"; {MostRows:N0} of {targets.Count:N0} targets are drawn" : ""));

        // The law through a group: at its tokens a parameter as far as the farthest target, along tokens at its typical size, along the
        // only input, or the diagonal of predicted against measured.
        DataPoint[] Line(int[] members)
        {
            double[] along = [.. members.Select(row => XOf(rows[row]))];
            double beyond = ofRuns ? 2 : 1, ratio = byRatio ? ratios[members[0]] : 0, size = ofRuns ? Math.Exp(members.Average(row => Math.Log(rows[row][0]))) : 0;
            return [.. Grid(byRatio ? nearest : along.Min() / beyond, byRatio ? farthest : along.Max() * beyond).Select(at =>
            {
                double n = byRatio ? Math.Sqrt(at / (6 * ratio)) : size;
                double[] x = ofRuns ? [n, at / (6 * n)] : [at];
                Interval band = ofRuns || ofOne ? predictor.Band(x) : new(at, at);
                return new DataPoint(at, ofRuns || ofOne ? law.Predict(fit.Values, x) : at, Finite(band.Low), Finite(band.High));
            })];
        }
    }

    /// <summary>Draws loss curves, measured and predicted, over their schedules.</summary>
    public static Figure Draw(Fit fit, IReadOnlyList<LossCurve> curves)
    {
        CurveLaw law = (CurveLaw)fit.Law;
        return Curves(law, [.. curves.Select(curve => new TrainingCurve(
            curve.Name,
            [.. curve.Steps.Zip(curve.Losses, (step, loss) => new DataPoint(step, loss))],
            [.. curve.Steps.Zip(law.Predict(fit.Values, curve.Rates, curve.Steps, curve.Parameters), (step, loss) => new DataPoint(step, loss))],
            Rates(curve.Rates)))]);
    }

    /// <summary>Draws a predicted loss curve.</summary>
    public static Figure Draw(Fit fit, string name, LearningRateSequence rates, IReadOnlyList<int> steps, IReadOnlyList<Prediction> predicted) =>
        Curves(fit.Law, [new TrainingCurve(
            name, [], [.. steps.Zip(predicted, (step, at) => new DataPoint(step, at.Value, Finite(at.Single.Low), Finite(at.Single.High)))], Rates(rates))]);

    private static Figure Curves(Law law, IReadOnlyList<TrainingCurve> curves) => CurveFigure.Draw(
        "Loss under a learning-rate schedule", new Axis("step", Style: NumberStyle.Count), new Axis("loss", law.Output.Unit), curves, law.Formula);

    private static DataPoint[] Rates(LearningRateSequence rates) =>
        [.. Enumerable.Range(0, 401).Select(i => (int)((long)i * rates.Last / 400)).Distinct().Select(step => new DataPoint(step, rates[step]))];

    // Tokens a parameter, the same for all within 2 %: token counts are rarely exact multiples.
    private static double[] Ratios(double[][] rows)
    {
        double[] ratios = [.. rows.Select(row => row[1] / row[0])];
        int[] order = [.. Enumerable.Range(0, rows.Length).OrderBy(row => ratios[row])];
        for (int first = 0, next; first < order.Length; first = next)
        {
            double least = ratios[order[first]];
            for (next = first; next < order.Length && ratios[order[next]] <= 1.02 * least; next++)
            {
            }

            int[] group = order[first..next];
            double mean = double.Parse($"{group.Average(row => ratios[row]):G3}");
            Array.ForEach(group, row => ratios[row] = mean);
        }

        return ratios;
    }

    private static IEnumerable<(string Name, int[] Rows)> ByRatio(double[] ratios, int[] drawn) => drawn
        .GroupBy(row => ratios[row])
        .OrderBy(group => group.Key)
        .Select(group => ($"D/N = {group.Key:G3}", group.ToArray()));

    // The indices of rows to draw, ascending.
    private static int[] Thin<T>(IReadOnlyList<T> rows, Func<T, double> x)
    {
        int[] all = [.. Enumerable.Range(0, rows.Count)];
        if (all.Length <= MostRows)
        {
            return all;
        }

        int[] sorted = [.. all.OrderBy(row => x(rows[row]))];
        return [.. Enumerable.Range(0, MostRows).Select(i => sorted[(int)((long)i * (sorted.Length - 1) / (MostRows - 1))]).Order()];
    }

    // At most a few groups of sizes, by equal steps of the logarithm where there are more.
    private static IEnumerable<(string Name, int[] Rows)> BySize(double[][] rows, int[] drawn)
    {
        double low = Math.Log(rows.Min(row => row[0])), step = (Math.Log(rows.Max(row => row[0])) - low) / MostGroups;
        bool few = rows.Select(row => row[0]).Distinct().Count() <= MostGroups;
        return drawn
            .GroupBy(row => few ? rows[row][0] : Math.Min(MostGroups - 1, Math.Floor((Math.Log(rows[row][0]) - low) / step)))
            .OrderBy(group => group.Key)
            .Select(group => (few ? NumberLabel.Short(group.Key, NumberStyle.Count)
                : $"{NumberLabel.Short(group.Min(row => rows[row][0]), NumberStyle.Count)} to {NumberLabel.Short(group.Max(row => rows[row][0]), NumberStyle.Count)}", group.ToArray()));
    }

    private static IEnumerable<double> Grid(double low, double high) =>
        Enumerable.Range(0, PointsOfALine).Select(i => low * Math.Pow(high / low, (double)i / (PointsOfALine - 1)));

    private static double Finite(double value) => double.IsFinite(value) ? value : double.NaN;
}
