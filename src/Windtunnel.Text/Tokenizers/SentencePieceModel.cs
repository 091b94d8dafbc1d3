using System.Text;
using System.Text.Unicode;

namespace Windtunnel.Text.Tokenizers;

/// <summary>
/// SentencePiece's tokenizer.model: the message ModelProto of sentencepiece_model.proto, of the type BPE (Kudo and Richardson 2018).
/// </summary>
internal static class SentencePieceModel
{
    public const long FileBytesMax = 1 << 24;

    private static readonly string[] s_modelTypes = ["", "unigram", "bpe", "word", "char"];

    /// <exception cref="InvalidDataException">The model is damaged, or does what cannot be done here.</exception>
    public static TokenizerDefinition Read(ReadOnlySpan<byte> file)
    {
        List<ScoredPiece> pieces = [];
        ReadOnlySpan<byte> trainer = default, normalizer = default;
        for (ProtobufReader reader = new(file); reader.Read();)
        {
            switch (reader.Field)
            {
                case 1:
                    pieces.Add(ReadPiece(reader.Message(), pieces.Count));
                    break;
                case 2:
                    trainer = reader.Message();
                    break;
                case 3:
                    normalizer = reader.Message();
                    break;
                case 5 when ReadNormalizer(reader.Message()).Characters:
                    throw new InvalidDataException("denormalizer_spec.precompiled_charsmap is not supported");
            }
        }

        TokenizerJson.Check(pieces.Count > 0, "has no pieces");
        (bool byteFallback, int begin, int end) = ReadTrainer(trainer);
        (bool prefixSpace, bool extraSpaces, bool spaceMarks, bool characters) = ReadNormalizer(normalizer);
        TokenizerJson.Check(!characters, "normalizer_spec.precompiled_charsmap is not supported: only the identity normalizer is");
        TokenizerJson.Check(spaceMarks, "normalizer_spec.escape_whitespaces false is not supported");
        TokenizerJson.Check(
            !prefixSpace || pieces.FindIndex(piece => piece.Kind == PieceKind.UserDefined) is -1,
            "user-defined pieces with normalizer_spec.add_dummy_prefix are not supported: use the tokenizer.json that goes with the model");
        TokenizerJson.Check(
            end >= 0 && end < pieces.Count && pieces[end].Kind == PieceKind.Control, "trainer_spec.eos_id is no control piece, which the end of a document needs");
        TokenizerJson.Check(begin < pieces.Count && (begin < 0 || pieces[begin].Kind == PieceKind.Control), "trainer_spec.bos_id is no control piece");
        return TokenizerDefinition.SentencePiece(pieces, byteFallback, prefixSpace, extraSpaces, begin);
    }

    /// <summary>A piece's text, which must be valid UTF-8 and not too long, and its score, which must be a number.</summary>
    internal static ScoredPiece Piece(ReadOnlySpan<byte> text, float score, PieceKind kind, int id)
    {
        TokenizerJson.Check(
            text.Length is > 0 and <= ScoredPiece.BytesMax && Utf8.IsValid(text), $"piece {id} is empty, not UTF-8, or longer than {ScoredPiece.BytesMax} bytes");
        TokenizerJson.Check(float.IsFinite(score), $"piece {id}: the score {score} is no number");
        TokenizerJson.Check(id < TokenizerJson.VocabularySizeMax, $"has more than {TokenizerJson.VocabularySizeMax} pieces");
        return new ScoredPiece(Encoding.UTF8.GetString(text), score, kind);
    }

    private static ScoredPiece ReadPiece(ReadOnlySpan<byte> message, int id)
    {
        ReadOnlySpan<byte> text = default;
        float score = 0;
        int kind = (int)PieceKind.Normal;
        for (ProtobufReader reader = new(message); reader.Read();)
        {
            switch (reader.Field)
            {
                case 1:
                    text = reader.Message();
                    break;
                case 2:
                    score = reader.Float();
                    break;
                case 3:
                    kind = reader.Int();
                    break;
            }
        }

        TokenizerJson.Check(kind is >= 1 and <= 6 and not (int)PieceKind.Unused, $"piece {id}: the type {kind} is not supported");
        return Piece(text, score, (PieceKind)kind, id);
    }

    private static (bool ByteFallback, int Begin, int End) ReadTrainer(ReadOnlySpan<byte> message)
    {
        int modelType = 1, begin = 1, end = 2;
        bool byteFallback = false;
        for (ProtobufReader reader = new(message); reader.Read();)
        {
            switch (reader.Field)
            {
                case 3:
                    modelType = reader.Int();
                    break;
                case 24 when reader.Flag():
                    throw new InvalidDataException("trainer_spec.treat_whitespace_as_suffix is not supported");
                case 35:
                    byteFallback = reader.Flag();
                    break;
                case 41:
                    begin = reader.Int();
                    break;
                case 42:
                    end = reader.Int();
                    break;
            }
        }

        TokenizerJson.Check(
            modelType == 2, $"trainer_spec.model_type {(modelType is >= 1 and <= 4 ? s_modelTypes[modelType] : $"{modelType}")} is not supported: only bpe is");
        return (byteFallback, begin, end);
    }

    private static (bool PrefixSpace, bool ExtraSpaces, bool SpaceMarks, bool Characters) ReadNormalizer(ReadOnlySpan<byte> message)
    {
        bool prefixSpace = true, extraSpaces = false, spaceMarks = true, characters = false;
        for (ProtobufReader reader = new(message); reader.Read();)
        {
            switch (reader.Field)
            {
                case 2:
                    characters = reader.Message().Length > 0;
                    break;
                case 3:
                    prefixSpace = reader.Flag();
                    break;
                case 4:
                    extraSpaces = !reader.Flag();
                    break;
                case 5:
                    spaceMarks = reader.Flag();
                    break;
            }
        }

        return (prefixSpace, extraSpaces, spaceMarks, characters);
    }
}
