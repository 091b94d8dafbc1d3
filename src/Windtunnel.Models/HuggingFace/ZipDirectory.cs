using System.Buffers.Binary;
using System.Text;

namespace Windtunnel.Models.HuggingFace;

/// <summary>
/// Where the entries of a zip archive lie in its file. Only stored entries are let in, as torch.save writes them, so that they are read
/// in place and nothing can unpack to more than the file holds.
/// </summary>
/// <remarks>Source: PKWARE APPNOTE 6.3.9, sections 4.3.7, 4.3.12 and 4.3.14 to 4.3.16. Checksums are not compared.</remarks>
internal sealed class ZipDirectory
{
    private const uint EndSignature = 0x06054b50, End64Signature = 0x06064b50, Locator64Signature = 0x07064b50;
    private const uint EntrySignature = 0x02014b50, LocalSignature = 0x04034b50;
    private const int EndBytes = 22, End64Bytes = 56, Locator64Bytes = 20, EntryBytes = 46, LocalBytes = 30;
    private const int MaxCommentBytes = ushort.MaxValue, MaxDirectoryBytes = 1 << 24;

    private readonly PositionedFile _file;
    private readonly Dictionary<string, (long Header, long Bytes)> _entries = [];

    public ZipDirectory(PositionedFile file)
    {
        _file = file;
        (long begin, long bytes) = FindDirectory();
        if (bytes > MaxDirectoryBytes || begin < 0 || bytes < 0 || begin > file.Length - bytes)
        {
            throw Bad($"its directory claims {bytes} bytes at {begin}");
        }

        ReadDirectory(Read(begin, (int)bytes));
    }

    public IEnumerable<string> Names => _entries.Keys;

    /// <summary>Where the data of an entry begin and how many bytes they are; null where there is no such entry.</summary>
    public (long Begin, long Bytes)? Find(string name)
    {
        if (!_entries.TryGetValue(name, out (long Header, long Bytes) entry))
        {
            return null;
        }

        byte[] local = Read(entry.Header, LocalBytes);
        long begin = entry.Header + LocalBytes + UInt16(local, 26) + UInt16(local, 28);
        return UInt32(local, 0) == LocalSignature && begin <= _file.Length - entry.Bytes
            ? (begin, entry.Bytes)
            : throw Bad($"entry {name} is damaged");
    }

    private (long Begin, long Bytes) FindDirectory()
    {
        int tail = (int)Math.Min(_file.Length, EndBytes + MaxCommentBytes);
        byte[] last = Read(_file.Length - tail, tail);
        int at = tail - EndBytes;
        while (at >= 0 && (UInt32(last, at) != EndSignature || at + EndBytes + UInt16(last, at + 20) != tail))
        {
            at--;
        }

        if (at < 0)
        {
            throw Bad("it has no directory; it may be cut off");
        }

        (long begin, long bytes) = (UInt32(last, at + 16), UInt32(last, at + 12));
        int locator = at - Locator64Bytes;
        if (locator < 0 || UInt32(last, locator) != Locator64Signature)
        {
            return (begin, bytes);
        }

        byte[] end = Read(Int64(last, locator + 8), End64Bytes);
        return UInt32(end, 0) == End64Signature ? (Int64(end, 48), Int64(end, 40)) : throw Bad("its zip64 directory is damaged");
    }

    private void ReadDirectory(byte[] directory)
    {
        for (int at = 0; at < directory.Length;)
        {
            if (directory.Length - at < EntryBytes || UInt32(directory, at) != EntrySignature)
            {
                throw Bad("its directory is damaged");
            }

            (int nameBytes, int extraBytes, int commentBytes) = (UInt16(directory, at + 28), UInt16(directory, at + 30), UInt16(directory, at + 32));
            int next = at + EntryBytes + nameBytes + extraBytes + commentBytes;
            if (next > directory.Length)
            {
                throw Bad("its directory is damaged");
            }

            string name = Encoding.UTF8.GetString(directory, at + EntryBytes, nameBytes);
            (long size, long packed, long header) = (UInt32(directory, at + 24), UInt32(directory, at + 20), UInt32(directory, at + 42));
            ReadZip64(directory.AsSpan(at + EntryBytes + nameBytes, extraBytes), ref size, ref packed, ref header);
            if (UInt16(directory, at + 10) != 0 || size != packed || (directory[at + 8] & 1) != 0)
            {
                throw Bad($"entry {name} is compressed or encrypted; torch.save stores entries as they are");
            }

            if (size < 0 || header < 0 || header > _file.Length - LocalBytes || !_entries.TryAdd(name, (header, size)))
            {
                throw Bad($"entry {name} lies outside the file or appears twice");
            }

            at = next;
        }
    }

    /// <summary>The 64-bit values, in this order, of those that are all ones.</summary>
    private static void ReadZip64(ReadOnlySpan<byte> extra, ref long size, ref long packed, ref long header)
    {
        while (extra.Length >= 4)
        {
            int id = BinaryPrimitives.ReadUInt16LittleEndian(extra), bytes = BinaryPrimitives.ReadUInt16LittleEndian(extra[2..]);
            if (bytes > extra.Length - 4)
            {
                return;
            }

            ReadOnlySpan<byte> field = extra.Slice(4, bytes);
            extra = extra[(4 + bytes)..];
            if (id == 1)
            {
                Take(ref field, ref size);
                Take(ref field, ref packed);
                Take(ref field, ref header);
            }
        }

        static void Take(ref ReadOnlySpan<byte> field, ref long value)
        {
            if (value == uint.MaxValue && field.Length >= sizeof(long))
            {
                value = BinaryPrimitives.ReadInt64LittleEndian(field);
                field = field[sizeof(long)..];
            }
        }
    }

    private byte[] Read(long at, int bytes)
    {
        if (at < 0 || at > _file.Length - bytes)
        {
            throw Bad("it is cut off");
        }

        byte[] read = new byte[bytes];
        _file.Read(at, read);
        return read;
    }

    private static ushort UInt16(byte[] bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(at));

    private static uint UInt32(byte[] bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at));

    private static long Int64(byte[] bytes, int at) => BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(at));

    private InvalidDataException Bad(string problem) => new($"{_file.Path}: not a zip archive that can be read: {problem}");
}
