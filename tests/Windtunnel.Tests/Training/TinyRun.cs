using Windtunnel.Models;
using Windtunnel.Runs;
using Windtunnel.Text;
using Windtunnel.Text.Corpora;
using Windtunnel.Text.Tokenizers;
using Windtunnel.Training;
using Windtunnel.Training.Checkpoints;
using Windtunnel.Training.Optimizers;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Tests.Training;

/// <summary>Configs of runs that take a fraction of a second, on the synthetic corpus.</summary>
public static class TinyRun
{
    public static DataOptions Data { get; } = new(new SyntheticCorpusOptions(Documents: 200, SentencesPerDocument: 5, VocabularySize: 50), Tokenizer: new BytesTokenizerOptions());

    public static ModelOptions Llama { get; } = new LlamaOptions(Layers: 2, Width: 32, Heads: 4, KeyValueHeads: 2, FeedForward: 80, Size: "20k", QkNorm: true);

    public static ModelOptions Gpt2 { get; } = new Gpt2Options(Layers: 2, Width: 32, Heads: 2, Size: "20k");

    public static RunConfig Config(ModelOptions? model = null, OptimizerOptions? optimizer = null, long steps = 20) => new(
        Name: "tiny", Threads: 1, Data: Data, Model: model ?? Llama, Optimizer: optimizer ?? new AdamWOptions(),
        Schedule: new WsdOptions(Warmup: Duration.OfSteps(3), Decay: Duration.OfSteps(5)),
        Training: new TrainingOptions(Duration.OfSteps(steps), SequenceLength: 48, BatchSize: 4),
        Validation: new ValidationOptions(Duration.OfSteps(10), Tokens: 1000), Checkpoints: new CheckpointOptions(Duration.OfSteps(5)),
        Logging: new LoggingOptions(Every: 1, TensorBoard: false));

    /// <summary>SHA-256 of the weights and of the optimizer's state in a run's newest checkpoint.</summary>
    public static string Fingerprint(RunFolder folder)
    {
        Checkpoint checkpoint = new CheckpointStore(folder.CheckpointsPath).OpenNewest()!;
        return string.Join(' ', checkpoint.Manifest.Files.OrderBy(file => file.Name).Select(file => $"{file.Name}:{file.Sha256}"));
    }
}

/// <summary>Remembers what a run tells.</summary>
public sealed class RecordingListener : ITrainingListener
{
    public List<StepReport> Steps { get; } = [];

    public List<(Progress At, IReadOnlyList<ValidationScore> Scores)> Validations { get; } = [];

    public List<long> Saves { get; } = [];

    public List<string> Notices { get; } = [];

    /// <summary>Called after each step.</summary>
    public Action<StepReport>? OnStep { get; set; }

    public void Stepped(in StepReport step)
    {
        Steps.Add(step);
        OnStep?.Invoke(step);
    }

    public void Validated(Progress at, IReadOnlyList<ValidationScore> scores) => Validations.Add((at, scores));

    public void Saved(Checkpoint checkpoint) => Saves.Add(checkpoint.Step);

    public void Noticed(string message) => Notices.Add(message);
}
