using System.Buffers;
using System.Collections.Concurrent;
using System.ComponentModel.DataAnnotations;
using System.Text;
using System.Text.Json;

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
/// Byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019): text is cut into pieces, and in each piece the pair that
/// was learned first is merged, leftmost first, until none is left. Symbols are bytes or characters, as the file says.
/// Trained here, ids 0 to 255 are the bytes, then come the merges as learned, then the special tokens, and the last id ends a document.
/// </summary>
public sealed class BpeTokenizer : Tokenizer
{
    /// <summary>The most special tokens that a trained tokenizer can have, the end-of-text token included.</summary>
    public const int SpecialTokensMax = 256;

    private static readonly byte[] s_spaceMark = "▁"u8.ToArray();

    private readonly byte[][] _tokens;
    private readonly int[] _lengths;
    private readonly SymbolTable _symbols;
    private readonly Dictionary<long, (int Rank, int Id)> _merges;
    private readonly Dictionary<string, int>? _wholes;
    private readonly TextNormalizer[] _normalizers;
    private readonly TextSplitter[] _splitters;
    private readonly AddedTokenMatcher _addedTokens;
    private readonly AddedTokenMatcher _normalizedTokens;
    private readonly bool _cutsBeforeSpaceMarks;
    private readonly ConcurrentBag<BpeEncoder> _idleEncoders = [];

    /// <summary>A byte-level tokenizer.</summary>
    /// <param name="tokens">The bytes of each id; empty for special tokens. All 256 bytes are among them.</param>
    /// <param name="merges">Pairs of ids, first learned first; the concatenation of each is a token.</param>
    /// <param name="specialTokens">Ids by name, <see cref="Tokenizer.EndOfText"/> among them.</param>
    /// <param name="pattern">How text is cut into pieces.</param>
    /// <exception cref="InvalidDataException">A token is missing, empty or there twice.</exception>
    public BpeTokenizer(
        byte[][] tokens, IReadOnlyList<(int Left, int Right)> merges, IReadOnlyDictionary<string, int> specialTokens, SplitPattern pattern)
        : this(TokenizerDefinition.ByteLevel(tokens, merges, specialTokens, pattern))
    {
    }

    /// <exception cref="InvalidDataException">The definition contradicts itself, or asks for what is not supported.</exception>
    internal BpeTokenizer(TokenizerDefinition definition)
    {
        Definition = definition;
        SpecialTokens = definition.AddedTokens.Where(token => token.Special).ToDictionary(token => token.Content, token => token.Id);
        (BeginningOfTextId, int? end) = Section("post_processor", definition.PostProcessor, json => TextTemplate.Ends(json, SpecialTokens));
        EndOfTextId = end ?? TextTemplate.EndByName(SpecialTokens);
        _normalizers = Section("normalizer", definition.Normalizer, TextNormalizer.Parse);
        (_splitters, bool byteLevel) = Section("pre_tokenizer", definition.PreTokenizer, json => TextSplitter.Parse(json));
        TokenSpelling spelling = Section("decoder", definition.Decoder, json => new TokenSpelling(json));
        TokenizerJson.Check(spelling.IsByteLevel == byteLevel, "pre_tokenizer and decoder contradict each other: ByteLevel is in one of them only");
        HasPrefixSpace = spelling.HasPrefixSpace;

        Dictionary<string, int> ids = new(definition.Vocabulary.Length);
        foreach ((int id, string token) in definition.Vocabulary.Index())
        {
            TokenizerJson.Check(token.Length > 0 && ids.TryAdd(token, id), $"token {id} is empty or repeats another");
        }

        Dictionary<int, AddedToken> added = definition.AddedTokens.ToDictionary(token => token.Id);
        _tokens = [.. definition.Vocabulary.Select((token, id) => !added.TryGetValue(id, out AddedToken? found) ? spelling.Bytes(token) : found.Special ? [] : spelling.Text(token))];
        _lengths = [.. _tokens.Select(token => token.Length)];
        foreach (string name in SpecialTokens.Keys)
        {
            ids.Remove(name);
        }

        _symbols = byteLevel ? new ByteSymbols(ByteIds(ids, b => ByteAlphabet.Spell([b]))) : Characters(definition, ids);
        _merges = MergesOf(definition, ids);
        _wholes = definition.IgnoreMerges ? WholesOf(ids, byteLevel) : null;
        _cutsBeforeSpaceMarks = !byteLevel && !definition.IgnoreMerges && ids.ContainsKey("▁") && _merges.Values.All(merge => !HasInnerSpaceMark(definition.Vocabulary[merge.Id]));

        AddedToken[] found = [.. definition.AddedTokens.Where(token => !token.Special)];
        _addedTokens = new(found.Where(token => !token.Normalized).Select(token => (token, Encoding.UTF8.GetBytes(token.Content))));
        _normalizedTokens = new(found.Where(token => token.Normalized).Select(token => (token, Normalize(Encoding.UTF8.GetBytes(token.Content)).ToArray())));
        if (_normalizers.Length == 0 && _addedTokens.IsEmpty && _normalizedTokens.IsEmpty && _splitters is [ScanningSplitter only])
        {
            Pattern = only.Pattern;
        }
    }

    public override int VocabularySize => _tokens.Length;

    public override int? BeginningOfTextId { get; }

    public override int EndOfTextId { get; }

    public override bool HasPrefixSpace { get; }

    public override IReadOnlyDictionary<string, int> SpecialTokens { get; }

    public override ReadOnlySpan<int> TokenByteLengths => _lengths;

    /// <summary>How text is cut into pieces; null where its file says something else.</summary>
    public SplitPattern? Pattern { get; }

    /// <summary>The pairs of ids that merge, first learned first.</summary>
    public IReadOnlyList<(int Left, int Right)> Merges => Definition.Merges;

