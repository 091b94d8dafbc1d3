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
    private bool _byteFallback;
    private bool _isFused;

    /// <exception cref="InvalidDataException">A part of the section is not supported.</exception>
    public TokenSpelling(JsonElement json)
    {
        TokenizerJson.Check(json.ValueKind == JsonValueKind.Object, "null is not supported: it puts spaces between tokens");
        string type = TokenizerJson.Text(json, "type");
        switch (type)
        {
            case "ByteLevel":
                TokenizerJson.CheckNames(json, "decoder", "type", "add_prefix_space", "trim_offsets", "use_regex");
                IsByteLevel = true;
                break;
            case "Metaspace":
                TokenizerJson.CheckNames(json, "decoder", "type", "replacement", "prepend_scheme", "add_prefix_space", "split");
                Replace(TokenizerJson.Text(json, "replacement"), " ", "decoder");
                HasPrefixSpace = Metaspace.SchemeOf(json, "decoder") != "never";
                break;
            case "Sequence":
                TokenizerJson.CheckNames(json, "decoder", "type", "decoders");
                foreach ((int index, JsonElement part) in TokenizerJson.Property(json, "decoders").EnumerateArray().Index())
                {
                    Add(part, $"decoder.decoders[{index}]");
                }

                break;
            default:
                throw new InvalidDataException($"decoder.type {type} is not supported: only ByteLevel, Metaspace and Sequence are");
        }
    }

    /// <summary>Whether tokens are spelled in GPT-2's byte alphabet.</summary>
    public bool IsByteLevel { get; }

    /// <summary>Whether a space at the beginning of the text is dropped.</summary>
    public bool HasPrefixSpace { get; private set; }

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

    /// <summary>Adds a part of a sequence. What is done to each token has to come before tokens are fused, and stripping after it.</summary>
    private void Add(JsonElement json, string path)
    {
        string type = TokenizerJson.Text(json, "type");
        switch (type)
        {
            case "Replace" when !_byteFallback && !_isFused:
                TokenizerJson.CheckNames(json, path, "type", "pattern", "content");
                Replace(TokenizerJson.Text(TokenizerJson.Property(json, "pattern"), "String"), TokenizerJson.Text(json, "content"), path);
                break;
            case "ByteFallback" when !_isFused:
                TokenizerJson.CheckNames(json, path, "type");
                _byteFallback = true;
                break;
            case "Fuse":
                TokenizerJson.CheckNames(json, path, "type");
                _isFused = true;
                break;
            case "Strip" when _isFused && !HasPrefixSpace:
                TokenizerJson.CheckNames(json, path, "type", "content", "start", "stop");
                HasPrefixSpace = IsStripOfOneSpace(json);
                break;
            default:
                throw new InvalidDataException($"{path}.type {type} is not supported there: only Replace, ByteFallback, Fuse and then Strip are, in this order");
        }
    }

    private void Replace(string from, string to, string path)
    {
        TokenizerJson.Check(_replacements.Count < 16 && from.Length > 0 && to.Length <= 4, $"{path} replaces nothing, or by too long a text");
        _replacements.Add((from, to));
    }

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
