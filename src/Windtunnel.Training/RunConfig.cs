using System.ComponentModel.DataAnnotations;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using Windtunnel.Models;
using Windtunnel.Models.Inheritance;
using Windtunnel.Runs.Config;
using Windtunnel.Text;
using Windtunnel.Training.Optimizers;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Training;

/// <summary>Everything that determines a run. The same config on the same data gives the same bytes.</summary>
/// <param name="Name">What the run's folder starts with.</param>
/// <param name="Seed">Of the initial weights and of the order of the data.</param>
/// <param name="Threads">Worker threads, 0 for one a core; changes the speed and not a bit of the result.</param>
/// <param name="Data">Corpora and tokenizer.</param>
/// <param name="Model">Architecture and size.</param>
/// <param name="Inheritance">The weights to start from; new ones when null. The model is then that of the reference, and need not be given.</param>
/// <param name="Optimizer">The update rule.</param>
/// <param name="Schedule">The learning rate over the run.</param>
/// <param name="Training">Batches and length.</param>
/// <param name="Validation">When and on how much.</param>
/// <param name="Checkpoints">When, and which are kept.</param>
/// <param name="Logging">Which steps are recorded.</param>
public sealed record RunConfig(
    string Name = "run",
    ulong Seed = 1,
    int Threads = 0,
    DataOptions? Data = null,
    ModelOptions? Model = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] InheritanceOptions? Inheritance = null,
    OptimizerOptions? Optimizer = null,
    ScheduleOptions? Schedule = null,
    TrainingOptions? Training = null,
    ValidationOptions? Validation = null,
    CheckpointOptions? Checkpoints = null,
    LoggingOptions? Logging = null)
{
    /// <summary>Corpora and tokenizer.</summary>
    public DataOptions Data { get; init; } = Data ?? new DataOptions();

    /// <summary>Architecture and size.</summary>
    public ModelOptions Model { get; init; } = Model ?? new LlamaOptions();

    /// <summary>The update rule.</summary>
    public OptimizerOptions Optimizer { get; init; } = Optimizer ?? new AdamWOptions();

    /// <summary>The learning rate over the run.</summary>
    public ScheduleOptions Schedule { get; init; } = Schedule ?? new WsdOptions();

    /// <summary>Batches and length.</summary>
    public TrainingOptions Training { get; init; } = Training ?? new TrainingOptions();

    /// <summary>When and on how much.</summary>
    public ValidationOptions Validation { get; init; } = Validation ?? new ValidationOptions();

    /// <summary>When, and which are kept.</summary>
    public CheckpointOptions Checkpoints { get; init; } = Checkpoints ?? new CheckpointOptions();

    /// <summary>Which steps are recorded.</summary>
    public LoggingOptions Logging { get; init; } = Logging ?? new LoggingOptions();

    /// <summary>The length of the run in optimizer steps.</summary>
    public long TotalSteps => Training.Length.Steps(Training.TokensAStep, 0);

    /// <summary>SHA-256, in hexadecimal, of everything here that decides the bits: not the name, not the threads, not what is
    /// recorded; of other models their weights, not where they are.</summary>
    public string Fingerprint() => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(
        ConfigFile.ToYaml(this with
        {
            Name = "",
            Threads = 0,
            Logging = new LoggingOptions(),
            Checkpoints = new CheckpointOptions(),
            Inheritance = Inheritance?.At([.. Inheritance.Sources.Select(_ => "")], Inheritance.Sha256),
            Training = Training with { Distillation = Training.Distillation is { } teacher ? teacher with { From = "" } : null },
        }))));

    /// <summary>
    /// This config for a branch: where its length, and the schedule, count tokens from the start of the run, they count steps,
    /// for those before the branch may have been of another size.
    /// </summary>
    /// <param name="step">Where the branch starts.</param>
    /// <param name="tokens">Those of all steps up to there.</param>
    internal RunConfig From(long step, long tokens)
    {
        return this with { Training = Training with { Length = InSteps(Training.Length) }, Schedule = Schedule.Moved(InSteps) };

        Duration InSteps(Duration at) => at.Unit != DurationUnit.Tokens ? at : Duration.OfSteps(
            (long)Math.Round(at.Value >= tokens ? step + ((at.Value - tokens) / Training.TokensAStep) : at.Value * step / tokens));
    }

    /// <summary>What is possible but hardly meant, a line each.</summary>
    [JsonIgnore]
    public IEnumerable<string> Doubts
    {
        get
        {
            if (Training.ClipNorm > 0 && Optimizer.ClipNorm > 0)
            {
                yield return FormattableString.Invariant(
                    $"gradients are clipped twice, to {Training.ClipNorm} and then to the optimizer's {Optimizer.ClipNorm}; as its preset was meant: training.clipNorm=0");
            }
        }
    }

    /// <summary>
    /// This config with the model's dimensions filled in, everything checked that can be without the data. What it inherits from, and what
    /// it is taught by, is looked up the first time: the result stands for itself.
    /// </summary>
    /// <param name="vocabulary">The tokenizer's.</param>
    /// <exception cref="ValidationException">A setting is impossible.</exception>
    public RunConfig Resolve(int vocabulary)
    {
        Training.Validate();
        Validation.Validate();
        Checkpoints.Validate();
        Logging.Validate();
        Optimizer.Validate();
        if (Threads is < 0 or > 1024)
        {
            throw new ValidationException($"threads: {Threads} must lie between 0 and 1024");
        }

        Schedule.Build(TotalSteps, Training.TokensAStep);
        RunConfig resolved = ResolveModel(vocabulary);
        return resolved with { Training = Training with { Distillation = Training.Distillation?.Resolve() } };
    }

    /// <summary>This config with the model's dimensions filled in, those that are inherited by looking at the reference, and nothing else.</summary>
    /// <param name="vocabulary">The tokenizer's.</param>
    /// <exception cref="ValidationException">The model is impossible.</exception>
    public RunConfig ResolveModel(int vocabulary)
    {
        if (Inheritance is not { Sha256: null })
        {
            return this with { Model = Model.Resolve(vocabulary, Training.SequenceLength) };
        }

        // The reference has a vocabulary: whether the tokenizer is the same is known when the run starts, and its hash says more than a size.
        InheritedModel inherited = InheritedModel.Open(Inheritance);
        ModelOptions model = inherited.Agreeing(Model);
        return this with
        {
            Model = model.Resolve(Math.Min(vocabulary, model.Dimensions.Vocabulary), Training.SequenceLength),
            Inheritance = inherited.Options,
        };
    }
}

