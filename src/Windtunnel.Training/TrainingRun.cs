using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Windtunnel.Models;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Text;
using Windtunnel.Text.Tokenizers;
using Windtunnel.Training.Checkpoints;

namespace Windtunnel.Training;

/// <summary>
/// A training run and its folder: started, resumed or branched, then trained to its end. It records metrics, validates, saves
/// and stops when asked, and can be killed at any instant: <see cref="Resume"/> goes on bit for bit from the newest checkpoint.
/// </summary>
public sealed class TrainingRun : IDisposable
{
    /// <summary>
    /// Part of the id of every run that experiments share. Raise it whenever any run would end with other bits than before, so that
    /// nobody takes the results of the older engine for those of this one; it is no version of the tool.
    /// </summary>
    public const string BitsVersion = "0.1.0";

    private readonly Stack<IDisposable> _owned;
    private readonly Dataset _data;
    private readonly Backend _backend;
    private readonly Trainer _trainer;
    private readonly Validator _validator;
    private readonly CheckpointStore _checkpoints;
    private readonly ITrainingListener _listener;
    private RunRecord _record;
    private readonly string _configHash, _stream;
    private readonly double _peakFlopsPerSecond;
    private readonly long _validateEvery, _saveEvery;
    private MetricsLog? _metrics;
    private TensorBoardWriter? _tensorBoard;
    private long _lastSave = Stopwatch.GetTimestamp(), _lastStep, _unrecordedSteps;
    private TimeSpan _unrecordedCpu;
    private bool _losesMetrics;
    private IReadOnlyList<ValidationScore>? _scores;

    private TrainingRun(RunFolder folder, RunRecord record, RunConfig config, Dataset data, ITrainingListener listener, Stack<IDisposable> owned)
    {
        (Folder, Config, _record, _data, _listener, _owned) = (folder, config, record, data, listener, owned);
        Directory.CreateDirectory(folder.HuggingFacePath);
        data.Tokenizer.Save(folder.TokenizerPath);
        _backend = Own(new CpuBackend(config.Threads));
        _trainer = Own(new Trainer(config, data, _backend));
        _validator = Own(new Validator(
            _trainer.Model, data, config.Validation, config.Training.BatchSize / config.Training.GradientAccumulation,
            config.Training.SequenceLength, _trainer.Pool));
        _checkpoints = new CheckpointStore(
            folder.CheckpointsPath, new CheckpointRetention(config.Checkpoints.KeepLast, config.Checkpoints.Milestones));
        _configHash = config.Fingerprint();
        _stream = StreamOf(config, data);
        _peakFlopsPerSecond = _backend.MeasurePeakFlopsPerSecond();
        _validateEvery = config.Validation.Every.Steps(config.Training.TokensAStep, config.TotalSteps);
        _saveEvery = config.Checkpoints.Every.Steps(config.Training.TokensAStep, config.TotalSteps);
    }

    /// <summary>What the run leaves behind.</summary>
    public RunFolder Folder { get; }

    /// <summary>What is trained, and how; resolved.</summary>
    public RunConfig Config { get; }

    /// <summary>The data that it is trained on.</summary>
    public Dataset Data => _data;

    /// <summary>The model.</summary>
    public Model Model => _trainer.Model;

    /// <summary>The last validation, null before the first.</summary>
    public IReadOnlyList<ValidationScore>? Scores => _scores;

    /// <summary>Starts a new run.</summary>
    /// <param name="config">What to train; not yet resolved.</param>
    /// <param name="origin">The file and the overrides it came from, for the record.</param>
    /// <param name="places">Where runs and data are.</param>
    /// <param name="listener">Is told what happens.</param>
    /// <param name="initFrom">A safetensors file to take the weights from.</param>
    /// <param name="parent">The run that the file is of, where it is of one.</param>
    /// <exception cref="ValidationException">The config is impossible, or the weights are of a run with another tokenizer.</exception>
    public static TrainingRun Start(
        RunConfig config, ConfigOrigin origin, RunPlaces places, ITrainingListener listener, string? initFrom = null, RunParent? parent = null)
    {
        // Preparing data may take hours: a bad setting shows before.
        config.Data.Validate();
        config.Resolve(config.Data.Tokenizer.VocabularySizeMax());
        Dataset data = Dataset.Prepare(config.Data, places.Data, listener.Noticed);
        config = config.Resolve(data.Tokenizer.VocabularySize);
        foreach (string doubt in config.Doubts)
        {
            listener.Noticed(doubt);
        }

        if (parent is not null)
        {
            RequireSameTokenizer(RunFolder.Open(places.Runs, parent.Run), data);
        }

        if (config.Inheritance is { } inheritance)
        {
            return initFrom is null
                ? Inherit(config, InheritedModel.Open(inheritance), origin, places, data, listener)
                : throw new ValidationException($"--init-from {initFrom}: the config has an inheritance to start from; leave one of them out");
        }

        RunInit? init = initFrom is null ? null : RunInit.From(initFrom);
        return Create(config, origin, places, data, parent, init, listener, run =>
        {
            if (initFrom is null)
            {
                run._trainer.Initialize();
            }
            else
            {
                run._trainer.InitializeFrom(initFrom);
                run.Save();
            }
        });
    }

