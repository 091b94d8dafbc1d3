using System.ComponentModel.DataAnnotations;
using System.Text.RegularExpressions;
using Windtunnel.Runs;

namespace Windtunnel.Training.Checkpoints;

/// <summary>Which checkpoints outlive newer ones.</summary>
/// <param name="Last">The newest to keep, at least 2, so that one may prove bad.</param>
/// <param name="Permanent">Steps to keep for good, such as those before a decay.</param>
/// <param name="Every">Multiples of this step to keep for good; null for none.</param>
public sealed record CheckpointRetention(int Last = 2, IReadOnlyList<long>? Permanent = null, long? Every = null)
{
    public int Last { get; init; } = Last >= 2 ? Last : throw new ValidationException($"last is {Last}; keep at least 2 checkpoints, for one may prove bad");

    public long? Every { get; init; } = Every is null or > 0 ? Every : throw new ValidationException($"every is {Every}; expected a positive number of steps");

    internal bool IsPermanent(long step) => Permanent?.Contains(step) == true || (Every is { } every && step % every == 0);
}

/// <summary>
/// The folder <c>checkpoints</c> of a run: <c>step-00001000/</c>, each whole or absent, whatever kills the process or the disk.
/// One process at a time may open it, which the lock of the run folder sees to.
/// </summary>
/// <remarks>
/// Save writes <c>step-N.tmp-&lt;pid&gt;</c>: each file hashed as it is written and synced, <c>manifest.json</c> last; syncs the folder,
/// renames it to <c>step-N</c>, syncs the parent, reads everything back, and only then prunes older ones.
/// A folder that fails verification is renamed to <c>step-N.bad</c>, never deleted, and never passed over in silence.
/// </remarks>
public sealed partial class CheckpointStore
{
    private readonly string _folder;
    private readonly CheckpointRetention _retention;
    private readonly Action<string>? _beforeOperation;
    private readonly bool _isReader;

    /// <summary>Opens the folder, which is made where absent, and clears what interrupted saves left in it.</summary>
    public CheckpointStore(string folder, CheckpointRetention? retention = null)
        : this(folder, retention, beforeOperation: null)
    {
    }

    /// <param name="beforeOperation">Told each operation on the file system before it happens; what it throws, the operation throws.</param>
    internal CheckpointStore(string folder, CheckpointRetention? retention, Action<string>? beforeOperation)
    {
        _folder = Directory.CreateDirectory(folder).FullName;
        _retention = retention ?? new CheckpointRetention();
        _beforeOperation = beforeOperation;
        Recover();
    }

    private CheckpointStore(string folder)
    {
        (_folder, _retention, _isReader) = (Path.GetFullPath(folder), new CheckpointRetention(), true);
    }

    /// <summary>The checkpoints of a run that another process may be training right now: nothing in the folder is changed.</summary>
    public static CheckpointStore Reader(string folder) => new(folder);

    /// <summary>The steps that have a checkpoint, oldest first; not yet verified.</summary>
    public IReadOnlyList<long> Steps => [.. Candidates().Select(candidate => candidate.Step).Order()];

    /// <summary>Saves a checkpoint durably, replacing one of the same step, then prunes.</summary>
    /// <param name="write">Creates the files and sets the fields of the manifest.</param>
    /// <returns>The checkpoint as read back from disk.</returns>
    /// <exception cref="ValidationException">The folder holds a later step, which would win over this one.</exception>
    /// <exception cref="IOException">It could not be saved, as on a full disk; those before it stand, and nothing of it is left.</exception>
    /// <exception cref="InvalidDataException">The disk gave back other bytes; what it holds is set aside, and nothing is pruned.</exception>
    public Checkpoint Save(long step, Action<CheckpointWriter> write)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        if (_isReader)
        {
            throw new InvalidOperationException($"{_folder}: opened for reading");
        }

        if (Steps is [.., long newest] && step < newest)
        {
            throw new ValidationException($"{_folder}: step {step} comes before the saved step {newest}; resume from the newest, or branch into a new run");
        }

        string final = PathOf(step);
        string temporary = $"{final}.tmp-{Environment.ProcessId}";
        try
        {
            Before("create folder");
            TryDelete(temporary);
            Directory.CreateDirectory(temporary);
            CheckpointWriter writer = new(temporary, _beforeOperation);
            write(writer);
            writer.WriteManifest(step);
            Before("sync folder");
            AtomicFile.SyncDirectory(temporary);
            Replace(temporary, final);
        }
        catch
        {
            TryDelete(temporary);
            throw;
        }