/// <summary>What to do about a loss or gradient that is not a number.</summary>
public enum NonFinitePolicy
{
    /// <summary>Save nothing, end with exit code 4.</summary>
    Abort,

    /// <summary>Leave the weights as they are and go on with the next batch.</summary>
    Skip,

    /// <summary>Go back to the newest checkpoint and on from there with the data that comes next.</summary>
    Rewind,
}

/// <summary>Batches and length of a run.</summary>
/// <param name="Length">How long to train: 1000 (steps) or "20m tokens".</param>
/// <param name="SequenceLength">Tokens of a sequence, T.</param>
/// <param name="BatchSize">Sequences of an optimizer step, B; they are spread over the micro-batches.</param>
/// <param name="GradientAccumulation">Micro-batches of a step; divides the batch size and changes nothing but memory and rounding.</param>
/// <param name="ClipNorm">Largest global norm of the gradients; 0 for no clipping.</param>
/// <param name="ZLoss">Coefficient of the penalty on the log-normaliser; 0 for none.</param>
/// <param name="EmaDecay">Of a moving average of the weights, saved with each checkpoint; 0 for none.</param>
/// <param name="Distillation">A trained model to learn from beside the text; none when null.</param>
/// <param name="NonFinite">What to do about a loss or gradient that is not a number.</param>
/// <param name="NonFiniteMax">How many such steps a run may have before it ends as diverged.</param>
public sealed record TrainingOptions(
    Duration? Length = null, int SequenceLength = 256, int BatchSize = 8, int GradientAccumulation = 1, double ClipNorm = 1, double ZLoss = 0,
    double EmaDecay = 0, NonFinitePolicy NonFinite = NonFinitePolicy.Abort, int NonFiniteMax = 10,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DistillationOptions? Distillation = null)
{
    /// <summary>How long to train.</summary>
    public Duration Length { get; init; } = Length ?? Duration.OfSteps(1000);

    /// <summary>Tokens of an optimizer step.</summary>
    public long TokensAStep => (long)BatchSize * SequenceLength;

    /// <summary>Checks every setting.</summary>
    /// <exception cref="ValidationException">One is impossible.</exception>
    public void Validate()
    {
        Require(Length.Unit != DurationUnit.Fraction && Length.Value >= 1, "length", Length, "a number of steps or tokens");
        Require(SequenceLength is >= 1 and <= 1 << 20, "sequenceLength", SequenceLength, "between 1 and 1048576");
        Require(BatchSize is >= 1 and <= 1 << 20, "batchSize", BatchSize, "between 1 and 1048576");
        Require(
            GradientAccumulation >= 1 && BatchSize % GradientAccumulation == 0, "gradientAccumulation", GradientAccumulation,
            $"a divisor of training.batchSize {BatchSize}");
        Require(ClipNorm >= 0, "clipNorm", ClipNorm, "at least 0");
        Require(ZLoss >= 0, "zLoss", ZLoss, "at least 0");
        Require(EmaDecay is >= 0 and < 1, "emaDecay", EmaDecay, "at least 0 and below 1");
        Require(ZLoss == 0 || Distillation is null, "zLoss", ZLoss, "0 where there is a teacher");
        Distillation?.Validate();
        Require(NonFiniteMax >= 0, "nonFiniteMax", NonFiniteMax, "at least 0");
        Require((long)BatchSize / GradientAccumulation * SequenceLength <= int.MaxValue / 2, "batchSize", BatchSize, "smaller, or gradientAccumulation larger");
    }

    private static void Require<T>(bool holds, string name, T value, string expected)
    {
        if (!holds)
        {
            throw new ValidationException($"training.{name}: {value} must be {expected}");
        }
    }
}

