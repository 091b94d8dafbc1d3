using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Windtunnel.Text;

/// <summary>
/// Replaces files so that a reader, or a machine that lost power, sees the old bytes or the new ones and nothing between.
/// Windtunnel.Runs has its own: neither project references the other, and a third for this alone would be more to know.
/// </summary>
internal static class AtomicFile
{
    /// <summary>Writes a temporary file beside the path, syncs it, renames it into place and syncs the folder.</summary>
    public static void Write(string path, Action<FileStream> write)
    {
        string temporary = $"{path}.tmp-{Guid.NewGuid():n}";
        try
        {
            using (FileStream stream = new(temporary, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, bufferSize: 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }

        SyncFolder(Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>Makes the creations, renames and deletions in a folder durable; does nothing on Windows, where NTFS journals them.</summary>
    public static void SyncFolder(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        // File.OpenHandle refuses folders.
        using SafeFileHandle folder = Open(path, flags: 0);
        if (folder.IsInvalid)
        {
            throw new IOException($"{path}: cannot sync the folder: {Marshal.GetLastPInvokeErrorMessage()}");
        }

        RandomAccess.FlushToDisk(folder);
    }

    [DllImport("libc", EntryPoint = "open", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern SafeFileHandle Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);
}
