using System.Buffers;
using System.Globalization;
using System.Text;

namespace Windtunnel.Text.Tokenizers;

/// <summary>Finds added tokens in text: leftmost first, and of those that begin at one place, the longest.</summary>
internal sealed class AddedTokenMatcher
{
    /// <summary>The most characters of an added token, which bounds the time for each byte of text.</summary>
    public const int LengthMax = 256;

    private readonly Dictionary<(int Node, byte Next), int> _next = [];
    private readonly List<AddedToken?> _tokenAt = [null];
    private readonly bool[] _begins = new bool[256];

    /// <param name="tokens">The tokens, and the bytes that each is looked for by.</param>
    public AddedTokenMatcher(IEnumerable<(AddedToken Token, byte[] Bytes)> tokens)
    {
        foreach ((AddedToken token, byte[] bytes) in tokens.Where(token => token.Bytes.Length > 0))
        {
            int node = 0;
            _begins[bytes[0]] = true;
            foreach (byte b in bytes)
            {
                if (!_next.TryGetValue((node, b), out int next))
                {
                    next = _tokenAt.Count;
                    _tokenAt.Add(null);
                    _next.Add((node, b), next);
                }

                node = next;
            }

            _tokenAt[node] ??= token;
        }
    }

    /// <summary>Whether there is nothing to find.</summary>
    public bool IsEmpty => _next.Count == 0;

    /// <summary>The first token in a text, with the white space that belongs to it; null where there is none.</summary>
    /// <param name="text">All of the text, of which what was read before tells where words end.</param>
    /// <param name="from">Where to look from.</param>
    public (AddedToken Token, int Start, int End)? Find(ReadOnlySpan<byte> text, int from)
    {
        for (int start = from; start < text.Length; start++)
        {
            if (!_begins[text[start]] || Longest(text[start..]) is not { } found)
            {
                continue;
            }

            int end = start + found.Length;
            if (found.Token.SingleWord && (IsWordAtEnd(text[..start]) || IsWordAtStart(text[end..])))
            {
                start = end - 1;
                continue;
            }

            int before = found.Token.LeftStrip ? WhiteSpaceAtEnd(text[from..start]) : 0;
            int after = found.Token.RightStrip ? WhiteSpaceAtStart(text[end..]) : 0;
            return (found.Token, start - before, end + after);
        }

        return null;
    }

    internal static int WhiteSpaceAtStart(ReadOnlySpan<byte> text)
    {
        int length = 0;
        while (length < text.Length && Rune.DecodeFromUtf8(text[length..], out Rune rune, out int width) == OperationStatus.Done && Rune.IsWhiteSpace(rune))
        {
            length += width;
        }

        return length;
    }

    internal static int WhiteSpaceAtEnd(ReadOnlySpan<byte> text)
    {
        int length = 0;
        while (length < text.Length && Rune.DecodeLastFromUtf8(text[..^length], out Rune rune, out int width) == OperationStatus.Done && Rune.IsWhiteSpace(rune))
        {
            length += width;
        }

        return length;
    }

    private static bool IsWordAtEnd(ReadOnlySpan<byte> text) => Rune.DecodeLastFromUtf8(text, out Rune rune, out _) == OperationStatus.Done && IsWord(rune);

    private static bool IsWordAtStart(ReadOnlySpan<byte> text) => Rune.DecodeFromUtf8(text, out Rune rune, out _) == OperationStatus.Done && IsWord(rune);

    private static bool IsWord(Rune rune) => Rune.IsLetterOrDigit(rune) || Rune.GetUnicodeCategory(rune)
        is UnicodeCategory.ConnectorPunctuation or UnicodeCategory.NonSpacingMark
        or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark;

    private (AddedToken Token, int Length)? Longest(ReadOnlySpan<byte> text)
    {
        (AddedToken, int)? longest = null;
        for (int node = 0, length = 0; length < text.Length && _next.TryGetValue((node, text[length]), out node);)
        {
            length++;
            if (_tokenAt[node] is { } token)
            {
                longest = (token, length);
            }
        }

        return longest;
    }
}
