using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Windtunnel.Laws;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Planning;
using Windtunnel.Models;
using Windtunnel.Runs.Config;
using Windtunnel.Text.Tokenizers;
using Windtunnel.Training;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Cli;

/// <summary>From a planned run to a config that can be started: a model of the size dial, batch, learning rate, decay.</summary>
/// <param name="config">What the plan does not decide: data, family, sequence length, optimizer; null for a usual choice.</param>
/// <param name="parameters">About how many the models will have: the usual choice depends on it.</param>
/// <param name="budget">Where it will run.</param>
/// <param name="batch">Of the batch size, or null.</param>
/// <param name="rate">Of the learning rate, or null.</param>
/// <param name="curve">Of loss curves, or null.</param>
internal sealed class RunPlan(RunConfig? config, double parameters, Budget budget, PlanLaw? batch, PlanLaw? rate, PlanLaw? curve)
{
    // Li et al. 2025 (Step Law): AdamW's best rate and batch in tokens, fitted together, from N without embeddings and D.
    private const string StepLawRate = "1.79 N^-0.713 D^0.307", StepLawBatch = "0.58 D^0.571";

    // Spread of the end loss over seeds (Luo et al. 2025): fractions that end this near to the best are as good.
    private const double SeedNoise = 0.0007;

    private const double StepsMax = 1e12;

    // As far outside the fitted range as nobody needs to be told of.
    internal const double ExtrapolationMax = 2;

    // Fewer steps are no curve.
    private const int StepsOfSchedule = 50;

    // Sizes are tried 3 % apart: near its best the loss hardly moves over that.
    private const double SizeStep = 1.03;

    // Short sequences and a small vocabulary while embeddings would be most of the model.
    private readonly RunConfig _base = config ?? (parameters < 2e7 ? new RunConfig() : new RunConfig
    {
        Data = new Text.DataOptions(Tokenizer: new BpeTokenizerOptions(32_768)),
        Training = new TrainingOptions(SequenceLength: 2048),
    });

    /// <summary>What was noticed on the way, one line each.</summary>
    public List<string> Warnings { get; } = [];

    /// <summary>Models of the dial around a number of parameters, down to where embeddings would be most of them.</summary>
    public IReadOnlyList<ModelShape> Shapes(double around)
    {
        int vocabulary = _base.Data.Tokenizer.VocabularySizeMax(), length = _base.Training.SequenceLength;
        List<ModelShape> shapes = [];
        for (double size = around / 30; size < 1.5 * around; size *= SizeStep)
        {
            if (size is >= 1e3 and <= 1e12)
            {
                string name = Dial(size);
                ModelOptions model = Sized(_base.Model, name).Resolve(vocabulary, length);
                ModelCounts counts = model.Count();
                ModelDimensions d = model.Dimensions;
                shapes.Add(new ModelShape(name, counts.Total, counts.NonEmbedding, counts.TrainingFlopsAToken(length), d.Layers, d.Width, d.Vocabulary, length));
            }
        }

        return shapes.Count > 0 ? shapes : throw new ValidationException($"{around:G3} parameters: no model can be that {(around < 1e3 ? "small" : "large")}; change the budget");
    }

