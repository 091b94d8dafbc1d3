using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws;
using Windtunnel.Runs;
using Windtunnel.Text;
using Windtunnel.Training;

namespace Windtunnel.Experiments.Ladders;

/// <summary>
/// The loop: trains a ladder, fits the laws, writes down what they predict for the targets, and only then trains those and compares.
/// Wherever it is stopped or killed, it goes on from what is in the folders.
/// </summary>
/// <param name="folder">The ladder's.</param>
/// <param name="store">Finds runs.</param>
public sealed class Tunnel(ExperimentFolder folder, RunStore store)
{
    /// <summary>What is trained.</summary>
    public Ladder Ladder { get; } = (folder.Load() as Ladder ?? throw new ValidationException($"{folder.ExperimentPath}: type must be ladder")).WithData(store);

    /// <summary>What is said of the targets before they are trained.</summary>
    public string PredictionPath { get; } = TunnelPrediction.Beside(folder.ExperimentPath);

    /// <summary>What came of it.</summary>
    public string CheckPath { get; } = Path.Combine(folder.Path, "check.json");

    /// <summary>Goes through the loop.</summary>
    /// <param name="train">Brings the experiment, which is at these runs now, to its end; false where something of it is left.</param>
    /// <param name="predicted">Is told the prediction and its hash before the targets are trained.</param>
    /// <returns>The check; null where training was stopped.</returns>
    /// <exception cref="ValidationException">The ladder's file has changed since its prediction was sealed, or is not enough for the headline.</exception>
    /// <exception cref="InvalidDataException">The prediction was changed since.</exception>
    public TunnelCheck? Run(Func<IReadOnlyList<LadderRun>, bool> train, Action<TunnelPrediction, string>? predicted = null)
    {
        if (!TunnelPrediction.IsSealed(PredictionPath))
        {
            if (!train(Ladder.Runs))
            {
                return null;
            }

            // Another process may have come this far in the meantime: what was said first stands.
            TunnelPrediction own = Predict();
            if (!TunnelPrediction.IsSealed(PredictionPath))
            {
                own.Save(PredictionPath);
                TunnelPrediction.Seal(PredictionPath);
            }
        }

        VerifiedPrediction before = Verify()!;
        predicted?.Invoke(before.Prediction, before.Sha256);
        if (!train(Ladder.Targets))
        {
            return null;
        }

        VerifiedPrediction verified = Verify()!;
        (IReadOnlyList<EntropyCheck> entropy, IEnumerable<string> notes) = CheckEntropy(verified.Fits);
        TunnelCheck check = TunnelCheck.Of(
            verified.Prediction, verified.Sha256, Ladder.Targets.Select(run => store.Find(run.Planned)!), entropy, [.. verified.Notes, .. notes]);
        check.Save(CheckPath);
        return check;
    }

    /// <summary>
    /// Reads the prediction and holds it against all that was written since: the hash beside it, those of its fits, the ladder's runs,
    /// and the check. Targets whose records do not have its hash are named.
    /// </summary>
    /// <returns>Null before it is sealed.</returns>
    /// <exception cref="ValidationException">The ladder's file has changed since.</exception>
    /// <exception cref="InvalidDataException">The prediction, a fit of it or the check was changed since.</exception>
    public VerifiedPrediction? Verify()
    {
        if (!TunnelPrediction.IsSealed(PredictionPath))
        {
            return null;
        }

        (TunnelPrediction prediction, string hash) = TunnelPrediction.OpenSealed(PredictionPath);
        if (!prediction.Runs.SequenceEqual(IdsOf(Ladder.Points)) || !prediction.Targets.Select(target => target.Id).SequenceEqual(IdsOf(Ladder.Targets))
            || prediction.Headline != Ladder.Headline || prediction.Count != Ladder.Options.Count)
        {
            throw Changed();
        }

        Dictionary<string, Fit> fits = [];
        foreach (FittedLaw fit in prediction.Fits)
        {
            string path = Path.Combine(folder.Path, fit.File);
            if (!File.Exists(path) || TunnelPrediction.Sha256(path) != fit.Sha256)
            {
                throw new InvalidDataException($"{path}: is not the fit that {PredictionPath} was made with; put it back as it was");
            }

            fits.Add(fit.Law, Fit.Load(path));
        }

        // What is held is in the fit alone.
        if (!LadderFits.Headline(Ladder).Held(fits[Ladder.Headline].Pins).ToHashSet().SetEquals(Ladder.Options.Hold ?? []))
        {
            throw Changed();
        }

        TunnelCheck? check = File.Exists(CheckPath) ? TunnelCheck.Load(CheckPath) : null;
        if (check is not null && check.PredictionSha256 != hash)
        {
            throw new InvalidDataException($"{PredictionPath}: was changed after {CheckPath} was written: its SHA-256 is {hash}, and {check.PredictionSha256} stands there; put it back as it was");
        }

        ILookup<bool, string> recorded = prediction.Targets.Where(target => target.Blind && File.Exists(RecordOf(target)))
            .ToLookup(target => RunRecord.Load(RecordOf(target)).Prediction == hash, target => target.Name);
        return new VerifiedPrediction(prediction, hash, fits, check, [.. recorded[true]], [.. recorded[false]]);

        string RecordOf(PredictedTarget target) => Path.Combine(store.Places.Runs, target.Id, "run.json");

        ValidationException Changed() => new($"{PredictionPath}: is not of what the ladder {Ladder.Name} asks now; give the changed ladder another name");
    }

