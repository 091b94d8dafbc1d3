using System.Text.Json;

namespace Windtunnel.Text.Tokenizers;

/// <summary>What the post_processor of a tokenizer.json says of a text's ends.</summary>
internal static class TextTemplate
{
    // A tokenizer.json does not say which token ends a text, except by name.
    private static readonly string[] s_endNames = [Tokenizer.EndOfText, "<|end_of_text|>", "</s>", "<eos>", "<｜end▁of▁sentence｜>", "[EOS]", "<|eos|>", "<|im_end|>", "<|eot_id|>"];

    /// <summary>The ids that begin and end a text.</summary>
    /// <returns>What the template puts in front and behind, or null.</returns>
    /// <exception cref="InvalidDataException">The section is not supported.</exception>
    public static (int? Begin, int? End) Ends(JsonElement postProcessor, IReadOnlyDictionary<string, int> specialTokens)
    {
        int? begin = null, end = null;
        Read(postProcessor, "post_processor", specialTokens, ref begin, ref end);
        return (begin, end);
    }

    /// <summary>The special token that ends a text by its name.</summary>
    /// <exception cref="InvalidDataException">There is none.</exception>
    public static int EndByName(IReadOnlyDictionary<string, int> specialTokens) => s_endNames.FirstOrDefault(specialTokens.ContainsKey) is { } name
        ? specialTokens[name]
        : throw new InvalidDataException($"added_tokens has no special token that ends a text: one of {string.Join(", ", s_endNames)} must be there");

    private static void Read(JsonElement json, string path, IReadOnlyDictionary<string, int> specialTokens, ref int? begin, ref int? end)
    {
        if (json.ValueKind == JsonValueKind.Null)
        {
            return;
        }

        string type = TokenizerJson.Text(json, "type");
        switch (type)
        {
            case "Sequence":
                TokenizerJson.CheckNames(json, path, "type", "processors");
                foreach ((int index, JsonElement part) in TokenizerJson.Property(json, "processors").EnumerateArray().Index())
                {
                    Read(part, $"{path}.processors[{index}]", specialTokens, ref begin, ref end);
                }

                break;
            case "ByteLevel":
                TokenizerJson.CheckNames(json, path, "type", "add_prefix_space", "trim_offsets", "use_regex");
                break;
            case "TemplateProcessing":
                TokenizerJson.CheckNames(json, path, "type", "single", "pair", "special_tokens");
                bool seen = false;
                foreach (JsonElement part in TokenizerJson.Property(json, "single").EnumerateArray())
                {
                    if (part.TryGetProperty("Sequence", out _))
                    {
                        TokenizerJson.Check(!seen, $"{path}.single has the text twice");
                        seen = true;
                        continue;
                    }

                    string name = TokenizerJson.Text(TokenizerJson.Property(part, "SpecialToken"), "id");
                    TokenizerJson.Check((seen ? end : begin) is null, $"{path}.single with more than one token on a side, {name}, is not supported");
                    (seen ? ref end : ref begin) = IdOf(json, name, path, specialTokens);
                }

                TokenizerJson.Check(seen, $"{path}.single has no text");
                break;
            default:
                throw new InvalidDataException($"{path}.type {type} is not supported: only Sequence, ByteLevel and TemplateProcessing are");
        }
    }

    private static int IdOf(JsonElement template, string name, string path, IReadOnlyDictionary<string, int> specialTokens)
    {
        JsonElement ids = TokenizerJson.Property(TokenizerJson.Property(TokenizerJson.Property(template, "special_tokens"), name), "ids");
        int id = 0;
        TokenizerJson.Check(
            ids.ValueKind == JsonValueKind.Array && ids.GetArrayLength() == 1 && ids[0].ValueKind == JsonValueKind.Number && ids[0].TryGetInt32(out id)
            && specialTokens.TryGetValue(name, out int known) && known == id,
            $"{path}.special_tokens: {name} is not the one id of a special token of added_tokens");
        return id;
    }
}
