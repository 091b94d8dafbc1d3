using Windtunnel.Experiments.Ladders;
using Windtunnel.Laws;
using Windtunnel.Laws.Fitting;
using Windtunnel.Text;
using Windtunnel.Text.Corpora;
using Windtunnel.Text.Tokenizers;

namespace Windtunnel.Tests.Experiments.Ladders;

/// <summary>The known entropy of the synthetic language, in the unit of losses.</summary>
public sealed class EntropyCheckTests : IDisposable
{
    private static readonly SyntheticCorpusOptions s_language = new(Documents: 4000, SentencesPerDocument: 3, VocabularySize: 30);

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Bytes_have_the_language_s_rate_less_the_share_of_the_end_tokens()
    {
        using Dataset data = Dataset.Prepare(new DataOptions(s_language, Tokenizer: new BytesTokenizerOptions(), ValidationFraction: 0.5), _folder.Path);
        SplitManifest held = data.Manifest.Sources[0].Validation;

        double rate = s_language.Build() is SyntheticCorpus corpus ? corpus.EntropyRateBitsPerByte * Math.Log(2) : 0;
        Assert.Equal(held.Bytes + held.Documents, held.Tokens);
        Assert.Equal(rate * held.Bytes / held.Tokens, EntropyCheck.EntropyNats(data)!.Value, 0.01 * rate);
    }

    [Fact]
    public void The_text_s_information_does_not_depend_on_the_tokenizer()
    {
        using Dataset bytes = Dataset.Prepare(new DataOptions(s_language, Tokenizer: new BytesTokenizerOptions(), ValidationFraction: 0.2), _folder.Path);
        using Dataset pairs = Dataset.Prepare(new DataOptions(s_language, Tokenizer: new BpeTokenizerOptions(300), ValidationFraction: 0.2), _folder.Path);

        Assert.Equal(Nats(bytes), Nats(pairs), 1e-9 * Nats(bytes));
        Assert.True(EntropyCheck.EntropyNats(pairs) > 1.2 * EntropyCheck.EntropyNats(bytes));

        static double Nats(Dataset data) => EntropyCheck.EntropyNats(data)!.Value * data.Manifest.Sources[0].Validation.Tokens;
    }

    [Theory]
    [InlineData(0.99, 1.01, true)]
    [InlineData(1.01, 1.03, false)]
    [InlineData(0.97, 0.99, false)]
    [InlineData(double.NaN, double.NaN, false)]
    public void A_fit_is_right_where_its_interval_covers_the_entropy(double low, double high, bool inside)
    {
        using Dataset data = Dataset.Prepare(new DataOptions(s_language, Tokenizer: new BytesTokenizerOptions(), ValidationFraction: 0.2), _folder.Path);
        double truth = EntropyCheck.EntropyNats(data)!.Value;
        Interval? interval = double.IsNaN(low) ? null : new Interval(low * truth, high * truth);
        OverTrainingLaw law = new();
        Fit fit = new(
            "windtunnel-fit-1", law, law.Objective, new Dictionary<string, double>(), [new FittedValue("E", "nats", truth, interval), new FittedValue("a", "", 1, null)], [],
            new FitQuality(0, 0, 0, 0, 1, FitStatus.Converged, 1, null), [], new Observations("runs", null, new Dictionary<string, string>(), [], [], [], []));

        EntropyCheck check = Assert.Single(EntropyCheck.Of(new Dictionary<string, Fit> { ["over-training"] = fit }, data));

        Assert.Equal(("over-training", "E", inside), (check.Law, check.Parameter, check.Inside));
    }

    [Fact]
    public void Losses_over_a_part_of_the_held_out_text_are_not_held_against_the_entropy_of_all_of_it()
    {
        using Dataset data = Dataset.Prepare(new DataOptions(s_language, Tokenizer: new BytesTokenizerOptions(), ValidationFraction: 0.2), _folder.Path);
        long held = data.Manifest.Sources[0].Validation.Tokens;

        Assert.Null(EntropyCheck.Obstacle(data, null));
        Assert.Null(EntropyCheck.Obstacle(data, held));
        Assert.Contains($"all {held:N0} held-out tokens, and losses are of {held - 1:N0}; set validation.tokens", EntropyCheck.Obstacle(data, held - 1), StringComparison.Ordinal);
    }

    [Fact]
    public void Other_text_has_no_known_entropy()
    {
        _folder.Write("a.txt", string.Concat(Enumerable.Repeat("some words\n", 100)));
        using Dataset data = Dataset.Prepare(
            new DataOptions(new FilesCorpusOptions([_folder.File("a.txt")]), Tokenizer: new BytesTokenizerOptions(), ValidationFraction: 0), _folder.Path);

        Assert.Null(EntropyCheck.EntropyNats(data));
        Assert.Null(EntropyCheck.Obstacle(data, 1));
        Assert.Empty(EntropyCheck.Of(new Dictionary<string, Fit>(), data));
    }
}
