using System.Buffers;
using System.Text;

namespace Windtunnel.Text.Tokenizers;

/// <summary>What a piece of a SentencePiece vocabulary is; the numbers are the file's.</summary>
internal enum PieceKind
{
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// <summary>A piece of a SentencePiece vocabulary. Of two neighbours that make a piece, those of the highest score merge first, leftmost first.</summary>
internal sealed record ScoredPiece(string Text, float Score, PieceKind Kind)
{
    public const int BytesMax = 256;

    /// <summary>The merges by which a vocabulary of ranks does what this one does by scores.</summary>
    /// <exception cref="InvalidDataException">Pieces have one score, or contain a character that is no piece.</exception>
    public static List<(int Left, int Right)> Merges(IReadOnlyList<ScoredPiece> pieces)
    {
        Dictionary<string, int> ids = [];
        foreach ((int id, ScoredPiece piece) in pieces.Index().Where(piece => piece.Item.Kind == PieceKind.Normal))
        {
            TokenizerJson.Check(ids.TryAdd(piece.Text, id), $"piece {id}, '{piece.Text}', is there twice");
        }

        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> idOf = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        List<(int Left, int Right)> merges = [], ofPiece = [];
        float last = float.NaN;
        foreach ((int id, ScoredPiece piece) in pieces.Index().Where(piece => piece.Item.Kind == PieceKind.Normal && piece.Item.Text.Length > 1)
            .OrderByDescending(piece => piece.Item.Score))
        {
            ofPiece.Clear();
            foreach (int cut in Cuts(piece.Text))
            {
                ReadOnlySpan<char> first = piece.Text.AsSpan(0, cut), second = piece.Text.AsSpan(cut);
                bool isFirst = idOf.TryGetValue(first, out int left), isSecond = idOf.TryGetValue(second, out int right);
                if (isFirst && isSecond)
                {
                    ofPiece.Add((left, right));
                }
                else if ((isFirst || IsCharacter(first)) && (isSecond || IsCharacter(second)))
                {
                    throw new InvalidDataException($"piece {id}, '{piece.Text}', has a character that is no piece itself: merges cannot say that");
                }
            }

            if (ofPiece.Count == 0)
            {
                continue;
            }

            if (piece.Score == last)
            {
                throw new InvalidDataException($"piece {id}, '{piece.Text}', has the score {piece.Score} of another: which merges first cannot be told");
            }

            last = piece.Score;
            merges.AddRange(ofPiece);
        }

        return merges;

        static bool IsCharacter(ReadOnlySpan<char> text) => Rune.DecodeFromUtf16(text, out _, out int length) == OperationStatus.Done && length == text.Length;
    }

    /// <summary>
    /// Where a piece can be cut in two. Of symbols x, y, z with x + y = y + z = piece, scores merge the leftmost, x and y, and
    /// so the cut after x has to come before the cut after y.
    /// </summary>
    private static IEnumerable<int> Cuts(string text)
    {
        for (int after = text.Length - 1; after >= text.Length - after; after--)
        {
            int before = text.Length - after;
            bool isBorder = text.AsSpan(0, after).SequenceEqual(text.AsSpan(before));
            yield return isBorder ? before : after;
            if (before != after)
            {
                yield return isBorder ? after : before;
            }
        }
    }
}
