using System.Buffers.Binary;
using System.Text.Json;

namespace Windtunnel.Models.HuggingFace;

/// <summary>
/// An open safetensors file. Every rule of the format is checked when it opens: the header's length, unique names, known types,
/// offsets without holes or overlaps, sizes that match shapes, nothing after the last tensor.
/// </summary>
/// <remarks>
/// Source: https://github.com/huggingface/safetensors (README, format). Memory grows with what the file holds, never with what it claims.
/// One file may be read by several threads.
/// </remarks>
public sealed class SafetensorsFile : TensorFile
{
    private readonly PositionedFile _file;
    private readonly long _dataStart;
    private readonly Dictionary<string, string> _metadata = [];
    private readonly Dictionary<string, SafetensorsInfo> _tensors = [];

    private SafetensorsFile(PositionedFile file)
        : base(file.Path)
    {
        _file = file;
        byte[] header = ReadHeader();
        _dataStart = sizeof(ulong) + header.Length;
        try
        {
            ParseHeader(header);
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException)
        {
            throw Bad($"the header is not valid JSON: {e.Message.ReplaceLineEndings(" ")}");
        }

        Tensors = [.. _tensors.Values.OrderBy(info => info.Begin).ThenBy(info => info.End)];
        CheckOffsets();
    }

    /// <summary>The tensors in the order of their data.</summary>
    public override IReadOnlyList<SafetensorsInfo> Tensors { get; }

    /// <summary>The strings under <c>__metadata__</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _metadata;

    /// <exception cref="InvalidDataException">The file is not valid safetensors; the message names it and the rule.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    public static new SafetensorsFile Open(string path) => PositionedFile.Open(path, file => new SafetensorsFile(file));

    /// <inheritdoc/>
    public override void Dispose() => _file.Dispose();

    internal override SafetensorsInfo? Find(string name) => _tensors.GetValueOrDefault(name);

    internal override void Read(TensorInfo info, long first, Span<byte> destination)
    {
        SafetensorsInfo stored = (SafetensorsInfo)info;
        _file.Read(_dataStart + stored.Begin + (first == 0 ? 0 : stored.Bytes / stored.Elements * first), destination);
    }

    private byte[] ReadHeader()
    {
        long length = _file.Length;
        Span<byte> prefix = stackalloc byte[sizeof(ulong) + 1];
        if (length < prefix.Length)
        {
            throw Bad($"{length} bytes are too few for a header");
        }

        _file.Read(0, prefix);
        ulong headerBytes = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (headerBytes > Safetensors.MaxHeaderBytes || (long)headerBytes > length - sizeof(ulong))
        {
            throw Bad($"the header claims {headerBytes} bytes, of at most {Math.Min(Safetensors.MaxHeaderBytes, length - sizeof(ulong))}");
        }

        if (headerBytes == 0 || prefix[^1] != (byte)'{')
        {
            throw Bad("the header does not start with '{'");
        }

        byte[] header = new byte[headerBytes];
        _file.Read(sizeof(ulong), header);
        return header;
    }

    private void ParseHeader(ReadOnlySpan<byte> header)
    {
        Utf8JsonReader json = new(header, new JsonReaderOptions { MaxDepth = 3 });
        bool hasMetadata = false;
        json.Read();
        while (ReadName(ref json) is { } name)
        {
            json.Read();
            if (json.TokenType != JsonTokenType.StartObject)
            {
                throw Bad($"{name} is not an object");
            }

            if (name == Safetensors.Metadata ? hasMetadata : _tensors.ContainsKey(name))
            {
                throw Bad($"{name} appears twice");
            }

            if (name == Safetensors.Metadata)
            {
                hasMetadata = true;
                ParseMetadata(ref json);
            }
            else
            {
                _tensors.Add(name, ParseTensor(ref json, name));
            }

            if (_tensors.Count > Safetensors.MaxTensors)
            {
                throw Bad($"more than {Safetensors.MaxTensors} tensors");
            }
        }

        // Padding is white space; the reader throws on anything else.
        json.Read();
    }

    private void ParseMetadata(ref Utf8JsonReader json)
    {
        while (ReadName(ref json) is { } key)
        {
            json.Read();
            if (json.TokenType != JsonTokenType.String || !_metadata.TryAdd(key, json.GetString()!) || _metadata.Count > Safetensors.MaxMetadata)
            {
                throw Bad($"{Safetensors.Metadata}.{key} is not a string, appears twice, or is one of more than {Safetensors.MaxMetadata}");
            }
        }
    }

    private SafetensorsInfo ParseTensor(ref Utf8JsonReader json, string name)
    {
        SafetensorsType? type = null;
        long[]? shape = null;
        long[]? offsets = null;
        while (ReadName(ref json) is { } key)
        {
            json.Read();
            switch (key)
            {
                case "dtype" when type is null:
                    type = Safetensors.TryParseType(json.GetString(), out SafetensorsType known) ? known : throw Bad($"{name}.dtype is no known type");
                    break;
                case "shape" when shape is null:
                    shape = ReadSizes(ref json, Safetensors.MaxRank, $"{name}.shape");
                    break;
                case "data_offsets" when offsets is null:
                    offsets = ReadSizes(ref json, 2, $"{name}.data_offsets");
                    break;
                default:
                    throw Bad($"{name}.{key} appears twice or is no field of a tensor");
            }
        }

        if (type is null || shape is null || offsets is not [long begin, long end] || begin > end)
        {
            throw Bad($"{name} needs a dtype, a shape and data_offsets [begin, end]");
        }

        return Safetensors.Bytes(type.Value, shape) == end - begin
            ? new SafetensorsInfo(name, type.Value, shape, begin, end)
            : throw Bad($"{name}: shape [{string.Join(", ", shape)}] of {type} does not fill the {end - begin} bytes of data_offsets");
    }

    private long[] ReadSizes(ref Utf8JsonReader json, int max, string field)
    {
        if (json.TokenType != JsonTokenType.StartArray)
        {
            throw Bad($"{field} is not a list");
        }

        Span<long> sizes = stackalloc long[max];
        int count = 0;
        while (json.Read() && json.TokenType != JsonTokenType.EndArray)
        {
            if (count == max || json.TokenType != JsonTokenType.Number || !json.TryGetInt64(out sizes[count]) || sizes[count] < 0)
            {
                throw Bad($"{field} is not a list of at most {max} sizes");
            }

            count++;
        }

        return sizes[..count].ToArray();
    }

    /// <summary>The name of the next member; null at the end of the object.</summary>
    private string? ReadName(ref Utf8JsonReader json)
    {
        json.Read();
        if (json.TokenType == JsonTokenType.EndObject)
        {
            return null;
        }

        return json.ValueSpan.Length <= Safetensors.MaxNameLength
            ? json.GetString()
            : throw Bad($"a name is longer than {Safetensors.MaxNameLength} bytes");
    }

    private void CheckOffsets()
    {
        long end = 0;
        foreach (SafetensorsInfo info in Tensors)
        {
            if (info.Begin != end)
            {
                throw Bad($"{info.Name} begins at {info.Begin}, where the tensor before it ends at {end}");
            }

            end = info.End;
        }

        long data = _file.Length - _dataStart;
        if (end != data)
        {
            throw Bad($"the tensors fill {end} bytes, the file holds {data}");
        }
    }
}
