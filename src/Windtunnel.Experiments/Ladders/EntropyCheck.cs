using Windtunnel.Laws;
using Windtunnel.Laws.Fitting;
using Windtunnel.Text;
using Windtunnel.Text.Corpora;

namespace Windtunnel.Experiments.Ladders;

/// <summary>A fitted irreducible loss against the entropy of a language that is known.</summary>
/// <param name="Law">The law.</param>
/// <param name="Parameter">What it calls the irreducible loss.</param>
/// <param name="FittedNats">Nats a token.</param>
/// <param name="Interval">95 %; null where the fit has none.</param>
/// <param name="TrueNats">Nats a token that the best possible model would need for the held-out documents.</param>
/// <param name="Inside">Whether that lies in the interval.</param>
public sealed record EntropyCheck(string Law, string Parameter, double FittedNats, Interval? Interval, double TrueNats, bool Inside)
{
    /// <summary>Checks each fit; empty where the corpus is not one of known entropy.</summary>
    public static IReadOnlyList<EntropyCheck> Of(IReadOnlyDictionary<string, Fit> fits, Dataset data) => EntropyNats(data) is not { } truth ? [] :
    [
        .. from fit in fits
           from parameter in fit.Value.Parameters
           where parameter.Name is "E" or "L0"
           select new EntropyCheck(fit.Key, parameter.Name, parameter.Value, parameter.Interval, truth, parameter.Interval?.Contains(truth) == true),
    ];

    /// <summary>Why fits are not checked though the entropy is known: their losses are over other text than all of the held-out documents. Null where they are not.</summary>
    /// <param name="validationTokens">Held-out tokens that losses are over; all when null.</param>
    public static string? Obstacle(Dataset data, long? validationTokens) =>
        LanguageOf(data) is not null && validationTokens < data.Manifest.Sources[0].Validation.Tokens
            ? $"irreducible losses are not held against the language's entropy: that is of all {data.Manifest.Sources[0].Validation.Tokens:N0} held-out tokens, and losses are of {validationTokens:N0}; set validation.tokens: null"
            : null;

    /// <summary>
    /// -ln of the probability of the held-out documents, over their tokens; null where it is not known. It is exact for any tokenizer:
    /// text has one way to become tokens. A model sees a window instead of whole documents, and may know a little less.
    /// </summary>
    public static double? EntropyNats(Dataset data)
    {
        if (LanguageOf(data) is not { } language)
        {
            return null;
        }

        SyntheticCorpus corpus = new(language);
        double bits = corpus.Documents().Where(document => Dataset.IsHeldOut(document.Text, data.Manifest.Options.ValidationFraction)).Sum(document => corpus.BitsOf(document.Text));
        return bits * Math.Log(2) / data.Manifest.Sources[0].Validation.Tokens;
    }

    private static SyntheticCorpusOptions? LanguageOf(Dataset data) => data.Manifest.Options is { Sources: null, Corpus: SyntheticCorpusOptions language } ? language : null;
}
