using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Windtunnel.Text.Tokenizers;

/// <summary>
/// A <c>{"String": ..}</c> or <c>{"Regex": ..}</c> of a tokenizer.json. Regular expressions match in linear time, and only those are
/// taken that mean the same in .NET and in Oniguruma, which reads them elsewhere; the ending |\s+(?!\S)|\s+ of GPT-2 and its kind is done by hand.
/// </summary>
internal sealed class TextPattern
{
    private const int LengthMax = 1000;
    private const string WhiteSpaceTail = @"|\s+(?!\S)|\s+";
    private const string Run = "run";

    private readonly Regex _regex;
    private readonly bool _hasTail;

    /// <exception cref="InvalidDataException">The expression is not supported.</exception>
    public TextPattern(string regex)
    {
        _hasTail = regex.EndsWith(WhiteSpaceTail, StringComparison.Ordinal);
        string body = _hasTail ? regex[..^WhiteSpaceTail.Length] : regex;
        CheckSyntax(body, regex);
        // Case folding makes the long s an s elsewhere.
        body = body.Replace("(?i:'s|", "(?i:'[sſ]|", StringComparison.Ordinal);
        try
        {
            _regex = new Regex(_hasTail ? $@"{body}|(?<{Run}>\s+)" : body, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            throw Unsupported(regex, e.Message);
        }

        TokenizerJson.Check(!_regex.IsMatch(""), $"the expression {regex} matches nothing at all, which is not supported");
    }

    /// <summary>Reads the JSON of a pattern.</summary>
    public static TextPattern Parse(JsonElement json) =>
        new(json.TryGetProperty("String", out _) ? Literal(TokenizerJson.Text(json, "String")) : TokenizerJson.Text(json, "Regex"));

    /// <summary>The matches from left to right, none empty, as places in the bytes; bytes that are not valid UTF-8 count as symbols.</summary>
    public List<(int Start, int End)> Matches(ReadOnlySpan<byte> text)
    {
        char[] characters = new char[text.Length];
        int[] offsets = new int[text.Length + 1];
        int count = 0;
        for (int at = 0; at < text.Length;)
        {
            bool valid = Rune.DecodeFromUtf8(text[at..], out Rune rune, out int width) == OperationStatus.Done;
            offsets[count] = at;
            characters[count++] = !valid ? '\uFFFD' : rune.IsBmp ? (char)rune.Value : InBasicPlane(rune);
            at += width;
        }

        offsets[count] = text.Length;
        List<(int, int)> matches = [];
        for (int from = 0; from < count;)
        {
            int resume = count;
            foreach (ValueMatch match in _regex.EnumerateMatches(characters.AsSpan(0, count), from))
            {
                int end = match.Index + match.Length;
                if (_hasTail && match.Length > 1 && end < count && IsWhiteSpace(characters.AsSpan(match.Index, match.Length)) && IsRun(characters, match.Index, end))
                {
                    // \s+(?!\S) leaves the last white space to the word that follows.
                    matches.Add((offsets[match.Index], offsets[end - 1]));
                    resume = end - 1;
                    break;
                }

                if (match.Length > 0)
                {
                    matches.Add((offsets[match.Index], offsets[end]));
                }
            }

            from = resume;
        }

        return matches;
    }

    // Whether white space was matched by the tail: what comes before it in the expression is tried first.
    private bool IsRun(char[] characters, int start, int end) =>
        _regex.Match(new string(characters, start, Math.Min(end + 1, characters.Length) - start)).Groups[Run].Success;

    private static bool IsWhiteSpace(ReadOnlySpan<char> text) => text.IsWhiteSpace();

    /// <summary>A character of the same category from the basic plane: .NET's expressions know UTF-16 units only.</summary>
    private static char InBasicPlane(Rune rune) => Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.UppercaseLetter => 'Ȣ',
        UnicodeCategory.LowercaseLetter => 'ȣ',
        UnicodeCategory.TitlecaseLetter => 'ᾈ',
        UnicodeCategory.ModifierLetter => 'ʰ',
        UnicodeCategory.OtherLetter => 'ƻ',
        UnicodeCategory.NonSpacingMark => '\u0300',
        UnicodeCategory.SpacingCombiningMark => 'ः',
        UnicodeCategory.EnclosingMark => '\u20DD',
        UnicodeCategory.DecimalDigitNumber => '٠',
        UnicodeCategory.LetterNumber => 'Ⅳ',
        UnicodeCategory.OtherNumber => '½',
        UnicodeCategory.OtherPunctuation => '‽',
        UnicodeCategory.DashPunctuation => '‒',
        UnicodeCategory.MathSymbol => '∓',
        UnicodeCategory.CurrencySymbol => '₠',
        UnicodeCategory.ModifierSymbol => '˂',
        UnicodeCategory.Format => '\u2060',
        UnicodeCategory.PrivateUse => '\uE000',
        UnicodeCategory.OtherNotAssigned => '\u0378',
        _ => '☃',
    };

