using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Windtunnel.Text;

/// <summary>Writes a <see cref="TokenShard"/> beside its final place; only <see cref="Commit"/> puts it there.</summary>
public sealed class TokenShardWriter : IDisposable
{
    private readonly string _path;
    private readonly string _temporary;
    private readonly int _vocabularySize;
    private readonly int _tokenBytes;
    private readonly byte[] _header = new byte[TokenShard.HeaderBytes];
    private readonly FileStream _stream;
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly List<long> _offsets = [0];
    private ushort[] _narrow = [];

    /// <param name="path">The file; one that is there is replaced.</param>
    /// <param name="vocabularySize">Sets the width of a token.</param>
    /// <param name="tokenizerSha256">SHA-256 of the tokenizer.json.</param>
    public TokenShardWriter(string path, int vocabularySize, ReadOnlySpan<byte> tokenizerSha256)
    {
        (_path, _temporary, _vocabularySize) = (path, $"{path}.tmp-{Guid.NewGuid():n}", vocabularySize);
        _tokenBytes = TokenShard.BytesPerToken(vocabularySize);
        "WTTOKENS"u8.CopyTo(_header);
        BinaryPrimitives.WriteUInt32LittleEndian(_header.AsSpan(8), TokenShard.Version);
        BinaryPrimitives.WriteUInt32LittleEndian(_header.AsSpan(12), (uint)_tokenBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(_header.AsSpan(32), (uint)vocabularySize);
        tokenizerSha256.CopyTo(_header.AsSpan(72, 32));
        _stream = new FileStream(_temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1 << 16);
        _stream.Write(_header);
    }

    /// <summary>Adds a document.</summary>
    /// <param name="ids">Its token ids, the end-of-text token included; at least one.</param>
    public void Append(ReadOnlySpan<int> ids)
    {
        if (ids.IsEmpty || ids.IndexOfAnyExceptInRange(0, _vocabularySize - 1) >= 0)
        {
            throw new ArgumentException("a document is empty or has an id outside the vocabulary", nameof(ids));
        }

        if (_tokenBytes == 4)
        {
            Write(MemoryMarshal.AsBytes(ids));
        }
        else
        {
            if (_narrow.Length < ids.Length)
            {
                _narrow = new ushort[ids.Length];
            }

            for (int i = 0; i < ids.Length; i++)
            {
                _narrow[i] = (ushort)ids[i];
            }

            Write(MemoryMarshal.AsBytes(_narrow.AsSpan(0, ids.Length)));
        }

        _offsets.Add(_offsets[^1] + ids.Length);
    }

    /// <summary>Adds the index and the header, writes all to disk, renames the file into place and syncs the folder.</summary>
    public void Commit()
    {
        long tokens = _offsets[^1];
        Write(new byte[TokenShard.IndexStart(tokens, _tokenBytes) - TokenShard.HeaderBytes - (tokens * _tokenBytes)]);
        Write(MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(_offsets)));
        BinaryPrimitives.WriteInt64LittleEndian(_header.AsSpan(16), tokens);
        BinaryPrimitives.WriteInt64LittleEndian(_header.AsSpan(24), _offsets.Count - 1);
        _hash.GetHashAndReset(_header.AsSpan(40));
        _stream.Position = 0;
        _stream.Write(_header);
        _stream.Flush(flushToDisk: true);
        _stream.Dispose();
        File.Move(_temporary, _path, overwrite: true);
        AtomicFile.SyncFolder(Path.GetDirectoryName(Path.GetFullPath(_path))!);
    }

    /// <summary>Removes what was written, where it was not committed.</summary>
    public void Dispose()
    {
        _stream.Dispose();
        _hash.Dispose();
        File.Delete(_temporary);
    }

    private void Write(ReadOnlySpan<byte> bytes)
    {
        _hash.AppendData(bytes);
        _stream.Write(bytes);
    }
}
