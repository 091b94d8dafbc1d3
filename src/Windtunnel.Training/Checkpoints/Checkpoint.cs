using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;

namespace Windtunnel.Training.Checkpoints;

/// <summary>One file of a checkpoint.</summary>
/// <param name="Size">In bytes.</param>
/// <param name="Sha256">Lowercase hexadecimal.</param>
public sealed record CheckpointEntry(string Name, long Size, string Sha256);

/// <summary>What <c>manifest.json</c> says of a checkpoint.</summary>
/// <param name="ConfigHash">The hash of the configuration that trained it, as the trainer defines it.</param>
/// <param name="Parent">The run and step this run started from, if any.</param>
/// <param name="State">The small state that is no tensor: data cursor, random generators, pending hooks.</param>
public sealed record CheckpointManifest(
    int FormatVersion,
    long Step,
    long Tokens,
    string ConfigHash,
    RunParent? Parent,
    IReadOnlyList<CheckpointEntry> Files,
    JsonObject State)
{
    /// <summary>The version written; any other is refused.</summary>
    public const int CurrentFormatVersion = 1;

    internal const string FileName = "manifest.json";

    // The file opens with the hash of all bytes after it, so that any flipped bit shows.
    private const string Opening = "{\"sha256\":\"";
    private const string Closing = "\",\"manifest\":";
    private const int MaxBytes = 16_000_000;

    internal byte[] ToBytes()
    {
        byte[] rest = Encoding.UTF8.GetBytes($"{Closing}{JsonSerializer.Serialize(this, ConfigFile.JsonOptions)}}}\n");
        return [.. Encoding.UTF8.GetBytes(Opening + Convert.ToHexStringLower(SHA256.HashData(rest))), .. rest];
    }

    /// <exception cref="InvalidDataException">The file is absent, was changed, or is of another version.</exception>
    internal static CheckpointManifest Load(string path)
    {
        FileInfo file = new(path);
        if (!file.Exists || file.Length > MaxBytes)
        {
            throw new InvalidDataException($"{path}: {(file.Exists ? "too large" : "missing")}");
        }

        byte[] bytes = File.ReadAllBytes(path);
        int hashEnd = Opening.Length + (2 * SHA256.HashSizeInBytes);
        if (bytes.Length < hashEnd
            || !bytes.AsSpan(0, hashEnd).SequenceEqual(Encoding.UTF8.GetBytes(Opening + Convert.ToHexStringLower(SHA256.HashData(bytes.AsSpan(hashEnd))))))
        {
            throw new InvalidDataException($"{path}: its hash does not match its contents");
        }

        try
        {
            int start = hashEnd + Closing.Length;
            CheckpointManifest manifest = JsonSerializer.Deserialize<CheckpointManifest>(bytes.AsSpan(start..^2), ConfigFile.JsonOptions)!;
            return manifest.FormatVersion != CurrentFormatVersion
                ? throw new InvalidDataException($"{path}: format version {manifest.FormatVersion}; this version of Windtunnel reads {CurrentFormatVersion}")
                : manifest.Files.All(entry => CheckpointWriter.IsValidName(entry.Name))
                ? manifest
                : throw new InvalidDataException($"{path}: names a file that no checkpoint holds");
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            throw new InvalidDataException($"{path}: not a manifest: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }
}

/// <summary>A checkpoint whose every byte was compared with its manifest when it was opened.</summary>
public sealed class Checkpoint
{
    private Checkpoint(string path, CheckpointManifest manifest)
    {
        Path = path;
        Manifest = manifest;
    }

    /// <summary>The absolute path of the folder.</summary>
    public string Path { get; }

    public CheckpointManifest Manifest { get; }

    public long Step => Manifest.Step;

    /// <summary>Newer checkpoints that were passed over, one line each, naming the file and what is wrong with it.</summary>
    public IReadOnlyList<string> Rejected { get; private init; } = [];

    /// <summary>Opens a checkpoint folder and verifies all of it.</summary>
    /// <exception cref="InvalidDataException">A file is absent or was changed; the message names it.</exception>
    public static Checkpoint Open(string folder)
    {
        CheckpointManifest manifest = CheckpointManifest.Load(System.IO.Path.Combine(folder, CheckpointManifest.FileName));
        foreach (CheckpointEntry entry in manifest.Files)
        {
            Verify(System.IO.Path.Combine(folder, entry.Name), entry);
        }

        return new Checkpoint(System.IO.Path.GetFullPath(folder), manifest);
    }

    /// <summary>Whether it has a file of this name.</summary>
    public bool Has(string name) => Manifest.Files.Any(entry => entry.Name == name);

    /// <summary>The path of one of its files.</summary>
    /// <exception cref="InvalidDataException">The checkpoint has no such file.</exception>
    public string FilePath(string name)
    {
        return Has(name)
            ? System.IO.Path.Combine(Path, name)
            : throw new InvalidDataException($"{Path}: has no {name}, only {string.Join(", ", Manifest.Files.Select(entry => entry.Name))}");
    }

    public FileStream OpenRead(string name) => File.OpenRead(FilePath(name));

    internal Checkpoint InsteadOf(IReadOnlyList<string> rejected) => new(Path, Manifest) { Rejected = rejected };

    private static void Verify(string path, CheckpointEntry entry)
    {
        FileInfo file = new(path);
        if (!file.Exists)
        {
            throw new InvalidDataException($"{path}: missing");
        }

        if (file.Length != entry.Size)
        {
            throw new InvalidDataException($"{path}: {file.Length} bytes, where the manifest says {entry.Size}");
        }

        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 1 << 20);
        if (Convert.ToHexStringLower(SHA256.HashData(stream)) != entry.Sha256)
        {
            throw new InvalidDataException($"{path}: its hash does not match the manifest's");
        }
    }
}
