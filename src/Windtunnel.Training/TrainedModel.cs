using System.ComponentModel.DataAnnotations;
using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Tensors.Backends;
using Windtunnel.Text.Tokenizers;
using Windtunnel.Training.Checkpoints;

namespace Windtunnel.Training;

/// <summary>A model's weights and the tokenizer they go with, for use without training: no gradients, no data.</summary>
public sealed class TrainedModel : IDisposable
{
    private TrainedModel(Model model, Tokenizer tokenizer, TextEnds ends, string name) => (Model, Tokenizer, Ends, Name) = (model, tokenizer, ends, name);

    /// <summary>The model.</summary>
    public Model Model { get; }

    /// <summary>What it reads and writes.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>What its texts begin and end with.</summary>
    public TextEnds Ends { get; }

    /// <summary>What it is called: its run's id, or the name of its folder or file.</summary>
    public string Name { get; }

    /// <summary>The run that it is of, and the optimizer step of the weights; null where others trained it.</summary>
    public (RunFolder Folder, long Step)? Run { get; private init; }

    /// <summary>Opens a run, or a model that others trained.</summary>
    /// <param name="reference">
    /// A folder of Hugging Face's, a checkpoint of llama2.c (<see cref="PretrainedModel"/>) or a run where there is one at this path; else the id of a
    /// run. A run may have a step: <c>ID@STEP</c>.
    /// </param>
    /// <param name="runs">The folder of runs.</param>
    /// <param name="average">Take the moving average of a run's weights instead.</param>
    /// <param name="backend">Where the model is to live.</param>
    /// <param name="tokenizer">The tokenizer's file or folder; the one beside the weights when null.</param>
    /// <exception cref="ValidationException">There is no such model.</exception>
    /// <exception cref="InvalidDataException">A file is absent or damaged, or describes what cannot be represented, or no average was kept.</exception>
    public static TrainedModel Open(string reference, string runs, bool average, Backend backend, string? tokenizer = null)
    {
        if (PretrainedModel.IsAt(reference))
        {
            return average ? throw new ValidationException($"{reference}: only runs have a moving average of the weights") : OpenPretrained(reference, backend, tokenizer);
        }

        (string place, long? step) = Reference.Split(reference);
        if (Reference.IsRun(place))
        {
            return Open(Reference.RunAt(place), step, average, backend, tokenizer);
        }

        int at = reference.IndexOf('@', StringComparison.Ordinal);
        return step is null && at >= 0
            ? throw new ValidationException($"'{reference}': what follows @ is not a step")
            : Open(RunFolder.Open(runs, at < 0 ? reference : reference[..at]), step, average, backend, tokenizer);
    }

    /// <summary>Opens a run, which may still be in training.</summary>
    /// <param name="folder">The run.</param>
    /// <param name="step">The checkpoint; the newest that verifies when null.</param>
    /// <param name="average">Take the moving average of the weights instead.</param>
    /// <param name="backend">Where the model is to live.</param>
    /// <param name="tokenizer">The tokenizer's file or folder; the run's own when null.</param>
    /// <exception cref="InvalidDataException">The checkpoint or the tokenizer is absent or damaged, or no average was kept.</exception>
    public static TrainedModel Open(RunFolder folder, long? step, bool average, Backend backend, string? tokenizer = null)
    {
        RunConfig config = ConfigFile.Load<RunConfig>(folder.ConfigPath);
        tokenizer ??= File.Exists(folder.TokenizerPath)
            ? folder.TokenizerPath
            : throw new InvalidDataException($"{folder.TokenizerPath}: missing; copy it there from the run's dataset");
        Tokenizer words = LoadTokenizer(tokenizer);
        ModelOptions options = config.Resolve(words.VocabularySize).Model;

        // Only now: a run in training prunes its checkpoints.
        CheckpointStore store = CheckpointStore.Reader(folder.CheckpointsPath);
        Checkpoint checkpoint = step is { } wanted
            ? store.Open(wanted)
            : store.OpenNewest() ?? throw new InvalidDataException($"{folder.Path}: has no checkpoint yet");
        using SafetensorsFile weights = SafetensorsFile.Open(checkpoint.FilePath(average ? "ema.safetensors" : "model.safetensors"));
        return new TrainedModel(ModelWeights.Load(weights, options, backend), words, TextEnds.Of(words), folder.Id) { Run = (folder, checkpoint.Step) };
    }

    /// <inheritdoc/>
    public void Dispose() => Model.Dispose();

    private static TrainedModel OpenPretrained(string path, Backend backend, string? tokenizer)
    {
        using PretrainedModel pretrained = PretrainedModel.Open(path);
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        Tokenizer words = LoadTokenizer(tokenizer ?? (Directory.Exists(full) ? full : Path.GetDirectoryName(full)!));
        Reference.RequireRows(path, pretrained.Options, words);
        return new TrainedModel(pretrained.Load(backend), words, TextEnds.Of(full, words), Path.GetFileNameWithoutExtension(full));
    }

    private static Tokenizer LoadTokenizer(string path) =>
        Path.Exists(path) ? Tokenizer.Load(path) : throw new ValidationException($"{path}: no such tokenizer");
}
