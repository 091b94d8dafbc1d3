using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws;
using Windtunnel.Text;

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
    public Ladder Ladder { get; } = folder.Load() as Ladder ?? throw new ValidationException($"{folder.ExperimentPath}: type must be ladder");

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

            Predict().Save(PredictionPath);
            TunnelPrediction.Seal(PredictionPath);
        }

        (TunnelPrediction prediction, string hash) = TunnelPrediction.OpenSealed(PredictionPath);
        RequireSame(prediction);
        predicted?.Invoke(prediction, hash);
        if (!train(Ladder.Targets))
        {
            return null;
        }

        TunnelCheck check = TunnelCheck.Of(
            prediction, hash, Ladder.Targets.Select(run => store.Find(run.Planned)!),
            CheckEntropy(prediction.Fits.ToDictionary(fit => fit.Law, fit => Fit.Load(Path.Combine(folder.Path, fit.File)))));
        check.Save(CheckPath);
        return check;
    }

    private TunnelPrediction Predict()
    {
        LadderFits fits = LadderFits.Of(Ladder, store);
        List<string> notes = [.. fits.Notes];
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

    private void RequireSame(TunnelPrediction prediction)
    {
        if (!prediction.Runs.SequenceEqual(IdsOf(Ladder.Points)) || !prediction.Targets.Select(target => target.Id).SequenceEqual(IdsOf(Ladder.Targets))
            || prediction.Headline != Ladder.Headline || prediction.Count != Ladder.Options.Count)
        {
            throw new ValidationException($"{PredictionPath}: is of other runs than the ladder {Ladder.Name} has now; give the changed ladder another name");
        }

        foreach (FittedLaw fit in prediction.Fits)
        {
            string path = Path.Combine(folder.Path, fit.File);
            if (!File.Exists(path) || TunnelPrediction.Sha256(path) != fit.Sha256)
            {
                throw new InvalidDataException($"{path}: is not the fit that {PredictionPath} was made with; put it back as it was");
            }
        }
    }

    private IReadOnlyList<EntropyCheck> CheckEntropy(IReadOnlyDictionary<string, Fit> fits)
    {
        using Dataset data = Dataset.Prepare(Ladder.Runs[0].Planned.Config.Data, store.Places.Data);
        return EntropyCheck.Of(fits, data);
    }

    private string[] IdsOf(IEnumerable<LadderRun> runs) => [.. runs.Select(run => store.IdOf(run.Planned))];
}
