using System.Buffers.Binary;
using System.Text;

namespace Windtunnel.Tests.Text.Tokenizers;

/// <summary>
/// A small SentencePiece vocabulary, made here, with its files and the plainest encoder there can be. Ids 0 to 2 are &lt;unk&gt;,
/// &lt;s&gt; and &lt;/s&gt;, 3 to 258 the bytes, then come pieces by descending score.
/// </summary>
internal sealed class ScoredVocabulary
{
    public ScoredVocabulary(IEnumerable<string> pieces)
    {
        Pieces =
        [
            ("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3),
            .. Enumerable.Range(0, 256).Select(b => ($"<0x{b:X2}>", 0f, 6)),
            .. pieces.Select((piece, index) => (piece, -(float)index, 1)),
        ];
    }

    /// <summary>Pieces of few letters, many of which overlap themselves.</summary>
    public static ScoredVocabulary Random(int seed)
    {
        Random random = new(seed);
        List<string> pieces = ["▁", "a", "b", "é", "😀"];
        string[] letters = [.. pieces];
        List<string> merged = [];
        while (merged.Count < 40)
        {
            string piece = pieces[random.Next(pieces.Count)] + pieces[random.Next(pieces.Count)];
            if (piece.Length <= 8 && !pieces.Contains(piece))
            {
                pieces.Add(piece);
                merged.Add(piece);
            }
        }

        return new ScoredVocabulary([.. merged, .. letters]);
    }

    public List<(string Text, float Score, int Kind)> Pieces { get; }

    public byte[] Model(bool prefixSpace = true, bool removesExtraSpaces = false, int modelType = 2, bool byteFallback = true, byte[]? characters = null)
    {
        List<byte> file = [];
        foreach ((string text, float score, int kind) in Pieces)
        {
            byte[] utf8 = Encoding.UTF8.GetBytes(text), bits = new byte[4];
            BinaryPrimitives.WriteSingleLittleEndian(bits, score);
            Message(file, 1, [0x0A, (byte)utf8.Length, .. utf8, 0x15, .. bits, 0x18, (byte)kind]);
        }

        Message(file, 2, [0x18, (byte)modelType, 0x98, 0x02, (byte)(byteFallback ? 1 : 0)]);
        Message(file, 3, [0x12, (byte)(characters?.Length ?? 0), .. characters ?? [], 0x18, (byte)(prefixSpace ? 1 : 0), 0x20, (byte)(removesExtraSpaces ? 1 : 0), 0x28, 1]);
        return [.. file];
    }

    public byte[] Bin()
    {
        using MemoryStream stream = new();
        using BinaryWriter writer = new(stream);
        writer.Write(Pieces.Max(piece => Encoding.UTF8.GetByteCount(piece.Text)) + 2);
        foreach ((string text, float score, int kind) in Pieces)
        {
            byte[] utf8 = Encoding.UTF8.GetBytes(kind == 3 ? $"\n{text}\n" : text.Replace('▁', ' '));
            writer.Write(score);
            writer.Write(utf8.Length);
            writer.Write(utf8);
        }

        return stream.ToArray();
    }

    /// <summary>What SentencePiece does: of all neighbours that make a piece, the one of the highest score, the leftmost, until there is none.</summary>
    public int[] Encode(string text)
    {
        Dictionary<string, int> ids = Pieces.Index().Where(piece => piece.Item.Kind == 1).ToDictionary(piece => piece.Item.Text, piece => piece.Index);
        List<string> symbols = text.Length == 0 ? [] : [.. ("▁" + text.Replace(' ', '▁')).EnumerateRunes().Select(rune => rune.ToString())];
        while (true)
        {
            int best = -1;
            for (int i = 0; i + 1 < symbols.Count; i++)
            {
                // Ids ascend as scores descend.
                if (ids.TryGetValue(symbols[i] + symbols[i + 1], out int id) && (best < 0 || id < ids[symbols[best] + symbols[best + 1]]))
                {
                    best = i;
                }
            }

            if (best < 0)
            {
                return [.. symbols.SelectMany(symbol => ids.TryGetValue(symbol, out int id) ? [id] : Encoding.UTF8.GetBytes(symbol).Select(b => 3 + b))];
            }

            symbols[best] += symbols[best + 1];
            symbols.RemoveAt(best + 1);
        }
    }

    private static void Message(List<byte> file, int field, byte[] bytes)
    {
        file.AddRange([(byte)((field << 3) | 2), .. bytes.Length < 128 ? [(byte)bytes.Length] : new byte[] { (byte)(bytes.Length | 128), (byte)(bytes.Length >> 7) }]);
        file.AddRange(bytes);
    }
}