    /// <summary>The settings of a planned run.</summary>
    /// <param name="file">Where its config will be.</param>
    public (Recipe Recipe, RunConfig Config) Settle(PlannedRun run, string file)
    {
        ModelShape shape = run.Shape!;
        Choice<long> tokens = Batch(run);
        int sequences = (int)(tokens.Value / shape.SequenceLength);
        long steps = run.D / tokens.Value < StepsMax
            ? Math.Max(1, (long)Math.Round(run.D / tokens.Value))
            : throw new ValidationException($"{run.Name}: {run.D / tokens.Value:G3} steps of {tokens.Value:N0} tokens are more than any run has; give a larger batch");
        if (steps < 100)
        {
            Warnings.Add($"{run.Name}: only {steps} steps of {tokens.Value:N0} tokens; a smaller batch would train better");
        }

        if (budget.Cluster?.Count > sequences)
        {
            Warnings.Add($"{run.Name}: a batch of {sequences} sequences is too small for {budget.Cluster.Count} accelerators");
        }

        Choice<double> peak = Rate(run);
        (WsdOptions schedule, Choice<double> decay) = Schedule(run, steps, tokens.Value, peak.Value);
        TrainingMemory? memory = budget.Cluster is { } cluster ? TrainingMemory.Of(shape, cluster, sequences) : null;
        if (memory?.Fits == false)
        {
            Warnings.Add($"{run.Name}: does not fit into {budget.Cluster!.Count} x {budget.Cluster.Accelerator.Title}: it takes more of them, or recomputed activations");
        }

        if (shape.Parameters > int.MaxValue)
        {
            Warnings.Add($"{run.Name}: Windtunnel itself trains models of up to {int.MaxValue:N0} parameters; the config records what to train elsewhere");
        }

        RunConfig settled = _base with
        {
            Name = run.Name,
            Model = Sized(_base.Model, shape.Size),
            Optimizer = _base.Optimizer with { LearningRate = peak.Value },
            Schedule = schedule,
            Training = _base.Training with
            {
                Length = Duration.OfSteps(steps),
                BatchSize = sequences,
                GradientAccumulation = memory is { MicroBatch: var micro } ? sequences / micro
                    : config is not null && batch is null ? _base.Training.GradientAccumulation
                    : sequences / MicroBatch(sequences, shape.SequenceLength),
            },
        };
        Recipe recipe = new(
            run, file, steps, tokens, peak, decay, ConfigFile.JsonOptions.PropertyNamingPolicy!.ConvertName(schedule.Shape.ToString()), memory, budget.Cluster?.Seconds(run.Flops),
            budget.Cluster?.AcceleratorHours(run.Flops), budget.Price * budget.Cluster?.AcceleratorHours(run.Flops));
        return (recipe, settled);
    }

    /// <summary>A config as a person would write it: what differs from the defaults.</summary>
    public static string ToYaml(RunConfig run) => ConfigFile.ToYaml(Differing(ToJson(run), ToJson(new RunConfig())));

    private static JsonObject ToJson(RunConfig run) => JsonSerializer.SerializeToNode(run, ConfigFile.JsonOptions)!.AsObject();

    private static JsonObject Differing(JsonObject settings, JsonObject? standard)
    {
        JsonObject kept = [];
        foreach ((string name, JsonNode? value) in settings)
        {
            JsonNode? usual = standard?[name];
            if (value is JsonObject inner)
            {
                bool sameType = usual is JsonObject other && JsonNode.DeepEquals(inner["type"], other["type"]);
                JsonObject differing = Differing(inner, sameType ? (JsonObject)usual! : null);
                if (!sameType || differing.Any(setting => setting.Key != "type"))
                {
                    kept[name] = differing;
                }
            }
            else if (name == "type" || !JsonNode.DeepEquals(value, usual))
            {
                kept[name] = value?.DeepClone();
            }
        }

        return kept;
    }

    private static ModelOptions Sized(ModelOptions model, string size) => model with { Size = size, Layers = null, Width = null, Heads = null, FeedForward = null };

    // 12.3m: three digits are finer than the dial.
    private static string Dial(double size)
    {
        (double unit, string suffix) = size >= 1e9 ? (1e9, "b") : size >= 1e6 ? (1e6, "m") : (1e3, "k");
        double shown = size / unit, digits = shown >= 100 ? 1 : shown >= 10 ? 10 : 100;
        return (Math.Round(shown * digits) / digits).ToString(CultureInfo.InvariantCulture) + suffix;
    }

