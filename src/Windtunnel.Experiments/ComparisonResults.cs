using System.ComponentModel.DataAnnotations;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Windtunnel.Experiments.Statistics;
using Windtunnel.Laws.Fitting;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Text;
using Windtunnel.Training;

namespace Windtunnel.Experiments;

/// <summary>What a comparison says about a variant.</summary>
public enum Verdict
{
    /// <summary>The loss is lower than the baseline's.</summary>
    Better,

    /// <summary>The loss is higher than the baseline's.</summary>
    Worse,

    /// <summary>Chance would explain the difference, or another seed would make as large a one.</summary>
    NoDifference,

    /// <summary>There are not two runs of each yet, or no two that share a seed.</summary>
    Unknown,
}

/// <summary>Verdicts for people.</summary>
public static class VerdictWords
{
    /// <summary>The plain word.</summary>
    public static string Word(this Verdict verdict) => verdict switch
    {
        Verdict.Better => "better",
        Verdict.Worse => "worse",
        Verdict.NoDifference => "no difference",
        _ => "not known yet",
    };
}

/// <summary>A variant against the baseline. Differences are the variant's loss less the baseline's, in nats.</summary>
/// <param name="Sample">The variant's runs.</param>
/// <param name="IsPaired">Whether runs with the same seed were compared, which saw the same data in the same order.</param>
/// <param name="Test">The difference with its standard error; null where it is not known.</param>
/// <param name="EffectSize">Hedges' g: the difference in standard deviations of a run over seeds, pooled over both variants.</param>
/// <param name="PValue">Two-sided, Holm's correction for the number of variants included.</param>
/// <param name="Verdict">The plain word.</param>
/// <param name="SeedsWanted">
/// Seeds of each at which a true difference of this size would be found in four comparisons of five; null where no number of seeds will
/// do, because the difference is below the noise floor.
/// </param>
public sealed record Contrast(Sample Sample, bool IsPaired, TTest? Test, double EffectSize, double PValue, Verdict Verdict, int? SeedsWanted)
{
    /// <summary>The verdict for people.</summary>
    public string Word => Verdict == Verdict.Unknown && Sample.Diverged == Sample.Runs.Count ? "diverged" : Verdict.Word();
}

/// <summary>
/// Variants against a baseline. A variant is called better or worse where two things hold: the p-value is below
/// <see cref="Significance"/>, and the difference is above the noise floor, <see cref="SeedNoise.Floor"/>.
/// </summary>
/// <param name="Baseline">Its runs.</param>
/// <param name="Contrasts">The other variants.</param>
/// <param name="Noise">What seeds do to a run, pooled over all variants.</param>
/// <remarks>
/// The seed decides the initial weights and the order of the data. Where two variants cut the same data into the same sequences, runs with
/// the same seed read the same batches, what is hard about these is common to both, and the test is the paired one. Elsewhere runs
/// are independent, and it is Welch's. Which one is used follows from the configs, never from the losses. Runs that diverged are in no mean:
/// where more of them are of the variant, it is not called better, and where more are of the baseline, not worse, for means are of the survivors.
/// </remarks>
public sealed record ComparisonResults(Sample Baseline, IReadOnlyList<Contrast> Contrasts, SeedNoise Noise)
{
    /// <summary>The largest p-value that counts as a difference.</summary>
    public const double Significance = 0.05;

    /// <summary>The probability with which a difference is to be found that is there.</summary>
    public const double Power = 0.8;

    private const int SeedsMax = 10_000;

    /// <summary>Compares samples with the first of them.</summary>
    public static ComparisonResults Of(IReadOnlyList<Sample> samples)
    {
        Sample baseline = samples[0];
        SeedNoise noise = SeedNoise.Of(samples.Select(sample => sample.Losses));

        (Sample Sample, bool IsPaired, TTest? Test)[] tests =
        [
            .. from sample in samples.Skip(1)
               let isPaired = ArePaired(sample, baseline)
               select (sample, isPaired, Compare(sample, baseline, isPaired)),
        ];
        double[] pValues = TTest.Holm([.. tests.Where(test => test.Test is not null).Select(test => test.Test!.PValue)]);
        int known = 0;
        return new ComparisonResults(baseline, [.. tests.Select(test => ContrastOf(test.Sample, test.IsPaired, test.Test))], noise);

        Contrast ContrastOf(Sample sample, bool isPaired, TTest? test)
        {
            if (test is null)
            {
                return new Contrast(sample, isPaired, null, double.NaN, double.NaN, Verdict.Unknown, null);
            }

            double pValue = pValues[known++];
            Verdict verdict = Judge(test.Difference, pValue, noise, sample.Diverged, baseline.Diverged);
            return new Contrast(
                sample, isPaired, test, TTest.HedgesG(sample.Losses, baseline.Losses), pValue, verdict,
                Math.Abs(test.Difference) > noise.Floor ? SeedsFor(test, isPaired, sample, baseline, Significance / pValues.Length) : null);
        }
    }

