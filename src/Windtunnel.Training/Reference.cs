using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Tensors.Backends;
using Windtunnel.Text;
using Windtunnel.Text.Tokenizers;
using Windtunnel.Training.Checkpoints;

namespace Windtunnel.Training;

/// <summary>A trained model that others are made from or taught by. Opening it reads no weights.</summary>
public sealed class Reference
{
    private readonly string _weights;

    private Reference(string path, ModelOptions model, string tokenizerPath, Tokenizer tokenizer, string weights, string sha256)
    {
        (Path, Model, TokenizerPath, Tokenizer, _weights, Sha256) = (path, model, tokenizerPath, tokenizer, weights, sha256);
        RequireRows(path, model, tokenizer);
        Ends = TextEnds.Of(tokenizer);
    }

    /// <summary>The absolute path by which it opens again: of a run, with the step.</summary>
    public string Path { get; }

    /// <summary>Its architecture, resolved.</summary>
    public ModelOptions Model { get; }

    /// <summary>What it reads and writes.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>What its texts begin and end with.</summary>
    public TextEnds Ends { get; private init; }

    /// <summary>Of the file of its weights, lowercase hexadecimal; of the files' hashes where there are several.</summary>
    public string Sha256 { get; }

    /// <summary>The run and step that it is of; null for a folder that is no run.</summary>
    public (string Id, long Step)? Run { get; private init; }

    /// <summary>Whether there is anything at a path.</summary>
    /// <param name="path">As <see cref="Open"/> takes it.</param>
    public static bool Exists(string path) => Directory.Exists(Split(path).Place) || File.Exists(Split(path).Place);

    /// <summary>The path of what a person names: a path, or the id of a run.</summary>
    /// <param name="name">As <see cref="Open(string, string)"/> takes it, or a run's id, with or without a step.</param>
    /// <param name="runs">The folder of runs.</param>
    public static string Find(string name, string runs) =>
        name.Length == 0 || Exists(name) || !Exists(System.IO.Path.Combine(runs, name)) ? name : System.IO.Path.Combine(runs, name);

    /// <summary>Opens a reference.</summary>
    /// <param name="path">
    /// The folder of a run, <c>runs/ID</c> or <c>runs/ID@STEP</c>, the newest checkpoint where no step is given; or a model that others trained, as
    /// <see cref="PretrainedModel"/> opens it, with its tokenizer beside it.
    /// </param>
    /// <param name="setting">What the path is of, for errors.</param>
    /// <exception cref="ValidationException">There is no such model.</exception>
    /// <exception cref="InvalidDataException">Its weights, configuration or tokenizer are damaged.</exception>
    public static Reference Open(string path, string setting)
    {
        (string place, long? step) = Split(path);
        if (IsRun(place))
        {
            return OpenRun(place, step, setting);
        }

        if (path.Length == 0 || !PretrainedModel.IsAt(place))
        {
            throw new ValidationException($"{setting}: {(path.Length == 0 ? "is missing" : $"{path} is no run and no other model")}; name a trained one, such as runs/reference");
        }

        using PretrainedModel pretrained = PretrainedModel.Open(place);
        string folder = Directory.Exists(place) ? place : System.IO.Path.GetDirectoryName(place)!;
        Tokenizer tokenizer = LoadTokenizer(folder);
        return new Reference(place, pretrained.Options, folder, tokenizer, place, Hash(pretrained.Weights.Files)) { Ends = TextEnds.Of(place, tokenizer) };
    }

    private static Reference OpenRun(string place, long? step, string setting)
    {
        RunFolder run = RunAt(place);
        CheckpointStore store = CheckpointStore.Reader(run.CheckpointsPath);
        Checkpoint checkpoint = step is { } wanted ? store.Open(wanted) : store.OpenNewest() ?? throw new ValidationException($"{setting}: {place} has no checkpoint yet");

        // The record of a run spells out every dimension but those that are the tokenizer's.
        Tokenizer tokenizer = LoadTokenizer(run.TokenizerPath);
        return new Reference(
            $"{place}@{checkpoint.Step}", ConfigFile.Load<RunConfig>(run.ConfigPath).Resolve(tokenizer.VocabularySize).Model, run.TokenizerPath, tokenizer,
            checkpoint.FilePath("model.safetensors"), checkpoint.Manifest.Files.Single(file => file.Name == "model.safetensors").Sha256)
        {
            Run = (run.Id, checkpoint.Step),
        };
    }

