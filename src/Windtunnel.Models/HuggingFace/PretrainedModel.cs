using System.ComponentModel.DataAnnotations;
using Windtunnel.Models.Inheritance;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Models.HuggingFace;

/// <summary>
/// A model that others trained, or that was exported: a folder of Hugging Face's (config.json and model.safetensors or pytorch_model.bin,
/// in one file or in shards), or a checkpoint of llama2.c. Opening reads the description of the tensors, <see cref="Load"/> their numbers.
/// </summary>
public sealed class PretrainedModel : IDisposable
{
    private static readonly string[] s_weights =
        ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

    private readonly RenamedTensors _tensors;

    private PretrainedModel(string path, ModelOptions options, TensorFile file)
    {
        (Path, Options) = (path, options);
        try
        {
            _tensors = new RenamedTensors(file, options is Gpt2Options ? "transformer." : "model.");
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The folder or file.</summary>
    public string Path { get; }

    /// <summary>What the model is built from, every dimension filled in.</summary>
    public ModelOptions Options { get; }

    /// <summary>The weights, by the names that a <see cref="Model"/> gives them.</summary>
    public TensorFile Weights => _tensors;

    /// <summary>Whether a path is a folder or file that <see cref="Open"/> would try to read, rather than nothing or some other folder.</summary>
    public static bool IsAt(string path) => File.Exists(path) || File.Exists(System.IO.Path.Combine(path, "config.json"));

    /// <summary>Opens a folder of Hugging Face's or a checkpoint of llama2.c.</summary>
    /// <exception cref="ValidationException">There is neither.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or describes what our models cannot represent; the message names file, field and value.</exception>
    public static PretrainedModel Open(string path)
    {
        if (File.Exists(path))
        {
            Llama2CFile file = Llama2CFile.Open(path);
            return new PretrainedModel(path, file.Options, file);
        }

        if (!IsAt(path))
        {
            throw new ValidationException($"{path}: neither a checkpoint of llama2.c nor a folder with a config.json");
        }

        ModelOptions options = HuggingFaceConfig.Load(System.IO.Path.Combine(path, "config.json"));
        string weights = Array.Find(s_weights, name => File.Exists(System.IO.Path.Combine(path, name)))
            ?? throw new InvalidDataException($"{path}: has no weights; there should be one of {string.Join(", ", s_weights)}");
        weights = System.IO.Path.Combine(path, weights);
        return new PretrainedModel(path, options, weights.EndsWith(".json", StringComparison.Ordinal) ? ShardedFile.Open(weights) : TensorFile.Open(weights));
    }

    /// <summary>The model with its weights, which are compared with the configuration before memory is taken.</summary>
    /// <param name="backend">Where it is to live.</param>
    /// <param name="gradients">True for a model that is to be trained.</param>
    /// <exception cref="InvalidDataException">Weights are missing, left over, of another shape, or more than a model can have.</exception>
    public Model Load(Backend backend, bool gradients = false)
    {
        bool isLinear = Check();
        try
        {
            return ModelWeights.Load(_tensors, Options, backend, gradients, isLinear);
        }
        catch (ValidationException e)
        {
            throw new InvalidDataException($"{Path}: {e.Message}", e);
        }
    }

    /// <summary>The model with its weights left in the file, which are compared with the configuration.</summary>
    /// <exception cref="InvalidDataException">Weights are missing, left over, or of another shape.</exception>
    public static StoredModel OpenStored(string path)
    {
        PretrainedModel pretrained = Open(path);
        try
        {
            bool isLinear = pretrained.Check();
            return new StoredModel(pretrained._tensors, pretrained.Options, isLinear);
        }
        catch
        {
            pretrained.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _tensors.Dispose();

    /// <summary>Whether a GPT-2 has its matrices as [out, in], as nanoGPT saves them, and not as [in, out]: seen by the one that is never square.</summary>
    private bool IsLinear() =>
        Options is Gpt2Options && _tensors.Find("transformer.h.0.attn.c_attn.weight") is { Shape: [long rows, long columns] } && rows > columns;

    /// <summary>Compares the weights with the configuration.</summary>
    /// <returns>Whether they are <see cref="IsLinear"/>.</returns>
    private bool Check()
    {
        bool isLinear = IsLinear();

        // Before a list of so many layers is made.
        if (Options.Dimensions.Layers > _tensors.Names.Count)
        {
            throw _tensors.Bad($"holds {_tensors.Names.Count} tensors, too few for the {Options.Dimensions.Layers} layers of config.json");
        }

        HashSet<string> left = [.. _tensors.Names];
        try
        {
            using CountingBackend backend = new();
            using Model firstBlock = (Options with { Layers = 1 }).Build(backend, gradients: false);
            foreach (Parameter parameter in firstBlock.Parameters.Parameters)
            {
                long[] shape = ModelWeights.StoredShape(firstBlock, parameter, isLinear);
                int blocks = ParameterPlace.LayerOf(parameter.Name) is null ? 1 : Options.Dimensions.Layers;
                for (int block = 0; block < blocks; block++)
                {
                    string name = ParameterPlace.InBlock(parameter.Name, block);
                    ModelWeights.CheckShape(_tensors, name, shape);
                    left.Remove(name);
                }
            }
        }
        catch (ValidationException e)
        {
            throw new InvalidDataException($"{Path}: {e.Message}", e);
        }

        if (Options.Tied && left.Remove("lm_head.weight"))
        {
            CheckTied();
        }

        if (left.Count > 0)
        {
            string first = left.Order(StringComparer.Ordinal).First();
            throw _tensors.Bad($"{_tensors.Info(first).Name} is no part of the {Options.Family} of {Options.Dimensions.Layers} layers that config.json describes");
        }

        return isLinear;
    }

    private void CheckTied()
    {
        (TensorInfo head, TensorInfo embedding) =
            (_tensors.Info("lm_head.weight"), _tensors.Info(Options is Gpt2Options ? "transformer.wte.weight" : "model.embed_tokens.weight"));
        bool isSame = head.Type == embedding.Type && head.Shape.SequenceEqual(embedding.Shape);
        if (isSame)
        {
            byte[] ours = new byte[head.Bytes], theirs = new byte[head.Bytes];
            _tensors.Read(head, 0, ours);
            _tensors.Read(embedding, 0, theirs);
            isSame = ours.AsSpan().SequenceEqual(theirs);
        }

        if (!isSame)
        {
            throw _tensors.Bad($"{head.Name} differs from {embedding.Name}, to which tie_word_embeddings in config.json ties it");
        }
    }
}
