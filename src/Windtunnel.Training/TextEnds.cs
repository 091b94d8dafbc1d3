using System.Text.Json.Nodes;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Text.Tokenizers;

namespace Windtunnel.Training;

/// <summary>The tokens at the ends of the texts that a model was trained on.</summary>
/// <param name="Prefix">What stands in front of each; null where nothing does, as with OpenAI's GPT-2.</param>
/// <param name="Begin">What Hugging Face's files call bos.</param>
/// <param name="End">What ends one; where a model draws it, it is done.</param>
public sealed record TextEnds(int? Prefix, int Begin, int End)
{
    // A name of our own: what transformers makes of its add_bos_token depends on its version.
    private const string PrefixField = "windtunnel_prefix_id";

    /// <summary>Of a model that was trained here, where the end of a document is followed by the next one.</summary>
    public static TextEnds Of(Tokenizer tokenizer)
    {
        int begin = tokenizer.BeginningOfTextId ?? tokenizer.EndOfTextId;
        return new TextEnds(begin, begin, tokenizer.EndOfTextId);
    }

    /// <summary>Of a model that others trained, or that was exported: as its config.json says, and where that is silent its tokenizer.</summary>
    /// <param name="path">The model's folder, where config.json and tokenizer_config.json may be; of a file nothing but its tokenizer is known.</param>
    /// <param name="tokenizer">The model's.</param>
    public static TextEnds Of(string path, Tokenizer tokenizer)
    {
        if (!Directory.Exists(path))
        {
            return Of(tokenizer);
        }

        int end = Special("config.json", "eos_token_id") ?? tokenizer.EndOfTextId;
        int? begin = tokenizer.BeginningOfTextId;
        return new TextEnds(begin ?? Special("tokenizer_config.json", PrefixField), begin ?? Special("config.json", "bos_token_id") ?? end, end);

        int? Special(string file, string field) =>
            HuggingFaceConfig.TokenId(Path.Combine(path, file), field) is { } id && tokenizer.SpecialTokens.Values.Contains(id) ? id : null;
    }

    /// <summary>The tokenizer_config.json of a folder of Hugging Face's.</summary>
    public JsonObject ToTokenizerConfig(Tokenizer tokenizer, int context)
    {
        JsonObject config = new()
        {
            ["tokenizer_class"] = "PreTrainedTokenizerFast",
            ["bos_token"] = NameOf(tokenizer, Begin),
            ["eos_token"] = NameOf(tokenizer, End),
            ["model_max_length"] = context,
            ["clean_up_tokenization_spaces"] = false,
        };
        if (Prefix is { } prefix && tokenizer.BeginningOfTextId is null)
        {
            config[PrefixField] = prefix;
        }

        return config;
    }

    /// <summary>The name of a special token.</summary>
    internal static string NameOf(Tokenizer tokenizer, int id) => tokenizer.SpecialTokens.First(token => token.Value == id).Key;
}
