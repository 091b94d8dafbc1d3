using System.Collections.Concurrent;
using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Text.Tokenizers;

/// <summary>Byte-pair encoding learned from the training documents.</summary>
/// <param name="VocabularySize">256 bytes, the merges and the end-of-text token; fewer merges where the text has no pair left that occurs twice.</param>
/// <param name="Pattern">How text is cut into the pieces that are never merged across.</param>
public sealed record BpeTokenizerOptions(int VocabularySize = 4096, SplitPattern Pattern = SplitPattern.Gpt4) : TokenizerOptions
{
    /// <exception cref="ValidationException">The vocabulary size is out of range.</exception>
    public override Tokenizer Train(IEnumerable<string> documents)
    {
        (List<byte[]> tokens, List<(int Left, int Right)> merges) = BpeTrainer.Train(documents, VocabularySizeMax() - 1, Pattern);
        return new BpeTokenizer([.. tokens, []], merges, endOfTextId: tokens.Count, Pattern);
    }

    /// <exception cref="ValidationException">The vocabulary size is out of range.</exception>
    public override int VocabularySizeMax()
    {
        Validate();
        return VocabularySize;
    }

    public override void Validate(string path = "tokenizer")
    {
        if (VocabularySize is < 257 or > TokenizerJson.VocabularySizeMax)
        {
            throw new ValidationException($"{path}.vocabularySize: {VocabularySize} must be between 257 and {TokenizerJson.VocabularySizeMax}");
        }
    }
}

/// <summary>
/// Byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019): text is cut by a <see cref="SplitPattern"/>,
/// and in each piece the pair that was learned first is merged, leftmost first, until none is left.
/// Trained here, ids 0 to 255 are the bytes, then come the merges as learned, and the last id ends a document.
/// </summary>
public sealed class BpeTokenizer : Tokenizer
{
    private readonly byte[][] _tokens;
    private readonly int[] _lengths;
    private readonly int[] _byteIds = new int[256];
    private readonly Dictionary<long, (int Rank, int Id)> _merges;
    private readonly ConcurrentBag<BpeEncoder> _idleEncoders = [];

    /// <param name="tokens">The bytes of each id; empty for the end-of-text token. All 256 bytes are among them.</param>
    /// <param name="merges">Pairs of ids, first learned first; the concatenation of each is a token.</param>
    /// <param name="endOfTextId">The id of the end-of-text token.</param>
    /// <param name="pattern">How text is cut into pieces.</param>
    /// <exception cref="InvalidDataException">A token is missing, empty or there twice.</exception>
    public BpeTokenizer(byte[][] tokens, IReadOnlyList<(int Left, int Right)> merges, int endOfTextId, SplitPattern pattern)
    {
        _tokens = tokens;
        _lengths = [.. tokens.Select(token => token.Length)];
        Merges = merges;
        EndOfTextId = endOfTextId;
        Pattern = pattern;

        ByteStringTable table = new();
        List<int> ids = [];
        foreach ((int id, byte[] token) in tokens.Index().Where(token => token.Index != endOfTextId))
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

    internal static long Pair(int left, int right) => ((long)left << 32) | (uint)right;
}