    private Choice<long> Batch(PlannedRun run)
    {
        int length = _base.Training.SequenceLength;
        if (batch is null && config is not null)
        {
            return new Choice<long>(_base.Training.TokensAStep, "as the config says");
        }

        (double tokens, string from) = batch is null
            ? (0.58 * Math.Pow(run.D, 0.571), $"Li et al. 2025, {StepLawBatch},")
            : batch.Value(run, "batch", Warnings);
        if (batch?.CountsSequences == true)
        {
            (tokens, from) = (tokens * length, $"{from}, in sequences");
        }

        if (!(tokens >= 0.7 * length) && batch is not null)
        {
            throw new ValidationException($"{batch.Path}: a batch of {tokens:G4} tokens is less than one sequence of {length}; where the fit counts sequences, name its column batch_size");
        }

        // Near its optimum the loss is flat in the batch size.
        int sequences = 1 << (int)Math.Clamp(Math.Round(Math.Log2(tokens / length)), 0, 20);
        return new Choice<long>((long)sequences * length, batch is { Fit: null } ? from : $"{from} says {Quantity.Count(Math.Round(tokens))}");
    }

    private Choice<double> Rate(PlannedRun run)
    {
        double most = _base.Optimizer.LearningRate;
        if (rate is null && config is not null)
        {
            return new Choice<double>(most, "as the config says");
        }

        (double value, string from) = rate is null
            ? (Math.Min(most, 1.79 * Math.Pow(run.Shape!.NonEmbedding, -0.713) * Math.Pow(run.D, 0.307)), $"Li et al. 2025, {StepLawRate}, and at most {most}")
            : rate.Value(run, "learning rate", Warnings);
        return value is > 0 and < 10
            ? new Choice<double>(double.Parse(value.ToString("G3", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture), from)
            : throw new ValidationException($"--learning-rate {rate?.Path}: a rate of {value:G3} makes no sense; is it a fit of learning rates?");
    }

    private (WsdOptions Schedule, Choice<double> Decay) Schedule(PlannedRun run, long steps, long tokens, double peak)
    {
        WsdOptions schedule = _base.Schedule as WsdOptions ?? new WsdOptions();
        if (curve is null || steps < StepsOfSchedule)
        {
            double share = (double)schedule.Decay.Steps(tokens, steps) / steps;
            return (schedule, new Choice<double>(share, curve is not null ? "too few steps for a law of curves" : config?.Schedule is WsdOptions ? "as the config says" : "the default; give --curve to argue it"));
        }

        (Fit fit, CurveLaw law) = curve.Curve;
        double[] values = fit.Values;
        if (steps >= LearningRateSequence.StepsMax)
        {
            throw new ValidationException($"{curve.Path}: {steps:N0} steps are too many for a law of loss curves; it takes {LearningRateSequence.StepsMax:N0}");
        }

        int updates = (int)steps, warmup = (int)schedule.Warmup.Steps(tokens, steps);
        double[] fractions = [.. Enumerable.Range(1, 100).Select(percent => percent / 100.0)
            .Where(fraction => warmup + Duration.OfRun(fraction).Steps(tokens, steps) <= steps && (steps <= 100_000 || fraction is 0.01 or 0.02 || Math.Round(fraction * 100) % 5 == 0))];
        (DecayShape Shape, CooldownScan Scan) best = Candidates(law, schedule)
            .Select(shape => (Shape: shape, Scan: CooldownScan.Of(law, values, fraction => Rates(shape, fraction), fractions, run.Shape!.NonEmbedding)))
            .MinBy(each => each.Scan.Best.Loss);
        if (!double.IsFinite(best.Scan.Best.Loss))
        {
            throw new InvalidDataException($"{curve.Path}: its parameters predict no loss for {steps:N0} steps at a rate of {peak:G3}");
        }

        LearningRateSequence chosen = Rates(best.Shape, best.Scan.Best.Fraction);
        double beyond = fit.Data.Curves?.Extrapolation(law, chosen, [chosen.Last], run.Shape!.NonEmbedding)[0] ?? 1;
        if (best.Scan.Best.Loss <= 0)
        {
            throw new ValidationException(
                $"--curve {curve.Path}: predicts a loss of {best.Scan.Best.Loss:G4} for {steps:N0} steps at a rate of {peak:G3}, {beyond:G3} times outside the curves that were fitted; fit longer ones, or leave it out");
        }

        if (beyond > ExtrapolationMax)
        {
            Warnings.Add($"{run.Name}: the schedule lies {beyond:G3} times outside the curves that {curve.Path} was fitted to, in steps, rate or annealing");
        }

        (double shortest, double longest) = best.Scan.Within(SeedNoise);
        if (law is AnnealingLaw)
        {
            Warnings.Add("the annealing law only compares lengths of one shape of decay: it must not choose a schedule, for its best is always to hold the peak and drop to zero "
                + "(Luo et al. 2025, theorem 2); fit multi-power to compare shapes");
        }

        double margin = law is MultiPowerLaw ? best.Scan.Best.Loss - ScheduleOptimizer.Of(law, values, chosen).Loss : 0;
        string from = $"{LawCatalog.NameOf(law)} ends lowest there, and within {SeedNoise} nats of it from {shortest:P0} to {longest:P0}"
            + (law is MultiPowerLaw ? $"; a schedule of any form would end {margin:F4} lower" : "");
        return (schedule with { Decay = Duration.OfRun(best.Scan.Best.Fraction), Shape = best.Shape }, new Choice<double>(best.Scan.Best.Fraction, from));

        LearningRateSequence Rates(DecayShape shape, double fraction)
        {
            Schedule built = (schedule with { Shape = shape, Decay = Duration.OfRun(fraction) }).Build(steps, tokens);
            return LearningRateSequence.OfUpdates(updates, update => peak * built.Factor(update), warmup);
        }
    }

    private static DecayShape[] Candidates(CurveLaw law, WsdOptions schedule) =>
        law is MultiPowerLaw ? [schedule.Shape, .. new[] { DecayShape.Linear, DecayShape.OneMinusSqrt, DecayShape.Cosine, DecayShape.Square }.Where(shape => shape != schedule.Shape)] : [schedule.Shape];

    // A few thousand tokens at a time keep two cores busy.
    private static int MicroBatch(int sequences, int length)
    {
        int micro = 1;
        while (2 * micro <= sequences && sequences % (2 * micro) == 0 && 2 * micro * length <= 8192)
        {
            micro *= 2;
        }

        return micro;
    }
}

/// <summary>A law, or a plain number in its place, that settles one thing of a plan.</summary>
/// <param name="Path">The file of the fit, or the number.</param>
/// <param name="Fit">Null for a number.</param>
internal sealed record PlanLaw(string Path, Fit? Fit)
{
    /// <summary>Reads what an option was given.</summary>
    public static PlanLaw? Of(string? given) => given is null ? null : new PlanLaw(given, double.TryParse(given, out _) ? null : Fit.Load(given));

