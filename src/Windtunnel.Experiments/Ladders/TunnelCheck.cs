using System.Text.Json;
using Windtunnel.Laws.Fitting;
using Windtunnel.Runs;

namespace Windtunnel.Experiments.Ladders;

/// <summary>The file <c>check.json</c>: what was predicted, and what came.</summary>
/// <param name="Format">The version of the file's format.</param>
/// <param name="PredictionSha256">Of <c>prediction.json</c> as it was before the targets were trained.</param>
/// <param name="Targets">Predicted against actual.</param>
/// <param name="Entropy">Fitted irreducible losses against the corpus's entropy; empty where that is not known.</param>
/// <param name="Notes">What a careful reader should know; null in files of before there were any.</param>
public sealed record TunnelCheck(
    string Format, string PredictionSha256, IReadOnlyList<CheckedTarget> Targets, IReadOnlyList<EntropyCheck> Entropy, IReadOnlyList<string>? Notes = null)
{
    private const string CurrentFormat = "windtunnel-check-1";
    private const int MaxBytes = 10_000_000;

    /// <summary>Holds a prediction against results.</summary>
    /// <param name="outcomes">How each target ended, in the prediction's order.</param>
    /// <param name="entropy">Fitted irreducible losses against the corpus's entropy.</param>
    /// <param name="notes">What a careful reader should know.</param>
    public static TunnelCheck Of(
        TunnelPrediction prediction, string sha256, IEnumerable<RunOutcome> outcomes, IReadOnlyList<EntropyCheck> entropy, IReadOnlyList<string> notes) => new(
        CurrentFormat, sha256,
        [.. prediction.Targets.Zip(outcomes, (target, outcome) => new CheckedTarget(
            target.Id, target.Name, outcome.Status, outcome.LossNats,
            [.. target.Laws.Select(law => new CheckedLoss(
                law.Law, law.LossNats, law.Single, (law.LossNats - outcome.LossNats) / outcome.LossNats, law.Single.Contains(outcome.LossNats)))]))],
        entropy, notes);

    /// <summary>Reads the file.</summary>
    /// <exception cref="InvalidDataException">It is not a check.</exception>
    public static TunnelCheck Load(string path)
    {
        try
        {
            return new FileInfo(path).Length <= MaxBytes
                ? JsonSerializer.Deserialize<TunnelCheck>(File.ReadAllText(path), TunnelPrediction.Json) ?? throw new JsonException("holds nothing")
                : throw new JsonException($"larger than {MaxBytes:N0} bytes");
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"{path}: not a check: {error.Message.ReplaceLineEndings(" ")}; delete it, and 'windtunnel tunnel' writes it again", error);
        }
    }

    /// <summary>Writes the file.</summary>
    public void Save(string path) => AtomicFile.WriteText(path, JsonSerializer.Serialize(this, TunnelPrediction.Json) + "\n");
}

/// <summary>A target after its training.</summary>
/// <param name="Id">The run's id.</param>
/// <param name="Name">For people: size, multiplier, seed.</param>
/// <param name="Status">Completed or diverged.</param>
/// <param name="LossNats">The final validation loss; infinite where the run diverged.</param>
/// <param name="Laws">What each law had said, the headline first.</param>
public sealed record CheckedTarget(string Id, string Name, RunStatus Status, double LossNats, IReadOnlyList<CheckedLoss> Laws);

/// <summary>A predicted loss and how far it was off.</summary>
/// <param name="Law">By which law.</param>
/// <param name="PredictedNats">Nats a token.</param>
/// <param name="Single">95 % interval of one run.</param>
/// <param name="RelativeError">Predicted less actual, over actual.</param>
/// <param name="Inside">Whether the actual loss lies in the interval.</param>
public sealed record CheckedLoss(string Law, double PredictedNats, Interval Single, double RelativeError, bool Inside);
