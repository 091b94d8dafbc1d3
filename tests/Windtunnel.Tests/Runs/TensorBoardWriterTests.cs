using System.Buffers.Binary;
using System.Text;
using Windtunnel.Runs;

namespace Windtunnel.Tests.Runs;

public sealed class TensorBoardWriterTests
{
    private sealed class FixedClock(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }

    private static readonly FixedClock s_clock = new(DateTimeOffset.UnixEpoch.AddSeconds(1_700_000_000.25));

    [Fact]
    public void The_first_record_is_the_version_byte_for_byte()
    {
        using TemporaryFolder folder = new();
        TensorBoardWriter writer = new(folder.File("tb"), s_clock);
        writer.Dispose();
        byte[] bytes = File.ReadAllBytes(writer.FilePath);
        Assert.Equal(Convert.FromHexString("1800000000000000a37f4b22"), bytes[..12]);
        Assert.Equal(0x09, bytes[12]);
        Assert.Equal(1_700_000_000.25, BinaryPrimitives.ReadDoubleLittleEndian(bytes.AsSpan(13)));
        Assert.Equal([0x1a, 13, .. "brain.Event:2"u8], bytes[21..36]);
        Assert.Equal(12 + 24 + 4, bytes.Length);
        Assert.Matches(@"^events\.out\.tfevents\.1700000000\..+\.\d+\.\d+$", Path.GetFileName(writer.FilePath));
    }

    [Fact]
    public void The_checksum_is_crc32c()
    {
        Assert.Equal(0xe3069283, Crc32C("123456789"u8));
    }

    [Fact]
    public void Scalars_parse_back_with_valid_checksums()
    {
        using TemporaryFolder folder = new();
        using TensorBoardWriter writer = new(folder.Path, s_clock);
        string longTag = "eval/" + new string('x', 300) + "/é";
        writer.Append(0, ("train/loss", 10.5));
        writer.Append(300, ("train/loss", double.NaN), (longTag, -1e-3), ("zero", 0));
        writer.Append(long.MaxValue);

        List<(long Step, string Tag, float Value)> scalars = [];
        List<double> times = [];
        foreach (byte[] record in Records(File.ReadAllBytes(writer.FilePath)))
        {
            long step = 0;
            foreach ((int field, ulong number, byte[] bytes) in Fields(record))
            {
                switch (field)
                {
                    case 1:
                        times.Add(BitConverter.UInt64BitsToDouble(number));
                        break;
                    case 2:
                        step = (long)number;
                        break;
                    case 5:
                        foreach ((_, _, byte[] value) in Fields(bytes))
                        {
                            Dictionary<int, (ulong Number, byte[] Bytes)> parts = Fields(value).ToDictionary(f => f.Field, f => (f.Number, f.Bytes));
                            scalars.Add((step, Encoding.UTF8.GetString(parts[1].Bytes), BitConverter.UInt32BitsToSingle((uint)parts[2].Number)));
                        }

                        break;
                }
            }
        }

        Assert.Equal([(0, "train/loss", 10.5f), (300, "train/loss", float.NaN), (300, longTag, -1e-3f), (300, "zero", 0f)], scalars);
        Assert.Equal([1_700_000_000.25, 1_700_000_000.25, 1_700_000_000.25, 1_700_000_000.25], times);
    }

    /// <summary>TFRecord framing, each checksum recomputed bit by bit.</summary>
    private static IEnumerable<byte[]> Records(byte[] file)
    {
        for (int at = 0; at < file.Length;)
        {
            int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(at));
            Assert.Equal(Mask(Crc32C(file.AsSpan(at, 8))), BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 8)));
            byte[] data = file[(at + 12)..(at + 12 + length)];
            Assert.Equal(Mask(Crc32C(data)), BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 12 + length)));
            at += 12 + length + 4;
            yield return data;
        }
    }

    private static IEnumerable<(int Field, ulong Number, byte[] Bytes)> Fields(byte[] message)
    {
        for (int at = 0; at < message.Length;)
        {
            ulong tag = Varint(message, ref at);
            ulong number = 0;
            byte[] bytes = [];
            switch (tag & 7)
            {
                case 0:
                    number = Varint(message, ref at);
                    break;
                case 1:
                    number = BinaryPrimitives.ReadUInt64LittleEndian(message.AsSpan(at));
                    at += 8;
                    break;
                case 2:
                    int length = (int)Varint(message, ref at);
                    bytes = message[at..(at + length)];
                    at += length;
                    break;
                case 5:
                    number = BinaryPrimitives.ReadUInt32LittleEndian(message.AsSpan(at));
                    at += 4;
                    break;
                default:
                    Assert.Fail($"wire type {tag & 7}");
                    break;
            }

            yield return ((int)(tag >> 3), number, bytes);
        }
    }

    private static ulong Varint(byte[] bytes, ref int at)
    {
        ulong value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte b = bytes[at++];
            value |= (ulong)(b & 0x7f) << shift;
            if (b < 0x80)
            {
                return value;
            }
        }
    }

    private static uint Crc32C(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in bytes)
        {
            crc ^= b;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc >> 1) ^ ((crc & 1) * 0x82F63B78);
            }
        }

        return ~crc;
    }

    private static uint Mask(uint crc) => ((crc >> 15) | (crc << 17)) + 0xA282EAD8;
}