    private static TrainingRun Inherit(
        RunConfig config, InheritedModel inherited, ConfigOrigin origin, RunPlaces places, Dataset data, ITrainingListener listener)
    {
        foreach (Reference reference in inherited.References)
        {
            reference.RequireTokenizerOf(data, "inheritance.from");
        }

        RunParent? parent = inherited.References[0].Run is { } run ? new RunParent(run.Id, run.Step, RunParentKind.Inherit) : null;
        return Create(config, origin, places, data, parent, init: null, listener, run =>
        {
            run._record = run._record with { Lineage = inherited.Lineage(run._trainer.Initialize(inherited)) };
            run._record.Save(run.Folder.RecordPath);
            run.Save();
        });
    }

    /// <summary>Goes on with a run from its newest checkpoint that verifies, or from the start where it drew its own weights and never saved one.</summary>
    /// <exception cref="InvalidDataException">There are checkpoints and none can be used; or there is none, and the run didn't start from its seed alone.</exception>
    public static TrainingRun Resume(string id, RunPlaces places, ITrainingListener listener, int? threads = null)
    {
        RunFolder folder = RunFolder.Open(places.Runs, id);
        RunRecord record = RunRecord.Load(folder.RecordPath);
        RunConfig config = ConfigFile.Load<RunConfig>(folder.ConfigPath);
        config = config with { Threads = threads ?? config.Threads };
        Dataset data = OpenData(record, config.Data, places.Data, listener.Noticed);
        config = config.Resolve(data.Tokenizer.VocabularySize);
        return Open(folder, record, config, data, listener, held: null, run =>
        {
            if (run._checkpoints.OpenNewest() is { } checkpoint)
            {
                run.Restore(checkpoint);
            }
            else if (config.Inheritance is { } inheritance && record.Parent?.Kind != RunParentKind.Branch)
            {
                run.Notice("no checkpoint was saved yet: the weights are inherited again");
                run._trainer.Initialize(InheritedModel.Open(inheritance));
            }
            else if (record.Parent is not null || record.Init is not null)
            {
                string source = record.Parent is { } parent ? $"{parent.Run} step {parent.Step}" : record.Init!.Path;
                throw new InvalidDataException($"{folder.Path}: has no checkpoint yet; start it again from {source}");
            }
            else
            {
                run.Notice("no checkpoint was saved yet: training starts from step 0");
                run._trainer.Initialize();
            }
        });
    }

    /// <summary>Starts a new run from a checkpoint of another, with its weights, optimizer state and place in the data: a cooldown from a stable trunk.</summary>
    /// <param name="id">The run to branch from.</param>
    /// <param name="step">The checkpoint; the newest when null.</param>
    /// <param name="overrides">What is different; training.length counts from the parent's first step or token.</param>
    /// <param name="places">Where runs and data are.</param>
    /// <param name="listener">Is told what happens.</param>
    /// <exception cref="ValidationException">The branch is not a continuation: another model or optimizer, or no steps left.</exception>
    public static TrainingRun Branch(string id, long? step, IReadOnlyList<string> overrides, RunPlaces places, ITrainingListener listener)
    {
        string parent = RunFolder.Open(places.Runs, id).ConfigPath;
        RunConfig config = ConfigFile.Bind<RunConfig>(ConfigFile.Apply<RunConfig>(ConfigFile.Read(parent), parent, overrides), parent);
        return Branch(id, step, config, new ConfigOrigin(File.ReadAllText(parent), overrides), places, listener);
    }

