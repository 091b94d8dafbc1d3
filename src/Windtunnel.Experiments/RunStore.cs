using System.Collections.Concurrent;
using System.ComponentModel.DataAnnotations;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Text;
using Windtunnel.Training;

namespace Windtunnel.Experiments;

/// <summary>
/// Runs by what they are of: the id of a run is the hash of its resolved config, its data and the engine's version, so that what has
/// been run is never run again, whoever asks for it, and what was interrupted goes on. A run that diverged is a result.
/// </summary>
/// <param name="places">Where runs and data are.</param>
/// <param name="listener">Is told what happens.</param>
public sealed class RunStore(RunPlaces places, ITrainingListener listener)
{
    private readonly Dictionary<string, (string Key, int Vocabulary)> _data = [];
    private readonly ConcurrentDictionary<string, Lock> _training = [];

    /// <summary>Where runs and data are.</summary>
    public RunPlaces Places => places;

    /// <summary>Part of every id; it changes when the same config no longer gives the same bits.</summary>
    public static string EngineVersion { get; } = typeof(TrainingRun).Assembly.GetName().Version!.ToString(3);

    /// <summary>The id of a run, whether there is one or not; prepares the data where it has to.</summary>
    /// <param name="config">Not yet resolved.</param>
    public string IdOf(RunConfig config)
    {
        (string key, int vocabulary) = DataOf(config.Data);
        config = config.Resolve(vocabulary);
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{EngineVersion} {key} {config.Fingerprint()}"));
        return $"{JsonSerializer.SerializeToNode(config.Optimizer, ConfigFile.JsonOptions)!["type"]}-{Convert.ToHexStringLower(hash.AsSpan(0, 10))}";
    }

    /// <summary>How a run ended; null where it has not been run to its end.</summary>
    public RunOutcome? Find(RunConfig config)
    {
        string id = IdOf(config);
        string path = Path.Combine(places.Runs, id);
        if (!File.Exists(Path.Combine(path, "run.json")))
        {
            return null;
        }

        RunFolder folder = RunFolder.Open(places.Runs, id);
        RunRecord record = RunRecord.Load(folder.RecordPath);
        return record.Status is RunStatus.Completed or RunStatus.Diverged ? Outcome(folder, record) : null;
    }

    /// <summary>Finds a run, or trains it from its start or from where it was interrupted.</summary>
    /// <returns>How it ended; null where it was stopped, and can go on.</returns>
    public RunOutcome? Train(RunConfig config, StopSignal stop)
    {
        string id = IdOf(config);
        lock (_training.GetOrAdd(id, _ => new Lock()))
        {
            if (Find(config) is { } known)
            {
                return known;
            }

            using (TrainingRun run = Open(config, id))
            {
                run.Train(stop);
            }

            return Find(config);
        }
    }

    private TrainingRun Open(RunConfig config, string id)
    {
        string path = Path.Combine(places.Runs, id);
        if (Directory.Exists(path) && !File.Exists(Path.Combine(path, "run.json")))
        {
            // Its process died while it made the folder: there is nothing to go on with.
            RunFolder.Open(places.Runs, id).Lock().Dispose();
            Directory.Delete(path, recursive: true);
        }

        return Directory.Exists(path)
            ? TrainingRun.Resume(id, places, listener, config.Threads)
            : TrainingRun.Start(config, new ConfigOrigin(null, []), places with { RunId = id }, listener);
    }

    private static RunOutcome Outcome(RunFolder folder, RunRecord record)
    {
        double[] losses = Values("/loss"), bits = Values("/bpb");
        bool diverged = record.Status == RunStatus.Diverged;
        if (!diverged && losses.Length == 0)
        {
            throw new ValidationException($"{folder.Path}: has no validation loss to tune by; set data.validationFraction above 0");
        }

        MetricsRow[] rows = [.. MetricsLog.Read(folder.MetricsPath)];
        Progress last = rows.Select(row => row.At).LastOrDefault();
        double loss = diverged ? double.PositiveInfinity : losses.Average();
        return new RunOutcome(
            folder.Id, record.Status, double.IsFinite(loss) ? loss : double.PositiveInfinity, diverged || bits.Length == 0 ? double.PositiveInfinity : bits.Average(),
            last.Step, last.Tokens, last.Flops, last.WallSeconds, StepTime.Of(rows), record.Model?.NonEmbedding ?? 0);

        double[] Values(string ending) =>
        [
            .. (record.Summary ?? new Dictionary<string, double>())
                .Where(value => value.Key.StartsWith("val/", StringComparison.Ordinal) && value.Key.EndsWith(ending, StringComparison.Ordinal))
                .Select(value => value.Value),
        ];
    }

    private (string Key, int Vocabulary) DataOf(DataOptions data)
    {
        string options = ConfigFile.ToYaml(data);
        lock (_data)
        {
            if (!_data.TryGetValue(options, out (string Key, int Vocabulary) known))
            {
                using Dataset dataset = Dataset.Prepare(data, places.Data, listener.Noticed);
                _data[options] = known = (dataset.Manifest.Key, dataset.Manifest.VocabularySize);
            }

            return known;
        }
    }
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
public sealed record RunOutcome(
    string Id, RunStatus Status, double LossNats, double BitsPerByte, long Steps, long Tokens, double Flops, double WallSeconds, double StepSeconds,
    long NonEmbedding);
