using System.ComponentModel.DataAnnotations;
using System.Text;

namespace Windtunnel.Text.Corpora;

/// <summary>A generated language of known entropy.</summary>
/// <param name="Documents">Number of documents.</param>
/// <param name="SentencesPerDocument">Sentences, one a line, in each document.</param>
/// <param name="VocabularySize">Number of stems; each inflects as a noun, an adjective and a verb.</param>
/// <param name="ZipfExponent">The stem of rank r = 1, 2, ... has probability proportional to r to the minus this.</param>
/// <param name="MaxDepth">Deepest nesting of relative clauses; 0: none.</param>
/// <param name="Seed">Another seed is another sample of the same language.</param>
public sealed record SyntheticCorpusOptions(
    int Documents = 20_000,
    int SentencesPerDocument = 20,
    int VocabularySize = 1_000,
    double ZipfExponent = 1,
    int MaxDepth = 3,
    ulong Seed = 0) : CorpusOptions
{
    public override Corpus Build() => new SyntheticCorpus(this);

    public override void Validate(string path = "corpus")
    {
        Require(Documents >= 1, "documents", Documents, "at least 1");
        Require(SentencesPerDocument is >= 1 and <= 100_000, "sentencesPerDocument", SentencesPerDocument, "between 1 and 100000");
        Require(VocabularySize is >= 1 and <= 1_000_000, "vocabularySize", VocabularySize, "between 1 and 1000000");
        Require(ZipfExponent is >= 0 and <= 10, "zipfExponent", ZipfExponent, "between 0 and 10");
        Require(MaxDepth is >= 0 and <= 100, "maxDepth", MaxDepth, "between 0 and 100");

        void Require<T>(bool holds, string name, T value, string expected)
        {
            if (!holds)
            {
                throw new ValidationException($"{path}.{name}: {value} must be {expected}");
            }
        }
    }
}

/// <summary>
/// Text from a probabilistic grammar whose entropy rate is known exactly, so that a trained model's loss can be compared
/// with the best any model can reach. Verbs agree in number with subjects from which nested clauses part them:
/// <code>
/// S        -> NP(n, 0) Verb(n) [NP(m, 0)] ".\n"
/// NP(n, d) -> Det(n) [Adj(n)] Noun(n) ["ke" NP(m, d + 1) Verb(m)]     the clause only where d is below the greatest depth
/// </code>
/// </summary>
/// <remarks>
/// Text and derivation are one-to-one, so a text's probability is the product of its derivation's choices and the entropy
/// is the sum of theirs. Proof: spaces part words; a word's last letter gives its class and number (content words are a
/// consonant-vowel stem and a final consonant, the function words ta, to and ke end in a vowel), and the stem is a numeral
/// that gives the rank; the grammar is LL(1) over word classes: each optional part starts with a class (Adj, ke, Det) that
/// can't follow where it is absent. Expectations are finite sums over the nesting depth.
/// </remarks>
public sealed class SyntheticCorpus : Corpus
{
    private const double PluralProbability = 0.4;
    private const double AdjectiveProbability = 0.3;
    private const double ClauseProbability = 0.35;
    private const double ObjectProbability = 0.6;

    private const string Consonants = "bdfghklmnprstvz";
    private const string Vowels = "aeiou";
    private const int Syllables = 15 * 5;

    private static readonly string[] s_determiners = ["ta", "to"];
    private static readonly string[] s_nounEndings = ["n", "s"];
    private static readonly string[] s_adjectiveEndings = ["l", "r"];
    private static readonly string[] s_verbEndings = ["k", "m"];

    private readonly SyntheticCorpusOptions _options;
    private readonly string[] _stems;
    private readonly Dictionary<string, int> _ranks;
    private readonly double[] _probability;
    private readonly double[] _cumulative;

    /// <exception cref="ValidationException">An option is out of range.</exception>
    public SyntheticCorpus(SyntheticCorpusOptions options)
    {
        options.Validate();
        _options = options;
        _stems = [.. Enumerable.Range(0, options.VocabularySize).Select(Stem)];
        _ranks = _stems.Index().ToDictionary(stem => stem.Item, stem => stem.Index);
        double[] weights = [.. Enumerable.Range(1, options.VocabularySize).Select(rank => Math.Pow(rank, -options.ZipfExponent))];
        double total = weights.Sum();
        _probability = [.. weights.Select(weight => weight / total)];
        _cumulative = new double[weights.Length];
        double sum = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            _cumulative[i] = sum += _probability[i];
        }