    /// <summary>A fit of loss curves, and its law.</summary>
    /// <exception cref="ValidationException">It is none.</exception>
    public (Fit Fit, CurveLaw Law) Curve => Fit?.Law is CurveLaw law
        ? (Fit, law)
        : throw new ValidationException($"--curve {Path}: needs a fit of loss curves (annealing, multi-power){(Fit is null ? "" : $", not of {LawCatalog.NameOf(Fit.Law)}")}");

    /// <summary>Whether what it predicts was fitted to a column that counts sequences.</summary>
    public bool CountsSequences => Fit?.Law is PointLaw law && Fit.Data.Columns.GetValueOrDefault(law.Output.Name, "") is var column
        && new[] { "sequences", "seqs", "batch_size" }.Any(part => column.Contains(part, StringComparison.OrdinalIgnoreCase));

    /// <summary>The value for a run, and its source in words.</summary>
    public (double Value, string From) Value(PlannedRun run, string what, ICollection<string> warnings)
    {
        if (Fit is null)
        {
            return (double.Parse(Path), "as given");
        }

        Laws.Prediction prediction = run.Predict(Fit);
        if (prediction.Extrapolation > RunPlan.ExtrapolationMax)
        {
            warnings.Add($"{run.Name}: {what} from {Path} at {prediction.Extrapolation:G2} times beyond what it was fitted to");
        }

        return (prediction.Value, $"{LawCatalog.NameOf(Fit.Law)}");
    }
}
