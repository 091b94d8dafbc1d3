using System.Buffers;
using System.Text;

namespace Windtunnel.Text.Tokenizers;

/// <summary>The symbols that a piece begins as, before anything is merged.</summary>
internal abstract class SymbolTable
{
    /// <summary>Writes the ids of a piece's symbols.</summary>
    /// <param name="piece">The piece.</param>
    /// <param name="symbols">At least as many places as the piece has bytes.</param>
    /// <returns>How many symbols there are.</returns>
    public abstract int Read(ReadOnlySpan<byte> piece, Span<int> symbols);
}

/// <summary>A symbol a byte.</summary>
/// <param name="ids">The id of each byte.</param>
internal sealed class ByteSymbols(int[] ids) : SymbolTable
{
    public override int Read(ReadOnlySpan<byte> piece, Span<int> symbols)
    {
        for (int i = 0; i < piece.Length; i++)
        {
            symbols[i] = ids[piece[i]];
        }

        return piece.Length;
    }
}

/// <summary>A symbol a character; characters without one fall back to their bytes, or else to the unknown token.</summary>
/// <param name="ids">Ids by code point.</param>
/// <param name="byteIds">The id of each byte; null where there is no such fallback.</param>
/// <param name="unknownId">The unknown token, where there is no fallback.</param>
/// <param name="fuseUnknown">Whether neighbours without a symbol are one unknown token.</param>
internal sealed class CharacterSymbols(Dictionary<int, int> ids, int[]? byteIds, int unknownId, bool fuseUnknown) : SymbolTable
{
    public override int Read(ReadOnlySpan<byte> piece, Span<int> symbols)
    {
        int count = 0;
        bool isUnknown = false;
        while (!piece.IsEmpty)
        {
            bool valid = Rune.DecodeFromUtf8(piece, out Rune rune, out int width) == OperationStatus.Done;
            if (valid && ids.TryGetValue(rune.Value, out int id))
            {
                symbols[count++] = id;
                isUnknown = false;
            }
            else if (byteIds is not null)
            {
                foreach (byte b in piece[..width])
                {
                    symbols[count++] = byteIds[b];
                }
            }
            else
            {
                if (!(isUnknown && fuseUnknown))
                {
                    symbols[count++] = unknownId;
                }

                isUnknown = true;
            }

            piece = piece[width..];
        }

        return count;
    }
}