    /// <inheritdoc cref="Branch(string, long?, IReadOnlyList{string}, RunPlaces, ITrainingListener)"/>
    /// <param name="config">What to train, not yet resolved; training.length counts from the parent's first step or token.</param>
    /// <param name="origin">What the config came from, for the record.</param>
    public static TrainingRun Branch(string id, long? step, RunConfig config, ConfigOrigin origin, RunPlaces places, ITrainingListener listener)
    {
        RunFolder source = RunFolder.Open(places.Runs, id);
        RunConfig before = ConfigFile.Load<RunConfig>(source.ConfigPath);
        Dataset data = ConfigFile.ToYaml(config.Data) == ConfigFile.ToYaml(before.Data)
            ? OpenData(RunRecord.Load(source.RecordPath), config.Data, places.Data, listener.Noticed)
            : Dataset.Prepare(config.Data, places.Data, listener.Noticed);

        // Only now: a parent in training prunes its checkpoints.
        CheckpointStore store = CheckpointStore.Reader(source.CheckpointsPath);
        Checkpoint checkpoint = step is { } wanted
            ? store.Open(wanted)
            : store.OpenNewest() ?? throw new InvalidDataException($"{source.Path}: has no checkpoint to branch from");
        config = config.From(checkpoint.Step, checkpoint.Manifest.Tokens).Resolve(data.Tokenizer.VocabularySize);
        Require(config.Model == before.Model, "model", "is not the parent's; train --init-from takes weights alone");
        string? unlike = config.Optimizer.UnlikeStateOf(before.Optimizer);
        Require(unlike is null, $"optimizer.{unlike}", "is not the parent's; train --init-from takes weights alone");
        Require(
            config.TotalSteps > checkpoint.Step, "training.length",
            $"{config.TotalSteps} steps end before the branch does: it starts at step {checkpoint.Step}");

        RunParent parent = new(id, checkpoint.Step, RunParentKind.Branch);
        return Create(config, origin, places, data, parent, init: null, listener, run =>
        {
            run.Restore(checkpoint, sameRun: false);
            run.Save();
        });

        static void Require(bool holds, string name, string problem)
        {
            if (!holds)
            {
                throw new ValidationException($"{name} {problem}");
            }
        }
    }

