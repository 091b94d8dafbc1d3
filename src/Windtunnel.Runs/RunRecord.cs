using System.Reflection;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Windtunnel.Runs.Config;

namespace Windtunnel.Runs;

/// <summary>How a run stands, or how it ended.</summary>
public enum RunStatus
{
    Running,
    Completed,
    Preempted,
    Failed,
    Diverged,
}

/// <summary>What a run took from its parent.</summary>
public enum RunParentKind
{
    /// <summary>All of its state: the same training, continued in another folder.</summary>
    Resume,

    /// <summary>All of its state, under another configuration, such as the decay of a schedule.</summary>
    Branch,

    /// <summary>Some of its layers (Inheritune).</summary>
    Inherit,

    /// <summary>Its weights alone.</summary>
    Init,
}

/// <summary>The run and step that another started from.</summary>
public sealed record RunParent(string Run, long Step, RunParentKind Kind);

/// <summary>The weights that a run started from.</summary>
/// <param name="Path">The absolute path of the file.</param>
/// <param name="Sha256">Lowercase hexadecimal.</param>
public sealed record RunInit(string Path, string Sha256)
{
    /// <summary>The file as it is now.</summary>
    public static RunInit From(string path)
    {
        using FileStream file = File.OpenRead(path);
        return new RunInit(System.IO.Path.GetFullPath(path), Convert.ToHexStringLower(SHA256.HashData(file)));
    }
}

/// <summary>The dataset that a run trains on.</summary>
/// <param name="Folder">The absolute path of the prepared dataset.</param>
/// <param name="Key">What its content depends on, hashed.</param>
public sealed record RunData(string Folder, string Key);

/// <summary>How large a run's model is.</summary>
/// <param name="Parameters">All parameters, embeddings included.</param>
/// <param name="NonEmbedding">Without token and position embeddings, and without an untied output projection.</param>
public sealed record RunModel(long Parameters, long NonEmbedding);

/// <summary>What a model has of other models.</summary>
/// <param name="References">The models that it inherits from.</param>
/// <param name="Layers">Where its blocks come from: each one's place in the reference.</param>
/// <param name="Parameters">All of its own.</param>
/// <param name="Copied">How many of them were copied; the others were drawn anew.</param>
/// <param name="Options">What was inherited, as a config says it.</param>
public sealed record RunLineage(IReadOnlyList<LineageSource> References, IReadOnlyList<int> Layers, long Parameters, long Copied, JsonObject Options);

/// <summary>A model that another inherits from.</summary>
/// <param name="Path">Its absolute path.</param>
/// <param name="Sha256">Of its weights, in lowercase hexadecimal.</param>
/// <param name="Layers">How many blocks it has.</param>
/// <param name="Parameters">All of them.</param>
public sealed record LineageSource(string Path, string Sha256, int Layers, long Parameters);

/// <summary>The record <c>run.json</c> of a run folder: who, from what, how it ended.</summary>
/// <param name="Id">The name of the folder.</param>
/// <param name="Init">The weights it started from; null where it drew its own.</param>
/// <param name="Lineage">What it inherited; null where it did not.</param>
/// <param name="Data">What it trains on, so that it can go on without the corpus.</param>
/// <param name="Model">How large its model is.</param>
/// <param name="GitSha">The commit of the repository around the working folder, if any.</param>
/// <param name="Prediction">The SHA-256 of what was written down about its result before it started; null where nothing was.</param>
/// <param name="Summary">Final metrics by name; NaN and infinities are written as strings.</param>
public sealed record RunRecord(
    string Id,
    string Name,
    ulong Seed,
    DateTimeOffset Created,
    RunStatus Status = RunStatus.Running,
    RunParent? Parent = null,
    RunInit? Init = null,
    RunLineage? Lineage = null,
    RunData? Data = null,
    RunModel? Model = null,
    string? Prediction = null,
    string? Host = null,
    string? GitSha = null,
    string? ToolVersion = null,
    DateTimeOffset? Ended = null,
    int? ExitCode = null,
    [property: JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)] IReadOnlyDictionary<string, double>? Summary = null)
{
    private const int MaxBytes = 1_000_000;

    /// <summary>The record of a run that starts here and now.</summary>
    public static RunRecord Start(RunFolder folder, string name, ulong seed, RunParent? parent = null, TimeProvider? clock = null)
    {
        return new RunRecord(
            folder.Id,
            name,
            seed,
            Created: (clock ?? TimeProvider.System).GetUtcNow(),
            Parent: parent,
            Host: Environment.MachineName,
            GitSha: GitHead.Read(Environment.CurrentDirectory),
            ToolVersion: typeof(RunRecord).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion);
    }

    /// <summary>Reads <c>run.json</c>.</summary>
    /// <exception cref="InvalidDataException">The file is absent, too large, or not a run record.</exception>
    public static RunRecord Load(string path)
    {
        FileInfo file = new(path);
        if (!file.Exists || file.Length > MaxBytes)
        {
            throw new InvalidDataException($"{path}: {(file.Exists ? "too large to be" : "the folder has no")} run record");
        }

        try
        {
            return JsonSerializer.Deserialize<RunRecord>(File.ReadAllBytes(path), ConfigFile.JsonOptions)
                ?? throw new InvalidDataException($"{path}: not a run record");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"{path}: not a run record: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    /// <summary>Replaces <c>run.json</c> atomically.</summary>
    public void Save(string path)
    {
        AtomicFile.Write(path, file =>
        {
            JsonSerializer.Serialize(file, this, ConfigFile.JsonOptions);
            file.WriteByte((byte)'\n');
        });
    }
}
