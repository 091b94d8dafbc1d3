using Windtunnel.Experiments;
using Windtunnel.Laws.Fitting;
using Windtunnel.Models;
using Windtunnel.Training;

namespace Windtunnel.Cli;

/// <summary>What a comparison found.</summary>
internal static class ComparisonTables
{
    /// <summary>What each variant's runs take.</summary>
    public static void WritePlan(Comparison comparison)
    {
        TextTable table = new("<variant", "runs", "parameters", "tokens a run", "FLOP a run", "FLOP");
        double total = 0;
        foreach (Variant variant in comparison.Variants)
        {
            RunConfig config = Comparison.Resolve(variant);
            ModelCounts size = config.Model.Count();
            double tokens = config.TotalSteps * config.Training.TokensAStep, flops = tokens * size.TrainingFlopsAToken(config.Training.SequenceLength);
            total += variant.Runs.Count * flops;
            table.Add(
                variant.Name, $"{variant.Runs.Count}", Quantity.Count(size.NonEmbedding), Quantity.Count((long)tokens), Quantity.Flops(flops), Quantity.Flops(variant.Runs.Count * flops));
        }

        table.Write();
        Console.WriteLine();
        Console.WriteLine($"against {comparison.Variants[0].Name}, seeds {string.Join(", ", comparison.Variants[0].Runs.Select(run => run.Config.Seed))}; {Quantity.Flops(total)} in all");
    }

    /// <summary>A line for each variant, then how much is noise.</summary>
    public static void Write(ComparisonResults results)
    {
        TextTable table = new("<variant", "runs", "diverged", "loss", "sd", "difference", "se", "<95 %", "g", "p", "<test", "<verdict", "more seeds");
        table.Add(
            results.Baseline.Name, $"{results.Baseline.Losses.Count}", $"{results.Baseline.Diverged}", Number(results.Baseline.Mean, "F4"),
            Number(results.Baseline.Deviation, "F4"), null, null, null, null, null, null, "baseline", null);
        foreach (Contrast contrast in results.Contrasts)
        {
            Sample sample = contrast.Sample;
            Interval interval = contrast.Test?.Interval(0.95) ?? new Interval(double.NaN, double.NaN);
            table.Add(
                sample.Name, $"{sample.Losses.Count}", $"{sample.Diverged}", Number(sample.Mean, "F4"), Number(sample.Deviation, "F4"),
                Number(contrast.Test?.Difference, "+0.0000;-0.0000"), Number(contrast.Test?.StandardError, "F4"),
                contrast.Test is null ? null : $"{interval.Low:+0.0000;-0.0000} to {interval.High:+0.0000;-0.0000}",
                Number(contrast.EffectSize, "F2"), Number(contrast.PValue, "0.0000"), contrast.Test is null ? null : contrast.IsPaired ? "paired t" : "Welch's t", contrast.Word,
                MoreSeeds(contrast));
        }

        Console.WriteLine();
        table.Write();
        Console.WriteLine();
        Console.WriteLine("difference and 95 % interval in nats, the variant less the baseline; g is Hedges' g; p two-sided, Holm's correction for the variants included");
        Console.WriteLine(double.IsFinite(results.Noise.Floor)
            ? $"noise: two runs that differ in nothing but the seed differ by {results.Noise.Floor:F4} nats (root mean square); no smaller difference is called one"
            : "noise: not known yet, nothing has run with two seeds");
        if (results.Contrasts.Any(contrast => MoreSeeds(contrast) is not null))
        {
            Console.WriteLine("more seeds: of each, to find a true difference of this size in four comparisons of five");
        }
    }

    private static string? MoreSeeds(Contrast contrast) =>
        contrast is { Verdict: Verdict.NoDifference, SeedsWanted: { } seeds } && seeds > contrast.Sample.Losses.Count ? $"{seeds - contrast.Sample.Losses.Count:N0}" : null;

    private static string? Number(double? value, string format) => value is { } number && double.IsFinite(number) ? number.ToString(format) : null;
}