/// <summary>When to validate, and on how much.</summary>
/// <param name="Every">The interval; the last step is always validated.</param>
/// <param name="Milestones">Steps to validate at besides, early ones for instance.</param>
/// <param name="Tokens">Held-out tokens of each source; all when null.</param>
/// <param name="BatchSize">Sequences at a time; the training micro-batch when null.</param>
public sealed record ValidationOptions(Duration? Every = null, long[]? Milestones = null, long? Tokens = 65_536, int? BatchSize = null)
{
    /// <summary>The interval.</summary>
    public Duration Every { get; init; } = Every ?? Duration.OfRun(0.1);

    internal void Validate()
    {
        if (Tokens < 1 || BatchSize < 1)
        {
            throw new ValidationException($"validation.{(Tokens < 1 ? "tokens" : "batchSize")}: {(Tokens < 1 ? Tokens : BatchSize)} must be at least 1");
        }
    }
}

/// <summary>When to save, and which checkpoints are kept. The last step is always saved.</summary>
/// <param name="Every">The interval.</param>
/// <param name="EveryMinutes">Save when this much time has passed since the last one, too; 0 for never.</param>
/// <param name="Milestones">Steps to save at besides, and to keep for good: where cooldowns will branch off.</param>
/// <param name="KeepLast">How many of the others are kept, at least 2.</param>
public sealed record CheckpointOptions(Duration? Every = null, double EveryMinutes = 10, long[]? Milestones = null, int KeepLast = 2)
{
    /// <summary>The interval.</summary>
    public Duration Every { get; init; } = Every ?? Duration.OfRun(0.25);

    internal void Validate()
    {
        if (KeepLast < 2 || !(EveryMinutes >= 0))
        {
            throw new ValidationException(
                KeepLast < 2 ? $"checkpoints.keepLast: {KeepLast} must be at least 2, for one may prove bad" : $"checkpoints.everyMinutes: {EveryMinutes} must be at least 0");
        }
    }
}

/// <summary>Which steps are recorded.</summary>
/// <param name="Every">Steps between rows of training metrics; the first and the last are always recorded.</param>
/// <param name="TensorBoard">Whether to write TensorBoard event files too.</param>
public sealed record LoggingOptions(int Every = 10, bool TensorBoard = true)
{
    internal void Validate()
    {
        if (Every < 1)
        {
            throw new ValidationException($"logging.every: {Every} must be at least 1");
        }
    }
}
