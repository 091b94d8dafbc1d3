using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Windtunnel.Text.Tokenizers;

/// <summary>
/// The tokenizer.json of the Hugging Face library, with a BPE model. What is in the file and cannot be done is refused, not guessed at.
/// </summary>
public static class TokenizerJson
{
    /// <summary>The most tokens a file may have.</summary>
    public const int VocabularySizeMax = 1 << 20;

    /// <summary>The most bytes a file may have.</summary>
    public const long FileBytesMax = 1 << 26;

    internal const int MergesMax = 1 << 21;
    internal const int AddedTokensMax = 1 << 16;

    // A parsed document takes 12 bytes for each of them, however short it is in the file.
    private const int ValuesMax = 1 << 23;

    /// <summary>The file's bytes; equal tokenizers give equal bytes.</summary>
    public static byte[] Write(Tokenizer tokenizer)
    {
        TokenizerDefinition definition = tokenizer.Definition;
        ArrayBufferWriter<byte> bytes = new();
        using (Utf8JsonWriter json = new(bytes, new JsonWriterOptions
        {
            Indented = true,
            NewLine = "\n",
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        }))
        {
            json.WriteStartObject();
            json.WriteString("version", "1.0");
            json.WriteNull("truncation");
            json.WriteNull("padding");
            WriteAddedTokens(json, definition.AddedTokens);
            WriteSection(json, "normalizer", definition.Normalizer);
            WriteSection(json, "pre_tokenizer", definition.PreTokenizer);
            WriteSection(json, "post_processor", definition.PostProcessor);
            WriteSection(json, "decoder", definition.Decoder);
            WriteModel(json, definition);
            json.WriteEndObject();
        }

        return [.. bytes.WrittenSpan, (byte)'\n'];
    }

    /// <exception cref="InvalidDataException">The document is no tokenizer.json with a BPE model.</exception>
    internal static TokenizerDefinition Read(JsonElement root)
    {
        CheckNames(root, "", "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model");
        Check(Property(root, "version").ValueEquals("1.0"), "version is not 1.0");
        Check(IsNull(root, "truncation") && IsNull(root, "padding"), "truncation and padding are not supported: set both to null");
        JsonElement model = Property(root, "model");
        CheckModel(model);
        List<AddedToken> addedTokens = ReadAddedTokens(Property(root, "added_tokens"));
        string[] vocabulary = ReadVocabulary(Property(model, "vocab"), addedTokens, out Dictionary<string, int> ids);
        return new TokenizerDefinition(
            vocabulary,
            ReadMerges(Property(model, "merges"), ids),
            addedTokens,
            Property(root, "normalizer").GetRawText(),
            Property(root, "pre_tokenizer").GetRawText(),
            Property(root, "post_processor").GetRawText(),
            Property(root, "decoder").GetRawText(),
            IsNull(model, "unk_token") ? null : Text(model, "unk_token"),
            Flag(model, "fuse_unk"),
            Flag(model, "byte_fallback"),
            Flag(model, "ignore_merges"));
    }

    /// <summary>A file's document, of which no value is there twice.</summary>
    /// <exception cref="InvalidDataException">It has too many values.</exception>
    /// <exception cref="JsonException">It is no JSON, or nested too deeply.</exception>
    internal static JsonDocument Parse(byte[] file)
    {
        Utf8JsonReader reader = new(file, new JsonReaderOptions { MaxDepth = 16 });
        for (int values = 0; reader.Read(); values++)
        {
            Check(values < ValuesMax, $"has more than {ValuesMax} values");
        }

        return JsonDocument.Parse(file, new JsonDocumentOptions { MaxDepth = 16, AllowDuplicateProperties = false });
    }

    internal static string Splitter(SplitPattern pattern) =>
        $$"""
        {"type":"Sequence","pretokenizers":[
        {"type":"Split","pattern":{"Regex":{{JsonSerializer.Serialize(PreTokenizer.Regex(pattern))}}},"behavior":"Isolated","invert":false},
        {"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]}
        """;

    internal static JsonElement Property(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out JsonElement value) ? value : throw new InvalidDataException($"{name} is missing");

    /// <summary>Refuses settings that nothing here reads.</summary>
    internal static void CheckNames(JsonElement json, string path, params ReadOnlySpan<string> names)
    {
        foreach (JsonProperty property in json.EnumerateObject())
        {
            Check(names.Contains(property.Name), $"{path}{(path.Length > 0 ? "." : "")}{property.Name} is not supported");
        }
    }

    internal static string Text(JsonElement json, string name) =>
        Property(json, name) is { ValueKind: JsonValueKind.String } value ? value.GetString()! : throw new InvalidDataException($"{name} is not a text");

