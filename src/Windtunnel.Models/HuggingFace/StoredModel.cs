using Windtunnel.Models.Inheritance;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Models.HuggingFace;

/// <summary>A model whose weights stay in their file and are read one at a time, so that it may be larger than the memory.</summary>
public sealed class StoredModel : IDisposable
{
    private readonly TensorFile _file;
    private readonly bool _isLinear;
    private readonly CountingBackend _backend = new();
    private readonly Model _firstBlock;
    private readonly Dictionary<string, Parameter> _parameters;

    /// <summary>A model in a file.</summary>
    /// <param name="file">Where the weights are, by the model's names; owned.</param>
    /// <param name="options">The model, resolved.</param>
    /// <param name="isLinear">Whether all matrices are [out, in], also those that Hugging Face stores as [in, out].</param>
    public StoredModel(TensorFile file, ModelOptions options, bool isLinear = false)
    {
        (_file, _isLinear) = (file, isLinear);

        // All blocks are alike.
        _firstBlock = (options with { Layers = 1 }).Build(_backend, gradients: false);
        _parameters = _firstBlock.Parameters.Parameters.ToDictionary(parameter => parameter.Name);
    }

    /// <summary>The values of a parameter, [out, in] where it is a matrix.</summary>
    /// <exception cref="InvalidDataException">The file has none of this name, or it has another shape than the model's.</exception>
    public (float[] Values, Shape Shape) Read(string name)
    {
        if (!_parameters.TryGetValue(ParameterPlace.InBlock(name, 0), out Parameter? parameter))
        {
            throw _file.Bad($"is of a model that has no {name}");
        }

        bool isTransposed = _firstBlock.IsStoredTransposed(parameter) && !_isLinear;
        return (ModelWeights.ReadValues(_file, name, ModelWeights.StoredShape(_firstBlock, parameter, _isLinear), isTransposed), parameter.Shape);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _firstBlock.Dispose();
        _backend.Dispose();
        _file.Dispose();
    }
}
