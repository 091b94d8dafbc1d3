using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using Windtunnel.Experiments.Statistics;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Training;

namespace Windtunnel.Experiments;

/// <summary>The file of a comparison: variants of a run, each with several seeds, against one of them.</summary>
/// <param name="Name">What its folder is called.</param>
/// <param name="Run">What all runs have in common: settings of a run, or the path of a run's config file, relative to the comparison's.</param>
/// <param name="Overrides">Laid over that, as on a command line: <c>training.batchSize=8</c>.</param>
/// <param name="Variants">Settings laid over it, by a name: of the schedule, the optimizer, the architecture.</param>
/// <param name="Baseline">Which variant the others are compared with; the first when null.</param>
/// <param name="Seeds">Of each variant, two or more.</param>
public sealed record ComparisonOptions(
    string Name = "comparison", JsonNode? Run = null, IReadOnlyList<string>? Overrides = null, OrderedDictionary<string, JsonObject>? Variants = null,
    string? Baseline = null, IReadOnlyList<ulong>? Seeds = null)
    : ExperimentOptions(Name)
{
    /// <summary>Of each variant.</summary>
    public IReadOnlyList<ulong> Seeds { get; init; } = Seeds ?? [1, 2, 3];

    /// <inheritdoc/>
    public override Comparison Build(string path) => new(this, path);
}

/// <summary>Variants of a run with several seeds each, the first the baseline.</summary>
public sealed class Comparison : IExperiment
{
    internal Comparison(ComparisonOptions options, string path)
    {
        ExperimentFile file = new(path);
        file.RequireName(options.Name);
        file.Require(options.Variants is { Count: > 1 }, "variants", "must be two or more; what is to be compared?");
        file.Require(options.Seeds.Count > 1 && options.Seeds.Distinct().Count() == options.Seeds.Count, "seeds", "must be two or more different ones");
        file.Require(options.Baseline is null || options.Variants!.ContainsKey(options.Baseline), "baseline", $"'{options.Baseline}' is none of {string.Join(", ", options.Variants!.Keys)}");

        Name = options.Name;
        BaseRun run = BaseRun.Of(options.Run, options.Overrides, path);
        string baseline = options.Baseline ?? options.Variants!.GetAt(0).Key;
        Variants = [.. options.Variants!.OrderBy(variant => variant.Key != baseline).Select(variant => new Variant(variant.Key, [.. options.Seeds.Select(seed => Planned(variant, seed))]))];

        foreach (Variant variant in Variants.Skip(1))
        {
            ComparisonResults.RequireSameData($"{path}: variants.{variant.Name}", variant.Runs[0].Config.Data, baseline, Variants[0].Runs[0].Config.Data);
        }

        PlannedRun Planned(KeyValuePair<string, JsonObject> variant, ulong seed) => file.Build($"variants.{variant.Key}", () =>
        {
            RunConfig config = run.With(variant.Value).Bind([], seed);
            BaseRun.Resolve(config);
            return new PlannedRun(config);
        });
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <summary>What is compared, the baseline first.</summary>
    public IReadOnlyList<Variant> Variants { get; }

    /// <inheritdoc/>
    /// <remarks>All variants with the first seed, then with the second: what ends early is complete.</remarks>
    public IReadOnlyList<PlannedRun> Plan(Func<PlannedRun, RunOutcome?> find) =>
        [.. Enumerable.Range(0, Variants[0].Runs.Count).SelectMany(seed => Variants.Select(variant => variant.Runs[seed]))];

    /// <summary>A variant's run as it would be with the largest vocabulary that its tokenizer may get.</summary>
    public static RunConfig Resolve(Variant variant) => BaseRun.Resolve(variant.Runs[0].Config);

    /// <summary>What the results so far say.</summary>
    /// <param name="find">The result of a run; null where it has none yet.</param>
    public ComparisonResults Judge(Func<PlannedRun, RunOutcome?> find) =>
        ComparisonResults.Of([.. Variants.Select(variant => new Sample(variant.Name, [.. variant.Runs.Select(run => new Replicate(run.Config, find(run)))]))]);
}

/// <summary>One of what is compared.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Runs">One a seed.</param>
public sealed record Variant(string Name, IReadOnlyList<PlannedRun> Runs);

/// <summary>A run and its result.</summary>
/// <param name="Config">What it is of.</param>
/// <param name="Outcome">How it ended; null where it has not.</param>
public sealed record Replicate(RunConfig Config, RunOutcome? Outcome)
{
    /// <summary>The final loss in nats; null without a result, or where it diverged.</summary>
    public double? Loss => Outcome is { } outcome && double.IsFinite(outcome.LossNats) ? outcome.LossNats : null;

    /// <summary>Whether it ended without a finite loss, which is a result.</summary>
    public bool Diverged => Outcome is not null && Loss is null;
}

/// <summary>The runs of one variant.</summary>
/// <param name="Name">The variant.</param>
/// <param name="Runs">One a seed.</param>
public sealed record Sample(string Name, IReadOnlyList<Replicate> Runs)
{
    /// <summary>Final losses of the runs that completed.</summary>
    public IReadOnlyList<double> Losses { get; } = [.. Runs.Where(run => run.Loss is not null).Select(run => run.Loss!.Value)];

    /// <summary>How many runs diverged.</summary>
    public int Diverged => Runs.Count(run => run.Diverged);

    /// <summary>How many runs have no result yet.</summary>
    public int Missing => Runs.Count(run => run.Loss is null && !run.Diverged);

    /// <summary>The mean final loss; not a number without runs.</summary>
    public double Mean => Losses.Count > 0 ? Losses.Average() : double.NaN;

    /// <summary>The standard deviation of a run over seeds; not a number with fewer than two.</summary>
    public double Deviation => Losses.Count > 1 ? Math.Sqrt(TTest.Variance(Losses)) : double.NaN;
}