    /// <summary>Trains to the end, or until asked to stop.</summary>
    /// <returns>The process's exit code: 0, 4 when diverged, or what the signal asks for.</returns>
    public int Train(StopSignal stop)
    {
        try
        {
            while (_trainer.State.Step < Config.TotalSteps)
            {
                if (!TakeStep())
                {
                    return End(RunStatus.Diverged, 4);
                }

                long step = _trainer.State.Step;
                bool last = step == Config.TotalSteps;
                if (last || Due(step, _validateEvery, Config.Validation.Milestones))
                {
                    Validate();
                }

                bool stopping = stop.ExitCode is not null && !last;
                if (last || stopping || Due(step, every: 0, Config.Checkpoints.Milestones))
                {
                    // What branches off a milestone waits for it: a run that went on without would leave them nothing to wait for.
                    Save();
                }
                else if (Due(step, _saveEvery, milestones: null) || SaveIsOverdue)
                {
                    TrySave();
                }

                if (stopping)
                {
                    return End(RunStatus.Preempted, stop.ExitCode ?? 0);
                }
            }

            _scores ??= Score();
            return End(RunStatus.Completed, 0);
        }
        catch (Exception error)
        {
            Attempt(() =>
            {
                Directory.CreateDirectory(Folder.CrashPath);
                File.WriteAllText(
                    Path.Combine(Folder.CrashPath, $"{DateTime.UtcNow:yyyyMMdd-HHmmss}.json"),
                    new JsonObject { ["step"] = _trainer.State.Step, ["error"] = error.ToString() }.ToJsonString());
            });
            Attempt(() => End(RunStatus.Failed, 1));
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Release(_owned);

    private static TrainingRun Create(
        RunConfig config, ConfigOrigin origin, RunPlaces places, Dataset data, RunParent? parent, RunInit? init, ITrainingListener listener,
        Action<TrainingRun> prepare)
    {
        (RunFolder folder, RunLock held) = RunFolder.CreateLocked(places.Runs, config.Name, places.RunId);
        ModelCounts counts = config.Model.Count();
        RunRecord record = RunRecord.Start(folder, config.Name, config.Seed, parent) with
        {
            Init = init,
            Data = new RunData(Path.GetFullPath(data.Folder), data.Manifest.Key),
            Model = new RunModel(counts.Total, counts.NonEmbedding),
            Prediction = origin.Prediction,
        };
        try
        {
            folder.WriteConfig(config, origin.Text, origin.Overrides);
        }
        catch
        {
            Release(new Stack<IDisposable>([data, held]));
            throw;
        }

        return Open(folder, record, config, data, listener, held, prepare);
    }

    // A run that can't even start must hold nothing; a new one, which is locked already, must not look as if it were running, an old one must stay as it was.
    private static TrainingRun Open(
        RunFolder folder, RunRecord record, RunConfig config, Dataset data, ITrainingListener listener, RunLock? held, Action<TrainingRun> prepare)
    {
        Stack<IDisposable> owned = new([data]);
        record = record with { Status = RunStatus.Running, Ended = null, ExitCode = null };
        try
        {
            owned.Push(held ?? folder.Lock());
            if (held is not null)
            {
                record.Save(folder.RecordPath);
            }

            TrainingRun run = new(folder, record, config, data, listener, owned);
            prepare(run);
            run.OpenLogs();
            run._record.Save(folder.RecordPath);
            return run;
        }
        catch
        {
            if (held is not null)
            {
                Attempt(() => (record with { Status = RunStatus.Failed, Ended = DateTimeOffset.UtcNow, ExitCode = 1 }).Save(folder.RecordPath));
            }

            Release(owned);
            throw;
        }
    }

    private static void Release(Stack<IDisposable> owned)
    {
        while (owned.TryPop(out IDisposable? last))
        {
            last.Dispose();
        }
    }

    // For what is worth a try where the disk may be full, and must not hide an error or end a run.
    private static void Attempt(Action action)
    {
        try
        {
            action();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
        }
    }

    // By its folder, there or under the data folder of now: the corpus may be gone. Prepared again only where the folder is gone too.
    internal static Dataset OpenData(RunRecord record, DataOptions options, string root, Action<string> progress)
    {
        string[] candidates = record.Data is { } known ? [known.Folder, Path.Combine(root, Path.GetFileName(known.Folder))] : [];
        Dataset data = Array.Find(candidates, Directory.Exists) is { } folder
            ? Dataset.Open(folder, options)
            : Dataset.Prepare(options, root, progress);
        if (record.Data is { } expected && data.Manifest.Key != expected.Key)
        {
            data.Dispose();
            throw new InvalidDataException($"{data.Folder}: is not the dataset that {record.Id} was trained on; the corpus has changed: restore it, or {expected.Folder}");
        }

        return data;
    }

    private static void RequireSameTokenizer(RunFolder source, Dataset data)
    {
        if (!Tokenizer.Load(source.TokenizerPath).Sha256.SequenceEqual(data.Tokenizer.Sha256))
        {
            throw new ValidationException(
                $"--init-from {source.Id}: its tokenizer is another, so its weights mean nothing here; set data.tokenizer={{type: file, path: {source.TokenizerPath}}}");
        }
    }

    // Everything that decides which tokens come after a place in the data.
    private static string StreamOf(RunConfig config, Dataset data) => string.Join(' ',
    [
        data.Manifest.Key, $"seed={config.Seed}", $"sequenceLength={config.Training.SequenceLength}", $"subsetSeed={config.Data.SubsetSeed}",
        .. data.Training.Select(source => $"{source.Name}={source.Weight}*{source.TokenCount}"),
    ]);

    private static bool Due(long step, long every, long[]? milestones) =>
        (every > 0 && step % every == 0) || (milestones is not null && Array.IndexOf(milestones, step) >= 0);

    private bool SaveIsOverdue =>
        Config.Checkpoints.EveryMinutes > 0 && Stopwatch.GetElapsedTime(_lastSave).TotalMinutes >= Config.Checkpoints.EveryMinutes;

    private T Own<T>(T resource)
        where T : IDisposable
    {
        _owned.Push(resource);
        return resource;
    }

    private void OpenLogs()
    {
        _metrics = Own(new MetricsLog(Folder.MetricsPath, _trainer.State.Step));
        _tensorBoard = Config.Logging.TensorBoard ? Own(new TensorBoardWriter(Folder.TensorBoardPath)) : null;
    }

    private void Notice(string message)
    {
        Attempt(() => _listener.Noticed(message));
        Attempt(() =>
        {
            Directory.CreateDirectory(Folder.LogsPath);
            File.AppendAllText(Folder.NoticesPath, $"{DateTime.UtcNow:O} {message.ReplaceLineEndings(" ")}\n");
        });
    }

    /// <summary>One step and its row of metrics; false when the run has diverged.</summary>
    private bool TakeStep()
    {
        long start = Stopwatch.GetTimestamp();
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        StepOutcome outcome = _trainer.Step();
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        _unrecordedCpu += Environment.CpuUsage.TotalTime - cpu;
        _unrecordedSteps++;
        _trainer.State = _trainer.State with
        {
            WallSeconds = _trainer.State.WallSeconds + Stopwatch.GetElapsedTime(_lastStep == 0 ? start : _lastStep).TotalSeconds,
        };
        _lastStep = Stopwatch.GetTimestamp();

        double tokensPerSecond = Config.Training.TokensAStep / seconds;
        StepReport report = new(
            _trainer.At, Config.TotalSteps, outcome.LossNats, _trainer.State.LossEma, outcome.ZLoss, outcome.Divergence, _trainer.LearningRate(_trainer.State.Step),
            outcome.GradNorm, seconds, outcome.DataSeconds, tokensPerSecond, tokensPerSecond * _trainer.FlopsAToken / _peakFlopsPerSecond,
            _trainer.State.NonFiniteSteps);
        _listener.Stepped(report);
        if (report.At.Step % Config.Logging.Every == 0 || report.At.Step == 1 || report.At.Step == Config.TotalSteps || !outcome.Finite)
        {
            Record(report);
        }

        return outcome.Finite || Tolerate(outcome);
    }

    private bool Tolerate(StepOutcome outcome)
    {
        TrainerState state = _trainer.State;
        string what = $"step {state.Step}: the loss ({outcome.LossNats}) or the gradient norm ({outcome.GradNorm}) is not a number";
        long count = state.NonFiniteSteps + state.Rewinds;
        if (Config.Training.NonFinite == NonFinitePolicy.Abort || count > Config.Training.NonFiniteMax)
        {
            Notice($"{what}; the run ends as diverged, nothing of the step was kept");
            return false;
        }

        if (Config.Training.NonFinite == NonFinitePolicy.Skip)
        {
            Notice($"{what}; the weights stay as they were ({count} of at most {Config.Training.NonFiniteMax})");
            return true;
        }

        Checkpoint? checkpoint = _checkpoints.OpenNewest();
        if (checkpoint is null)
        {
            Notice($"{what}, and there is no checkpoint to go back to");
            return false;
        }

        Restore(checkpoint);
        _trainer.SkipTo(state.Cursor!, state.Rewinds + 1);
        _metrics!.Dispose();
        _metrics = Own(new MetricsLog(Folder.MetricsPath, checkpoint.Step));
        Notice($"{what}; back at step {checkpoint.Step}, with the data that comes next");
        return true;
    }

    private void Record(in StepReport report)
    {
        double eta = (report.TotalSteps - report.At.Step) * report.StepSeconds;
        (string, double)[] taught = Config.Training.Distillation is null ? [] : [("train/divergence", report.Divergence)];
        ReadOnlySpan<(string, double)> row =
        [
            ("train/loss", report.LossNats), ("train/loss_ema", report.LossEma), ("train/z_loss", report.ZLoss), ("train/lr", report.LearningRate),
            ("train/grad_norm", report.GradNorm), ("train/skipped_steps", report.NonFiniteSteps),
            ("throughput/tokens_per_sec", report.TokensPerSecond), ("throughput/mfu", report.ModelFlopUtilisation),
            ("throughput/total_tokens", report.At.Tokens), ("throughput/total_flops", report.At.Flops), ("time/step_s", report.StepSeconds),
            ("time/cpu_s", _unrecordedCpu.TotalSeconds / _unrecordedSteps), ("time/data_s", report.DataSeconds), ("mem/rss_bytes", Environment.WorkingSet), ("mem/device_bytes", _backend.Ledger.LiveBytes),
            ("progress/eta_s", eta), .. taught,
        ];
        Append(report.At, row);
        (_unrecordedCpu, _unrecordedSteps) = (TimeSpan.Zero, 0);
    }

    // Training is worth more than its log: a full disk costs rows, and is said once.
    private void Append(Progress at, ReadOnlySpan<(string, double)> row)
    {
        try
        {
            _metrics!.Append(at, row);
            _tensorBoard?.Append(at.Step, row);
        }
        catch (IOException error)
        {
            if (!_losesMetrics)
            {
                _losesMetrics = true;
                Notice($"step {at.Step}: metrics can't be written, training goes on: {error.Message}");
            }
        }
    }

    private IReadOnlyList<ValidationScore> Score()
    {
        using IDisposable evaluation = _trainer.Evaluate();
        return _validator.Score();
    }

    private void Validate()
    {
        _scores = Score();
        if (_scores.Count > 0)
        {
            (string, double)[] row =
            [
                .. _scores.SelectMany(score => new[] { ($"val/{score.Source}/loss", score.LossNats), ($"val/{score.Source}/bpb", score.BitsPerByte) }),
            ];
            Append(_trainer.At, row);
        }

        _listener.Validated(_trainer.At, _scores);
    }

    private void Save()
    {
        _metrics?.Flush();
        Checkpoint saved = _checkpoints.Save(_trainer.State.Step, writer =>
        {
            writer.Tokens = _trainer.State.Tokens;
            writer.ConfigHash = _configHash;
            writer.Parent = _record.Parent;
            writer.State = new JsonObject
            {
                ["trainer"] = JsonSerializer.SerializeToNode(_trainer.State, ConfigFile.JsonOptions),
                ["stream"] = _stream,
            };
            _trainer.Save(writer.Create, _data.Tokenizer.EndOfTextId);
        });
        _lastSave = Stopwatch.GetTimestamp();
        _listener.Saved(saved);
    }

    // A full disk must not end a run that can go on: the checkpoints before this one stand.
    private void TrySave()
    {
        try
        {
            Save();
        }
        catch (Exception error) when (error is IOException or InvalidDataException)
        {
            _lastSave = Stopwatch.GetTimestamp();
            Notice($"step {_trainer.State.Step} could not be saved, training goes on: {error.Message}");
        }
    }

    private void Restore(Checkpoint checkpoint, bool sameRun = true)
    {
        foreach (string rejected in checkpoint.Rejected)
        {
            Notice($"passed over a bad checkpoint: {rejected}");
        }

        if (sameRun && checkpoint.Manifest.ConfigHash != _configHash)
        {
            throw new ValidationException($"{Folder.ConfigPath}: was changed since step {checkpoint.Step} was saved; put it back, or branch");
        }

        TrainerState state;
        try
        {
            state = checkpoint.Manifest.State["trainer"].Deserialize<TrainerState>(ConfigFile.JsonOptions)
                ?? throw new JsonException("no trainer state");
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"{checkpoint.Path}: the trainer's state can't be read: {error.Message}", error);
        }

        if (checkpoint.Manifest.State["stream"]?.GetValue<string>() != _stream)
        {
            if (sameRun)
            {
                throw new InvalidDataException($"{checkpoint.Path}: was trained on other data than {_data.Folder}; the corpus has changed");
            }

            Notice("the branch trains on other data than its parent, or in another order: it starts at the beginning of them");
            state = state with { Cursor = null };
        }

        _trainer.Restore(checkpoint.FilePath, state, hasAverage: sameRun || checkpoint.Has("ema.safetensors"));
    }

    private int End(RunStatus status, int exitCode)
    {
        Dictionary<string, double> summary = new() { ["step"] = _trainer.State.Step, ["tokens"] = _trainer.State.Tokens, ["train/loss_ema"] = _trainer.State.LossEma };
        foreach (ValidationScore score in _scores ?? [])
        {
            summary[$"val/{score.Source}/loss"] = score.LossNats;
            summary[$"val/{score.Source}/bpb"] = score.BitsPerByte;
        }

        (_record with { Status = status, Ended = DateTimeOffset.UtcNow, ExitCode = exitCode, Summary = summary }).Save(Folder.RecordPath);
        return exitCode;
    }
}

/// <summary>Where things are.</summary>
/// <param name="Runs">The folder of runs.</param>
/// <param name="Data">The folder of prepared datasets.</param>
/// <param name="RunId">The id of a new run; made from its name and the time when null.</param>
public sealed record RunPlaces(string Runs = "runs", string Data = "data", string? RunId = null);

/// <summary>What a config came from, for the record.</summary>
/// <param name="Text">The file's text, where there was one.</param>
/// <param name="Overrides">The overrides as typed.</param>
/// <param name="Prediction">The SHA-256 of what was written down about the run's result before; null where nothing was.</param>
public sealed record ConfigOrigin(string? Text, IReadOnlyList<string> Overrides, string? Prediction = null);
