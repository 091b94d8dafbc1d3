using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Windtunnel.Text.Tokenizers;

/// <summary>
/// The Hugging Face tokenizer.json of a byte-level BPE tokenizer: a Split by regular expression, then ByteLevel, with
/// tokens spelled in GPT-2's printable byte alphabet. Other shapes are refused, not guessed at.
/// </summary>
public static class TokenizerJson
{
    public const int VocabularySizeMax = 1 << 20;
    public const long FileBytesMax = 1 << 26;

    private static readonly char[] s_charOfByte = ByteAlphabet();
    private static readonly Dictionary<char, byte> s_byteOfChar = s_charOfByte.Index().ToDictionary(pair => pair.Item, pair => (byte)pair.Index);

    /// <summary>The file's bytes; equal tokenizers give equal bytes.</summary>
    public static byte[] Write(Tokenizer tokenizer)
    {
        BpeTokenizer? bpe = tokenizer as BpeTokenizer;
        Dictionary<int, string> specialTokens = tokenizer.SpecialTokens.ToDictionary(token => token.Value, token => token.Key);
        ArrayBufferWriter<byte> bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions
        {
            Indented = true,
            NewLine = "\n",
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        }))
        {
            json.WriteStartObject();
            foreach ((string name, string value) in Frame(bpe?.Pattern ?? SplitPattern.Gpt4, tokenizer.SpecialTokens))
            {
                json.WritePropertyName(name);
                using JsonDocument section = JsonDocument.Parse(value);
                section.RootElement.WriteTo(json);
            }

            json.WriteStartObject("model");
            foreach ((string name, string value) in ModelFrame())
            {
                json.WritePropertyName(name);
                json.WriteRawValue(value);
            }

            json.WriteStartObject("vocab");
            for (int id = 0; id < tokenizer.VocabularySize; id++)
            {
                json.WriteNumber(specialTokens.TryGetValue(id, out string? name) ? name : Spell(tokenizer, id), id);
            }

            json.WriteEndObject();
            json.WriteStartArray("merges");
            foreach ((int left, int right) in bpe?.Merges ?? [])
            {
                json.WriteStringValue($"{Spell(tokenizer, left)} {Spell(tokenizer, right)}");
            }

            json.WriteEndArray();
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return [.. bytes.WrittenSpan, (byte)'\n'];
    }

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <exception cref="InvalidDataException">The file is not such a tokenizer.json.</exception>
    public static Tokenizer Load(string path)
    {
        try
        {
            long length = new FileInfo(path).Length;
            Check(length <= FileBytesMax, $"{length} bytes is more than the {FileBytesMax} a tokenizer may have");
            return Read(File.ReadAllBytes(path));
        }
        catch (Exception e) when (e is InvalidDataException or JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"{path}: {e.Message.ReplaceLineEndings(" ")}: use a tokenizer.json that windtunnel wrote", e);
        }
    }

    private static Tokenizer Read(ReadOnlyMemory<byte> file)
    {
        using JsonDocument document = JsonDocument.Parse(file, new JsonDocumentOptions { MaxDepth = 16, AllowDuplicateProperties = false });
        JsonElement model = Property(document.RootElement, "model");
        JsonElement vocab = Property(model, "vocab");
        Check(vocab.ValueKind == JsonValueKind.Object, "model.vocab is not an object");

        Dictionary<string, int> ids = [];
        foreach (JsonProperty token in vocab.EnumerateObject())
        {
            int id = 0;
            Check(token.Value.ValueKind == JsonValueKind.Number && token.Value.TryGetInt32(out id), "model.vocab: an id is not an integer");
            ids.Add(token.Name, id);
            Check(ids.Count <= VocabularySizeMax, $"model.vocab has more than {VocabularySizeMax} tokens");
        }

        string?[] spellings = new string?[ids.Count];
        foreach ((string token, int id) in ids)
        {
            Check((uint)id < (uint)ids.Count && spellings[id] is null, $"model.vocab: id {id} is out of range or there twice; ids must be 0 to {ids.Count - 1}");
            spellings[id] = token;
        }

        Dictionary<string, int> specialTokens = SpecialTokens(Property(document.RootElement, "added_tokens"), ids);
        HashSet<int> specialIds = [.. specialTokens.Values];
        byte[][] tokens = [.. spellings.Select((spelling, id) => specialIds.Contains(id) ? [] : Bytes(spelling!))];
        List<(int, int)> merges = Merges(Property(model, "merges"), ids, specialIds);
        SplitPattern pattern = CheckFrame(document.RootElement, model, specialTokens);
        bool isBytes = merges.Count == 0 && specialIds.Count == 1 && specialIds.Contains(256)
            && tokens.Index().All(token => token.Index == 256 || token.Item is [byte b] && b == token.Index);
        return isBytes && pattern == SplitPattern.Gpt4 ? new BytesTokenizer() : new BpeTokenizer(tokens, merges, specialTokens, pattern);
    }

    /// <summary>The names in added_tokens with their ids in the vocabulary; <see cref="CheckFrame"/> compares the rest.</summary>
    private static Dictionary<string, int> SpecialTokens(JsonElement json, Dictionary<string, int> ids)
    {
        Check(
            json.ValueKind == JsonValueKind.Array && json.GetArrayLength() <= BpeTokenizer.SpecialTokensMax,
            $"added_tokens is not an array of at most {BpeTokenizer.SpecialTokensMax} tokens");
        Dictionary<string, int> specialTokens = [];
        foreach (JsonElement token in json.EnumerateArray())
        {
            string? name = Property(token, "content").GetString();
            Check(
                BpeTokenizer.IsSpecialTokenName(name) && ids.TryGetValue(name!, out int id) && specialTokens.TryAdd(name!, id),
                $"added_tokens[{specialTokens.Count}] is not a new name of a special token in model.vocab");
        }

        Check(specialTokens.ContainsKey(Tokenizer.EndOfText), $"added_tokens has no {Tokenizer.EndOfText}");
        return specialTokens;
    }

    private static List<(int Left, int Right)> Merges(JsonElement json, Dictionary<string, int> ids, HashSet<int> specialIds)
    {
        Check(json.ValueKind == JsonValueKind.Array && json.GetArrayLength() <= VocabularySizeMax, $"model.merges is not an array of at most {VocabularySizeMax} pairs");
        List<(int Left, int Right)> merges = [];
        HashSet<(int, int)> seen = [];
        foreach (JsonElement merge in json.EnumerateArray())
        {
            int left = 0, right = 0;
            Check(
                merge.ValueKind == JsonValueKind.String && merge.GetString()!.Split(' ') is [string first, string second]
                && ids.TryGetValue(first, out left) && ids.TryGetValue(second, out right)
                && !specialIds.Contains(left) && !specialIds.Contains(right) && ids.ContainsKey(first + second) && seen.Add((left, right)),
                $"model.merges[{merges.Count}] is not a new pair of tokens whose concatenation is a token");
            merges.Add((left, right));
        }

        return merges;
    }

    /// <summary>Checks all but the vocabulary and the merges, and says which pattern splits the text.</summary>
    private static SplitPattern CheckFrame(JsonElement root, JsonElement model, Dictionary<string, int> specialTokens)
    {
        SplitPattern pattern = Enum.GetValues<SplitPattern>().Cast<SplitPattern?>()
            .FirstOrDefault(pattern => Same(Property(root, "pre_tokenizer"), Splitter(pattern!.Value)))
            ?? throw new InvalidDataException("pre_tokenizer is not supported: only the GPT-4 or GPT-2 Split followed by ByteLevel is");
        CheckSections(root, Frame(pattern, specialTokens), ["model"]);
        CheckSections(model, ModelFrame(), ["vocab", "merges"]);
        return pattern;
    }

    private static void CheckSections(JsonElement json, (string Name, string Value)[] expected, string[] extra)
    {
        foreach ((string name, string value) in expected)
        {
            Check(Same(Property(json, name), value), $"{name} is not supported: only {value} is");
        }

        foreach (JsonProperty property in json.EnumerateObject())
        {
            Check(extra.Contains(property.Name) || expected.Any(section => section.Name == property.Name), "a property that windtunnel does not write is there");
        }
    }

    private static bool Same(JsonElement json, string expected)
    {
        using JsonDocument document = JsonDocument.Parse(expected);
        return JsonElement.DeepEquals(json, document.RootElement);
    }

    private static (string Name, string Value)[] Frame(SplitPattern pattern, IReadOnlyDictionary<string, int> specialTokens) =>
    [
        ("version", "\"1.0\""),
        ("truncation", "null"),
        ("padding", "null"),
        ("added_tokens", $"[{string.Join(',', specialTokens.OrderBy(token => token.Value).Select(AddedToken))}]"),
        ("normalizer", "null"),
        ("pre_tokenizer", Splitter(pattern)),
        ("post_processor", "null"),
        ("decoder", """{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}"""),
    ];

    private static string AddedToken(KeyValuePair<string, int> token) =>
        $$"""{"id":{{token.Value}},"content":{{JsonSerializer.Serialize(token.Key)}},"single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}""";

    private static (string Name, string Value)[] ModelFrame() =>
    [
        ("type", "\"BPE\""),
        ("dropout", "null"),
        ("unk_token", "null"),
        ("continuing_subword_prefix", "null"),
        ("end_of_word_suffix", "null"),
        ("fuse_unk", "false"),
        ("byte_fallback", "false"),
        ("ignore_merges", "false"),
    ];

    private static string Splitter(SplitPattern pattern) =>
        $$"""
        {"type":"Sequence","pretokenizers":[
        {"type":"Split","pattern":{"Regex":{{JsonSerializer.Serialize(PreTokenizer.Regex(pattern))}}},"behavior":"Isolated","invert":false},
        {"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]}
        """;

    private static JsonElement Property(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out JsonElement value) ? value : throw new InvalidDataException($"{name} is missing");

    private static string Spell(Tokenizer tokenizer, int id)
    {
        StringBuilder spelling = new();
        foreach (byte b in tokenizer.TokenBytes(id))
        {
            spelling.Append(s_charOfByte[b]);
        }

        return spelling.ToString();
    }

    private static byte[] Bytes(string spelling)
    {
        byte[] bytes = new byte[spelling.Length];
        for (int i = 0; i < bytes.Length; i++)
        {
            Check(s_byteOfChar.TryGetValue(spelling[i], out bytes[i]), "model.vocab: a token is not spelled in the byte-level alphabet");
        }

        return bytes;
    }

    /// <summary>GPT-2's bytes_to_unicode: printable bytes stand for themselves, the others for U+0100 upwards in order.</summary>
    private static char[] ByteAlphabet()
    {
        char[] alphabet = new char[256];
        char next = 'Ā';
        for (int b = 0; b < 256; b++)
        {
            alphabet[b] = b is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE ? (char)b : next++;
        }

        return alphabet;
    }

    private static void Check(bool condition, string message)
    {
        if (!condition)
        {
            throw new InvalidDataException(message);
        }
    }
}
