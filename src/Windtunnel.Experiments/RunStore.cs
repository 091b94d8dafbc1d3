using System.Collections.Concurrent;
using System.ComponentModel.DataAnnotations;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Text;
using Windtunnel.Training;
using Windtunnel.Training.Checkpoints;

namespace Windtunnel.Experiments;

/// <summary>
/// Runs by what they are of: the id of a run is the hash of its resolved config, its data, <see cref="TrainingRun.BitsVersion"/> and, for
/// a branch, its trunk and step, so that what has been run is never run again, whoever asks for it, and what was interrupted goes on. A run that
/// diverged is a result.
/// </summary>
/// <param name="places">Where runs and data are.</param>
/// <param name="listener">Is told what happens.</param>
/// <param name="threads">Worker threads of a run, 0 for one a core; the config's own when null.</param>
public sealed class RunStore(RunPlaces places, ITrainingListener listener, int? threads = null)
{
    private readonly Dictionary<string, PreparedData> _data = [];
    private readonly ConditionalWeakTable<RunConfig, Identity> _identities = [];
    private readonly ConcurrentDictionary<string, RunOutcome> _ended = [];

    /// <summary>Where runs and data are.</summary>
    public RunPlaces Places => places;

    /// <summary>The id of a run, whether there is one or not; prepares the data where it has to.</summary>
    /// <remarks>Remembered by the config's reference: an experiment that hands out the same configs again is asked cheaply.</remarks>
    public string IdOf(PlannedRun run)
    {
        Identity identity = _identities.GetValue(run.Config, Identify);
        string text = run.Trunk is null ? identity.Text : $"{identity.Text} branch of {IdOf(run.Trunk)} at {run.TrunkStep}";
        return $"{identity.Optimizer}-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 10))}";
    }

    /// <summary>Model operations that a run takes, a branch without its trunk.</summary>
    public double FlopsOf(PlannedRun run)
    {
        Identity identity = _identities.GetValue(run.Config, Identify);
        return identity.FlopsAStep * (run.Config.TotalSteps - run.TrunkStep);
    }

    /// <summary>A run's config with every dimension filled in, by the vocabulary that its tokenizer has; prepares the data where it has to.</summary>
    public RunConfig Resolve(PlannedRun run) => run.Config.Resolve(DataOf(run.Config.Data).Vocabulary);

    /// <summary>Tokens that the run's data holds for training: one epoch of them; prepares the data where it has to.</summary>
    public long TrainingTokensOf(PlannedRun run) => DataOf(run.Config.Data).TrainingTokens;

    /// <summary>How a run ended; null where it has not been run to its end. A branch of a trunk that diverged before it ended with its trunk.</summary>
    public RunOutcome? Find(PlannedRun run)
    {
        string id = IdOf(run);
        if (!_ended.TryGetValue(id, out RunOutcome? outcome))
        {
            outcome = OutcomeOf(id) ?? (run.Trunk is { } trunk && Find(trunk) is { Status: RunStatus.Diverged } end && !HasCheckpoint(trunk, run.TrunkStep) ? end : null);
            if (outcome is not null)
            {
                _ended[id] = outcome;
            }
        }

        return outcome;
    }

    /// <summary>Whether a run can start: it draws its own weights, or its trunk has the checkpoint, or has ended, so that waiting for it is no use.</summary>
    public bool CanStart(PlannedRun run) => run.Trunk is not { } trunk || HasCheckpoint(trunk, run.TrunkStep) || Find(trunk) is not null;

    /// <summary>Whether a process trains a run at this moment, by its lock.</summary>
    public bool IsInTraining(string id)
    {
        try
        {
            return RunFolder.Open(places.Runs, id).IsLocked;
        }
        catch (ValidationException)
        {
            return false; // There is no such run, yet.
        }
    }

    /// <summary>The newest step that a run has saved; 0 where it has none, or there is no such run.</summary>
    public long SavedStep(string id) => Steps(id) is [.., long newest] ? newest : 0;

    /// <summary>Finds a run, or trains it from its start, from its trunk, or from where it was interrupted.</summary>
    /// <returns>How it ended; null where it was stopped, and can go on.</returns>
    /// <exception cref="IOException">Another process trains it.</exception>
    public RunOutcome? Train(PlannedRun run, StopSignal stop)
    {
        if (Find(run) is { } known)
        {
            return known;
        }

        using (TrainingRun training = Open(run))
        {
            training.Train(stop);
        }

        return Find(run) ?? (stop.ExitCode is not null ? null
            : throw new ValidationException($"{Path.Combine(places.Runs, IdOf(run))}: ended without a validation loss, which results are of; set data.validationFraction above 0"));
    }

    private TrainingRun Open(PlannedRun run)
    {
        string id = IdOf(run);
        string path = Path.Combine(places.Runs, id);
        if (Directory.Exists(path) && !CanGoOn(run, path))
        {
            // Its process died while it made the folder: there is nothing to go on with. One that is still at it holds the lock.
            using RunLock held = RunFolder.Open(places.Runs, id).Lock();
            if (!CanGoOn(run, path))
            {
                Directory.Delete(path, recursive: true);
            }
        }

        RunConfig config = run.Config with { Threads = threads ?? run.Config.Threads };
        RunPlaces own = places with { RunId = id };
        ConfigOrigin origin = new(null, [], run.Prediction);
        return Directory.Exists(path) ? TrainingRun.Resume(id, places, listener, config.Threads)
            : run.Trunk is { } trunk ? TrainingRun.Branch(IdOf(trunk), run.TrunkStep, config, origin, own, listener)
            : TrainingRun.Start(config, origin, own, listener);
    }