        (ExpectedBitsPerDocument, ExpectedBytesPerDocument) = Expectations();
    }

    /// <summary>Mean of -log2 of a document's probability.</summary>
    public double ExpectedBitsPerDocument { get; }

    /// <summary>Mean length of a document in bytes.</summary>
    public double ExpectedBytesPerDocument { get; }

    /// <summary>The limit, over many documents, of bits over bytes: the lowest bits per byte any model can reach.</summary>
    public double EntropyRateBitsPerByte => ExpectedBitsPerDocument / ExpectedBytesPerDocument;

    public override IEnumerable<Document> Documents()
    {
        for (int document = 0; document < _options.Documents; document++)
        {
            SplitMix64 random = new(SplitMix64.Hash(_options.Seed, (ulong)document));
            StringBuilder text = new();
            for (int sentence = 0; sentence < _options.SentencesPerDocument; sentence++)
            {
                int number = NounPhrase(ref random, text, depth: 0);
                Word(ref random, text, s_verbEndings[number]);
                if (random.NextDouble() < ObjectProbability)
                {
                    NounPhrase(ref random, text, depth: 0);
                }

                text.Length--;
                text.Append(".\n");
            }

            yield return new Document(text.ToString());
        }
    }

    public override string Fingerprint() => $"synthetic 1 {_options}";

    /// <summary>-log2 of the probability of a document under the grammar, by parsing it.</summary>
    /// <exception cref="InvalidDataException">The text is not in the language, agreement included.</exception>
    public double BitsOf(string document)
    {
        string[] sentences = document.Split(".\n");
        if (sentences.Length != _options.SentencesPerDocument + 1 || sentences[^1].Length > 0)
        {
            throw new InvalidDataException($"synthetic language: a document has {_options.SentencesPerDocument} sentences, each ended by a full stop and a newline");
        }

        return sentences[..^1].Sum(sentence => new Parser(this, sentence.Split(' ')).Sentence());
    }

    private int NounPhrase(ref SplitMix64 random, StringBuilder text, int depth)
    {
        int number = random.NextDouble() < PluralProbability ? 1 : 0;
        text.Append(s_determiners[number]).Append(' ');
        if (random.NextDouble() < AdjectiveProbability)
        {
            Word(ref random, text, s_adjectiveEndings[number]);
        }

        Word(ref random, text, s_nounEndings[number]);
        if (depth < _options.MaxDepth && random.NextDouble() < ClauseProbability)
        {
            text.Append("ke ");
            int inner = NounPhrase(ref random, text, depth + 1);
            Word(ref random, text, s_verbEndings[inner]);
        }

        return number;
    }

    private void Word(ref SplitMix64 random, StringBuilder text, string ending)
    {
        int at = Array.BinarySearch(_cumulative, random.NextDouble());
        int rank = Math.Min(at >= 0 ? at + 1 : ~at, _stems.Length - 1);
        text.Append(_stems[rank]).Append(ending).Append(' ');
    }

    private (double Bits, double Bytes) Expectations()
    {
        double stemBits = _probability.Sum(p => -p * Math.Log2(p));
        double wordBytes = _probability.Zip(_stems, (p, stem) => p * (stem.Length + 2)).Sum(); // the ending and a space
        double phraseBits = 0, phraseBytes = 0;
        for (int depth = _options.MaxDepth; depth >= 0; depth--)
        {
            bool clause = depth < _options.MaxDepth;
            double clauseBits = clause ? Entropy(ClauseProbability) + (ClauseProbability * (phraseBits + stemBits)) : 0;
            double clauseBytes = clause ? ClauseProbability * (3 + phraseBytes + wordBytes) : 0;
            phraseBits = Entropy(PluralProbability) + Entropy(AdjectiveProbability) + (AdjectiveProbability * stemBits) + stemBits + clauseBits;
            phraseBytes = 3 + (AdjectiveProbability * wordBytes) + wordBytes + clauseBytes;
        }

        double bits = phraseBits + stemBits + Entropy(ObjectProbability) + (ObjectProbability * phraseBits);
        double bytes = phraseBytes + wordBytes + (ObjectProbability * phraseBytes) + 1; // the last space becomes ".\n"
        return (_options.SentencesPerDocument * bits, _options.SentencesPerDocument * bytes);
    }

    private static double Entropy(double p) => (-p * Math.Log2(p)) - ((1 - p) * Math.Log2(1 - p));

    /// <summary>The rank as a bijective numeral in base 75 whose digits are syllables, so common stems are short.</summary>
    private static string Stem(int rank)
    {
        string stem = "";
        for (int n = rank + 1; n > 0; n = (n - 1) / Syllables)
        {
            int digit = (n - 1) % Syllables;
            stem = $"{Consonants[digit / Vowels.Length]}{Vowels[digit % Vowels.Length]}{stem}";
        }

        return stem;
    }

    private sealed class Parser(SyntheticCorpus language, string[] words)
    {
        private int _at;
        private double _bits;

        public double Sentence()
        {
            int number = NounPhrase(depth: 0);
            Word(s_verbEndings[number]);
            if (Choose(_at < words.Length, ObjectProbability))
            {
                NounPhrase(depth: 0);
            }

            return _at == words.Length ? _bits : throw Unexpected();
        }

        private int NounPhrase(int depth)
        {
            int number = Array.IndexOf(s_determiners, Next());
            if (number < 0)
            {
                throw Unexpected();
            }

            Choose(number == 1, PluralProbability);
            if (Choose(_at < words.Length && words[_at].EndsWith(s_adjectiveEndings[number], StringComparison.Ordinal), AdjectiveProbability))
            {
                Word(s_adjectiveEndings[number]);
            }

            Word(s_nounEndings[number]);
            if (depth < language._options.MaxDepth && Choose(_at < words.Length && words[_at] == "ke", ClauseProbability))
            {
                _at++;
                Word(s_verbEndings[NounPhrase(depth + 1)]);
            }

            return number;
        }

        private void Word(string ending)
        {
            string word = Next();
            if (!word.EndsWith(ending, StringComparison.Ordinal) || !language._ranks.TryGetValue(word[..^1], out int rank))
            {
                throw Unexpected();
            }

            _bits -= Math.Log2(language._probability[rank]);
        }

        private bool Choose(bool taken, double probability)
        {
            _bits -= Math.Log2(taken ? probability : 1 - probability);
            return taken;
        }

        private string Next() => _at < words.Length ? words[_at++] : throw Unexpected();

        private InvalidDataException Unexpected() =>
            new($"synthetic language: '{string.Join(' ', words)}' breaks the grammar at word {_at}");
    }
}
