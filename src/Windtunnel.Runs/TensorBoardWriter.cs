using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace Windtunnel.Runs;

/// <summary>Writes scalars to a TensorBoard event file: TFRecord framing with masked CRC-32C around <c>Event</c> protobufs.</summary>
/// <remarks>Source: tensorflow/core/lib/io/record_writer.cc, event.proto and summary.proto; scalars are <c>simple_value</c>.</remarks>
public sealed class TensorBoardWriter : IDisposable
{
    private const byte Varint = 0;
    private const byte Fixed64 = 1;
    private const byte Delimited = 2;
    private const byte Fixed32 = 5;

    private static int s_opened;

    private readonly FileStream _file;
    private readonly TimeProvider _clock;
    private readonly ArrayBufferWriter<byte> _event = new(1024);
    private readonly ArrayBufferWriter<byte> _record = new(1024);

    /// <summary>Starts a new event file in <paramref name="folder"/>, which is made where absent.</summary>
    public TensorBoardWriter(string folder, TimeProvider? clock = null)
    {
        _clock = clock ?? TimeProvider.System;
        Directory.CreateDirectory(folder);
        string name = $"events.out.tfevents.{_clock.GetUtcNow().ToUnixTimeSeconds():D10}.{Environment.MachineName}.{Environment.ProcessId}.{Interlocked.Increment(ref s_opened) - 1}";
        _file = new FileStream(Path.Combine(folder, name), FileMode.CreateNew, FileAccess.Write, FileShare.Read, bufferSize: 0);
        StartEvent();
        WriteText(_event, field: 3, "brain.Event:2");
        WriteRecord();
    }

    /// <summary>The path of the event file.</summary>
    public string FilePath => _file.Name;

    /// <summary>Writes the scalars of one step as one event; values become float32.</summary>
    public void Append(long step, params ReadOnlySpan<(string Tag, double Value)> scalars)
    {
        StartEvent();
        WriteTag(_event, field: 2, Varint);
        WriteVarint(_event, (ulong)step);
        int summaryBytes = 0;
        foreach ((string tag, _) in scalars)
        {
            int valueBytes = ValueBytes(tag);
            summaryBytes += 1 + VarintBytes((ulong)valueBytes) + valueBytes;
        }

        WriteTag(_event, field: 5, Delimited);
        WriteVarint(_event, (ulong)summaryBytes);
        foreach ((string tag, double value) in scalars)
        {
            WriteTag(_event, field: 1, Delimited);
            WriteVarint(_event, (ulong)ValueBytes(tag));
            WriteText(_event, field: 1, tag);
            WriteTag(_event, field: 2, Fixed32);
            BinaryPrimitives.WriteSingleLittleEndian(_event.GetSpan(4), (float)value);
            _event.Advance(4);
        }

        WriteRecord();
    }

    public void Dispose() => _file.Dispose();

    private void StartEvent()
    {
        _event.ResetWrittenCount();
        WriteTag(_event, field: 1, Fixed64);
        double wallTime = (_clock.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds;
        BinaryPrimitives.WriteDoubleLittleEndian(_event.GetSpan(8), wallTime);
        _event.Advance(8);
    }

    private void WriteRecord()
    {
        _record.ResetWrittenCount();
        Span<byte> header = _record.GetSpan(12);
        BinaryPrimitives.WriteUInt64LittleEndian(header, (ulong)_event.WrittenCount);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], MaskedCrc(header[..8]));
        _record.Advance(12);
        _record.Write(_event.WrittenSpan);
        BinaryPrimitives.WriteUInt32LittleEndian(_record.GetSpan(4), MaskedCrc(_event.WrittenSpan));
        _record.Advance(4);
        try
        {
            _file.Write(_record.WrittenSpan);
        }
        catch (IOException)
        {
            _file.SetLength(_file.Position); // Readers stop at a torn record.
            throw;
        }
    }

    /// <summary>CRC-32C, rotated and offset so that a file of records within a record keeps distinct sums.</summary>
    private static uint MaskedCrc(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in bytes)
        {
            crc = BitOperations.Crc32C(crc, b);
        }

        return BitOperations.RotateRight(~crc, 15) + 0xA282EAD8;
    }

    /// <summary>The length of a <c>Summary.Value</c>: tag = 1 (string), simple_value = 2 (float).</summary>
    private static int ValueBytes(string tag)
    {
        int text = Encoding.UTF8.GetByteCount(tag);
        return 1 + VarintBytes((ulong)text) + text + 1 + 4;
    }

    private static int VarintBytes(ulong value) => (BitOperations.Log2(value | 1) / 7) + 1;

    private static void WriteTag(ArrayBufferWriter<byte> output, int field, byte wireType) => output.Write([(byte)((field << 3) | wireType)]);

    private static void WriteText(ArrayBufferWriter<byte> output, int field, string text)
    {
        WriteTag(output, field, Delimited);
        WriteVarint(output, (ulong)Encoding.UTF8.GetByteCount(text));
        Encoding.UTF8.GetBytes(text, output);
    }

    private static void WriteVarint(ArrayBufferWriter<byte> output, ulong value)
    {
        for (; value >= 0x80; value >>= 7)
        {
            output.Write([(byte)(value | 0x80)]);
        }

        output.Write([(byte)value]);
    }
}
