using System.Collections.Concurrent;
using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Text.Tokenizers;

/// <summary>Byte-pair encoding learned from the training documents.</summary>
/// <param name="VocabularySize">256 bytes, the merges, the special tokens and the end-of-text token; fewer merges where the text has no pair left that occurs twice.</param>
/// <param name="Pattern">How text is cut into the pieces that are never merged across.</param>
/// <param name="SpecialTokens">Names of further special tokens, such as &lt;|user|&gt;: their ids, in this order, come between the merges and the end-of-text token.</param>
public sealed record BpeTokenizerOptions(
    int VocabularySize = 4096, SplitPattern Pattern = SplitPattern.Gpt4, string[]? SpecialTokens = null) : TokenizerOptions
{
    /// <exception cref="ValidationException">The vocabulary size is out of range, or a special token's name is not allowed.</exception>
    public override Tokenizer Train(IEnumerable<string> documents)
    {
        string[] names = [.. SpecialTokens ?? [], Tokenizer.EndOfText];
        (List<byte[]> tokens, List<(int Left, int Right)> merges) = BpeTrainer.Train(documents, VocabularySizeMax() - names.Length, Pattern);
        Dictionary<string, int> specialTokens = names.Index().ToDictionary(name => name.Item, name => tokens.Count + name.Index);
        return new BpeTokenizer([.. tokens, .. names.Select(_ => Array.Empty<byte>())], merges, specialTokens, Pattern);
    }

    /// <exception cref="ValidationException">The vocabulary size is out of range, or a special token's name is not allowed.</exception>
    public override int VocabularySizeMax()
    {
        Validate();
        return VocabularySize;
    }

    public override void Validate(string path = "tokenizer")
    {
        string[] names = SpecialTokens ?? [];
        Require(names.Length < BpeTokenizer.SpecialTokensMax, "specialTokens", $"{names.Length} names are too many: use at most {BpeTokenizer.SpecialTokensMax - 1}");
        foreach ((int index, string name) in names.Index())
        {
            Require(
                BpeTokenizer.IsSpecialTokenName(name), $"specialTokens[{index}]",
                $"'{name}' must be 3 to 64 printable ASCII characters, a letter or digit followed by punctuation among them, such as <|user|>");
            Require(name != Tokenizer.EndOfText && Array.IndexOf(names, name) == index, $"specialTokens[{index}]", $"'{name}' is there already: remove it");
        }

        int least = 257 + names.Length;
        Require(
            VocabularySize >= least && VocabularySize <= TokenizerJson.VocabularySizeMax, "vocabularySize",
            $"{VocabularySize} must be between {least} and {TokenizerJson.VocabularySizeMax}");

        void Require(bool holds, string name, string problem)
        {
            if (!holds)
            {
                throw new ValidationException($"{path}.{name}: {problem}");
            }
        }
    }
}

/// <summary>
/// Byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019): text is cut by a <see cref="SplitPattern"/>,
/// and in each piece the pair that was learned first is merged, leftmost first, until none is left.
/// Trained here, ids 0 to 255 are the bytes, then come the merges as learned, then the special tokens, and the last id ends a document.
/// </summary>
public sealed class BpeTokenizer : Tokenizer
{
    /// <summary>The most special tokens there can be, the end-of-text token included.</summary>
    public const int SpecialTokensMax = 256;

    private readonly byte[][] _tokens;
    private readonly int[] _lengths;
    private readonly int[] _byteIds = new int[256];
    private readonly Dictionary<long, (int Rank, int Id)> _merges;
    private readonly ConcurrentBag<BpeEncoder> _idleEncoders = [];

    /// <param name="tokens">The bytes of each id; empty for special tokens. All 256 bytes are among them.</param>
    /// <param name="merges">Pairs of ids, first learned first; the concatenation of each is a token.</param>
    /// <param name="specialTokens">Ids by name, <see cref="Tokenizer.EndOfText"/> among them.</param>
    /// <param name="pattern">How text is cut into pieces.</param>
    /// <exception cref="InvalidDataException">A token is missing, empty or there twice.</exception>
    public BpeTokenizer(
        byte[][] tokens, IReadOnlyList<(int Left, int Right)> merges, IReadOnlyDictionary<string, int> specialTokens, SplitPattern pattern)
    {
        _tokens = tokens;
        _lengths = [.. tokens.Select(token => token.Length)];
        Merges = merges;
        SpecialTokens = specialTokens;
        EndOfTextId = specialTokens[EndOfText];
        Pattern = pattern;

        ByteStringTable table = new();
        List<int> ids = [];
        HashSet<int> specialIds = [.. specialTokens.Values];
        foreach ((int id, byte[] token) in tokens.Index().Where(token => !specialIds.Contains(token.Index)))
        {
            table.GetOrAdd(token, out bool added);
            ids.Add(added && token.Length > 0 ? id : throw new InvalidDataException($"token {id} is empty or repeats another"));
        }

        for (int b = 0; b < 256; b++)
        {
            _byteIds[b] = IdOf([(byte)b]);
        }

        _merges = new(merges.Count);
        for (int rank = 0; rank < merges.Count; rank++)
        {
            (int left, int right) = merges[rank];
            _merges.TryAdd(Pair(left, right), (rank, IdOf([.. tokens[left], .. tokens[right]])));
        }

        int IdOf(byte[] token) => table.GetOrAdd(token, out bool added) is int index && !added
            ? ids[index]
            : throw new InvalidDataException($"no token for the bytes {Convert.ToHexStringLower(token)}");
    }

    public override int VocabularySize => _tokens.Length;

    public override int EndOfTextId { get; }

    public override IReadOnlyDictionary<string, int> SpecialTokens { get; }

    public override ReadOnlySpan<int> TokenByteLengths => _lengths;

    /// <summary>How text is cut into pieces.</summary>
    public SplitPattern Pattern { get; }

    /// <summary>The pairs of ids that merge, first learned first.</summary>
    public IReadOnlyList<(int Left, int Right)> Merges { get; }

    public override void Encode(ReadOnlySpan<byte> text, List<int> ids)
    {
        if (!_idleEncoders.TryTake(out BpeEncoder? encoder))
        {
            encoder = new BpeEncoder(_byteIds, _merges);
        }

        while (!text.IsEmpty)
        {
            int length = PreTokenizer.FirstLength(Pattern, text);
            encoder.Encode(text[..length], ids);
            text = text[length..];
        }

        _idleEncoders.Add(encoder);
    }

    public override ReadOnlySpan<byte> TokenBytes(int id)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)id, (uint)_tokens.Length, nameof(id));
        return _tokens[id];
    }

    /// <summary>
    /// Whether a special token may have this name. No split leaves a letter or digit and punctuation after it in one piece,
    /// so no ordinary token is ever spelled like such a name.
    /// </summary>
    internal static bool IsSpecialTokenName(string? name) =>
        name is { Length: >= 3 and <= 64 } && name.All(c => c is >= '!' and <= '~')
        && name.Zip(name.Skip(1)).Any(pair => char.IsAsciiLetterOrDigit(pair.First) && !char.IsAsciiLetterOrDigit(pair.Second));

    internal static long Pair(int left, int right) => ((long)left << 32) | (uint)right;
}