    /// <summary>A flag of the file; false, or what is given, where it is absent.</summary>
    internal static bool Flag(JsonElement json, string name, bool otherwise = false) =>
        !json.TryGetProperty(name, out JsonElement value) ? otherwise
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean()
        : throw new InvalidDataException($"{name} is neither true nor false");

    internal static bool IsNull(JsonElement json, string name) => !json.TryGetProperty(name, out JsonElement value) || value.ValueKind == JsonValueKind.Null;

    internal static void Check(bool condition, string message)
    {
        if (!condition)
        {
            throw new InvalidDataException(message);
        }
    }

    /// <summary>The same, for millions of values: the message is put together only where it is needed.</summary>
    internal static void Check(bool condition, [InterpolatedStringHandlerArgument(nameof(condition))] ref Problem message)
    {
        if (!condition)
        {
            throw new InvalidDataException(message.ToString());
        }
    }

    [InterpolatedStringHandler]
    internal ref struct Problem
    {
        private DefaultInterpolatedStringHandler _text;

        public Problem(int literalLength, int formattedCount, bool condition, out bool isNeeded)
        {
            isNeeded = !condition;
            _text = isNeeded ? new(literalLength, formattedCount) : default;
        }

        public void AppendLiteral(string text) => _text.AppendLiteral(text);

        public void AppendFormatted<T>(T value) => _text.AppendFormatted(value);

        public override string ToString() => _text.ToStringAndClear();
    }

    private static void CheckModel(JsonElement model)
    {
        Check(model.ValueKind == JsonValueKind.Object, "model is not an object");
        if (model.TryGetProperty("type", out _) && Text(model, "type") is var type and not "BPE")
        {
            throw new InvalidDataException($"model.type {type} is not supported: only BPE is");
        }

        foreach (JsonProperty property in model.EnumerateObject())
        {
            bool known = property.Name switch
            {
                "type" or "vocab" or "merges" or "unk_token" or "fuse_unk" or "byte_fallback" or "ignore_merges" => true,
                "dropout" => IsNull(model, "dropout") || (property.Value.ValueKind == JsonValueKind.Number && property.Value.TryGetDouble(out double rate) && rate == 0),
                "continuing_subword_prefix" or "end_of_word_suffix" => IsNull(model, property.Name) || property.Value.ValueEquals(""),
                _ => false,
            };
            Check(known, $"model.{property.Name} {Short(property.Value)} is not supported");
        }
    }

    private static List<AddedToken> ReadAddedTokens(JsonElement json)
    {
        Check(json.ValueKind == JsonValueKind.Array && json.GetArrayLength() <= AddedTokensMax, $"added_tokens is not an array of at most {AddedTokensMax} tokens");
        List<AddedToken> tokens = [];
        HashSet<string> contents = [];
        foreach (JsonElement token in json.EnumerateArray())
        {
            string path = $"added_tokens[{tokens.Count}]";
            Check(token.ValueKind == JsonValueKind.Object, $"{path} is not an object");
            CheckNames(token, path, "id", "content", "single_word", "lstrip", "rstrip", "normalized", "special");
            int id = 0;
            Check(Property(token, "id") is { ValueKind: JsonValueKind.Number } number && number.TryGetInt32(out id), $"{path}.id is not an integer");
            string content = Text(token, "content");
            bool special = Flag(token, "special");
            Check(content.Length is > 0 and <= AddedTokenMatcher.LengthMax && contents.Add(content), $"{path}.content is empty, too long, or that of another");
            tokens.Add(new AddedToken(
                id, content, Flag(token, "single_word"), Flag(token, "lstrip"), Flag(token, "rstrip"), Flag(token, "normalized", otherwise: !special), special));
        }

        return tokens;
    }

    /// <summary>The spellings by id, and back: the vocabulary and the added tokens, which may be in it.</summary>
    private static string[] ReadVocabulary(JsonElement json, List<AddedToken> addedTokens, out Dictionary<string, int> ids)
    {
        ids = ReadIds(json, "model.vocab");
        foreach ((int index, AddedToken token) in addedTokens.Index())
        {
            Check(
                ids.TryAdd(token.Content, token.Id) || ids[token.Content] == token.Id,
                $"added_tokens[{index}]: '{token.Content}' has the id {token.Id} here and another in model.vocab");
        }

        return Spellings(ids, "model.vocab");
    }

