using System.Text.Json;

namespace Windtunnel.Text.Tokenizers;

/// <summary>
/// What a tokenizer.json says. Files of other formats are read into the same, so that there is one way to build a
/// tokenizer and one to write it.
/// </summary>
/// <param name="Vocabulary">The spelling of each id, added tokens included: different, none empty.</param>
/// <param name="Merges">Pairs of ids, first learned first; the concatenation of each pair's spellings is in the vocabulary.</param>
/// <param name="AddedTokens">Tokens that are found in text before it is cut into pieces, or, where special, not at all.</param>
/// <param name="Normalizer">A section of the file, as JSON.</param>
/// <param name="PreTokenizer">Likewise.</param>
/// <param name="PostProcessor">Likewise.</param>
/// <param name="Decoder">Likewise.</param>
/// <param name="UnknownToken">The spelling of the token that stands for characters without one.</param>
/// <param name="FuseUnknown">Whether neighbouring characters without a token are one unknown token.</param>
/// <param name="ByteFallback">Whether characters without a token are spelled byte by byte, in tokens &lt;0x00&gt; to &lt;0xFF&gt;.</param>
/// <param name="IgnoreMerges">Whether a piece that is a token is that token, whatever the merges say.</param>
internal sealed record TokenizerDefinition(
    string[] Vocabulary,
    IReadOnlyList<(int Left, int Right)> Merges,
    IReadOnlyList<AddedToken> AddedTokens,
    string Normalizer = "null",
    string PreTokenizer = "null",
    string PostProcessor = "null",
    string Decoder = "null",
    string? UnknownToken = null,
    bool FuseUnknown = false,
    bool ByteFallback = false,
    bool IgnoreMerges = false)
{
    /// <summary>Byte-level BPE as it is trained here.</summary>
    /// <param name="tokens">The bytes of each id; those of special tokens are not looked at.</param>
    /// <param name="merges">Pairs of ids.</param>
    /// <param name="specialTokens">Ids by name.</param>
    /// <param name="pattern">How text is cut into pieces.</param>
    public static TokenizerDefinition ByteLevel(
        byte[][] tokens, IReadOnlyList<(int Left, int Right)> merges, IReadOnlyDictionary<string, int> specialTokens, SplitPattern pattern)
    {
        string[] vocabulary = [.. tokens.Select(token => ByteAlphabet.Spell(token))];
        foreach ((string name, int id) in specialTokens)
        {
            vocabulary[id] = name;
        }

        return new TokenizerDefinition(
            vocabulary, merges, [.. specialTokens.OrderBy(token => token.Value).Select(token => new AddedToken(token.Value, token.Key, Special: true))],
            PreTokenizer: TokenizerJson.Splitter(pattern),
            Decoder: """{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}""");
    }

    /// <summary>
    /// A vocabulary of SentencePiece: spaces are ▁, of which one comes first, pieces merge by descending score, and
    /// characters without a piece fall back to bytes or to the unknown piece.
    /// </summary>
    /// <param name="pieces">The pieces by id.</param>
    /// <param name="byteFallback">Whether characters without a piece are spelled in byte pieces.</param>
    /// <param name="prefixSpace">Whether a space is put in front of text.</param>
    /// <param name="extraSpaces">Whether spaces stay at the ends of text, and runs of them as they are.</param>
    /// <param name="beginId">The control piece that begins every text, or -1.</param>
    /// <exception cref="InvalidDataException">The pieces cannot be written as merges.</exception>
    public static TokenizerDefinition SentencePiece(IReadOnlyList<ScoredPiece> pieces, bool byteFallback, bool prefixSpace, bool extraSpaces, int beginId)
    {
        string? begin = beginId >= 0 ? JsonSerializer.Serialize(pieces[beginId].Text) : null;
        string[] normalizers =
        [
            .. extraSpaces ? Array.Empty<string>() :
            [
                """{"type":"Replace","pattern":{"Regex":"\\A +| +\\z"},"content":""}""",
                """{"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "}""",
            ],
            .. prefixSpace ? ["""{"type":"Prepend","prepend":"▁"}"""] : Array.Empty<string>(),
            """{"type":"Replace","pattern":{"String":" "},"content":"▁"}""",
        ];
        string strip = prefixSpace ? """,{"type":"Strip","content":" ","start":1,"stop":0}""" : "";
        return new TokenizerDefinition(
            [.. pieces.Select(piece => piece.Text)],
            ScoredPiece.Merges(pieces),
            [.. pieces.Index().Where(piece => piece.Item.Kind is PieceKind.Unknown or PieceKind.Control or PieceKind.UserDefined).Select(piece => new AddedToken(
                piece.Index, piece.Item.Text, Normalized: piece.Item.Kind == PieceKind.UserDefined, Special: piece.Item.Kind != PieceKind.UserDefined))],
            Normalizer: $$"""{"type":"Sequence","normalizers":[{{string.Join(',', normalizers)}}]}""",
            PostProcessor: begin is null
                ? "null"
                : $$"""
                {"type":"TemplateProcessing",
                "single":[{"SpecialToken":{"id":{{begin}},"type_id":0} },{"Sequence":{"id":"A","type_id":0} }],
                "pair":[{"SpecialToken":{"id":{{begin}},"type_id":0} },{"Sequence":{"id":"A","type_id":0} },
                {"SpecialToken":{"id":{{begin}},"type_id":1} },{"Sequence":{"id":"B","type_id":1} }],
                "special_tokens":{ {{begin}}:{"id":{{begin}},"ids":[{{beginId}}],"tokens":[{{begin}}]} } }
                """,
            Decoder: $$"""
            {"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}{{strip}}]}
            """,
            UnknownToken: pieces.FirstOrDefault(piece => piece.Kind == PieceKind.Unknown)?.Text,
            FuseUnknown: true,
            ByteFallback: byteFallback);
    }
}

/// <summary>An entry of added_tokens.</summary>
/// <param name="Id">Its id in the vocabulary.</param>
/// <param name="Content">Its spelling, which is text.</param>
/// <param name="SingleWord">Whether it is not found where a letter, digit or underscore touches it.</param>
/// <param name="LeftStrip">Whether white space before it is part of it.</param>
/// <param name="RightStrip">Whether white space after it is part of it.</param>
/// <param name="Normalized">Whether it is looked for in normalized text, normalized itself.</param>
/// <param name="Special">Whether it stands for no text.</param>
internal sealed record AddedToken(
    int Id, string Content, bool SingleWord = false, bool LeftStrip = false, bool RightStrip = false, bool Normalized = false, bool Special = false);
