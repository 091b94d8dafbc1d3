using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using Windtunnel.Experiments.Reports;
using Windtunnel.Runs;
using Windtunnel.Training;
using Windtunnel.Training.Schedules;
using Parameter = Windtunnel.Laws.Parameter;

namespace Windtunnel.Experiments.Ladders;

/// <summary>How a ladder gets the losses of one size at several lengths.</summary>
public enum LadderSchedule
{
    /// <summary>One trunk at the highest rate, and a cooldown off it for every length (Hu et al. 2024): m lengths cost little more than one.</summary>
    Branches,

    /// <summary>A run of its own to every length, under whatever schedule the run's settings name.</summary>
    Horizons,
}

/// <summary>Which parameters a law counts as N.</summary>
public enum ParameterCount
{
    /// <summary>Without embeddings, as multipliers count them.</summary>
    NonEmbedding,

    /// <summary>All of them.</summary>
    All,
}

/// <summary>A ladder file: small models of several sizes and lengths, and the larger ones that they are to predict.</summary>
/// <param name="Name">What its folder is called.</param>
/// <param name="Run">What all runs have in common: settings of a run, or the path of a run's config file, relative to the ladder's. Its schedule is a WSD with 10 % of decay when not given.</param>
/// <param name="Overrides">Laid over that, as on a command line: <c>training.batchSize=8</c>.</param>
/// <param name="Sizes">
/// Values of <c>model.size</c>, or settings of the model: <c>{layers: 2, width: 64}</c>. With <c>tokens</c> among them, the size has lengths of its own:
/// a small model can be trained longer for the same compute.
/// </param>
/// <param name="Multipliers">Training tokens for each non-embedding parameter, all of them: those of the cooldown count.</param>
/// <param name="Tokens">Training tokens, the same for every size, in place of multipliers.</param>
/// <param name="Seeds">Each gives a ladder of its own.</param>
/// <param name="Schedule">Cooldowns off one trunk a size, or a whole run to each length.</param>
/// <param name="LearningRate">The highest rate by non-embedding parameters; the run's own when null.</param>
/// <param name="BatchTokens">Tokens of a step by non-embedding parameters, rounded to whole sequences; the run's own batch when null.</param>
/// <param name="Targets">What is predicted before it is trained.</param>
/// <param name="Count">Which parameters the laws count.</param>
/// <param name="Headline">The law that the check is about: <c>chinchilla</c>, <c>over-training</c> or <c>annealing</c>; by the ladder's shape when null (<see cref="Ladder.Headline"/>).</param>
/// <param name="Hold">Parameters of that law, by name, which are not fitted but held at a value: a published exponent, where the ladder is too small to tell it from the irreducible loss.</param>
public sealed record LadderOptions(
    string Name = "ladder", JsonNode? Run = null, IReadOnlyList<string>? Overrides = null, IReadOnlyList<JsonNode>? Sizes = null,
    IReadOnlyList<double>? Multipliers = null, IReadOnlyList<double>? Tokens = null, IReadOnlyList<ulong>? Seeds = null, LadderSchedule Schedule = LadderSchedule.Branches,
    PowerRule? LearningRate = null, PowerRule? BatchTokens = null, IReadOnlyList<TargetOptions>? Targets = null,
    ParameterCount Count = ParameterCount.NonEmbedding, string? Headline = null, OrderedDictionary<string, double>? Hold = null)
    : ExperimentOptions(Name)
{
    /// <inheritdoc/>
    public override IExperiment Build(string path) => new Ladder(this, path);
}

