using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Windtunnel.Runs;

namespace Windtunnel.Training.Checkpoints;

/// <summary>What a trainer fills while a checkpoint is saved: files, and the fields of the manifest.</summary>
public sealed class CheckpointWriter
{
    private readonly string _folder;
    private readonly Action<string>? _beforeOperation;
    private readonly List<CheckpointEntry> _files = [];
    private int _open;

    internal CheckpointWriter(string folder, Action<string>? beforeOperation)
    {
        _folder = folder;
        _beforeOperation = beforeOperation;
    }

    /// <summary>Tokens trained on so far.</summary>
    public long Tokens { get; set; }

    public string ConfigHash { get; set; } = "";

    public RunParent? Parent { get; set; }

    public JsonObject State { get; set; } = [];

    /// <summary>Opens a new file to write from start to end; disposing it makes it durable and records its hash.</summary>
    /// <param name="name">Letters, digits, <c>. _ -</c>.</param>
    public Stream Create(string name)
    {
        if (!IsValidName(name) || _files.Any(file => file.Name == name))
        {
            throw new ArgumentException($"'{name}' is not the name of a new file in a checkpoint", nameof(name));
        }

        _open++;
        return new HashedFile(this, name);
    }

    internal static bool IsValidName(string name) => RunFolder.IsValidId(name) && name != CheckpointManifest.FileName;

    internal CheckpointManifest Manifest(long step)
    {
        return _open == 0
            ? new CheckpointManifest(CheckpointManifest.CurrentFormatVersion, step, Tokens, ConfigHash, Parent, _files, State)
            : throw new InvalidOperationException("a file of the checkpoint was not disposed");
    }

    internal void WriteManifest(long step)
    {
        byte[] bytes = Manifest(step).ToBytes();
        _beforeOperation?.Invoke("create " + CheckpointManifest.FileName);
        using FileStream file = new(Path.Combine(_folder, CheckpointManifest.FileName), FileMode.CreateNew, FileAccess.Write, FileShare.Read);
        _beforeOperation?.Invoke("write " + CheckpointManifest.FileName);
        file.Write(bytes);
        _beforeOperation?.Invoke("sync " + CheckpointManifest.FileName);
        file.Flush(flushToDisk: true);
    }

    private sealed class HashedFile : Stream
    {
        private readonly CheckpointWriter _writer;
        private readonly string _name;
        private readonly FileStream _file;
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        private bool _closed;

        public HashedFile(CheckpointWriter writer, string name)
        {
            _writer = writer;
            _name = name;
            writer._beforeOperation?.Invoke("create " + name);
            _file = new FileStream(Path.Combine(writer._folder, name), FileMode.CreateNew, FileAccess.Write, FileShare.Read, bufferSize: 1 << 16);
        }

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => _file.Length;

        public override long Position { get => _file.Position; set => throw new NotSupportedException(); }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            _writer._beforeOperation?.Invoke("write " + _name);
            _hash.AppendData(buffer);
            _file.Write(buffer);
        }

        public override void Flush() => _file.Flush();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing && !_closed)
            {
                _closed = true;
                using (_hash)
                using (_file)
                {
                    _writer._beforeOperation?.Invoke("sync " + _name);
                    _file.Flush(flushToDisk: true);
                    _writer._files.Add(new CheckpointEntry(_name, _file.Length, Convert.ToHexStringLower(_hash.GetHashAndReset())));
                    _writer._open--;
                }
            }

            base.Dispose(disposing);
        }
    }
}
