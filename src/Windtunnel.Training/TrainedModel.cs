using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Tensors.Backends;
using Windtunnel.Text.Tokenizers;
using Windtunnel.Training.Checkpoints;

namespace Windtunnel.Training;

/// <summary>The weights of a run's checkpoint and the tokenizer they go with, for use without training: no gradients, no data.</summary>
public sealed class TrainedModel : IDisposable
{
    private TrainedModel(Model model, Tokenizer tokenizer, long step) => (Model, Tokenizer, Step) = (model, tokenizer, step);

    /// <summary>The model.</summary>
    public Model Model { get; }

    /// <summary>What it reads and writes.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>The optimizer step of the weights.</summary>
    public long Step { get; }

    /// <summary>Opens a run, which may still be in training.</summary>
    /// <param name="folder">The run.</param>
    /// <param name="step">The checkpoint; the newest that verifies when null.</param>
    /// <param name="average">Take the moving average of the weights instead.</param>
    /// <param name="backend">Where the model is to live.</param>
    /// <exception cref="InvalidDataException">The checkpoint or the tokenizer is absent or damaged, or no average was kept.</exception>
    public static TrainedModel Open(RunFolder folder, long? step, bool average, Backend backend)
    {
        RunConfig config = ConfigFile.Load<RunConfig>(folder.ConfigPath);
        Tokenizer tokenizer = File.Exists(folder.TokenizerPath)
            ? Tokenizer.Load(folder.TokenizerPath)
            : throw new InvalidDataException($"{folder.TokenizerPath}: missing; copy it there from the run's dataset");
        Model model = config.Resolve(tokenizer.VocabularySize).Model.Build(backend, gradients: false);
        try
        {
            // Only now: a run in training prunes its checkpoints.
            CheckpointStore store = CheckpointStore.Reader(folder.CheckpointsPath);
            Checkpoint checkpoint = step is { } wanted
                ? store.Open(wanted)
                : store.OpenNewest() ?? throw new InvalidDataException($"{folder.Path}: has no checkpoint yet");
            using SafetensorsFile weights = SafetensorsFile.Open(checkpoint.FilePath(average ? "ema.safetensors" : "model.safetensors"));
            ModelWeights.Read(weights, model);
            return new TrainedModel(model, tokenizer, checkpoint.Step);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Model.Dispose();
}