/// <summary>A run that a ladder predicts before it is trained: a whole run, from its own start to its end.</summary>
/// <param name="Size">As in <see cref="LadderOptions.Sizes"/>.</param>
/// <param name="Multiplier">Training tokens for each non-embedding parameter; 20 where neither is given.</param>
/// <param name="Tokens">Training tokens, in place of a multiplier.</param>
/// <param name="Seeds">The ladder's when null.</param>
/// <param name="Schedule">In place of the ladder's, its warm-up too; only the annealing law tells schedules apart.</param>
/// <param name="Name">What sets it apart, behind its size and multiplier; needed where it has a schedule.</param>
public sealed record TargetOptions(
    JsonNode? Size = null, double? Multiplier = null, double? Tokens = null, IReadOnlyList<ulong>? Seeds = null, ScheduleOptions? Schedule = null, string? Name = null);

/// <summary>A setting that follows the size of the model: coefficient times N to the exponent, N without embeddings.</summary>
/// <param name="Coefficient">The value at N = 1.</param>
/// <param name="Exponent">Below 0 for what falls with size.</param>
public sealed record PowerRule(double Coefficient = 1, double Exponent = 0)
{
    /// <summary>The value for a model.</summary>
    public double At(double parameters) => Coefficient * Math.Pow(parameters, Exponent);
}

/// <summary>
/// Sizes times lengths times seeds. With branches, one trunk a size and seed runs at the highest rate to where the longest run's
/// decay begins, and each length is a decay that starts from it: bit for bit the WSD run to that length, at the cost of its decay.
/// </summary>
public sealed class Ladder : IExperiment
{
    // Fewer tell nothing of an exponent of their own.
    private const int SizesOfFreeExponents = 4, LengthsOfFreeExponents = 3;
    private const double RangeOfFreeExponents = 4, DefaultMultiplier = 20;

    private readonly LadderOptions _options;
    private readonly BaseRun _run;
    private readonly string _prediction;

    /// <summary>A ladder, every setting checked.</summary>
    /// <param name="options">Its file.</param>
    /// <param name="path">Where that is, for errors and relative paths.</param>
    /// <exception cref="ValidationException">A setting is impossible.</exception>
    public Ladder(LadderOptions options, string path)
    {
        ExperimentFile file = new(path);
        file.RequireName(options.Name);
        IReadOnlyList<JsonNode> sizes = options.Sizes ?? [];
        Rung[] rungs = [.. sizes.Select(size => file.Build($"size {Words(size)}", () => Rung.Of(size, options)))];
        IReadOnlyList<ulong> seeds = options.Seeds ?? [1];
        file.Require(sizes.Count > 0, "sizes", "names none; such as [20k, 40k, 80k, 160k]");
        file.Require(options.Tokens is null || options.Multipliers is null, "tokens", "and multipliers are two ways to say the same; give one");
        file.Require(seeds.Count > 0 && seeds.Distinct().Count() == seeds.Count, "seeds", "must be different ones, at least one");
        file.Require(
            options.Headline is null || LadderFits.Laws.Contains(options.Headline), "headline", $"'{options.Headline}' is none of {string.Join(", ", LadderFits.Laws)}");
        RequireRule(options.LearningRate, "learningRate");
        RequireRule(options.BatchTokens, "batchTokens");

        _options = options;
        _prediction = TunnelPrediction.Beside(path);
        _run = Base(options, path);
        Runs = [.. from seed in seeds from rung in rungs from run in file.Build($"size {Words(rung.Size)}", () => RunsOf(rung, seed)) select run];
        Targets = [.. from target in options.Targets ?? [] from seed in target.Seeds ?? seeds select file.Build($"target {Words(target.Size)}", () => Target(target, seed))];
        file.Require(
            Runs.Concat(Targets).GroupBy(run => run.Name).All(runs => runs.Count() == 1), "sizes", "and targets must be different ones: two runs would be the same");
        IEnumerable<LadderRun>? same = Runs.DistinctBy(run => run.Size).GroupBy(run => run.Resolved.Model.Dimensions).FirstOrDefault(models => models.Count() > 1);
        file.Require(same is null, "sizes", $"{string.Join(" and ", same?.Select(run => run.Size) ?? [])} are one and the same model; give sizes that differ");
        bool hasSchedules = Targets.Any(run => run.HasOwnSchedule);
        Headline = options.Headline ?? (hasSchedules ? LadderFits.AnnealingName : DefaultHeadline(Points));
        file.Require(
            !hasSchedules || Headline == LadderFits.AnnealingName, "headline", $"'{Headline}' tells no schedules apart, and a target has one of its own; make it {LadderFits.AnnealingName}");
        IReadOnlyList<Parameter> parameters = LadderFits.Headline(this).Parameters;
        foreach ((string name, double value) in options.Hold ?? [])
        {
            Parameter? held = parameters.FirstOrDefault(parameter => parameter.Name == name);
            file.Require(held is not null, "hold", $"'{name}' is no parameter of {Headline}, which has {string.Join(", ", parameters.Select(parameter => parameter.Name))}");
            file.Require(value >= held!.Lower && value <= held.Upper, "hold", $"{name}: {value} must lie between {held.Lower} and {held.Upper}");
        }

        void RequireRule(PowerRule? rule, string name) => file.Require(
            rule is null || (IsPositive(rule.Coefficient) && double.IsFinite(rule.Exponent)), name, "needs a positive coefficient and an exponent");
    }