    // A branch has a checkpoint from its start: until that is saved, there is no branch.
    private static bool CanGoOn(PlannedRun run, string path) =>
        File.Exists(Path.Combine(path, "run.json")) && (run.Trunk is null || CheckpointStore.Reader(Path.Combine(path, "checkpoints")).OpenNewest() is not null);

    private bool HasCheckpoint(PlannedRun run, long step) => Steps(IdOf(run)).Contains(step);

    private IReadOnlyList<long> Steps(string id)
    {
        try
        {
            return CheckpointStore.Reader(Path.Combine(places.Runs, id, "checkpoints")).Steps;
        }
        catch (DirectoryNotFoundException)
        {
            return []; // Its worker starts it again, and deleted what was there between two looks.
        }
    }

    /// <summary>How the run in a folder ended, whatever it is of; null where it has not, has no validation loss, or cannot be read: whoever trains it then learns why.</summary>
    public RunOutcome? OutcomeOf(string id)
    {
        string path = Path.Combine(places.Runs, id, "run.json");
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            RunFolder folder = RunFolder.Open(places.Runs, id);
            RunRecord record = RunRecord.Load(folder.RecordPath);
            return record.Status is RunStatus.Completed or RunStatus.Diverged ? Outcome(folder, record) : null;
        }
        catch (Exception error) when (error is InvalidDataException or IOException || !File.Exists(path))
        {
            return null;
        }
    }

    private static RunOutcome? Outcome(RunFolder folder, RunRecord record)
    {
        double[] losses = Values("/loss"), bits = Values("/bpb");
        bool diverged = record.Status == RunStatus.Diverged;
        if (!diverged && losses.Length == 0)
        {
            return null;
        }

        MetricsRow[] rows = [.. MetricsLog.Read(folder.MetricsPath)];
        Progress last = rows.Select(row => row.At).LastOrDefault();
        double loss = diverged ? double.PositiveInfinity : losses.Average();
        return new RunOutcome(
            folder.Id, record.Status, double.IsFinite(loss) ? loss : double.PositiveInfinity, diverged || bits.Length == 0 ? double.PositiveInfinity : bits.Average(),
            last.Step, last.Tokens, last.Flops, last.WallSeconds, StepTime.Of(rows), record.Model?.NonEmbedding ?? 0, StepTime.OfProcessor(rows));

        double[] Values(string ending) =>
        [
            .. (record.Summary ?? new Dictionary<string, double>())
                .Where(value => value.Key.StartsWith("val/", StringComparison.Ordinal) && value.Key.EndsWith(ending, StringComparison.Ordinal))
                .Select(value => value.Value),
        ];
    }

    private Identity Identify(RunConfig config)
    {
        PreparedData data = DataOf(config.Data);
        config = config.Resolve(data.Vocabulary);

        // Which checkpoints stay decides nothing but what can branch off.
        string milestones = config.Checkpoints.Milestones is { Length: > 0 } steps ? $" milestones {string.Join(' ', steps.Distinct().Order())}" : "";
        return new Identity(
            JsonSerializer.SerializeToNode(config.Optimizer, ConfigFile.JsonOptions)!["type"]!.GetValue<string>(), $"{TrainingRun.BitsVersion} {data.Key} {config.Fingerprint()}{milestones}",
            config.Training.TokensAStep * config.Model.Count().TrainingFlopsAToken(config.Training.SequenceLength));
    }

    private PreparedData DataOf(DataOptions data)
    {
        string options = ConfigFile.ToYaml(data);
        lock (_data)
        {
            if (!_data.TryGetValue(options, out PreparedData? known))
            {
                using Dataset dataset = Dataset.Prepare(data, places.Data, listener.Noticed);
                _data[options] = known = new PreparedData(dataset.Manifest.Key, dataset.Manifest.VocabularySize, dataset.Training.Sum(source => source.TokenCount));
            }

            return known;
        }
    }

    /// <summary>What a config is known by.</summary>
    private sealed record Identity(string Optimizer, string Text, double FlopsAStep);

    private sealed record PreparedData(string Key, int Vocabulary, long TrainingTokens);
}

/// <summary>How a run ended.</summary>
/// <param name="Id">Its folder.</param>
/// <param name="Status">Completed or diverged.</param>
/// <param name="LossNats">The final validation loss, the mean of the sources'; infinite where the run diverged.</param>
/// <param name="BitsPerByte">The same in bits a byte.</param>
/// <param name="Steps">Optimizer steps.</param>
/// <param name="Tokens">Training tokens.</param>
/// <param name="Flops">Model operations.</param>
/// <param name="WallSeconds">All of the time it took.</param>
/// <param name="StepSeconds">The time of a step, as undisturbed as can be told from the run's own clock.</param>
/// <param name="NonEmbedding">Parameters without embeddings.</param>
/// <param name="CpuSeconds">Processor time of a step, of all threads; not a number where the run has none on record.</param>
public sealed record RunOutcome(
    string Id, RunStatus Status, double LossNats, double BitsPerByte, long Steps, long Tokens, double Flops, double WallSeconds, double StepSeconds,
    long NonEmbedding, double CpuSeconds = double.NaN);
