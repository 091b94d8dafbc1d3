using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Tests.Models;

/// <summary>Small models with weights that others have trained.</summary>
internal static class RealModels
{
    /// <summary>The model of a file of the shared fixtures.</summary>
    public static Model Load(string path, Backend backend)
    {
        using SafetensorsFile weights = SafetensorsFile.Open(SharedData.Require($"data/fixtures/{path}"));
        ModelOptions options = path.StartsWith("stories260K", StringComparison.Ordinal)
            ? new LlamaOptions(Layers: 5, Width: 64, Heads: 8, KeyValueHeads: 4, FeedForward: 172, Vocabulary: 512, Context: 512)
            : new Gpt2Options(Layers: 6, Width: 64, Heads: 4, FeedForward: 256, Vocabulary: 65, Context: 128);
        Model model = options.Resolve(1, 1).Build(backend, gradients: false);
        ModelWeights.Read(weights, model);
        return model;
    }
}