    private Ladder(Ladder other, RunStore store)
    {
        (_options, _run, _prediction, Headline) = (other._options, other._run, other._prediction, other.Headline);
        (Runs, Targets) = ([.. other.Runs.Select(Known)], [.. other.Targets.Select(Known)]);

        LadderRun Known(LadderRun run) => new(run.Kind, run.Size, run.Multiplier, run.Planned, store.Resolve(run.Planned)) { HasOwnSchedule = run.HasOwnSchedule };
    }

    /// <inheritdoc/>
    public string Name => _options.Name;

    /// <summary>What it was built from.</summary>
    public LadderOptions Options => _options;

    /// <summary>Every run but the targets, seed by seed and size by size: a trunk, then its branches.</summary>
    public IReadOnlyList<LadderRun> Runs { get; }

    /// <summary>The runs whose final losses the laws are fitted to.</summary>
    public IEnumerable<LadderRun> Points => Runs.Where(run => run.Kind != LadderRunKind.Trunk);

    /// <summary>The runs to predict.</summary>
    public IReadOnlyList<LadderRun> Targets { get; }

    /// <summary>
    /// The law that the check is about, settled before any run: as the file says, or Chinchilla's with free exponents where four sizes
    /// or more span a factor of 4 in parameters and three lengths one in tokens, else the over-training law, whose exponents are tied;
    /// the annealing law where targets have schedules of their own.
    /// </summary>
    public string Headline { get; }

    /// <summary>Model operations of all runs but the targets.</summary>
    public double Flops => Runs.Sum(run => run.OwnFlops);

    /// <summary>Model operations of the same points by a whole run to each.</summary>
    public double HorizonFlops => Points.Sum(run => run.Flops);

    /// <summary>The same ladder, its models counted with the vocabulary that their tokenizer has got; prepares the data where it has to.</summary>
    public Ladder WithData(RunStore store) => new(this, store);

    /// <summary>Whether another file means the same runs and asks the same of them.</summary>
    internal bool IsSame(Ladder other) =>
        Headline == other.Headline && Options.Count == other.Options.Count && (Options.Hold ?? []).SequenceEqual(other.Options.Hold ?? []) && Described().SequenceEqual(other.Described());

    /// <summary>
    /// The ladder's runs; its targets too once a sealed prediction of them lies beside the ladder's file. Branches come first, the
    /// cheapest of them ahead: whenever one can start it gives a result soon. Then what takes longest, for a trunk's last branch can't
    /// start before the trunk has ended.
    /// </summary>
    public IReadOnlyList<PlannedRun> Plan(Func<PlannedRun, RunOutcome?> find) =>
    [
        .. Runs.Concat(TunnelPrediction.SealOn(_prediction) is { } seal ? Targets.Select(run => run with { Planned = run.Planned with { Prediction = seal } }) : [])
            .OrderBy(run => run.Kind != LadderRunKind.Branch).ThenBy(run => run.Kind == LadderRunKind.Branch ? run.OwnFlops : -run.OwnFlops)
            .Select(run => run.Planned),
    ];

