using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace Windtunnel.Tests.Models.HuggingFace;

/// <summary>Writes files as torch.save does: a pickle of protocol 2 and the elements of each storage, stored in a zip archive.</summary>
internal sealed class TorchArchive
{
    private readonly List<byte> _pickle = [0x80, 2];
    private readonly Dictionary<string, byte[]> _storages = [];

    public static TorchArchive Dictionary()
    {
        TorchArchive archive = new();
        archive._pickle.AddRange("}("u8);
        return archive;
    }

    /// <summary>A tensor of its own storage.</summary>
    public TorchArchive Add(string name, string storage, byte[] elements, long[] shape, long[]? strides = null, long offset = 0, string? key = null, long? count = null)
    {
        key ??= $"{_storages.Count}";
        _storages[key] = elements;
        int size = storage switch { "DoubleStorage" or "LongStorage" => 8, "HalfStorage" or "BFloat16Storage" => 2, _ => 4 };
        strides ??= [.. shape.Select((_, axis) => shape[(axis + 1)..].Aggregate(1L, (product, length) => product * length))];
        Text(name);
        Global("torch._utils", "_rebuild_tensor_v2");
        Raw("((");
        Text("storage");
        Global("torch", storage);
        Text(key);
        Text("cpu");
        Integer(count ?? elements.Length / size);
        Raw("tQ");
        Integer(offset);
        Tuple(shape);
        Tuple(strides);
        _pickle.Add(0x89);
        Global("collections", "OrderedDict");
        return Raw(")RtR");
    }

    public TorchArchive Raw(string opcodes)
    {
        _pickle.AddRange(Encoding.Latin1.GetBytes(opcodes));
        return this;
    }

    public TorchArchive Global(string module, string name) => Raw($"c{module}\n{name}\n");

    public TorchArchive Text(string text)
    {
        Span<byte> length = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, Encoding.UTF8.GetByteCount(text));
        _pickle.Add((byte)'X');
        _pickle.AddRange(length);
        _pickle.AddRange(Encoding.UTF8.GetBytes(text));
        return this;
    }

    public byte[] Pickle(string end = "u.")
    {
        Raw(end);
        return [.. _pickle];
    }

    public void Save(string path, string end = "u.", CompressionLevel compression = CompressionLevel.NoCompression) => Save(path, Pickle(end), _storages, compression);

    public static void Save(string path, byte[] pickle, IReadOnlyDictionary<string, byte[]> storages, CompressionLevel compression = CompressionLevel.NoCompression)
    {
        using ZipArchive zip = new(File.Create(path), ZipArchiveMode.Create);
        Write("model/data.pkl", pickle);
        Write("model/byteorder", "little"u8.ToArray());
        foreach ((string key, byte[] elements) in storages)
        {
            Write($"model/data/{key}", elements);
        }

        void Write(string name, byte[] content)
        {
            using Stream entry = zip.CreateEntry(name, compression).Open();
            entry.Write(content);
        }
    }

    private void Tuple(long[] values)
    {
        Raw("(");
        foreach (long value in values)
        {
            Integer(value);
        }

        Raw("t");
    }

    private void Integer(long value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        _pickle.AddRange([0x8a, 8]);
        _pickle.AddRange(bytes);
    }
}
