using System.ComponentModel.DataAnnotations;
using System.Text.RegularExpressions;
using Windtunnel.Runs.Config;

namespace Windtunnel.Runs;

/// <summary>The folder <c>runs/&lt;id&gt;</c> that one training run leaves behind; its layout is in docs/formats.md.</summary>
public sealed partial class RunFolder
{
    private RunFolder(string path) => Path = path;

    /// <summary>The absolute path of the folder.</summary>
    public string Path { get; }

    public string Id => System.IO.Path.GetFileName(Path);

    /// <summary>The <see cref="RunRecord"/>.</summary>
    public string RecordPath => At("run.json");

    /// <summary>The fully resolved configuration.</summary>
    public string ConfigPath => At("config.yaml");

    /// <summary>The <see cref="Runs.MetricsLog"/>.</summary>
    public string MetricsPath => At("metrics.jsonl");

    public string TensorBoardPath => At("tb");

    public string CheckpointsPath => At("checkpoints");

    public string HuggingFacePath => At("hf");

    /// <summary>The tokenizer, so that a run can be sampled without the data it was trained on.</summary>
    public string TokenizerPath => System.IO.Path.Combine(HuggingFacePath, "tokenizer.json");

    public string LogsPath => At("logs");

    /// <summary>What a person should know of the training, one line each, with its time.</summary>
    public string NoticesPath => System.IO.Path.Combine(LogsPath, "notices.log");

    public string CrashPath => At("crash");

    /// <summary>Creates a folder that no other process can create too.</summary>
    /// <param name="root">The folder of runs; made where absent.</param>
    /// <param name="name">What the id starts with: <c>name-yyyyMMdd-HHmmss</c>, then <c>-2</c>, <c>-3</c>, ... where taken.</param>
    /// <param name="id">The id itself, instead.</param>
    /// <exception cref="ValidationException">The id has characters beyond letters, digits, <c>. _ -</c>, is too long, or is taken.</exception>
    public static RunFolder Create(string root, string name, string? id = null, TimeProvider? clock = null)
    {
        (RunFolder folder, RunLock held) = CreateLocked(root, name, id, clock);
        held.Dispose();
        return folder;
    }

    /// <summary>Creates a folder that is this process's own from the moment that others can see it.</summary>
    /// <inheritdoc cref="Create"/>
    public static (RunFolder Folder, RunLock Lock) CreateLocked(string root, string name, string? id = null, TimeProvider? clock = null)
    {
        string stem = id ?? $"{name}-{(clock ?? TimeProvider.System).GetUtcNow():yyyyMMdd-HHmmss}";
        string fullRoot = Directory.CreateDirectory(root).FullName;

        // A rename onto a folder that is not empty fails, so of two processes one gets the id.
        string temporary = System.IO.Path.Combine(fullRoot, $"~{System.IO.Path.GetRandomFileName()}");
        Directory.CreateDirectory(temporary);

        // Windows renames no folder in which a file is open: there the lock is free for a moment.
        RunLock held = new(temporary);
        if (OperatingSystem.IsWindows())
        {
            held.Dispose();
        }

        try
        {
            for (int attempt = 1; ; attempt++)
            {
                string path = System.IO.Path.Combine(fullRoot, Valid(attempt == 1 ? stem : $"{stem}-{attempt}"));
                try
                {
                    Directory.Move(temporary, path);
                    AtomicFile.SyncDirectory(fullRoot);
                    return (new RunFolder(path), OperatingSystem.IsWindows() ? new RunLock(path) : held);
                }
                catch (IOException) when (System.IO.Path.Exists(path))
                {
                    if (id is not null)
                    {
                        throw new ValidationException($"{path}: the run already exists; resume it or choose another id");
                    }
                }
            }
        }
        catch
        {
            held.Dispose();
            if (Directory.Exists(temporary))
            {
                Directory.Delete(temporary, recursive: true);
            }

            throw;
        }
    }

    /// <summary>Opens the folder of an existing run.</summary>
    /// <exception cref="ValidationException">The id is not one, there is no such run, or it is a link out of <paramref name="root"/>.</exception>
    public static RunFolder Open(string root, string id)
    {
        string path = Resolve(System.IO.Path.GetFullPath(root), Valid(id));
        return Directory.Exists(path) ? new RunFolder(path) : throw new ValidationException($"{path}: no such run");
    }

