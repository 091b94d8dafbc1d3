using Windtunnel.Laws;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Cli;

/// <summary>A fit, and what it predicts, as a person reads it.</summary>
internal static class FitReport
{
    private const int MostExcluded = 30;

    /// <summary>Parameters, quality, warnings.</summary>
    public static void Write(Fit fit)
    {
        Console.WriteLine($"{LawCatalog.NameOf(fit.Law)}  {fit.Law.Formula}");
        string bootstrap = fit.Bootstrap is null ? "profile" : $"bootstrap, {fit.Bootstrap.Length} resamples";
        TextTable table = new("<", "value", "95 % from", "to", "<unit", "<");
        foreach (FittedValue value in fit.Parameters)
        {
            table.Add(value.Name, $"{value.Value:G7}", End(value.Interval?.Low), End(value.Interval?.High), value.Unit.Length > 0 ? value.Unit : " ", value.Pinned ? "held" : value.AtBound ? "at its bound" : " ");
        }

        foreach (FittedValue value in fit.Derived)
        {
            table.Add(value.Name, $"{value.Value:G7}", End(value.Interval?.Low), End(value.Interval?.High), value.Unit.Length > 0 ? value.Unit : " ", " ");
        }

        table.Write();
        FitQuality quality = fit.Quality;
        string scale = fit.Objective.Log ? $"{quality.ResidualScale:P2}" : $"{quality.ResidualScale:G4}";
        Console.WriteLine();
        Console.WriteLine($"{Quantity.Of(quality.Rows, "row")}, {Quantity.Of(quality.DegreesOfFreedom, "degree")} of freedom; residuals {scale}; condition {quality.ConditionNumber:G3}; intervals: {bootstrap}");
        Console.WriteLine($"objective {quality.Value:G10} ({Describe(fit.Objective)}), {Ending(quality)}"
            + (quality.NextMinimum is { } next ? $"; next minimum {next.Value:G6}" : "; no other minimum found"));
        WriteWarnings(fit.Warnings);
        foreach (ExcludedRow row in fit.Data.Excluded.Take(MostExcluded))
        {
            Console.WriteLine(PlainText.Line($"left out: {row.Row}: {row.Reason}"));
        }

        if (fit.Data.Excluded.Count > MostExcluded)
        {
            Console.WriteLine($"left out: {fit.Data.Excluded.Count - MostExcluded:N0} more");
        }
    }

    /// <summary>What a careful reader should know.</summary>
    public static void WriteWarnings(IEnumerable<string> warnings)
    {
        foreach (string warning in warnings)
        {
            Console.WriteLine(PlainText.Line($"! {warning}"));
        }
    }

    /// <summary>How well each curve is met, and predicted when it is left out; nothing of the latter where there are no such scores.</summary>
    public static void Write(IReadOnlyList<LossCurve> curves, IReadOnlyList<CurveScore> scores, IReadOnlyList<CurveScore> leftOut)
    {
        Console.WriteLine();
        string[] more = leftOut.Count > 0 ? ["left out: mean |error|", "at the end"] : [];
        TextTable table = new(["<curve", "points", "mean |error|", "worst, relative", "at the end", "R2", .. more]);
        for (int i = 0; i < curves.Count; i++)
        {
            CurveScore score = scores[i];
            string[] honest = leftOut.Count > 0 ? [$"{leftOut[i].Mae:F4}", Signed(leftOut[i].Final)] : [];
            table.Add([curves[i].Name, $"{curves[i].Steps.Count}", $"{score.Mae:F4}", $"{score.WorstE:P2}", Signed(score.Final), $"{score.R2:F4}", .. honest]);
        }

        table.Write();
    }

    /// <summary>What a back-test found.</summary>
    public static void Write(BackTest test)
    {
        Console.WriteLine();
        Console.WriteLine($"back-test: {string.Join(", ", test.Rungs.Select(Quantity.Count))} hidden, fitted to the other {Quantity.Of(test.Fit.Quality.Rows, "row")}");
        TextTable table = new("<row", "predicted", "95 % from", "to", "actual", "error");
        foreach (BackTestRow row in test.Rows)
        {
            table.Add(row.Row, Value(row.Predicted.Value), Value(row.Predicted.Single.Low), Value(row.Predicted.Single.High), Value(row.Actual), Deviation(row.RelativeError));
        }

        table.Write();
        Console.WriteLine($"mean error {test.MeanError:P2}, worst {test.WorstError:P2}; {test.Coverage:P0} inside their 95 % interval");
    }

    /// <summary>An end of an interval.</summary>
    public static string? End(double? end) => end is { } value ? Quantity.Limit(value, "G5") : null;

    /// <summary>A relative error, with its sign.</summary>
    public static string Deviation(double relative) => $"{relative:+0.00%;-0.00%;0.00%}";

    /// <summary>A result or a prediction of one: losses with four decimals, what is much smaller or larger with as many digits.</summary>
    public static string Value(double value) => Math.Abs(value) is (>= 0.01 and < 1000) or 0 ? $"{value:F4}" : $"{value:G5}";

    private static string Ending(FitQuality quality) => quality.Status switch
    {
        FitStatus.Converged => $"converged in {Quantity.Of(quality.Iterations, "step")}",
        FitStatus.Stalled => $"stalled after {Quantity.Of(quality.Iterations, "step")}",
        _ => $"ran out of steps ({quality.Iterations})",
    };

    private static string Signed(double value) => Math.Round(value, 4) == 0 ? "0.0000" : $"{value:+0.0000;-0.0000}";

    /// <summary>What a fit minimises.</summary>
    public static string Describe(Objective objective) => objective switch
    {
        HuberObjective huber => $"sum of Huber, delta {huber.Delta:G3}",
        AsymmetricObjective asymmetric => $"sum of absolute residuals, {asymmetric.OverWeight:G3} times where too high",
        _ => "sum of squares",
    } + (objective.Log ? " of logarithms" : "");
}
