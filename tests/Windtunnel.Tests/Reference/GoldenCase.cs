using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Windtunnel.Tests.Reference;

/// <summary>A golden model case, written by Golden/generate_golden.py, whose head describes the tensors.</summary>
public sealed class GoldenCase
{
    private readonly Dictionary<string, double[]> _tensors = [];
    private readonly Dictionary<string, int[]> _shapes = [];
    private Dictionary<string, string> _metadata = [];

    /// <summary>Reads all files of a case: <c>name.safetensors</c> and <c>name.*.safetensors</c>.</summary>
    public GoldenCase(string name)
    {
        foreach (string file in Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Golden"), name + ".*safetensors"))
        {
            byte[] bytes = File.ReadAllBytes(file);
            int buffer = 8 + (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
            foreach (JsonProperty entry in JsonDocument.Parse(bytes.AsMemory(8..buffer)).RootElement.EnumerateObject())
            {
                if (entry.Name == "__metadata__")
                {
                    // The metadata of the files differ only in that a .steps file adds the optimizers' hyperparameters.
                    Dictionary<string, string> metadata = entry.Value.Deserialize<Dictionary<string, string>>()!;
                    _metadata = metadata.Count > _metadata.Count ? metadata : _metadata;
                    continue;
                }

                int[] range = entry.Value.GetProperty("data_offsets").Deserialize<int[]>()!;
                Span<byte> values = bytes.AsSpan((buffer + range[0])..(buffer + range[1]));
                _shapes[entry.Name] = entry.Value.GetProperty("shape").Deserialize<int[]>()!;
                _tensors[entry.Name] = entry.Value.GetProperty("dtype").GetString() switch
                {
                    "F64" => MemoryMarshal.Cast<byte, double>(values).ToArray(),
                    "F32" => [.. MemoryMarshal.Cast<byte, float>(values).ToArray().Select(value => (double)value)],
                    "I64" => [.. MemoryMarshal.Cast<byte, long>(values).ToArray().Select(value => (double)value)],
                    string other => throw new InvalidDataException($"{file}: {entry.Name} has dtype {other}; write F64, F32 or I64"),
                    null => throw new InvalidDataException($"{file}: {entry.Name} has no dtype"),
                };
            }
        }
    }

    /// <summary>The input tokens [B * T].</summary>
    public int[] Tokens => [.. this["tokens"].Select(token => (int)token)];

    /// <summary>The target tokens [B * T]; -1 does not count.</summary>
    public int[] Targets => [.. this["targets"].Select(token => (int)token)];

    /// <summary>The values of a tensor, row-major.</summary>
    public double[] this[string name] => _tensors[name];

    /// <summary>The shape of a tensor.</summary>
    public int[] Shape(string name) => _shapes[name];

    /// <summary>Copies of the tensors of a group by their Hugging Face names: <c>weights</c>, <c>grads</c>, <c>adamw</c> or <c>muon</c>.</summary>
    public Dictionary<string, double[]> Group(string group) =>
        _tensors.Where(pair => pair.Key.StartsWith(group + ".", StringComparison.Ordinal) && pair.Key != group + ".losses")
            .ToDictionary(pair => pair.Key[(group.Length + 1)..], pair => (double[])pair.Value.Clone());

    /// <summary>A hyperparameter of the case.</summary>
    public T Option<T>(string name) => JsonSerializer.Deserialize<T>(_metadata[name])!;

    /// <summary>The double-precision twin of the case's model.</summary>
    public ModelTwin Model() => Option<string>("family") == "gpt2"
        ? new Gpt2Twin
        {
            Length = Option<int>("length"),
            Width = Option<int>("width"),
            Layers = Option<int>("layers"),
            Heads = Option<int>("heads"),
            NormEps = Option<double>("norm_eps"),
            ZLoss = Option<double>("z_loss"),
        }
        : new LlamaTwin
        {
            Length = Option<int>("length"),
            Width = Option<int>("width"),
            Layers = Option<int>("layers"),
            Heads = Option<int>("heads"),
            NormEps = Option<double>("norm_eps"),
            ZLoss = Option<double>("z_loss"),
            KvHeads = Option<int>("kv_heads"),
            HeadDim = Option<int>("head_dim"),
            Ffn = Option<int>("ffn"),
            RopeTheta = Option<double>("rope_theta"),
            EmbeddingScale = Option<double>("embedding_scale"),
            ResidualScale = Option<double>("residual_scale"),
            LogitScale = Option<double>("logit_scale"),
        };
}
