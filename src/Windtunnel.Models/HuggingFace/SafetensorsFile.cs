using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;

namespace Windtunnel.Models.HuggingFace;

/// <summary>
/// An open safetensors file. Every rule of the format is checked when it opens: the header's length, unique names, known types,
/// offsets without holes or overlaps, sizes that match shapes, nothing after the last tensor.
/// </summary>
/// <remarks>
/// Source: https://github.com/huggingface/safetensors (README, format). Memory grows with what the file holds, never with what it claims.
/// Data is read by position rather than mapped: a file that another process truncates is then an exception and not the end of this process.
/// One file may be read by several threads.
/// </remarks>
public sealed class SafetensorsFile : IDisposable
{
    private const int ChunkElements = 1 << 16;

    private readonly SafeFileHandle _handle;
    private readonly string _path;
    private readonly long _dataStart;
    private readonly Dictionary<string, string> _metadata = [];
    private readonly Dictionary<string, SafetensorsInfo> _tensors = [];

    private SafetensorsFile(SafeFileHandle handle, string path)
    {
        _handle = handle;
        _path = path;
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

    /// <summary>The path that the file was opened by.</summary>
    public string Path => _path;

    /// <summary>The tensors in the order of their data.</summary>
    public IReadOnlyList<SafetensorsInfo> Tensors { get; }

    /// <summary>The strings under <c>__metadata__</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _metadata;

    /// <exception cref="InvalidDataException">The file is not valid safetensors; the message names it and the rule.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    public static SafetensorsFile Open(string path)
    {
        SafeFileHandle handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        try
        {
            return new SafetensorsFile(handle, path);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    public bool Contains(string name) => _tensors.ContainsKey(name);

    /// <exception cref="InvalidDataException">The file has no such tensor.</exception>
    public SafetensorsInfo Info(string name)
    {
        return _tensors.TryGetValue(name, out SafetensorsInfo? info) ? info : throw new InvalidDataException($"{_path}: has no tensor {name}");
    }

    /// <summary>Reads the bytes of a tensor as they stand.</summary>
    /// <param name="destination">As long as <see cref="SafetensorsInfo.Bytes"/>.</param>
    public void ReadBytes(string name, Span<byte> destination)
    {
        SafetensorsInfo info = Info(name);
        CheckLength(info, destination.Length, info.Bytes, nameof(destination));
        Read(info.Begin, destination);
    }

    /// <summary>Reads a tensor of F64, F32, F16 or BF16 as float32.</summary>
    /// <param name="destination">As long as <see cref="SafetensorsInfo.Elements"/>.</param>
    /// <exception cref="InvalidDataException">The tensor is of another type.</exception>
    public void ReadSingles(string name, Span<float> destination) => ReadNumbers(name, destination);

    /// <summary>Reads a tensor of F64, F32, F16 or BF16 as float64.</summary>
    /// <param name="destination">As long as <see cref="SafetensorsInfo.Elements"/>.</param>
    /// <exception cref="InvalidDataException">The tensor is of another type.</exception>
    public void ReadDoubles(string name, Span<double> destination) => ReadNumbers(name, destination);

    public void Dispose() => _handle.Dispose();

    private void ReadNumbers<T>(string name, Span<T> destination)
        where T : unmanaged, INumberBase<T>
    {
        SafetensorsInfo info = Info(name);
        CheckLength(info, destination.Length, info.Elements, nameof(destination));
        if (info.Type == (typeof(T) == typeof(float) ? SafetensorsType.F32 : SafetensorsType.F64))
        {
            Read(info.Begin, MemoryMarshal.AsBytes(destination));
            return;
        }

        if (info.Type is not (SafetensorsType.F16 or SafetensorsType.BF16 or SafetensorsType.F32 or SafetensorsType.F64))
        {
            throw Bad($"tensor {name} is {info.Type}; expected F32, F64, F16 or BF16");
        }

        int size = (int)(info.Bytes / Math.Max(1, info.Elements));
        byte[] chunk = ArrayPool<byte>.Shared.Rent(ChunkElements * sizeof(double));
        try
        {
            for (int start = 0; start < destination.Length; start += ChunkElements)
            {
                Span<T> target = destination.Slice(start, Math.Min(ChunkElements, destination.Length - start));
                Span<byte> bytes = chunk.AsSpan(0, target.Length * size);
                Read(info.Begin + ((long)start * size), bytes);
                for (int i = 0; i < target.Length; i++)
                {
                    target[i] = T.CreateTruncating(Number(info.Type, bytes[(i * size)..]));
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }
    }

    private static double Number(SafetensorsType type, ReadOnlySpan<byte> bytes) => type switch
    {
        SafetensorsType.F16 => (double)BinaryPrimitives.ReadHalfLittleEndian(bytes),
        SafetensorsType.BF16 => BitConverter.Int32BitsToSingle(BinaryPrimitives.ReadUInt16LittleEndian(bytes) << 16),
        SafetensorsType.F32 => BinaryPrimitives.ReadSingleLittleEndian(bytes),
        _ => BinaryPrimitives.ReadDoubleLittleEndian(bytes),
    };

    private void Read(long begin, Span<byte> destination)
    {
        long at = _dataStart + begin;
        while (!destination.IsEmpty)
        {
            int read = RandomAccess.Read(_handle, destination, at);
            if (read == 0)
            {
                throw Bad("was truncated while open");
            }

            destination = destination[read..];
            at += read;
        }
    }

    private byte[] ReadHeader()
    {
        long length = RandomAccess.GetLength(_handle);
        Span<byte> prefix = stackalloc byte[sizeof(ulong) + 1];
        if (length < prefix.Length || RandomAccess.Read(_handle, prefix, 0) < prefix.Length)
        {
            throw Bad($"{length} bytes are too few for a header");
        }

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
        int filled = 0;
        while (filled < header.Length)
        {
            int read = RandomAccess.Read(_handle, header.AsSpan(filled), sizeof(ulong) + filled);
            filled += read > 0 ? read : throw Bad("was truncated while open");
        }

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

        long data = RandomAccess.GetLength(_handle) - _dataStart;
        if (end != data)
        {
            throw Bad($"the tensors fill {end} bytes, the file holds {data}");
        }
    }

    private void CheckLength(SafetensorsInfo info, long length, long expected, string parameter)
    {
        if (length != expected)
        {
            throw new ArgumentException($"{_path}: tensor {info.Name} needs {expected}, the destination holds {length}", parameter);
        }
    }

    private InvalidDataException Bad(string problem) => new($"{_path}: {(problem.Length > 300 ? problem[..300] + "..." : problem)}");
}