        Before("sync parent");
        AtomicFile.SyncDirectory(_folder);
        Before("verify");
        Checkpoint saved = OpenOrQuarantine(final);
        TryDelete(Replaced(final));
        Prune();
        return saved;
    }

    /// <summary>Opens the newest checkpoint that verifies; bad ones on the way are set aside as <c>step-N.bad</c>, but by a reader.</summary>
    /// <remarks>A reader that loses the race against the run's pruning looks again.</remarks>
    /// <returns>Null where the run has never saved one.</returns>
    /// <exception cref="InvalidDataException">There are checkpoints, or were, and none verifies: the run must not start over by itself.</exception>
    public Checkpoint? OpenNewest()
    {
        List<string> rejected = [];
        foreach ((_, string path) in Candidates().OrderByDescending(candidate => candidate.Step))
        {
            try
            {
                return OpenOrQuarantine(path).InsteadOf(rejected);
            }
            catch (Exception) when (_isReader && !Directory.Exists(path))
            {
                return OpenNewest(); // The run saved a newer one and pruned this one meanwhile.
            }
            catch (InvalidDataException e)
            {
                rejected.Add(e.Message);
            }
        }

        if (rejected.Count == 0 && Directory.Exists(_folder))
        {
            rejected.AddRange(Directory.EnumerateDirectories(_folder).Where(path => QuarantinedName().IsMatch(Path.GetFileName(path)))
                .Select(path => $"{path}: set aside before").Order(StringComparer.Ordinal));
        }

        return rejected.Count == 0 ? null : throw new InvalidDataException(
            $"{_folder}: no checkpoint can be used: {string.Join("; ", rejected)}; restore one, or delete this folder to start over");
    }

    /// <summary>Opens and verifies the checkpoint of one step; leaves a bad one where it is.</summary>
    /// <exception cref="InvalidDataException">There is none, or it is bad.</exception>
    public Checkpoint Open(long step)
    {
        string path = PathOf(step);
        return Directory.Exists(path)
            ? Checkpoint.Open(path)
            : throw new InvalidDataException($"{path}: no such checkpoint; there are steps {string.Join(", ", Steps)}");
    }

    private string PathOf(long step) => Path.Combine(_folder, $"step-{step:D8}");

    private static string Replaced(string final) => final + ".replaced";

    private IEnumerable<(long Step, string Path)> Candidates()
    {
        foreach (string path in Directory.Exists(_folder) ? Directory.EnumerateDirectories(_folder) : [])
        {
            if (CandidateName().Match(Path.GetFileName(path)) is { Success: true } match && long.TryParse(match.Groups[1].Value, out long step))
            {
                yield return (step, path);
            }
        }
    }

    /// <summary>A rename cannot replace a folder, so an old one of the same step steps aside; <see cref="Recover"/> undoes a half of it.</summary>
    private void Replace(string temporary, string final)
    {
        string replaced = Replaced(final);
        if (Directory.Exists(final))
        {
            TryDelete(replaced);
            Before("rename old");
            Directory.Move(final, replaced);
        }

        try
        {
            Before("rename new");
            Directory.Move(temporary, final);
        }
        catch when (Directory.Exists(replaced))
        {
            Directory.Move(replaced, final);
            throw;
        }
    }

    private void Recover()
    {
        foreach (string path in Directory.GetDirectories(_folder))
        {
            if (LeftoverName().Match(Path.GetFileName(path)) is not { Success: true } match)
            {
                continue;
            }

            string final = Path.Combine(_folder, match.Groups[1].Value);
            if (match.Groups[2].Value == "replaced" && !Directory.Exists(final))
            {
                Directory.Move(path, final);
            }
            else
            {
                TryDelete(path);
            }
        }
    }

    private Checkpoint OpenOrQuarantine(string path)
    {
        try
        {
            Checkpoint checkpoint = Checkpoint.Open(path);
            return Path.GetFullPath(PathOf(checkpoint.Step)) == checkpoint.Path
                ? checkpoint
                : throw new InvalidDataException($"{path}: holds step {checkpoint.Step}");
        }
        catch (Exception e) when (!_isReader && e is (InvalidDataException or IOException or UnauthorizedAccessException))
        {
            string aside = path + ".bad";
            for (int i = 2; Path.Exists(aside); i++)
            {
                aside = $"{path}.bad-{i}";
            }

            try
            {
                Directory.Move(path, aside);
                AtomicFile.SyncDirectory(_folder);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                throw new InvalidDataException(e.Message, e); // On a read-only disk it stays where it is.
            }

            throw new InvalidDataException($"{e.Message} (set aside as {Path.GetFileName(aside)})", e);
        }
    }

    private void Prune()
    {
        foreach (long step in Steps.SkipLast(_retention.Last).Where(step => !_retention.IsPermanent(step)))
        {
            // Renamed first: a kill halfway through the deletion must not leave what looks like a corrupt checkpoint.
            string doomed = $"{PathOf(step)}.tmp-pruned";
            Before("prune");
            Directory.Move(PathOf(step), doomed);
            TryDelete(doomed);
        }
    }

    private void Before(string operation) => _beforeOperation?.Invoke(operation);

    /// <summary>What cannot be deleted now is deleted when the store is next opened.</summary>
    private static void TryDelete(string folder)
    {
        try
        {
            if (Directory.Exists(folder))
            {
                Directory.Delete(folder, recursive: true);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
        }
    }

    [GeneratedRegex(@"\Astep-([0-9]{8,})\z")]
    private static partial Regex CandidateName();

    [GeneratedRegex(@"\Astep-[0-9]{8,}\.bad(-[0-9]+)?\z")]
    private static partial Regex QuarantinedName();

    [GeneratedRegex(@"\A(step-[0-9]{8,})\.(replaced|tmp-.*)\z")]
    private static partial Regex LeftoverName();
}
