using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Windtunnel.Text.Tokenizers;

/// <summary>
/// SentencePiece's precompiled_charsmap: replaces the longest known text at each place. A length, a double-array trie of that many bytes (Darts-clone:
/// units of 32 bits, whose values are places in what follows), and the replacements, each ended by a zero.
/// </summary>
internal sealed class PrecompiledNormalizer : TextNormalizer
{
    private readonly uint[] _units;
    private readonly byte[] _replacements;

    /// <exception cref="InvalidDataException">The map is damaged.</exception>
    public PrecompiledNormalizer(ReadOnlySpan<byte> map)
    {
        uint bytes = map.Length >= 4 ? BinaryPrimitives.ReadUInt32LittleEndian(map) : 0;
        TokenizerJson.Check(bytes >= 4 && bytes % 4 == 0 && bytes <= map.Length - 4, "precompiled_charsmap is damaged");
        _units = new uint[bytes / 4];
        for (int i = 0; i < _units.Length; i++)
        {
            _units[i] = BinaryPrimitives.ReadUInt32LittleEndian(map[(4 + (4 * i))..]);
        }

        _replacements = map[(4 + (int)bytes)..].ToArray();
        int longest = 0;
        for (ReadOnlySpan<byte> rest = _replacements; !rest.IsEmpty;)
        {
            int length = rest.IndexOf((byte)0) is >= 0 and int end ? end : rest.Length;
            longest = Math.Max(longest, length);
            rest = rest[Math.Min(length + 1, rest.Length)..];
        }

        Growth = Math.Max(1, longest);
    }

    public override double Growth { get; }

    public override ReadOnlySpan<byte> Normalize(ReadOnlySpan<byte> text)
    {
        ArrayBufferWriter<byte> normalized = new(text.Length + 1);
        while (!text.IsEmpty)
        {
            int length = Longest(text, out ReadOnlySpan<byte> replacement);
            if (length == 0)
            {
                Rune.DecodeFromUtf8(text, out _, out length);
                replacement = text[..length];
            }

            normalized.Write(replacement);
            text = text[length..];
        }

        return normalized.WrittenSpan;
    }

    /// <summary>The length of the longest text of the map that begins here, 0 where there is none.</summary>
    private int Longest(ReadOnlySpan<byte> text, out ReadOnlySpan<byte> replacement)
    {
        replacement = default;
        int longest = 0;
        uint at = OffsetOf(_units[0]);
        for (int i = 0; i < text.Length; i++)
        {
            at ^= text[i];
            if (at >= _units.Length || (_units[at] & 0x800000FF) != text[i])
            {
                break;
            }

            bool isEnd = (_units[at] & 0x100) != 0;
            at ^= OffsetOf(_units[at]);
            if (isEnd && at < _units.Length && (_units[at] & int.MaxValue) is var start && start <= _replacements.Length)
            {
                replacement = _replacements.AsSpan((int)start);
                replacement = replacement[..(replacement.IndexOf((byte)0) is >= 0 and int end ? end : replacement.Length)];
                longest = i + 1;
            }
        }

        return longest;
    }

    private static uint OffsetOf(uint unit) => (unit >> 10) << (int)((unit & 0x200) >> 6);
}
