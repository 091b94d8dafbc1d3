using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;

namespace Windtunnel.Text.Tokenizers;

/// <summary>The regular expression that cuts text into the pieces that BPE never merges across.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SplitPattern>))]
public enum SplitPattern
{
    /// <summary>That of GPT-4 (cl100k): digits in groups of three, any one symbol may lead a word, newlines apart.</summary>
    [JsonStringEnumMemberName("gpt4")]
    Gpt4,

    /// <summary>That of GPT-2: a space may lead a word, a number or a run of symbols.</summary>
    [JsonStringEnumMemberName("gpt2")]
    Gpt2,
}

/// <summary>
/// Cuts UTF-8 text as the GPT-4 or GPT-2 regular expression does, by a hand-written scanner in linear time.
/// Bytes that are not valid UTF-8 count as symbols.
/// </summary>
public static class PreTokenizer
{
    /// <summary>The cl100k pattern of OpenAI's tiktoken.</summary>
    public const string Gpt4Regex =
        @"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+";

    /// <summary>The pattern of OpenAI's GPT-2 encoder.</summary>
    public const string Gpt2Regex = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    // Llama 3 writes the same cuts otherwise.
    private const string Llama3Regex =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private enum Kind : byte
    {
        End,
        Letter,
        Number,
        Space,
        Newline,
        Symbol,
    }

    private static readonly Kind[] s_ascii = [.. Enumerable.Range(0, 128).Select(c => KindOf(new Rune(c)))];

    public static string Regex(SplitPattern pattern) => pattern == SplitPattern.Gpt4 ? Gpt4Regex : Gpt2Regex;

    /// <summary>The pattern of a regular expression; null where it is none of those that are scanned by hand.</summary>
    internal static SplitPattern? PatternOf(string regex) => regex switch
    {
        Gpt4Regex or Llama3Regex => SplitPattern.Gpt4,
        Gpt2Regex => SplitPattern.Gpt2,
        _ => null,
    };

    /// <summary>The length in bytes of the first piece of a text that is not empty.</summary>
    public static int FirstLength(SplitPattern pattern, ReadOnlySpan<byte> text) =>
        pattern == SplitPattern.Gpt4 ? FirstGpt4(text) : FirstGpt2(text);

    private static int FirstGpt4(ReadOnlySpan<byte> text)
    {
        if (Contraction(text, ignoreCase: true) is > 0 and int contraction)
        {
            return contraction;
        }

        Kind first = KindAt(text, 0, out int width);
        if (first == Kind.Letter || (first is Kind.Space or Kind.Symbol && KindAt(text, width, out _) == Kind.Letter))
        {
            return SkipAll(text, width, Kind.Letter);
        }

        if (first == Kind.Number)
        {
            int end = width;
            for (int digits = 1; digits < 3 && KindAt(text, end, out width) == Kind.Number; digits++)
            {
                end += width;
            }

            return end;
        }

        int start = text[0] == ' ' ? 1 : 0;
        int symbols = SkipAll(text, start, Kind.Symbol);
        return symbols > start ? SkipAll(text, symbols, Kind.Newline) : WhiteSpace(text, newlinesApart: true);
    }

    private static int FirstGpt2(ReadOnlySpan<byte> text)
    {
        if (Contraction(text, ignoreCase: false) is > 0 and int contraction)
        {
            return contraction;
        }

        int start = text[0] == ' ' ? 1 : 0;
        Kind kind = KindAt(text, start, out _);
        return kind is Kind.Letter or Kind.Number or Kind.Symbol ? SkipAll(text, start, kind) : WhiteSpace(text, newlinesApart: false);
    }

    private static int Contraction(ReadOnlySpan<byte> text, bool ignoreCase)
    {
        if (text.Length < 2 || text[0] != '\'')
        {
            return 0;
        }

        // U+017F, the long s, is an s to the regular expression engines that read this pattern elsewhere.
        if (ignoreCase && text[1..].StartsWith("ſ"u8))
        {
            return 3;
        }

        int toLower = ignoreCase ? 0x20 : 0;
        int first = text[1] | toLower;
        int second = text.Length > 2 ? text[2] | toLower : 0;
        return first switch
        {
            's' or 'd' or 'm' or 't' => 2,
            'l' when second == 'l' => 3,
            'v' or 'r' when second == 'e' => 3,
            _ => 0,
        };
    }

    /// <summary>The alternatives \s*[\r\n] (newlines apart only), \s+(?!\S) and \s+, in that order.</summary>
    private static int WhiteSpace(ReadOnlySpan<byte> text, bool newlinesApart)
    {
        int end = 0, last = 0, newline = 0;
        for (Kind kind; (kind = KindAt(text, end, out int width)) is Kind.Space or Kind.Newline;)
        {
            last = end;
            end += width;
            newline = kind == Kind.Newline ? end : newline;
        }

        if (newlinesApart && newline > 0)
        {
            return newline;
        }

        return end == text.Length || last == 0 ? end : last;
    }

    private static int SkipAll(ReadOnlySpan<byte> text, int at, Kind kind)
    {
        while (KindAt(text, at, out int width) == kind)
        {
            at += width;
        }

        return at;
    }

    private static Kind KindAt(ReadOnlySpan<byte> text, int at, out int width)
    {
        if ((uint)at >= (uint)text.Length)
        {
            width = 0;
            return Kind.End;
        }

        byte lead = text[at];
        if (lead < 128)
        {
            width = 1;
            return s_ascii[lead];
        }

        return Rune.DecodeFromUtf8(text[at..], out Rune rune, out width) == OperationStatus.Done ? KindOf(rune) : Kind.Symbol;
    }

    private static Kind KindOf(Rune rune)
    {
        if (rune.Value is '\r' or '\n')
        {
            return Kind.Newline;
        }

        if (Rune.IsWhiteSpace(rune))
        {
            return Kind.Space;
        }

        return Rune.GetUnicodeCategory(rune) switch
        {
            UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
                or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter => Kind.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Kind.Number,
            _ => Kind.Symbol,
        };
    }
}