    /// <summary>One flat row for each run that has ended.</summary>
    public string ToCsv()
    {
        StringBuilder csv = new(CsvRow.Of("variant", "run", "status", "seed", "loss", "bits_per_byte", "steps", "tokens", "flops", "wall_s", "step_s", "cpu_s"));
        foreach (Sample sample in Contrasts.Select(contrast => contrast.Sample).Prepend(Baseline))
        {
            foreach ((RunConfig config, RunOutcome? outcome) in sample.Runs)
            {
                if (outcome is not null)
                {
                    csv.Append(CsvRow.Of(
                        sample.Name, outcome.Id, outcome.Status.ToString().ToLowerInvariant(), $"{config.Seed}", CsvRow.Number(outcome.LossNats), CsvRow.Number(outcome.BitsPerByte),
                        $"{outcome.Steps}", $"{outcome.Tokens}", CsvRow.Number(outcome.Flops), CsvRow.Number(outcome.WallSeconds), CsvRow.Number(outcome.StepSeconds),
                        CsvRow.Number(outcome.CpuSeconds)));
                }
            }
        }

        return csv.ToString();
    }

    /// <summary>Refuses runs whose losses per token say nothing of each other. Which part of the training data is read, and how often, may differ.</summary>
    /// <param name="name">What the data is of; the message starts with it.</param>
    /// <param name="data">Its data.</param>
    /// <param name="baseline">What it would be compared with.</param>
    /// <param name="other">The data of that.</param>
    /// <exception cref="ValidationException">Text, tokens or what is held out is not the same.</exception>
    public static void RequireSameData(string name, DataOptions data, string baseline, DataOptions other)
    {
        JsonObject own = Held(data), others = Held(other);
        if (own.FirstOrDefault(setting => !JsonNode.DeepEquals(setting.Value, others[setting.Key])).Key is { } differs)
        {
            throw new ValidationException($"{name}: data.{differs} is not that of {baseline}, and losses per token of other text or tokens can't be compared; give both the same");
        }

        static JsonObject Held(DataOptions data) => JsonSerializer.SerializeToNode(
            data with { SubsetTokens = null, SubsetSeed = 0, Sources = data.Sources is null ? null : [.. data.Sources.Select(source => source with { Weight = 1, SubsetTokens = null })] },
            ConfigFile.JsonOptions)!.AsObject();
    }

    /// <summary>The verdict on a difference to the baseline.</summary>
    /// <param name="difference">Negative where the baseline's loss is higher.</param>
    /// <param name="pValue">For all comparisons together.</param>
    /// <param name="noise">What seeds do to a run.</param>
    /// <param name="diverged">Runs that diverged.</param>
    /// <param name="ofBaseline">The baseline's runs that diverged.</param>
    internal static Verdict Judge(double difference, double pValue, SeedNoise noise, int diverged, int ofBaseline) =>
        pValue >= Significance || !(Math.Abs(difference) > noise.Floor) ? Verdict.NoDifference
        : difference > 0 ? (diverged < ofBaseline ? Verdict.NoDifference : Verdict.Worse)
        : diverged > ofBaseline ? Verdict.NoDifference
        : Verdict.Better;

    private static bool ArePaired(Sample sample, Sample baseline)
    {
        ulong[] seeds = [.. sample.Runs.Select(run => run.Config.Seed).Order()];
        return seeds.SequenceEqual(baseline.Runs.Select(run => run.Config.Seed).Order()) && seeds.Distinct().Count() == seeds.Length
            && sample.Runs.Concat(baseline.Runs).Select(run => (ConfigFile.ToYaml(run.Config.Data), run.Config.Training.SequenceLength)).Distinct().Count() == 1;
    }

    private static TTest? Compare(Sample sample, Sample baseline, bool isPaired)
    {
        if (isPaired)
        {
            (double A, double B)[] pairs =
            [
                .. from run in sample.Runs
                   join other in baseline.Runs on run.Config.Seed equals other.Config.Seed
                   where run.Loss is not null && other.Loss is not null
                   select (run.Loss!.Value, other.Loss!.Value),
            ];
            return pairs.Length > 1 ? TTest.Paired([.. pairs.Select(pair => pair.A)], [.. pairs.Select(pair => pair.B)]) : null;
        }

        return sample.Losses.Count > 1 && baseline.Losses.Count > 1 ? TTest.Welch(sample.Losses, baseline.Losses) : null;
    }

    /// <summary>The fewest seeds of each with which the difference, if it is the true one, is found with <see cref="Power"/>.</summary>
    /// <param name="significance">Of the strictest of Holm's tests.</param>
    private static int SeedsFor(TTest test, bool isPaired, Sample sample, Sample baseline, double significance)
    {
        // The variance of the difference that one seed of each gives, and the degrees of freedom that each further seed adds.
        double variance = isPaired ? test.StandardError * test.StandardError * (test.DegreesOfFreedom + 1) : TTest.Variance(sample.Losses) + TTest.Variance(baseline.Losses);
        int freedom = isPaired ? 1 : 2;
        int low = 2, high = SeedsMax;
        while (low < high)
        {
            int seeds = (low + high) / 2;
            bool isEnough = variance == 0 || TTest.Power(Math.Abs(test.Difference) / Math.Sqrt(variance / seeds), freedom * (seeds - 1), significance) >= Power;
            (low, high) = isEnough ? (low, seeds) : (seeds + 1, high);
        }

        return low;
    }
}