    /// <summary>What has come of every run so far, beside what the headline says of it once the prediction is sealed.</summary>
    public LadderResults Results() => LadderResults.Of(Ladder, store, Verify()?.Fits[Ladder.Headline]);

    private TunnelPrediction Predict()
    {
        LadderFits fits = LadderFits.Of(Ladder, store);
        List<string> notes = [.. fits.Notes, Dependence(), .. Ladder.Targets.Where(RepeatsData).GroupBy(Repetition, run => run.Name).Select(runs => $"{TunnelPrediction.Named([.. runs])}: {runs.Key}")];
        List<FittedLaw> fitted = [];
        Directory.CreateDirectory(Path.Combine(folder.Path, "fits"));
        foreach ((string law, Fit fit) in fits.ById)
        {
            string file = $"fits/{law}.json", path = Path.Combine(folder.Path, file);
            fit.Save(path);
            fitted.Add(new FittedLaw(law, file, TunnelPrediction.Sha256(path), fit.Warnings));
        }

        double largest = Ladder.Points.Max(run => run.Flops);
        return new TunnelPrediction(
            TunnelPrediction.CurrentFormat, Ladder.Name, Ladder.Headline, Ladder.Options.Count, IdsOf(Ladder.Points), Ladder.Flops, largest, fitted,
            [.. Ladder.Targets.Select(Of)], notes);

        PredictedTarget Of(LadderRun run)
        {
            string id = store.IdOf(run.Planned);
            return new PredictedTarget(
                id, run.Name, run.Counts.Total, run.Counts.NonEmbedding, run.Tokens, run.Flops, run.Flops / largest, run.Flops / Ladder.Flops,
                !Directory.Exists(Path.Combine(store.Places.Runs, id)), [.. fits.ById.SelectMany(fit => By(fit.Key, fit.Value, run))]);
        }

        IEnumerable<PredictedLoss> By(string law, Fit fit, LadderRun run)
        {
            try
            {
                Prediction value = LadderFits.Predict(fit, Ladder, run);
                return [new PredictedLoss(law, value.Value, value.Mean, value.Single, value.Extrapolation)];
            }
            catch (ValidationException error) when (law != Ladder.Headline)
            {
                notes.Add($"{law}: {run.Name}: {error.Message}");
                return [];
            }
        }
    }

    private (IReadOnlyList<EntropyCheck> Checks, IEnumerable<string> Notes) CheckEntropy(IReadOnlyDictionary<string, Fit> fits)
    {
        RunConfig config = Ladder.Runs[0].Planned.Config;
        using Dataset data = Dataset.Prepare(config.Data, store.Places.Data);
        return EntropyCheck.Obstacle(data, config.Validation.Tokens) is { } obstacle ? ([], [obstacle]) : (EntropyCheck.Of(fits, data), []);
    }

    // What is common to branches, or to all runs of a seed, is in no interval.
    private string Dependence() => "intervals treat the ladder's runs as independent; those of one size and seed share "
        + (Ladder.Options.Schedule == LadderSchedule.Branches ? "the seed and, up to where their branches leave it, the trunk" : "the seed")
        + ", so that chance is larger than the intervals say";

    private bool RepeatsData(LadderRun run) => run.Tokens > store.TrainingTokensOf(run.Planned);

    private string Repetition(LadderRun run)
    {
        double epoch = store.TrainingTokensOf(run.Planned), most = Ladder.Points.Max(point => point.Tokens / (double)store.TrainingTokensOf(point.Planned));
        return FormattableString.Invariant(
            $"{run.Tokens / epoch:0.0} passes over its data, of {epoch:N0} tokens, where the longest run fitted takes {most:0.0#}: the laws don't know of repeated data");
    }

    private string[] IdsOf(IEnumerable<LadderRun> runs) => [.. runs.Select(run => store.IdOf(run.Planned))];
}

/// <summary>A prediction that is as it was.</summary>
/// <param name="Prediction">What was said.</param>
/// <param name="Sha256">Of the file: as it was recorded beside it, and wherever else <see cref="Tunnel.Verify"/> found one.</param>
/// <param name="Fits">By the law's name, each with the hash that the prediction has of it.</param>
/// <param name="Check">What came, with the same hash; null where that is not written yet.</param>
/// <param name="Recorded">The targets whose records have the hash since they were started.</param>
/// <param name="Unrecorded">
/// Those that were not there when the prediction was written, and were started without its hash: by another experiment, elsewhere before, or for
/// what the prediction was before it was changed.
/// </param>
public sealed record VerifiedPrediction(
    TunnelPrediction Prediction, string Sha256, IReadOnlyDictionary<string, Fit> Fits, TunnelCheck? Check, IReadOnlyList<string> Recorded,
    IReadOnlyList<string> Unrecorded)
{
    /// <summary>What a careful reader should know of its targets.</summary>
    public IReadOnlyList<string> Notes { get; } = Unrecorded.Count == 0 ? [] :
        [$"{TunnelPrediction.Named(Unrecorded)}: run.json does not have the prediction's SHA-256, so nothing shows that the prediction came first"];
}
