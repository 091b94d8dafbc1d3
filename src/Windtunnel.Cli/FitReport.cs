using Windtunnel.Laws;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Cli;

/// <summary>A fit, and what it predicts, as a person reads it.</summary>
internal static class FitReport
{
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
        Console.WriteLine($"{quality.Rows} rows, {quality.DegreesOfFreedom} degrees of freedom; residuals {scale}; condition {quality.ConditionNumber:G3}; intervals: {bootstrap}");
        Console.WriteLine($"objective {quality.Value:G10} ({Describe(fit.Objective)}), {quality.Status.ToString().ToLowerInvariant()} in {quality.Iterations} steps"
            + (quality.NextMinimum is { } next ? $"; next minimum {next.Value:G6}" : "; no other minimum found"));
        foreach (string warning in fit.Warnings)
        {
            Console.WriteLine($"! {warning}");
        }

        foreach (ExcludedRow row in fit.Data.Excluded)
        {
            Console.WriteLine($"left out: {row.Row}: {row.Reason}");
        }
    }

    /// <summary>How well each curve is met.</summary>
    public static void Write(IReadOnlyList<LossCurve> curves, IReadOnlyList<CurveScore> scores)
    {
        Console.WriteLine();
        TextTable table = new("<curve", "points", "mean |error|", "worst, relative", "at the end", "R2");
        foreach ((LossCurve curve, CurveScore score) in curves.Zip(scores))
        {
            table.Add(curve.Name, $"{curve.Steps.Count}", $"{score.Mae:F4}", $"{score.WorstE:P2}", $"{score.Final:+0.0000;-0.0000}", $"{score.R2:F4}");
        }

        table.Write();
    }

    /// <summary>What a back-test found.</summary>
    public static void Write(BackTest test)
    {
        Console.WriteLine();
        Console.WriteLine($"back-test: {string.Join(", ", test.Rungs.Select(Quantity.Count))} hidden, fitted to the other {test.Fit.Quality.Rows} rows");
        TextTable table = new("<row", "predicted", "95 % from", "to", "actual", "error");
        foreach (BackTestRow row in test.Rows)
        {
            table.Add(row.Row, $"{row.Predicted.Value:F4}", $"{row.Predicted.Single.Low:F4}", $"{row.Predicted.Single.High:F4}", $"{row.Actual:F4}", $"{row.RelativeError:+0.00%;-0.00%}");
        }

        table.Write();
        Console.WriteLine($"mean error {test.MeanError:P2}, worst {test.WorstError:P2}; {test.Coverage:P0} inside their 95 % interval");
    }

    /// <summary>An end of an interval.</summary>
    public static string? End(double? end) => end is { } value ? double.IsInfinity(value) ? "no limit" : $"{value:G5}" : null;

    private static string Describe(Objective objective) => objective switch
    {
        HuberObjective huber => $"sum of Huber, delta {huber.Delta:G3}",
        AsymmetricObjective asymmetric => $"sum of absolute residuals, {asymmetric.OverWeight:G3} times where too high",
        _ => "sum of squares",
    } + (objective.Log ? " of logarithms" : "");
}
