using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Windtunnel.Models.HuggingFace;

/// <summary>Writes safetensors files front to back, one tensor at a time: the same tensors give the same bytes in whatever order they are named.</summary>
/// <remarks>Source: https://github.com/huggingface/safetensors (README, format); the order and padding are those of its own writer.</remarks>
public static class SafetensorsWriter
{
    private const int Alignment = 8;
    private const int ChunkElements = 1 << 16;

    /// <summary>Writes a whole file to a stream that need not seek.</summary>
    /// <param name="writeData">Writes the bytes of one tensor, row-major and little-endian, in as many pieces as it likes.</param>
    /// <param name="metadata">Strings for <c>__metadata__</c>; transformers wants <c>format: pt</c>.</param>
    /// <exception cref="ArgumentException">A name, shape or type cannot be written.</exception>
    /// <exception cref="InvalidOperationException">A tensor was given more or fewer bytes than its shape takes.</exception>
    public static void Write(
        Stream stream, IEnumerable<TensorInfo> tensors, Action<TensorInfo, Stream> writeData, IReadOnlyDictionary<string, string>? metadata = null)
    {
        TensorInfo[] ordered = [.. tensors.OrderByDescending(tensor => tensor.Type).ThenBy(tensor => tensor.Name, StringComparer.Ordinal)];
        byte[] header = Header(ordered, metadata);
        Span<byte> length = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
        stream.Write(length);
        stream.Write(header);
        foreach (TensorInfo tensor in ordered)
        {
            using Counted counted = new(stream, Bytes(tensor));
            writeData(tensor, counted);
            if (counted.Remaining != 0)
            {
                throw new InvalidOperationException($"{tensor.Name}: {counted.Remaining} bytes of its shape were not written");
            }
        }
    }

    /// <summary>Writes float32 values as elements of F32, F16, BF16 (both rounded to nearest, ties to even) or F64.</summary>
    public static void WriteSingles(Stream stream, ReadOnlySpan<float> values, SafetensorsType type = SafetensorsType.F32)
    {
        if (type == SafetensorsType.F32)
        {
            stream.Write(MemoryMarshal.AsBytes(values));
            return;
        }

        int size = type switch
        {
            SafetensorsType.F16 or SafetensorsType.BF16 => 2,
            SafetensorsType.F64 => 8,
            _ => throw new ArgumentException($"cannot write float32 values as {type}", nameof(type)),
        };
        byte[] chunk = new byte[size * Math.Min(values.Length, ChunkElements)];
        while (!values.IsEmpty)
        {
            int count = Math.Min(values.Length, ChunkElements);
            for (int i = 0; i < count; i++)
            {
                Span<byte> element = chunk.AsSpan(i * size, size);
                switch (type)
                {
                    case SafetensorsType.F16:
                        BinaryPrimitives.WriteHalfLittleEndian(element, (Half)values[i]);
                        break;
                    case SafetensorsType.BF16:
                        BinaryPrimitives.WriteUInt16LittleEndian(element, ToBFloat16(values[i]));
                        break;
                    default:
                        BinaryPrimitives.WriteDoubleLittleEndian(element, values[i]);
                        break;
                }
            }

            stream.Write(chunk, 0, count * size);
            values = values[count..];
        }
    }

    /// <summary>Writes float64 values as elements of F64.</summary>
    public static void WriteDoubles(Stream stream, ReadOnlySpan<double> values) => stream.Write(MemoryMarshal.AsBytes(values));

    private static ushort ToBFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)((bits >> 16) | 0x40) : (ushort)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    }

    private static byte[] Header(TensorInfo[] tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        using MemoryStream buffer = new();
        using (Utf8JsonWriter json = new(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                json.WriteStartObject(Safetensors.Metadata);
                foreach ((string key, string value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                {
                    json.WriteString(key, value);
                }

                json.WriteEndObject();
            }

            long begin = 0;
            HashSet<string> names = [Safetensors.Metadata];
            foreach (TensorInfo tensor in tensors)
            {
                if (JsonEncodedText.Encode(tensor.Name, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).EncodedUtf8Bytes.Length > Safetensors.MaxNameLength || !names.Add(tensor.Name))
                {
                    throw new ArgumentException($"{tensor.Name}: taken, reserved or too long a name for a tensor", nameof(tensors));
                }

                long end = checked(begin + Bytes(tensor));
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", tensor.Type.ToString());
                WriteSizes(json, "shape", tensor.Shape);
                WriteSizes(json, "data_offsets", [begin, end]);
                json.WriteEndObject();
                begin = end;
            }

            json.WriteEndObject();
        }

        while (buffer.Length % Alignment != 0)
        {
            buffer.WriteByte((byte)' ');
        }

        return buffer.ToArray();
    }

    private static void WriteSizes(Utf8JsonWriter json, string name, IEnumerable<long> sizes)
    {
        json.WriteStartArray(name);
        foreach (long size in sizes)
        {
            json.WriteNumberValue(size);
        }

        json.WriteEndArray();
    }

    private static long Bytes(TensorInfo tensor)
    {
        return Safetensors.Bytes(tensor.Type, tensor.Shape)
            ?? throw new ArgumentException($"{tensor.Name}: cannot write shape [{string.Join(", ", tensor.Shape)}] of {tensor.Type}", nameof(tensor));
    }

    /// <summary>Passes on the bytes of one tensor and no more.</summary>
    private sealed class Counted(Stream inner, long bytes) : Stream
    {
        public long Remaining { get; private set; } = bytes;

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            if (buffer.Length > Remaining)
            {
                throw new InvalidOperationException($"{buffer.Length - Remaining} bytes more than the shape of the tensor takes");
            }

            inner.Write(buffer);
            Remaining -= buffer.Length;
        }

        public override void Flush() => inner.Flush();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