    /// <summary>Whether a name is 1 to 100 letters, digits, <c>. _ -</c>, and neither <c>.</c> nor <c>..</c>.</summary>
    public static bool IsValidId(string id) => IdPattern().IsMatch(id) && id is not ("." or "..");

    /// <summary>The absolute path of something inside this folder, for names that come from outside.</summary>
    /// <exception cref="ValidationException">The path leads out of the folder, by <c>..</c>, by being absolute, or through a link.</exception>
    public string Resolve(string relativePath) => Resolve(Path, relativePath);

    /// <summary>Takes the run for this process until disposed. A lock dies with its process, however it ends.</summary>
    /// <exception cref="IOException">Another process holds the run.</exception>
    public RunLock Lock() => new(Path);

    /// <summary>Whether a process holds the run.</summary>
    public bool IsLocked
    {
        get
        {
            string path = At(RunLock.FileName);
            try
            {
                new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite).Dispose();
                return false;
            }
            catch (IOException)
            {
                return File.Exists(path);
            }
        }
    }

    /// <summary>Records what was asked for: the resolved configuration, the file it came from, the overrides as typed.</summary>
    public void WriteConfig<T>(T config, string? sourceText, IReadOnlyList<string> overrides)
        where T : notnull
    {
        AtomicFile.WriteText(ConfigPath, ConfigFile.ToYaml(config));
        AtomicFile.WriteText(At("config.source.yaml"), sourceText ?? "");
        AtomicFile.WriteText(At("overrides.txt"), string.Concat(overrides.Select(word => word.ReplaceLineEndings(" ") + "\n")));
    }

    private string At(string name) => System.IO.Path.Combine(Path, name);

    private static string Valid(string id)
    {
        return IsValidId(id) ? id : throw new ValidationException($"'{id}' is not a run id; use 1 to 100 letters, digits, '.', '_' and '-'");
    }

    private static string Resolve(string root, string relativePath)
    {
        string real = Real(root);
        string path = Real(System.IO.Path.GetFullPath(System.IO.Path.Combine(root, relativePath)));
        return path.StartsWith(real + System.IO.Path.DirectorySeparatorChar, StringComparison.Ordinal)
            ? path
            : throw new ValidationException($"'{relativePath}' leads out of {root}");
    }

    /// <summary>The path with every link on the way replaced by what it points to.</summary>
    private static string Real(string path)
    {
        string? parent = System.IO.Path.GetDirectoryName(path);
        if (parent is null)
        {
            return path;
        }

        string here = System.IO.Path.Combine(Real(parent), System.IO.Path.GetFileName(path));
        return new FileInfo(here).LinkTarget is null ? here : Real(File.ResolveLinkTarget(here, returnFinalTarget: true)!.FullName);
    }

    [GeneratedRegex(@"\A[A-Za-z0-9._-]{1,100}\z")]
    private static partial Regex IdPattern();
}

/// <summary>The right to write to a run, held by keeping its lock file open.</summary>
public sealed class RunLock : IDisposable
{
    internal const string FileName = "lock";

    private const int Attempts = 5;

    private readonly FileStream _file;

    internal RunLock(string folder)
    {
        // Who holds the lock stands beside it: .NET takes a shared lock even to read a file.
        string path = Path.Combine(folder, FileName);
        string holder = path + ".holder";
        _file = Open(path, holder);
        AtomicFile.WriteText(holder, $"process {Environment.ProcessId} on {Environment.MachineName}");
    }

    private static FileStream Open(string path, string holder)
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException e) when (File.Exists(path))
            {
                // For that reason a process that only looks whether the run is locked is in the way for a moment.
                if (attempt < Attempts)
                {
                    Thread.Sleep(20);
                    continue;
                }

                string who = File.Exists(holder) ? File.ReadAllText(holder) : "another process";
                throw new IOException($"{Path.GetDirectoryName(path)}: in use by {who}; wait for it to end or stop it", e);
            }
        }
    }

    public void Dispose() => _file.Dispose();
}
