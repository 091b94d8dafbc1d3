using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Windtunnel.Text.Tokenizers;

/// <summary>What the normalizer of a tokenizer.json does: changes text before it is cut.</summary>
internal abstract class TextNormalizer
{
    private const int StepsMax = 16;
    private const double GrowthMax = 4096;

    /// <summary>How many bytes one byte can become at most; what is put in front is not counted.</summary>
    public virtual double Growth => 1;

    /// <summary>The text as it is read on; bytes that are not valid UTF-8 stay as they are.</summary>
    public abstract ReadOnlySpan<byte> Normalize(ReadOnlySpan<byte> text);

    /// <summary>Reads the section; no steps where it is null.</summary>
    /// <exception cref="InvalidDataException">A part of it is not supported.</exception>
    public static TextNormalizer[] Parse(JsonElement json)
    {
        List<TextNormalizer> steps = [];
        Add(json, "normalizer", steps);
        TokenizerJson.Check(steps.Aggregate(1.0, (growth, step) => growth * step.Growth) <= GrowthMax, "normalizer: text would grow too much");
        return [.. steps];
    }

    private static void Add(JsonElement json, string path, List<TextNormalizer> steps)
    {
        if (json.ValueKind == JsonValueKind.Null)
        {
            return;
        }

        TokenizerJson.Check(steps.Count < StepsMax, $"{path}: more than {StepsMax} steps are not supported");
        string type = TokenizerJson.Text(json, "type");
        switch (type)
        {
            case "Sequence":
                TokenizerJson.CheckNames(json, path, "type", "normalizers");
                foreach ((int index, JsonElement part) in TokenizerJson.Property(json, "normalizers").EnumerateArray().Index())
                {
                    Add(part, $"{path}.normalizers[{index}]", steps);
                }

                break;
            case "Prepend":
                TokenizerJson.CheckNames(json, path, "type", "prepend");
                steps.Add(new PrependNormalizer(Encoding.UTF8.GetBytes(Short(TokenizerJson.Text(json, "prepend"), path))));
                break;
            case "Replace":
                TokenizerJson.CheckNames(json, path, "type", "pattern", "content");
                JsonElement pattern = TokenizerJson.Property(json, "pattern");
                byte[] content = Encoding.UTF8.GetBytes(Short(TokenizerJson.Text(json, "content"), path));
                steps.Add(pattern.TryGetProperty("String", out _)
                    ? new ReplaceNormalizer(Encoding.UTF8.GetBytes(Short(TokenizerJson.Text(pattern, "String"), path, least: 1)), content)
                    : new PatternNormalizer(TextPattern.Parse(pattern), content));
                break;
            case "Strip":
                TokenizerJson.CheckNames(json, path, "type", "strip_left", "strip_right");
                steps.Add(new StripNormalizer(TokenizerJson.Flag(json, "strip_left"), TokenizerJson.Flag(json, "strip_right")));
                break;
            case "Lowercase":
                TokenizerJson.CheckNames(json, path, "type");
                // Of all characters, İ alone is two when lower-cased.
                steps.Add(new CharacterNormalizer(1.5, text => text.Replace("İ", "i\u0307", StringComparison.Ordinal).ToLowerInvariant()));
                break;
            case "NFC" or "NFD" or "NFKC" or "NFKD":
                TokenizerJson.CheckNames(json, path, "type");
                steps.Add(new CharacterNormalizer(12, text => UnicodeForms.Normalize(text, compatibility: type[2] == 'K', compose: type[^1] == 'C')));
                break;
            default:
                throw new InvalidDataException(
                    $"{path}.type {type} is not supported: only Sequence, Prepend, Replace, Strip, Lowercase, NFC, NFD, NFKC and NFKD are");
        }
    }

    private static string Short(string text, string path, int least = 0)
    {
        TokenizerJson.Check(text.Length >= least && text.Length <= AddedTokenMatcher.LengthMax, $"{path}: a text is empty or too long");
        return text;
    }
}

/// <summary>Puts a text in front of any that is not empty.</summary>
internal sealed class PrependNormalizer(byte[] prefix) : TextNormalizer
{
    public override ReadOnlySpan<byte> Normalize(ReadOnlySpan<byte> text) => text.IsEmpty ? text : (byte[])[.. prefix, .. text];
}

/// <summary>Replaces one text by another.</summary>
internal sealed class ReplaceNormalizer(byte[] pattern, byte[] content) : TextNormalizer
{
    public override double Growth => Math.Max(1, (double)content.Length / pattern.Length);

    public override ReadOnlySpan<byte> Normalize(ReadOnlySpan<byte> text) => Replace(text, pattern, content);

    public static ReadOnlySpan<byte> Replace(ReadOnlySpan<byte> text, ReadOnlySpan<byte> pattern, ReadOnlySpan<byte> content)
    {
        int count = text.Count(pattern);
        byte[] replaced = new byte[text.Length + (count * (content.Length - pattern.Length))];
        Span<byte> rest = replaced;
        for (; count > 0; count--)
        {
            int at = text.IndexOf(pattern);
            text[..at].CopyTo(rest);
            content.CopyTo(rest[at..]);
            rest = rest[(at + content.Length)..];
            text = text[(at + pattern.Length)..];
        }

        text.CopyTo(rest);
        return replaced;
    }
}

/// <summary>Replaces what an expression matches.</summary>
internal sealed class PatternNormalizer(TextPattern pattern, byte[] content) : TextNormalizer
{
    public override double Growth => Math.Max(1, content.Length);

    public override ReadOnlySpan<byte> Normalize(ReadOnlySpan<byte> text)
    {
        List<byte> replaced = new(text.Length);
        int from = 0;
        foreach ((int start, int end) in pattern.Matches(text))
        {
            replaced.AddRange(text[from..start]);
            replaced.AddRange(content);
            from = end;
        }

        replaced.AddRange(text[from..]);
        return replaced.ToArray();
    }
}

/// <summary>Removes white space at the ends.</summary>
internal sealed class StripNormalizer(bool left, bool right) : TextNormalizer
{
    public override ReadOnlySpan<byte> Normalize(ReadOnlySpan<byte> text)
    {
        text = text[(left ? AddedTokenMatcher.WhiteSpaceAtStart(text) : 0)..];
        return text[..^(right ? AddedTokenMatcher.WhiteSpaceAtEnd(text) : 0)];
    }
}

/// <summary>Changes characters, between bytes that are none.</summary>
internal sealed class CharacterNormalizer(double growth, Func<string, string> change) : TextNormalizer
{
    public override double Growth => growth;

    public override ReadOnlySpan<byte> Normalize(ReadOnlySpan<byte> text)
    {
        if (Utf8.IsValid(text))
        {
            return Encoding.UTF8.GetBytes(change(Encoding.UTF8.GetString(text)));
        }

        List<byte> changed = new(text.Length);
        while (!text.IsEmpty)
        {
            int valid = 0, invalid = 0;
            while (valid < text.Length && Rune.DecodeFromUtf8(text[valid..], out _, out invalid) == OperationStatus.Done)
            {
                (valid, invalid) = (valid + invalid, 0);
            }

            changed.AddRange(Encoding.UTF8.GetBytes(change(Encoding.UTF8.GetString(text[..valid]))));
            changed.AddRange(text.Slice(valid, invalid));
            text = text[(valid + invalid)..];
        }

        return changed.ToArray();
    }
}
