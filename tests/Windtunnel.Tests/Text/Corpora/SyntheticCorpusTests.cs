using System.ComponentModel.DataAnnotations;
using Windtunnel.Text.Corpora;

namespace Windtunnel.Tests.Text.Corpora;

public sealed class SyntheticCorpusTests
{
    [Theory]
    [InlineData(1000, 1, 3)]
    [InlineData(20, 0, 0)]
    [InlineData(5000, 1.3, 6)]
    public void The_text_has_the_computed_entropy(int vocabularySize, double zipfExponent, int maxDepth)
    {
        SyntheticCorpus corpus = new(new SyntheticCorpusOptions(Documents: 5000, SentencesPerDocument: 5, vocabularySize, zipfExponent, maxDepth));
        (double Bits, double Bytes)[] documents = [.. corpus.Documents().Select(document => (corpus.BitsOf(document.Text), (double)document.Text.Length))];
        AssertMean(corpus.ExpectedBitsPerDocument, [.. documents.Select(document => document.Bits)]);
        AssertMean(corpus.ExpectedBytesPerDocument, [.. documents.Select(document => document.Bytes)]);
        // The ratio's error is that of the mean of bits - rate x bytes, which is 0 in expectation.
        AssertMean(0, [.. documents.Select(document => document.Bits - (corpus.EntropyRateBitsPerByte * document.Bytes))]);
    }

    [Fact]
    public void Probabilities_of_all_texts_sum_to_one()
    {
        SyntheticCorpus corpus = new(new SyntheticCorpusOptions(SentencesPerDocument: 1, VocabularySize: 2, MaxDepth: 0));
        string[] stems = ["ba", "be"];
        double total = 0;
        foreach (string subject in Phrases())
        {
            string verbEnding = subject.StartsWith("ta", StringComparison.Ordinal) ? "k" : "m";
            foreach (string verb in stems)
            {
                foreach (string rest in Phrases().Select(phrase => " " + phrase).Prepend(""))
                {
                    total += Math.Pow(2, -corpus.BitsOf($"{subject} {verb}{verbEnding}{rest}.\n"));
                }
            }
        }

        Assert.Equal(1, total, 1e-9);

        IEnumerable<string> Phrases() =>
            from number in (string[])["tanl", "tosr"]
            from adjective in stems.Select(stem => $" {stem}{number[3]}").Prepend("")
            from noun in stems
            select $"{number[..2]}{adjective} {noun}{number[2]}";
    }

    [Fact]
    public void Verbs_agree_with_subjects_across_nested_clauses()
    {
        SyntheticCorpus corpus = new(new SyntheticCorpusOptions(SentencesPerDocument: 1));
        Assert.True(double.IsFinite(corpus.BitsOf("ta ban ke to bas bem bak.\n")));
        Assert.Throws<InvalidDataException>(() => corpus.BitsOf("ta ban ke to bas bem bam.\n"));
        Assert.Throws<InvalidDataException>(() => corpus.BitsOf("ta ban ke to bas bek bak.\n"));
        Assert.Throws<InvalidDataException>(() => corpus.BitsOf("to ban bak.\n"));
        Assert.Throws<InvalidDataException>(() => corpus.BitsOf("ta ban bak"));

        string[] nested = [.. corpus.Documents().Select(document => document.Text).Where(text => text.Split("ke ").Length > 3)];
        Assert.True(nested.Length > 100);
    }

    [Fact]
    public void Documents_depend_on_the_seed_and_their_number_only()
    {
        string[] few = [.. new SyntheticCorpus(new SyntheticCorpusOptions(Documents: 10)).Documents().Select(document => document.Text)];
        string[] many = [.. new SyntheticCorpus(new SyntheticCorpusOptions(Documents: 20)).Documents().Select(document => document.Text)];
        string[] other = [.. new SyntheticCorpus(new SyntheticCorpusOptions(Documents: 10, Seed: 1)).Documents().Select(document => document.Text)];
        Assert.Equal(few, many[..10]);
        Assert.Empty(few.Intersect(other));
        Assert.Throws<ValidationException>(() => new SyntheticCorpus(new SyntheticCorpusOptions(VocabularySize: 0)));
        Assert.Throws<ValidationException>(() => new SyntheticCorpus(new SyntheticCorpusOptions(ZipfExponent: double.NaN)));
    }

    private static void AssertMean(double expected, double[] sample)
    {
        double mean = sample.Average();
        double standardError = Math.Sqrt(sample.Sum(value => (value - mean) * (value - mean)) / (sample.Length - 1.0) / sample.Length);
        Assert.InRange(mean, expected - (3 * standardError), expected + (3 * standardError));
    }
}