    internal override TokenizerDefinition Definition { get; }

    public override void Encode(ReadOnlySpan<byte> text, List<int> ids)
    {
        if (!_idleEncoders.TryTake(out BpeEncoder? encoder))
        {
            encoder = new BpeEncoder(_symbols, _merges, _wholes);
        }

        if (Pattern is { } pattern)
        {
            while (!text.IsEmpty)
            {
                int length = PreTokenizer.FirstLength(pattern, text);
                encoder.Encode(text[..length], ids);
                text = text[length..];
            }
        }
        else
        {
            EncodeAround(_addedTokens, text, atStart: true, ids, (part, atStart) =>
                EncodeAround(_normalizedTokens, Normalize(part), atStart, ids, (normalized, atStart) =>
                    Split(normalized, atStart, step: 0, piece => EncodePiece(encoder, piece, ids))));
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

    /// <summary>Reads a section; its errors name it.</summary>
    private static T Section<T>(string name, string value, Func<JsonElement, T> read)
    {
        using JsonDocument json = JsonDocument.Parse(value);
        try
        {
            return read(json.RootElement);
        }
        catch (Exception e) when ((e is InvalidDataException or InvalidOperationException) && !e.Message.StartsWith(name, StringComparison.Ordinal))
        {
            throw new InvalidDataException($"{name}: {e.Message}", e);
        }
    }

    /// <summary>Appends the ids of added tokens, and hands over what lies between them.</summary>
    private static void EncodeAround(AddedTokenMatcher tokens, ReadOnlySpan<byte> text, bool atStart, List<int> ids, Action<ReadOnlySpan<byte>, bool> between)
    {
        int from = 0;
        while (!tokens.IsEmpty && tokens.Find(text, from) is (var token, int start, int end))
        {
            if (from < start)
            {
                between(text[from..start], atStart && from == 0);
            }

            ids.Add(token.Id);
            from = end;
        }

        if (from < text.Length)
        {
            between(text[from..], atStart && from == 0);
        }
    }

    private ReadOnlySpan<byte> Normalize(ReadOnlySpan<byte> text)
    {
        foreach (TextNormalizer normalizer in _normalizers)
        {
            text = normalizer.Normalize(text);
        }

        return text;
    }

    private void Split(ReadOnlySpan<byte> text, bool atStart, int step, PieceAction piece)
    {
        if (step == _splitters.Length)
        {
            piece(text);
            return;
        }

        _splitters[step].Split(text, atStart, part =>
        {
            Split(part, atStart, step + 1, piece);
            atStart = false;
        });
    }

    // Where no token has a ▁ after another character, nothing merges across such a place: words are looked up instead of whole texts merged.
    private void EncodePiece(BpeEncoder encoder, ReadOnlySpan<byte> piece, List<int> ids)
    {
        while (_cutsBeforeSpaceMarks)
        {
            int word = 0;
            while (piece[word..].StartsWith(s_spaceMark))
            {
                word += s_spaceMark.Length;
            }

            if (piece[word..].IndexOf(s_spaceMark) is not (>= 0 and int length))
            {
                break;
            }

            encoder.Encode(piece[..(word + length)], ids);
            piece = piece[(word + length)..];
        }

        encoder.Encode(piece, ids);
    }

    private static bool HasInnerSpaceMark(string token) => token.TrimStart('▁').Contains('▁');

    private static int[] ByteIds(Dictionary<string, int> ids, Func<byte, string> spell) =>
        [.. Enumerable.Range(0, 256).Select(b => ids.TryGetValue(spell((byte)b), out int id) ? id : throw new InvalidDataException($"no token for the bytes {b:x2}"))];

    private static CharacterSymbols Characters(TokenizerDefinition definition, Dictionary<string, int> ids)
    {
        Dictionary<int, int> characters = [];
        foreach ((string token, int id) in ids)
        {
            if (Rune.DecodeFromUtf16(token, out Rune rune, out int length) == OperationStatus.Done && length == token.Length)
            {
                characters.Add(rune.Value, id);
            }
        }

        if (definition.ByteFallback)
        {
            return new CharacterSymbols(characters, ByteIds(ids, TokenSpelling.Byte), unknownId: -1, fuseUnknown: false);
        }

        int unknown = definition.UnknownToken is { } name ? Array.IndexOf(definition.Vocabulary, name) : -1;
        TokenizerJson.Check(unknown >= 0, "model.unk_token is not in model.vocab, and model.byte_fallback is false: characters without a token would be lost");
        return new CharacterSymbols(characters, byteIds: null, unknown, definition.FuseUnknown);
    }

    private static Dictionary<string, int> WholesOf(Dictionary<string, int> ids, bool byteLevel)
    {
        Dictionary<string, int> wholes = new(ids.Count);
        foreach ((string token, int id) in ids)
        {
            if ((byteLevel ? ByteAlphabet.Bytes(token) : Encoding.UTF8.GetBytes(token)) is { } bytes)
            {
                wholes.Add(Encoding.Latin1.GetString(bytes), id);
            }
        }

        return wholes;
    }

    private static Dictionary<long, (int Rank, int Id)> MergesOf(TokenizerDefinition definition, Dictionary<string, int> ids)
    {
        Dictionary<long, (int Rank, int Id)> merges = new(definition.Merges.Count);
        foreach ((int rank, (int left, int right)) in definition.Merges.Index())
        {
            string token = definition.Vocabulary[left] + definition.Vocabulary[right];
            TokenizerJson.Check(ids.TryGetValue(token, out int id), $"model.merges[{rank}] makes '{token}', which is a special token or none");
            merges.TryAdd(Pair(left, right), (rank, id));
        }

        return merges;
    }
}
