using System.Text;
using System.Text.Json;

namespace Windtunnel.Text.Tokenizers;

internal delegate void PieceAction(ReadOnlySpan<byte> piece);

/// <summary>What the pre_tokenizer of a tokenizer.json does: cuts text into the pieces that are never merged across.</summary>
internal abstract class TextSplitter
{
    private const int SplittersMax = 16;

    /// <summary>Hands over the pieces of a text that is not empty, in order, none of them empty.</summary>
    /// <param name="text">UTF-8, or any bytes.</param>
    /// <param name="atStart">Whether the text was not cut from a longer one, or is the first part of it.</param>
    /// <param name="piece">What takes them.</param>
    public abstract void Split(ReadOnlySpan<byte> text, bool atStart, PieceAction piece);

    /// <summary>Reads the section.</summary>
    /// <returns>The steps, none where text stays whole, and whether pieces are spelled byte by byte (ByteLevel).</returns>
    /// <exception cref="InvalidDataException">A part of it is not supported.</exception>
    public static (TextSplitter[] Steps, bool ByteLevel) Parse(JsonElement json, string path = "pre_tokenizer")
    {
        if (json.ValueKind == JsonValueKind.Null)
        {
            return ([], false);
        }

        string type = TokenizerJson.Text(json, "type");
        switch (type)
        {
            case "Sequence":
                TokenizerJson.CheckNames(json, path, "type", "pretokenizers");
                List<TextSplitter> steps = [];
                bool byteLevel = false;
                foreach ((int index, JsonElement part) in TokenizerJson.Property(json, "pretokenizers").EnumerateArray().Index())
                {
                    TokenizerJson.Check(!byteLevel, $"{path}: a part after ByteLevel is not supported");
                    (TextSplitter[] parsed, byteLevel) = Parse(part, $"{path}.pretokenizers[{index}]");
                    steps.AddRange(parsed);
                    TokenizerJson.Check(steps.Count <= SplittersMax, $"{path} has more than {SplittersMax} steps");
                }

                return ([.. steps], byteLevel);
            case "ByteLevel":
                TokenizerJson.CheckNames(json, path, "type", "add_prefix_space", "trim_offsets", "use_regex");
                return ([
                    .. TokenizerJson.Flag(json, "add_prefix_space", otherwise: true) ? [new PrefixSpace()] : Array.Empty<TextSplitter>(),
                    .. TokenizerJson.Flag(json, "use_regex", otherwise: true) ? [new ScanningSplitter(SplitPattern.Gpt2)] : Array.Empty<TextSplitter>(),
                ], true);
            case "Split":
                TokenizerJson.CheckNames(json, path, "type", "pattern", "behavior", "invert");
                return ([SplitOf(json, path)], false);
            case "Digits":
                TokenizerJson.CheckNames(json, path, "type", "individual_digits");
                return ([new PatternSplitter(new TextPattern(TokenizerJson.Flag(json, "individual_digits") ? @"\p{N}" : @"\p{N}+"), "Isolated", invert: false)], false);
            case "Punctuation":
                TokenizerJson.CheckNames(json, path, "type", "behavior");
                string behavior = json.TryGetProperty("behavior", out _) ? TokenizerJson.Text(json, "behavior") : "Isolated";
                return ([new PatternSplitter(new TextPattern(@"[!-/:-@\[-`\{-~\p{P}]"), behavior, invert: false)], false);
            case "Metaspace":
                TokenizerJson.CheckNames(json, path, "type", "replacement", "prepend_scheme", "add_prefix_space", "split");
                return ([new Metaspace(json, path)], false);
            default:
                throw new InvalidDataException($"{path}.type {type} is not supported: only Sequence, ByteLevel, Split, Digits, Punctuation and Metaspace are");
        }
    }

    private static TextSplitter SplitOf(JsonElement json, string path)
    {
        JsonElement pattern = TokenizerJson.Property(json, "pattern");
        string behavior = TokenizerJson.Text(json, "behavior");
        bool invert = TokenizerJson.Flag(json, "invert");
        bool keepsAll = (behavior == "Isolated" && !invert) || (behavior == "Removed" && invert);
        if (keepsAll && pattern.TryGetProperty("Regex", out JsonElement regex) && regex.ValueKind == JsonValueKind.String
            && PreTokenizer.PatternOf(regex.GetString()!) is { } known)
        {
            return new ScanningSplitter(known);
        }

        try
        {
            return new PatternSplitter(TextPattern.Parse(pattern), behavior, invert);
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException($"{path}: {e.Message}");
        }
    }
}

