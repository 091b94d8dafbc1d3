using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Windtunnel.Text.Tokenizers;

/// <summary>
/// What the decoder of a tokenizer.json does: turns the spelling of each token into bytes of text, and drops the space that encoding put in
/// front. Decoders that need more than one token at a time for the rest are refused.
/// </summary>
internal sealed class TokenSpelling
{
    private readonly List<(string From, string To)> _replacements = [];
    private readonly bool _byteFallback;

    /// <exception cref="InvalidDataException">A part of the section is not supported.</exception>
    public TokenSpelling(JsonElement json)
    {
        TokenizerJson.Check(json.ValueKind == JsonValueKind.Object, "decoder null is not supported: it puts spaces between tokens");
        string type = TokenizerJson.Text(json, "type");
        JsonElement[] parts = type == "Sequence" ? [.. TokenizerJson.Property(json, "decoders").EnumerateArray()] : [json];
        TokenizerJson.Check(parts.Length is > 0 and <= 16, "decoder has no parts or more than 16");
        TokenizerJson.Check(type != "Sequence" || json.EnumerateObject().Count() == 2, "decoder has a setting that is not supported");
        bool fused = false;
        for (int i = 0; i < parts.Length; i++)
        {
            string path = type == "Sequence" ? $"decoder.decoders[{i}]" : "decoder";
            string part = TokenizerJson.Text(parts[i], "type");
            bool known = part switch
            {
                "ByteLevel" => parts.Length == 1,
                "Metaspace" => parts.Length == 1,
                "Replace" => !fused && !_byteFallback,
                "ByteFallback" => !fused && !_byteFallback,
                "Fuse" => true,
                "Strip" => fused && !HasPrefixSpace,
                _ => false,
            };
            TokenizerJson.Check(known, $"{path}.type {part} is not supported{(part is "Replace" or "ByteFallback" or "Strip" or "ByteLevel" or "Metaspace" ? " there" : "")}: only ByteLevel, Metaspace, and sequences of Replace, ByteFallback, Fuse and Strip are");
            TokenizerJson.CheckNames(parts[i], path, ["type", .. part switch
            {
                "ByteLevel" => ["add_prefix_space", "trim_offsets", "use_regex"],
                "Metaspace" => ["replacement", "prepend_scheme", "add_prefix_space", "split"],
                "Replace" => ["pattern", "content"],
                "Strip" => ["content", "start", "stop"],
                _ => Array.Empty<string>(),
            }]);
            switch (part)
            {
                case "ByteLevel":
                    IsByteLevel = true;
                    break;
                case "Metaspace":
                    _replacements.Add((TokenizerJson.Text(parts[i], "replacement"), " "));
                    HasPrefixSpace = Metaspace.SchemeOf(parts[i], path) != "never";
                    break;
                case "Replace":
                    string from = TokenizerJson.Text(TokenizerJson.Property(parts[i], "pattern"), "String"), to = TokenizerJson.Text(parts[i], "content");
                    TokenizerJson.Check(from.Length > 0 && to.Length <= 4, $"{path} replaces nothing, or by too long a text");
                    _replacements.Add((from, to));
                    break;
                case "ByteFallback":
                    _byteFallback = true;
                    break;
                case "Fuse":
                    fused = true;
                    break;
                case "Strip":
                    HasPrefixSpace = IsStripOfOneSpace(parts[i]);
                    break;
            }
        }
    }

    /// <summary>Whether tokens are spelled in GPT-2's byte alphabet.</summary>
    public bool IsByteLevel { get; }

    /// <summary>Whether a space at the beginning of the text is dropped.</summary>
    public bool HasPrefixSpace { get; }

    /// <summary>The bytes that a token stands for.</summary>
    /// <exception cref="InvalidDataException">It is not spelled in the byte-level alphabet.</exception>
    public byte[] Bytes(string spelling)
    {
        if (IsByteLevel)
        {
            return ByteAlphabet.Bytes(spelling) ?? throw new InvalidDataException("model.vocab: a token is not spelled in the byte-level alphabet");
        }

        if (_byteFallback && ByteOf(spelling) is { } b)
        {
            return [b];
        }

        return Text(spelling);
    }

    /// <summary>The bytes of an added token, which is spelled as it reads.</summary>
    public byte[] Text(string content)
    {
        foreach ((string from, string to) in _replacements)
        {
            content = content.Replace(from, to, StringComparison.Ordinal);
        }

        return Encoding.UTF8.GetBytes(content);
    }

    /// <summary>The spelling of a byte that text falls back to.</summary>
    public static string Byte(byte b) => $"<0x{b:X2}>";

    /// <summary>The byte that a spelling such as &lt;0x0A&gt; stands for; null where it is none.</summary>
    public static byte? ByteOf(string spelling) =>
        spelling.Length == 6 && spelling.StartsWith("<0x", StringComparison.Ordinal) && spelling[5] == '>'
        && byte.TryParse(spelling.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, null, out byte b) ? b : null;

    private static bool IsStripOfOneSpace(JsonElement json)
    {
        int start = 0, stop = 0;
        TokenizerJson.Check(
            TokenizerJson.Text(json, "content") == " "
            && TokenizerJson.Property(json, "start") is { ValueKind: JsonValueKind.Number } first && first.TryGetInt32(out start) && start is 0 or 1
            && TokenizerJson.Property(json, "stop") is { ValueKind: JsonValueKind.Number } last && last.TryGetInt32(out stop) && stop == 0,
            "decoder: Strip of anything but one space at the start is not supported");
        return start == 1;
    }
}
