using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using System.Security.Cryptography;

namespace Windtunnel.Text;

/// <summary>
/// A file of tokenized documents, mapped into memory and read-only. All numbers are little-endian:
/// <code>
/// offset  bytes  header
///      0      8  "WTTOKENS"
///      8      4  version, 1
///     12      4  bytes a token: 2 where the vocabulary has at most 65,536 ids, else 4
///     16      8  number of tokens N
///     24      8  number of documents D
///     32      4  vocabulary size
///     36      4  zero
///     40     32  SHA-256 of everything after the header
///     72     32  SHA-256 of the tokenizer.json
///    104     24  zero
///    128      -  N token ids; zeros up to a multiple of 8; D + 1 unsigned 64-bit offsets, in tokens, of each document and the end
/// </code>
/// Every document ends with the tokenizer's end-of-text token.
/// </summary>
public sealed class TokenShard : IDisposable
{
    internal const int HeaderBytes = 128;
    internal const uint Version = 1;

    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte[] _sha256;
    private readonly byte[] _tokenizerSha256;
    private readonly int _tokenBytes;
    private readonly long _indexStart;

    private TokenShard(string path, FileStream stream)
    {
        Path = path;
        Span<byte> header = stackalloc byte[HeaderBytes];
        Check(stream.ReadAtLeast(header, HeaderBytes, throwOnEndOfStream: false) == HeaderBytes, "is shorter than a header");
        Check(header[..8].SequenceEqual("WTTOKENS"u8), "does not start with WTTOKENS");
        uint version = BinaryPrimitives.ReadUInt32LittleEndian(header[8..]);
        Check(version == Version, $"has version {version}, not {Version}");
        uint tokenBytes = BinaryPrimitives.ReadUInt32LittleEndian(header[12..]);
        ulong tokens = BinaryPrimitives.ReadUInt64LittleEndian(header[16..]);
        ulong documents = BinaryPrimitives.ReadUInt64LittleEndian(header[24..]);
        uint vocabulary = BinaryPrimitives.ReadUInt32LittleEndian(header[32..]);
        Check(vocabulary is > 0 and <= int.MaxValue && tokenBytes == BytesPerToken((int)vocabulary), "has a token width that does not fit its vocabulary size");
        Check(tokens <= long.MaxValue / 16 && documents <= tokens, "has impossible token and document counts");
        Check(header[36..40].IndexOfAnyExcept((byte)0) < 0 && header[104..].IndexOfAnyExcept((byte)0) < 0, "has reserved header bytes that are not zero");
        _indexStart = IndexStart((long)tokens, (int)tokenBytes);
        long expected = _indexStart + (8 * ((long)documents + 1));
        Check(stream.Length == expected, $"has {stream.Length} bytes where its header asks for {expected}");

        TokenCount = (long)tokens;
        DocumentCount = (long)documents;
        VocabularySize = (int)vocabulary;
        _tokenBytes = (int)tokenBytes;
        _sha256 = header[40..72].ToArray();
        _tokenizerSha256 = header[72..104].ToArray();
        _file = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
        _view = _file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
    }

    public string Path { get; }

    /// <summary>Number of tokens, end-of-text tokens included.</summary>
    public long TokenCount { get; }

    public long DocumentCount { get; }

    public int VocabularySize { get; }

    /// <summary>SHA-256 of everything after the header, as the header has it; <see cref="Verify"/> checks it.</summary>
    public ReadOnlySpan<byte> Sha256 => _sha256;

    /// <summary>SHA-256 of the tokenizer.json that made the tokens.</summary>
    public ReadOnlySpan<byte> TokenizerSha256 => _tokenizerSha256;

    /// <exception cref="InvalidDataException">The file is not a shard, or its size is not what its header says.</exception>
    public static TokenShard Open(string path)
    {
        FileStream stream = File.OpenRead(path);
        try
        {
            return new TokenShard(path, stream);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Copies consecutive tokens, across documents.</summary>
    /// <param name="start">The first token, from 0.</param>
    /// <param name="destination">Filled whole; start plus its length is at most <see cref="TokenCount"/>.</param>
    /// <exception cref="InvalidDataException">A token id is outside the vocabulary.</exception>
    public void ReadTokens(long start, Span<int> destination)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((ulong)start, (ulong)TokenCount, nameof(start));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(destination.Length, TokenCount - start, nameof(destination));
        ulong at = (ulong)(HeaderBytes + (start * _tokenBytes));
        if (_tokenBytes == 4)
        {
            _view.SafeMemoryMappedViewHandle.ReadSpan(at, destination);
        }
        else
        {
            Span<ushort> chunk = stackalloc ushort[1024];
            for (Span<int> rest = destination; !rest.IsEmpty;)
            {
                Span<ushort> read = chunk[..Math.Min(chunk.Length, rest.Length)];
                _view.SafeMemoryMappedViewHandle.ReadSpan(at, read);
                for (int i = 0; i < read.Length; i++)
                {
                    rest[i] = read[i];
                }

                at += 2 * (ulong)read.Length;
                rest = rest[read.Length..];
            }
        }

        foreach (int id in destination)
        {
            Check((uint)id < (uint)VocabularySize, "has a token id outside its vocabulary");
        }
    }

    /// <summary>The place of a document: its first token, and the first token after it.</summary>
    /// <exception cref="InvalidDataException">The document index is damaged.</exception>
    public (long Start, long End) Document(long index)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((ulong)index, (ulong)DocumentCount, nameof(index));
        ulong start = _view.ReadUInt64(_indexStart + (8 * index));
        ulong end = _view.ReadUInt64(_indexStart + (8 * index) + 8);
        Check(start < end && end <= (ulong)TokenCount, "has a damaged document index");
        return ((long)start, (long)end);
    }

    /// <summary>Reads the whole file and checks its hash, every token id and the document index.</summary>
    /// <exception cref="InvalidDataException">One of them is wrong.</exception>
    public void Verify()
    {
        using (FileStream stream = File.OpenRead(Path))
        {
            stream.Position = HeaderBytes;
            Check(SHA256.HashData(stream).AsSpan().SequenceEqual(_sha256), "does not have the content its SHA-256 says");
        }

        int[] tokens = new int[1 << 14];
        for (long start = 0; start < TokenCount; start += tokens.Length)
        {
            ReadTokens(start, tokens.AsSpan(0, (int)Math.Min(tokens.Length, TokenCount - start)));
        }

        long at = 0;
        for (long document = 0; document < DocumentCount; document++)
        {
            (long start, long end) = Document(document);
            Check(start == at, "has a damaged document index");
            at = end;
        }

        Check(at == TokenCount && _view.ReadUInt64(_indexStart + (8 * DocumentCount)) == (ulong)at, "has a damaged document index");
    }

    public void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
    }

    internal static int BytesPerToken(int vocabularySize) => vocabularySize <= 65_536 ? 2 : 4;

    internal static long IndexStart(long tokens, int tokenBytes) => HeaderBytes + (((tokens * tokenBytes) + 7) / 8 * 8);

    private void Check(bool condition, string problem)
    {
        if (!condition)
        {
            throw new InvalidDataException($"{Path} {problem}: prepare the dataset again");
        }
    }
}