/// <summary>One of the patterns that are scanned by hand.</summary>
internal sealed class ScanningSplitter(SplitPattern pattern) : TextSplitter
{
    public SplitPattern Pattern => pattern;

    public override void Split(ReadOnlySpan<byte> text, bool atStart, PieceAction piece)
    {
        while (!text.IsEmpty)
        {
            int length = PreTokenizer.FirstLength(pattern, text);
            piece(text[..length]);
            text = text[length..];
        }
    }
}

/// <summary>Split, Digits and Punctuation: matches and what lies between them, put together as the behavior says.</summary>
internal sealed class PatternSplitter : TextSplitter
{
    private readonly TextPattern _pattern;
    private readonly string _behavior;
    private readonly bool _invert;

    public PatternSplitter(TextPattern pattern, string behavior, bool invert)
    {
        TokenizerJson.Check(
            behavior is "Isolated" or "Removed" or "MergedWithPrevious" or "MergedWithNext" or "Contiguous", $"behavior {behavior} is not supported");
        (_pattern, _behavior, _invert) = (pattern, behavior, invert);
    }

    public override void Split(ReadOnlySpan<byte> text, bool atStart, PieceAction piece)
    {
        int from = 0;
        bool previousIsMatch = false;
        foreach ((int start, int end, bool isMatch) in Parts(text))
        {
            bool joins = _behavior switch
            {
                "MergedWithPrevious" => isMatch && !previousIsMatch,
                "MergedWithNext" => !isMatch && previousIsMatch,
                "Contiguous" => isMatch == previousIsMatch,
                _ => false,
            };
            if (!joins && from < start)
            {
                piece(text[from..start]);
            }

            from = joins ? from : start;
            if (isMatch && _behavior == "Removed")
            {
                from = end;
            }

            previousIsMatch = isMatch;
        }

        if (from < text.Length)
        {
            piece(text[from..]);
        }
    }

    private List<(int Start, int End, bool IsMatch)> Parts(ReadOnlySpan<byte> text)
    {
        List<(int, int, bool)> parts = [];
        int at = 0;
        foreach ((int start, int end) in _pattern.Matches(text))
        {
            if (at < start)
            {
                parts.Add((at, start, _invert));
            }

            parts.Add((start, end, !_invert));
            at = end;
        }

        if (at < text.Length)
        {
            parts.Add((at, text.Length, _invert));
        }

        return parts;
    }
}

/// <summary>A space before text that begins with none (ByteLevel's add_prefix_space).</summary>
internal sealed class PrefixSpace : TextSplitter
{
    public override void Split(ReadOnlySpan<byte> text, bool atStart, PieceAction piece)
    {
        Rune.DecodeFromUtf8(text, out Rune first, out _);
        piece(Rune.IsWhiteSpace(first) ? text : (byte[])[(byte)' ', .. text]);
    }
}

/// <summary>Spaces as ▁, one of them in front, and pieces that begin with it.</summary>
internal sealed class Metaspace : TextSplitter
{
    private readonly byte[] _mark;
    private readonly string _scheme;
    private readonly bool _split;

    public Metaspace(JsonElement json, string path)
    {
        _mark = Encoding.UTF8.GetBytes(TokenizerJson.Text(json, "replacement"));
        TokenizerJson.Check(_mark.Length is > 0 and <= 4, $"{path}.replacement is not one character");
        _scheme = SchemeOf(json, path);
        _split = TokenizerJson.Flag(json, "split", otherwise: true);
    }

    /// <summary>always, first or never; older files have a flag instead.</summary>
    public static string SchemeOf(JsonElement json, string path)
    {
        string scheme = json.TryGetProperty("prepend_scheme", out _) ? TokenizerJson.Text(json, "prepend_scheme")
            : TokenizerJson.Flag(json, "add_prefix_space", otherwise: true) ? "always" : "never";
        TokenizerJson.Check(scheme is "always" or "first" or "never", $"{path}.prepend_scheme {scheme} is not supported");
        return scheme;
    }

    public override void Split(ReadOnlySpan<byte> text, bool atStart, PieceAction piece)
    {
        ReadOnlySpan<byte> marked = ReplaceNormalizer.Replace(text, " "u8, _mark);
        if ((_scheme == "always" || (_scheme == "first" && atStart)) && !marked.StartsWith(_mark))
        {
            marked = (byte[])[.. _mark, .. marked];
        }

        while (_split && marked[1..].IndexOf(_mark) is >= 0 and int next)
        {
            piece(marked[..(next + 1)]);
            marked = marked[(next + 1)..];
        }

        piece(marked);
    }
}