    // By what decides their bits, as their ids are.
    private IEnumerable<string> Described() => Runs.Concat(Targets).Select(run =>
        $"{run.Kind} {run.Resolved.Fingerprint()} from {run.Planned.TrunkStep} milestones {string.Join(' ', run.Planned.Config.Checkpoints.Milestones ?? [])}");

    private static string DefaultHeadline(IEnumerable<LadderRun> points)
    {
        ILookup<double, double> bySize = points.ToLookup(run => (double)run.Counts.NonEmbedding, run => (double)run.Tokens);
        double[] sizes = [.. bySize.Select(size => size.Key)], lengths = [.. bySize.First().Distinct()];
        return sizes.Length >= SizesOfFreeExponents && sizes.Max() >= RangeOfFreeExponents * sizes.Min()
            && lengths.Length >= LengthsOfFreeExponents && lengths.Max() >= RangeOfFreeExponents * lengths.Min()
                ? "chinchilla" : "over-training";
    }

    private static BaseRun Base(LadderOptions options, string path)
    {
        BaseRun run = BaseRun.Of(options.Run, options.Overrides, path);
        JsonObject settings = run.Settings.DeepClone().AsObject();
        settings.TryAdd("schedule", new JsonObject { ["type"] = "wsd", ["decay"] = 0.1 });
        return run with { Settings = settings };
    }

    private static string Words(JsonNode? size) => size?.ToJsonString().Trim('"') ?? "of the run";

    private static bool IsPositive(double value) => value > 0 && double.IsFinite(value);

    // A shape has no name: by its size it is known in a table.
    private static string LabelOf(JsonNode? size, long parameters) => size is JsonValue value && value.TryGetValue(out string? name) ? name : Quantity.Count(parameters);

    private LadderRun[] RunsOf(Rung rung, ulong seed)
    {
        RunConfig start = Start(rung.Size, seed);
        long parameters = NonEmbedding(start);
        string label = LabelOf(rung.Size, parameters);
        double[] tokens = [.. rung.Lengths.Select(length => rung.TokensOf(length, parameters))];
        LadderRun[] whole = [.. tokens.Select(each => Whole(start, label, each, shortest: tokens[0]))];
        if (_options.Schedule == LadderSchedule.Horizons)
        {
            return whole;
        }

        WsdOptions schedule = start.Schedule as WsdOptions
            ?? throw new ValidationException("run.schedule must be wsd for branches; or set schedule: horizons, for a whole run to each length");
        long[] ends = [.. whole.Select(run => run.Steps)];
        long[] stable = [.. ends.Select(end => end - schedule.Decay.Steps(start.Training.TokensAStep, end))];
        if (ends.Distinct().Count() < ends.Length || stable.Distinct().Count() < stable.Length)
        {
            throw new ValidationException($"two lengths end or cool down at the same step of {start.Training.TokensAStep} tokens; spread them, or take smaller batches");
        }

        // Validated where branches leave, for curves; that also makes a trunk with other milestones another run.
        long[] milestones = [.. stable.Order().SkipLast(1)];
        PlannedRun trunk = new(start with
        {
            Name = $"{label}-trunk-s{seed}",
            Schedule = new ConstantOptions(whole[0].Planned.Config.Schedule.Warmup),
            Training = start.Training with { Length = Duration.OfSteps(stable.Max()) },
            Validation = start.Validation with { Milestones = [.. (start.Validation.Milestones ?? []).Union(milestones).Order()] },
            Checkpoints = start.Checkpoints with { Milestones = [.. (start.Checkpoints.Milestones ?? []).Union(milestones).Order()] },
        });
        return
        [
            New(LadderRunKind.Trunk, label, whole[^1].Multiplier, trunk),
            .. whole.Zip(stable, (run, step) => run with { Kind = LadderRunKind.Branch, Planned = run.Planned with { Trunk = trunk, TrunkStep = step } }),
        ];
    }

