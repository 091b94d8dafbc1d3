using Windtunnel.Experiments.Statistics;
using Windtunnel.Laws.Figures;
using Windtunnel.Laws.Fitting;
using Windtunnel.Runs;

namespace Windtunnel.Experiments.Reports;

/// <summary>A report of a comparison: which variants differ from the baseline by more than chance explains.</summary>
internal static class ComparisonReport
{
    private const double Confidence = 0.95;

    // More curves hide each other.
    private const int MostCurves = 24;

    public static Report Of(Comparison comparison, ExperimentFolder folder, RunStore store)
    {
        ComparisonResults results = comparison.Judge(store.Find);
        Sample[] samples = [results.Baseline, .. results.Contrasts.Select(contrast => contrast.Sample)];
        (string Variant, RunHistory Run)[] runs =
        [
            .. from sample in samples from run in sample.Runs let outcome = run.Outcome where outcome is not null select (sample.Name, RunHistory.Read(store.Places.Runs, outcome.Id)),
        ];
        RunHistory[] histories = [.. runs.Select(run => run.Run).DistinctBy(run => run.Id)];
        Dictionary<string, string> variants = runs.DistinctBy(run => run.Run.Id).ToDictionary(run => run.Run.Id, run => run.Variant);
        return new Report(comparison.Name, Lead(results), RunSections.WithBlocks(
            new ReportSection("Verdicts", [.. Verdicts(results), .. Differences(results), .. Notes(samples), .. RunSections.Failures(folder)]),
            new ReportSection("Loss curves", [.. RunSections.Curves([.. histories.Take(MostCurves)], "loss", "Every run, by variant", run => variants[run.Id], isOrdered: false)]),
            new ReportSection("Runs", [.. RunSections.Table(histories)]),
            new ReportSection("Configurations", [RunSections.Experiment(folder), .. RunSections.Configs(histories)]),
            RunSections.Provenance(histories, RunSections.Again(folder, "compare"))));
    }

    private static string Lead(ComparisonResults results)
    {
        string[] better = Named(Verdict.Better), worse = Named(Verdict.Worse), same = Named(Verdict.NoDifference);
        string[] parts =
        [
            .. better.Length > 0 ? [$"better than {results.Baseline.Name}: {string.Join(", ", better)}"] : Array.Empty<string>(),
            .. worse.Length > 0 ? [$"worse than {results.Baseline.Name}: {string.Join(", ", worse)}"] : Array.Empty<string>(),
            .. same.Length > 0 ? [$"no difference from {results.Baseline.Name} that chance would not explain: {string.Join(", ", same)}"] : Array.Empty<string>(),
        ];
        string lead = parts.Length > 0 ? $"{string.Join("; ", parts)}." : "there are no two runs of each variant with a loss yet.";
        return lead[..1].ToUpperInvariant() + lead[1..];

        string[] Named(Verdict verdict) => [.. results.Contrasts.Where(contrast => contrast.Verdict == verdict).Select(contrast => contrast.Sample.Name)];
    }

    private static IEnumerable<ReportBlock> Verdicts(ComparisonResults results)
    {
        yield return new KeyFigures(
        [
            new KeyFigure("noise floor", double.IsFinite(results.Noise.Floor) ? $"{results.Noise.Floor:F4} nats" : "not known", "by which two runs differ that differ in the seed alone"),
            new KeyFigure("significance", $"{ComparisonResults.Significance}", "Holm's correction for several variants included"),
            new KeyFigure("runs ended", $"{results.Contrasts.Select(contrast => contrast.Sample).Append(results.Baseline).Sum(sample => sample.Runs.Count - sample.Missing):N0}",
                $"of {results.Contrasts.Select(contrast => contrast.Sample).Append(results.Baseline).Sum(sample => sample.Runs.Count):N0}"),
        ]);
        yield return new ReportTable(
            "Differences are the variant's mean final loss less the baseline's: below zero is better.",
            [
                "<variant", "<verdict", "runs", "loss (nats/token)", "deviation (nats)", "difference (nats)", "95 % from", "to", "standard error", "Hedges' g", "p", "seeds wanted",
            ],
            [
                new ReportRow([results.Baseline.Name, "baseline", $"{results.Baseline.Losses.Count}", RunSections.Loss(results.Baseline.Mean), RunSections.Loss(results.Baseline.Deviation), .. new string?[7]]),
                .. results.Contrasts.Select(contrast =>
                {
                    Interval? interval = contrast.Test?.Interval(Confidence);
                    return new ReportRow(
                    [
                        contrast.Sample.Name, contrast.Word, $"{contrast.Sample.Losses.Count}", RunSections.Loss(contrast.Sample.Mean), RunSections.Loss(contrast.Sample.Deviation),
                        Signed(contrast.Test?.Difference), Signed(interval?.Low), Signed(interval?.High), RunSections.Loss(contrast.Test?.StandardError),
                        double.IsFinite(contrast.EffectSize) ? $"{contrast.EffectSize:+0.00;−0.00}" : null,
                        double.IsNaN(contrast.PValue) ? null : contrast.PValue < 1e-4 ? "< 0.0001" : $"{contrast.PValue:0.0000}",
                        contrast.SeedsWanted is { } seeds ? $"{seeds:N0}" : null,
                    ], Strong: contrast.Verdict is Verdict.Better or Verdict.Worse);
                }),
            ]);
        yield return new ReportText(
            "A variant is called better or worse where its p-value is below the significance and the difference is above the noise floor. "
            + (results.Contrasts.Any(contrast => contrast.IsPaired) ? "Runs of one seed read the same batches and are compared pair by pair. " : "Runs are compared as independent (Welch). ")
            + $"Seeds wanted are those of each at which a true difference of this size would be found {ComparisonResults.Power:P0} of the time.");
    }

    private static IEnumerable<ReportBlock> Differences(ComparisonResults results)
    {
        Bar[] bars =
        [
            .. results.Contrasts.OrderBy(contrast => contrast.Test?.Difference ?? double.PositiveInfinity).Select(contrast => contrast.Test is { } test
                ? new Bar(contrast.Sample.Name, test.Difference, test.Interval(Confidence).Low, test.Interval(Confidence).High)
                : new Bar(contrast.Sample.Name, double.NaN, Note: contrast.Word)),
        ];
        return
        [
            new ReportFigure(
                "differences", BarFigure.Draw($"Final loss over that of {results.Baseline.Name}", new Axis("difference", "nats/token"), bars, noise: results.Noise.Floor),
                "Left is better. Whiskers are 95 % intervals; differences within the shaded noise floor are not called."),
        ];
    }

    private static IEnumerable<ReportBlock> Notes(Sample[] samples)
    {
        string[] notes =
        [
            .. samples.Where(sample => sample.Diverged > 0).Select(sample => $"{sample.Name}: {sample.Diverged} of {Quantity.Of(sample.Runs.Count, "run")} diverged and are in no mean"),
            .. samples.Where(sample => sample.Missing > 0).Select(sample => $"{sample.Name}: {Quantity.Of(sample.Missing, "run")} without a result yet"),
        ];
        return notes.Length > 0 ? [new ReportNotes(notes)] : [];
    }

    private static string? Signed(double? value) => value is { } number && double.IsFinite(number) ? $"{number:+0.0000;−0.0000;0.0000}" : null;
}