    private static string Literal(string text)
    {
        TokenizerJson.Check(text.Length > 0, "pattern.String is empty");
        StringBuilder regex = new();
        foreach (char c in text)
        {
            regex.Append(c < 128 && !char.IsAsciiLetterOrDigit(c) && c is not (' ' or '\n' or '\r' or '\t') ? "\\" : "").Append(c);
        }

        TokenizerJson.Check(!text.Any(char.IsSurrogate), $"pattern.String {text} has characters beyond U+FFFF, which is not supported");
        return regex.ToString();
    }

    /// <summary>Refuses what .NET and Oniguruma read differently, and repetitions that make large automata.</summary>
    private static void CheckSyntax(string body, string regex)
    {
        if (body.Length > LengthMax || body.Any(char.IsSurrogate))
        {
            throw Unsupported(regex.Length > LengthMax ? regex[..LengthMax] : regex, $"it is longer than {LengthMax} characters, or has some beyond U+FFFF");
        }

        bool inClass = false;
        long repeats = 1;
        for (int i = 0; i < body.Length; i++)
        {
            string? problem = null;
            switch (body[i])
            {
                case '\\':
                    i++;
                    bool isKnown = i < body.Length && (!char.IsLetterOrDigit(body[i]) || "sSpPdDrntfAz".Contains(body[i]));
                    problem = isKnown ? null : "an escape";
                    i += isKnown && body[i] is 'p' or 'P' ? Math.Max(0, body.AsSpan(i).IndexOf('}')) : 0;
                    break;
                case '[' when inClass:
                    problem = "a class in a class";
                    break;
                case '[':
                    inClass = true;
                    i += i + 1 < body.Length && body[i + 1] == '^' ? 1 : 0;
                    problem = i + 1 < body.Length && body[i + 1] == ']' ? "a class that begins with ]" : null;
                    break;
                case '&' when inClass && i + 1 < body.Length && body[i + 1] == '&':
                    problem = "&& in a class";
                    break;
                case ']':
                    inClass = false;
                    break;
                case '^' or '$' when !inClass:
                    problem = "an anchor of lines";
                    break;
                case '{' when !inClass:
                    problem = IsRepeat(body.AsSpan(i + 1), ref repeats) ? null : "a repetition, or too many of them";
                    break;
            }

            if (problem is not null)
            {
                throw Unsupported(regex, problem);
            }
        }
    }

    /// <summary>Whether <c>n}</c>, <c>n,}</c> or <c>n,m}</c> follows, and all such numbers multiply to little.</summary>
    private static bool IsRepeat(ReadOnlySpan<char> text, ref long repeats)
    {
        if (text.IndexOf('}') is not (> 0 and <= 9 and int end))
        {
            return false;
        }

        text = text[..end];
        int comma = text.IndexOf(',');
        ReadOnlySpan<char> most = comma < 0 || comma + 1 == text.Length ? (comma < 0 ? text : text[..comma]) : text[(comma + 1)..];
        ReadOnlySpan<char> least = comma < 0 ? text : text[..comma];
        if (!uint.TryParse(least, NumberStyles.None, null, out _) || !uint.TryParse(most, NumberStyles.None, null, out uint count))
        {
            return false;
        }

        repeats *= Math.Max(1, count);
        return repeats <= LengthMax;
    }

    private static InvalidDataException Unsupported(string regex, string problem) => new($"the expression {regex} is not supported: {problem}");
}