    private LadderRun Target(TargetOptions target, ulong seed)
    {
        RunConfig start = Start(target.Size, seed);
        long parameters = NonEmbedding(start);
        double tokens = target.Tokens ?? ((target.Multiplier ?? DefaultMultiplier) * parameters);
        double shortest = _options.Tokens?.Min() ?? (_options.Multipliers?.Min() * parameters) ?? tokens;
        if (!IsPositive(tokens) || (target.Tokens is not null && target.Multiplier is not null))
        {
            throw new ValidationException("needs a positive multiplier, or positive tokens, and not both");
        }

        if (target.Schedule is not null && target.Name is null)
        {
            throw new ValidationException("has a schedule of its own and needs a name, such as name: cosine");
        }

        string suffix = target.Name is { } name ? $"-{name}" : "";
        return Whole(start with { Schedule = target.Schedule ?? start.Schedule }, LabelOf(target.Size, parameters), tokens, shortest, suffix) with { HasOwnSchedule = target.Schedule is not null };
    }

    // A warm-up that is a share of the run is one of the shortest: branches of one trunk have it in common, and targets have theirs like them.
    private LadderRun Whole(RunConfig start, string label, double tokens, double shortest, string suffix = "")
    {
        double multiplier = tokens / NonEmbedding(start);
        ScheduleOptions schedule = _options.Schedule == LadderSchedule.Branches
            ? start.Schedule with { Warmup = Duration.OfSteps(start.Schedule.Warmup.Steps(start.Training.TokensAStep, Steps(shortest))) }
            : start.Schedule;
        return New(LadderRunKind.Whole, label, multiplier, new PlannedRun(start with
        {
            Name = FormattableString.Invariant($"{label}-x{multiplier:0.###}{suffix}-s{start.Seed}"),
            Schedule = schedule,
            Training = start.Training with { Length = Duration.OfSteps(Steps(tokens)) },
        }));

        long Steps(double all) => Math.Max(1, (long)Math.Round(all / start.Training.TokensAStep));
    }

    // Without its length and its warm-up.
    private RunConfig Start(JsonNode? size, ulong seed)
    {
        RunConfig config = _run.Bind(size is null ? [] : [size is JsonObject ? $"model={size.ToJsonString()}" : $"model.size={size.ToJsonString()}"], seed);
        config.Training.Validate();
        long parameters = NonEmbedding(config);
        if (_options.LearningRate is { } rate)
        {
            config = config with { Optimizer = config.Optimizer with { LearningRate = rate.At(parameters) } };
        }

        return _options.BatchTokens is { } batch ? config with { Training = Batched(config.Training, batch.At(parameters)) } : config;
    }

    // Micro-batches no larger than the run's own.
    private static TrainingOptions Batched(TrainingOptions training, double tokens)
    {
        int batch = (int)Math.Clamp(Math.Round(tokens / training.SequenceLength), 1, 1 << 20), micro = training.BatchSize / training.GradientAccumulation;
        int accumulation = training.GradientAccumulation == 1 ? 1 : Enumerable.Range(1, batch).First(parts => batch % parts == 0 && batch / parts <= micro);
        return training with { BatchSize = batch, GradientAccumulation = accumulation };
    }

    private static LadderRun New(LadderRunKind kind, string size, double multiplier, PlannedRun planned) =>
        new(kind, size, multiplier, planned, BaseRun.Resolve(planned.Config));

    // The length is not known yet: a schedule that counts steps must not be held against the default one.
    private static long NonEmbedding(RunConfig config) =>
        config.ResolveModel(config.Data.Tokenizer.VocabularySizeMax()).Model.Count().NonEmbedding;
}
