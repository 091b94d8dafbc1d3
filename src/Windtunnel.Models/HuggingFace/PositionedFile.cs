using Microsoft.Win32.SafeHandles;

namespace Windtunnel.Models.HuggingFace;

/// <summary>
/// An open file that is read by position rather than mapped: one that another process truncates is then an exception and not the
/// end of this process. Several threads may read it.
/// </summary>
internal sealed class PositionedFile : IDisposable
{
    private readonly SafeFileHandle _handle;

    public PositionedFile(string path)
    {
        Path = path;
        _handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        Length = RandomAccess.GetLength(_handle);
    }

    public string Path { get; }

    /// <summary>Bytes when it was opened.</summary>
    public long Length { get; }

    /// <summary>Opens a file for what is to own it; closes it where that fails.</summary>
    public static T Open<T>(string path, Func<PositionedFile, T> owner)
    {
        PositionedFile file = new(path);
        try
        {
            return owner(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <exception cref="InvalidDataException">The file ends before the destination is full.</exception>
    public void Read(long at, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            int read = RandomAccess.Read(_handle, destination, at);
            if (read == 0)
            {
                throw new InvalidDataException($"{Path}: was truncated while open");
            }

            destination = destination[read..];
            at += read;
        }
    }

    public void Dispose() => _handle.Dispose();
}