    /// <summary>Opens what a resolved config names.</summary>
    /// <param name="sha256">The hash that it has to have.</param>
    /// <exception cref="ValidationException">Its weights are others now.</exception>
    internal static Reference Open(string path, string setting, string? sha256)
    {
        Reference reference = Open(path, setting);
        return sha256 == reference.Sha256 ? reference
            : throw new ValidationException($"{setting}: the weights of {path} are not those that the config was resolved with; restore them, or start another run");
    }

    /// <summary>The model with its weights, without gradients.</summary>
    /// <param name="backend">Where it is to live.</param>
    public Model Load(Backend backend)
    {
        if (Run is null)
        {
            using PretrainedModel pretrained = PretrainedModel.Open(_weights);
            return pretrained.Load(backend);
        }

        using SafetensorsFile weights = SafetensorsFile.Open(_weights);
        return ModelWeights.Load(weights, Model, backend);
    }

    /// <summary>The model with its weights left in the file.</summary>
    public StoredModel Stored() => Run is null ? PretrainedModel.OpenStored(_weights) : new StoredModel(SafetensorsFile.Open(_weights), Model);

    /// <summary>The data that its run was trained on.</summary>
    /// <param name="root">The folder of prepared datasets.</param>
    /// <param name="progress">Receives a line for each step, where they have to be prepared again.</param>
    /// <exception cref="InvalidOperationException">It is of no run.</exception>
    public Dataset OpenData(string root, Action<string> progress)
    {
        RunFolder run = RunAt(Run is null ? throw new InvalidOperationException($"{Path} is of no run") : Split(Path).Place);
        return TrainingRun.OpenData(RunRecord.Load(run.RecordPath), ConfigFile.Load<RunConfig>(run.ConfigPath).Data, root, progress);
    }

    /// <summary>Throws unless the model reads the same tokens as a run's data have.</summary>
    /// <param name="setting">What the reference is of, for errors.</param>
    internal void RequireTokenizerOf(Dataset data, string setting)
    {
        if (!Tokenizer.Sha256.SequenceEqual(data.Tokenizer.Sha256))
        {
            throw new ValidationException(
                $"{setting} {Path}: its tokenizer is another, so its weights mean nothing here; set data.tokenizer={{type: file, path: {TokenizerPath}}}");
        }
    }

    /// <summary>Throws unless a model has a row for every token of a tokenizer.</summary>
    /// <exception cref="InvalidDataException">There are more tokens.</exception>
    internal static void RequireRows(string path, ModelOptions model, Tokenizer tokenizer)
    {
        int rows = model.Dimensions.Vocabulary;
        if (tokenizer.VocabularySize > rows)
        {
            throw new InvalidDataException($"{path}: its tokenizer has {tokenizer.VocabularySize} tokens, the model {rows}: they do not go together");
        }
    }

    private string TokenizerPath { get; }

    private static Tokenizer LoadTokenizer(string path) =>
        System.IO.Path.Exists(path) ? Tokenizer.Load(path) : throw new InvalidDataException($"{path}: missing; put the model's tokenizer there");

    /// <summary>Whether there is a run at an absolute path.</summary>
    internal static bool IsRun(string place) => File.Exists(System.IO.Path.Combine(place, "run.json"));

    /// <summary>The run at an absolute path.</summary>
    internal static RunFolder RunAt(string place) => RunFolder.Open(System.IO.Path.GetDirectoryName(place)!, System.IO.Path.GetFileName(place));

    private static string Hash(IEnumerable<string> files)
    {
        string[] hashes = [.. files.Order(StringComparer.Ordinal).Select(file => RunInit.From(file).Sha256)];
        return hashes.Length == 1 ? hashes[0] : Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(string.Concat(hashes))));
    }

    /// <summary>The absolute path of what a person names, and the step behind an @.</summary>
    internal static (string Place, long? Step) Split(string path)
    {
        int at = path.LastIndexOf('@');
        bool hasStep = long.TryParse(path.AsSpan(at + 1), NumberStyles.None, CultureInfo.InvariantCulture, out long step) && at > 0;
        string place = hasStep ? path[..at] : path;
        return (place.Length == 0 ? "" : System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(place)), hasStep ? step : null);
    }
}