    /// <summary>An object of ids by spelling.</summary>
    internal static Dictionary<string, int> ReadIds(JsonElement json, string path)
    {
        Check(json.ValueKind == JsonValueKind.Object, $"{path} is not an object");
        Dictionary<string, int> ids = [];
        foreach (JsonProperty token in json.EnumerateObject())
        {
            int id = 0;
            Check(token.Value.ValueKind == JsonValueKind.Number && token.Value.TryGetInt32(out id), $"{path}: an id is not an integer");
            Check(token.Name.Length > 0, $"{path}: a token is empty");
            Check(ids.Count < VocabularySizeMax, $"{path} has more than {VocabularySizeMax} tokens");
            ids.Add(token.Name, id);
        }

        return ids;
    }

    internal static string[] Spellings(Dictionary<string, int> ids, string path)
    {
        string[] spellings = new string[ids.Count];
        foreach ((string token, int id) in ids)
        {
            Check(
                (uint)id < (uint)ids.Count && spellings[id] is null,
                $"{path}: id {id} is out of range or there twice; with added tokens, ids must be 0 to {ids.Count - 1}");
            spellings[id] = token;
        }

        return spellings;
    }

    private static List<(int Left, int Right)> ReadMerges(JsonElement json, Dictionary<string, int> ids)
    {
        Check(json.ValueKind == JsonValueKind.Array && json.GetArrayLength() <= MergesMax, $"model.merges is not an array of at most {MergesMax} pairs");
        List<(int Left, int Right)> merges = [];
        HashSet<(int, int)> seen = [];
        foreach (JsonElement merge in json.EnumerateArray())
        {
            string[] pair = merge.ValueKind switch
            {
                JsonValueKind.String => merge.GetString()!.Split(' '),
                JsonValueKind.Array when merge.GetArrayLength() == 2 => [.. merge.EnumerateArray().Select(part => part.ValueKind == JsonValueKind.String ? part.GetString()! : "")],
                _ => [],
            };
            Check(Merge(pair, ids, out (int, int) found) && seen.Add(found), $"model.merges[{merges.Count}] is not a new pair of tokens whose concatenation is a token");
            merges.Add(found);
        }

        return merges;
    }

    /// <summary>Finds the ids of a merge, if it is one.</summary>
    internal static bool Merge(string[] pair, Dictionary<string, int> ids, out (int Left, int Right) merge)
    {
        merge = default;
        return pair is [string left, string right] && ids.TryGetValue(left, out merge.Left) && ids.TryGetValue(right, out merge.Right) && ids.ContainsKey(left + right);
    }

    private static void WriteAddedTokens(Utf8JsonWriter json, IReadOnlyList<AddedToken> tokens)
    {
        json.WriteStartArray("added_tokens");
        foreach (AddedToken token in tokens)
        {
            json.WriteStartObject();
            json.WriteNumber("id", token.Id);
            json.WriteString("content", token.Content);
            json.WriteBoolean("single_word", token.SingleWord);
            json.WriteBoolean("lstrip", token.LeftStrip);
            json.WriteBoolean("rstrip", token.RightStrip);
            json.WriteBoolean("normalized", token.Normalized);
            json.WriteBoolean("special", token.Special);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteSection(Utf8JsonWriter json, string name, string value)
    {
        json.WritePropertyName(name);
        using JsonDocument section = JsonDocument.Parse(value);
        section.RootElement.WriteTo(json);
    }

    private static void WriteModel(Utf8JsonWriter json, TokenizerDefinition definition)
    {
        json.WriteStartObject("model");
        json.WriteString("type", "BPE");
        json.WriteNull("dropout");
        json.WriteString("unk_token", definition.UnknownToken);
        json.WriteNull("continuing_subword_prefix");
        json.WriteNull("end_of_word_suffix");
        json.WriteBoolean("fuse_unk", definition.FuseUnknown);
        json.WriteBoolean("byte_fallback", definition.ByteFallback);
        json.WriteBoolean("ignore_merges", definition.IgnoreMerges);
        json.WriteStartObject("vocab");
        foreach ((int id, string spelling) in definition.Vocabulary.Index())
        {
            json.WriteNumber(spelling, id);
        }

        json.WriteEndObject();
        json.WriteStartArray("merges");
        bool asPairs = definition.Merges.Any(merge => definition.Vocabulary[merge.Left].Contains(' ') || definition.Vocabulary[merge.Right].Contains(' '));
        foreach ((int left, int right) in definition.Merges)
        {
            if (asPairs)
            {
                json.WriteStartArray();
                json.WriteStringValue(definition.Vocabulary[left]);
                json.WriteStringValue(definition.Vocabulary[right]);
                json.WriteEndArray();
            }
            else
            {
                json.WriteStringValue($"{definition.Vocabulary[left]} {definition.Vocabulary[right]}");
            }
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>A value as a message shows it.</summary>
    internal static string Short(JsonElement value) => value.GetRawText() is { Length: > 60 } text ? $"{text[..60]}..." : value.GetRawText();
}
