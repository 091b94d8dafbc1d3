using System.Runtime.InteropServices;
using System.Text;

namespace Windtunnel.Runs;

/// <summary>Replaces files so that a reader, or a machine that lost power, sees the old bytes or the new ones and nothing between.</summary>
public static class AtomicFile
{
    private const int InvalidArgument = 22; // EINVAL: a file system that cannot sync directories

    /// <summary>Writes a temporary file beside <paramref name="path"/>, syncs it, renames it into place and syncs the folder.</summary>
    /// <param name="overwrite">Whether a file that is there is replaced.</param>
    /// <exception cref="IOException">The file is there and is not to be replaced.</exception>
    public static void Write(string path, Action<Stream> write, bool overwrite = true)
    {
        string temporary = $"{path}.tmp-{Path.GetRandomFileName()}";
        try
        {
            using (FileStream file = new(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.Read))
            {
                write(file);
                file.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }

        SyncDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>Writes UTF-8 text without a byte order mark.</summary>
    /// <inheritdoc cref="Write"/>
    public static void WriteText(string path, string text, bool overwrite = true) => Write(path, file => file.Write(Encoding.UTF8.GetBytes(text)), overwrite);

    /// <summary>Makes the creations, renames and deletions in a folder durable; does nothing on Windows, where NTFS journals them.</summary>
    public static void SyncDirectory(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        // File.OpenHandle refuses directories.
        int descriptor = Open(path, flags: 0);
        if (descriptor < 0)
        {
            throw Failure();
        }

        try
        {
            if (Synchronize(descriptor) != 0 && Marshal.GetLastPInvokeError() != InvalidArgument)
            {
                throw Failure();
            }
        }
        finally
        {
            _ = Close(descriptor);
        }

        IOException Failure() => new($"{path}: cannot sync the folder: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    [DllImport("libc", EntryPoint = "open", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Synchronize(int descriptor);

    [DllImport("libc", EntryPoint = "close")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Close(int descriptor);
}
