using System.Buffers.Binary;
using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Models.HuggingFace;

/// <summary>
/// A float32 checkpoint of llama2.c, legacy or version 1: a LLaMA's sizes, then its weights in a fixed order, shown here by Hugging Face's
/// names. Its queries and keys turn neighbouring pairs, Hugging Face's the two halves of a head, so their rows are read in another order.
/// </summary>
/// <remarks>Source: https://github.com/karpathy/llama2.c, export.py (legacy_export, version1_export) and run.c.</remarks>
public sealed class Llama2CFile : TensorFile
{
    private const uint Magic = 0x616b3432;
    private const int Fields = 7, LegacyHeaderBytes = Fields * sizeof(int), HeaderBytes = 256;

    private readonly PositionedFile _file;
    private readonly Dictionary<string, Stored> _tensors = [];

    private Llama2CFile(PositionedFile file)
        : base(file.Path)
    {
        _file = file;
        Span<byte> header = stackalloc byte[HeaderBytes];
        if (file.Length < header.Length)
        {
            throw Bad($"{file.Length} bytes are too few for a checkpoint of llama2.c");
        }

        file.Read(0, header);
        bool isLegacy = BinaryPrimitives.ReadUInt32LittleEndian(header) != Magic;
        int version = BinaryPrimitives.ReadInt32LittleEndian(header[4..]);
        if (!isLegacy && version != 1)
        {
            throw Bad($"is version {version} of llama2.c's format; only the legacy format and version 1, of float32, can be read");
        }

        Span<int> sizes = stackalloc int[Fields];
        for (int i = 0; i < Fields; i++)
        {
            sizes[i] = BinaryPrimitives.ReadInt32LittleEndian(header[((isLegacy ? 0 : 8) + (i * sizeof(int)))..]);
        }

        int vocabulary = sizes[5];
        bool tied = isLegacy ? vocabulary > 0 : header[8 + LegacyHeaderBytes] != 0;
        Options = OptionsOf(sizes, isLegacy ? Math.Abs((long)vocabulary) : vocabulary, tied);
        long at = isLegacy ? LegacyHeaderBytes : HeaderBytes;
        foreach ((string name, long[] shape) in Layout(Options, isLegacy))
        {
            Stored tensor = new(name, shape, at);
            at += tensor.Bytes;
            if (at > file.Length)
            {
                throw Bad($"ends within {name}: its header does not describe it, or it is no checkpoint of llama2.c");
            }

            // The tables of the rotary angles follow from the sizes.
            if (!name.StartsWith("freq", StringComparison.Ordinal))
            {
                _tensors.Add(name, tensor);
            }
        }

        if (at != file.Length)
        {
            throw Bad($"its header describes {at} bytes, it has {file.Length}: it is no checkpoint of llama2.c");
        }

        Tensors = [.. _tensors.Values];
    }

    /// <summary>The model; llama2.c fixes the base of the rotary frequencies at 10,000 and the epsilon at 1e-5.</summary>
    public LlamaOptions Options { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<TensorInfo> Tensors { get; }

    /// <exception cref="InvalidDataException">The file is no such checkpoint; the message names what does not fit.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    public static new Llama2CFile Open(string path) => PositionedFile.Open(path, file => new Llama2CFile(file));

    /// <inheritdoc/>
    public override void Dispose() => _file.Dispose();

    internal override TensorInfo? Find(string name) => _tensors.GetValueOrDefault(name);

    internal override void Read(TensorInfo info, long first, Span<byte> destination)
    {
        Stored tensor = (Stored)info;
        if (!IsTurned(tensor.Name))
        {
            _file.Read(tensor.Begin + (first * sizeof(float)), destination);
            return;
        }

        int width = (int)tensor.Shape[1], headWidth = Options.Dimensions.HeadWidth;
        while (!destination.IsEmpty)
        {
            (long row, long column) = Math.DivRem(first, width);
            int count = (int)Math.Min(width - column, destination.Length / sizeof(float));
            (long head, long within) = Math.DivRem(row, headWidth);
            (long half, long pair) = Math.DivRem(within, headWidth / 2);
            long source = (head * headWidth) + (2 * pair) + half;
            _file.Read(tensor.Begin + (((source * width) + column) * sizeof(float)), destination[..(count * sizeof(float))]);
            destination = destination[(count * sizeof(float))..];
            first += count;
        }
    }

    private static bool IsTurned(string name) =>
        name.EndsWith(".q_proj.weight", StringComparison.Ordinal) || name.EndsWith(".k_proj.weight", StringComparison.Ordinal);

    private LlamaOptions OptionsOf(ReadOnlySpan<int> sizes, long vocabulary, bool tied)
    {
        (int width, int feedForward, int layers, int heads, int keyValueHeads, int context) = (sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[6]);
        try
        {
            if (vocabulary is < 1 or > int.MaxValue || layers > Safetensors.MaxTensors / 16)
            {
                throw new ValidationException($"model: vocabulary {vocabulary} or layers {layers} is impossible");
            }

            return (LlamaOptions)new LlamaOptions(
                Layers: layers, Width: width, Heads: heads, KeyValueHeads: keyValueHeads, FeedForward: feedForward, Vocabulary: (int)vocabulary,
                Context: context, Tied: tied).Resolve(vocabulary: 1, sequenceLength: 1);
        }
        catch (ValidationException e)
        {
            throw Bad($"is no checkpoint of llama2.c: {e.Message}");
        }
    }

    private static IEnumerable<(string Name, long[] Shape)> Layout(LlamaOptions options, bool isLegacy)
    {
        ModelDimensions d = options.Dimensions;
        long width = d.Width, feedForward = d.FeedForward, keyValue = (long)d.KeyValueHeads * d.HeadWidth;
        (string, long[])[] embedding = [("model.embed_tokens.weight", [d.Vocabulary, width])];
        (string, long[])[] finalNorm = [("model.norm.weight", [width])];
        (string, long[])[] head = options.Tied ? [] : [("lm_head.weight", [d.Vocabulary, width])];
        IEnumerable<(string, long[])> attentionNorms = Each("input_layernorm", width), feedForwardNorms = Each("post_attention_layernorm", width);
        IEnumerable<(string, long[])> attention =
        [
            .. Each("self_attn.q_proj", width, width), .. Each("self_attn.k_proj", keyValue, width), .. Each("self_attn.v_proj", keyValue, width),
            .. Each("self_attn.o_proj", width, width),
        ];
        IEnumerable<(string, long[])> feedForwards =
            [.. Each("mlp.gate_proj", feedForward, width), .. Each("mlp.down_proj", width, feedForward), .. Each("mlp.up_proj", feedForward, width)];
        (string, long[])[] angles = [("freq_cis_real", [d.Context, d.HeadWidth / 2]), ("freq_cis_imag", [d.Context, d.HeadWidth / 2])];
        return isLegacy
            ? [.. embedding, .. attentionNorms, .. attention, .. feedForwardNorms, .. feedForwards, .. finalNorm, .. angles, .. head]
            : [.. attentionNorms, .. feedForwardNorms, .. finalNorm, .. embedding, .. attention, .. feedForwards, .. head];

        IEnumerable<(string, long[])> Each(string part, params long[] shape) =>
            Enumerable.Range(0, d.Layers).Select(layer => ($"model.layers.{layer}.{part}.weight", shape));
    }

    private sealed record Stored(string Name, IReadOnlyList<long> Shape, long Begin) : TensorInfo(Name, SafetensorsType.F32, Shape);
}
