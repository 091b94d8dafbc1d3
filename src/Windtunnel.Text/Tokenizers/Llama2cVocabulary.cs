using System.Buffers.Binary;

namespace Windtunnel.Text.Tokenizers;

/// <summary>
/// llama2.c's tokenizer.bin: the length of the longest piece, then score, length and bytes of each piece of a SentencePiece model, with spaces
/// for ▁. The first three are the unknown piece and those that begin and end a text.
/// </summary>
internal static class Llama2cVocabulary
{
    private static readonly (string Written, string Text, PieceKind Kind)[] s_first =
        [("<unk>", "<unk>", PieceKind.Unknown), ("\n<s>\n", "<s>", PieceKind.Control), ("\n</s>\n", "</s>", PieceKind.Control)];

    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static TokenizerDefinition Read(ReadOnlySpan<byte> file)
    {
        List<ScoredPiece> pieces = [];
        uint longest = BinaryPrimitives.ReadUInt32LittleEndian(Take(ref file, 4));
        while (!file.IsEmpty)
        {
            float score = BinaryPrimitives.ReadSingleLittleEndian(Take(ref file, 4));
            uint length = BinaryPrimitives.ReadUInt32LittleEndian(Take(ref file, 4));
            TokenizerJson.Check(length <= longest, $"piece {pieces.Count} has {length} bytes, more than the longest piece, {longest}");
            pieces.Add(Kinded(SentencePieceModel.Piece(Take(ref file, length), score, PieceKind.Normal, pieces.Count), pieces.Count));
        }

        TokenizerJson.Check(pieces.Count > s_first.Length, "has no pieces");
        return TokenizerDefinition.SentencePiece(pieces, byteFallback: true, prefixSpace: true, extraSpaces: true, beginId: 1);
    }

    private static ScoredPiece Kinded(ScoredPiece piece, int id)
    {
        if (id < s_first.Length)
        {
            (string written, string text, PieceKind kind) = s_first[id];
            TokenizerJson.Check(piece.Text == written, $"piece {id} is not {text}");
            return new ScoredPiece(text, piece.Score, kind);
        }

        return TokenSpelling.ByteOf(piece.Text) is null
            ? piece with { Text = piece.Text.Replace(' ', '▁') }
            : piece with { Kind = PieceKind.Byte };
    }

    private static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> file, uint length)
    {
        TokenizerJson.Check(length <= file.Length, "ends within a piece: the file is cut short or damaged");
        ReadOnlySpan<byte> taken = file[..(int)length];
        file = file[(int)length..];
        return taken;
    }
}
