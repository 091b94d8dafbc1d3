using System.ComponentModel.DataAnnotations;
using System.Text.Json;

namespace Windtunnel.Models.HuggingFace;

/// <summary>
/// Hugging Face's config.json, read so that nothing is passed over: a field that changes what a model computes is either represented by
/// our options or refused by its name and value, and so is a field that nobody here knows.
/// </summary>
public sealed class HuggingFaceConfig
{
    private const int MaxBytes = 1 << 20, MaxTokenizerBytes = 1 << 24, MaxDepth = 32;

    // What says how a model was made, is trained, is sampled or is laid out in memory, and nothing of its function.
    private static readonly HashSet<string> s_harmless =
    [
        "_name_or_path", "name_or_path", "_num_labels", "_attn_implementation", "architectures", "attention_dropout", "attention_probs_dropout_prob", "attn_pdrop",
        "auto_map", "begin_suppress_tokens", "bos_token_id", "chunk_size_feed_forward", "do_sample", "dtype", "early_stopping", "embd_pdrop", "eos_token_id",
        "finetuning_task", "gradient_checkpointing", "id2label", "initializer_range", "is_llama_config", "keys_to_ignore_at_inference", "label2id", "length_penalty",
        "max_length", "max_window_layers", "min_length", "model_type", "n_special", "no_repeat_ngram_size", "num_beams", "num_return_sequences", "output_attentions",
        "output_hidden_states", "pad_token_id", "predict_special_tokens", "prefix", "pretraining_tp", "problem_type", "reorder_and_upcast_attn", "repetition_penalty", "resid_pdrop",
        "return_dict", "return_dict_in_generate", "sep_token_id", "suppress_tokens", "summary_activation", "summary_first_dropout", "summary_proj_to_labels",
        "summary_type", "summary_use_proj", "task_specific_params", "temperature", "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript",
        "transformers.js_config", "transformers_version", "typical_p", "unsloth_version", "use_bfloat16", "use_cache",
    ];

    private readonly string _path;
    private readonly JsonElement _root;
    private readonly HashSet<string> _read = [];

    private HuggingFaceConfig(string path, JsonElement root) => (_path, _root) = (path, root);

    /// <summary>The options of the model that a config.json describes, every dimension filled in.</summary>
    /// <exception cref="InvalidDataException">It is no such file, or describes what no model here can represent.</exception>
    public static ModelOptions Load(string path)
    {
        using JsonDocument document = Json.Parse(path, MaxBytes, MaxDepth);
        HuggingFaceConfig config = new(path, document.RootElement);
        try
        {
            ModelOptions options = config.Family() switch
            {
                "gpt2" or "GPT2LMHeadModel" => Gpt2Options.FromHuggingFace(config),
                "llama" or "LlamaForCausalLM" => LlamaOptions.FromHuggingFace(config),
                "qwen3" or "Qwen3ForCausalLM" => LlamaOptions.FromHuggingFace(config, qkNorm: true),
                "minicpm" or "MiniCPMForCausalLM" => MiniCpmOptions.FromHuggingFace(config),
                string family => throw config.Bad("model_type", $"{family} is none of gpt2, llama, qwen3 and minicpm"),
            };
            config.CheckRest();
            return options.Resolve(vocabulary: 1, sequenceLength: 1);
        }
        catch (ValidationException e)
        {
            throw new InvalidDataException($"{path}: {e.Message}", e);
        }
        catch (InvalidOperationException e)
        {
            throw new InvalidDataException($"{path}: is not valid JSON: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    /// <summary>A token's id in one of the folder's files, the first where there are several; null where there is no such file or no id in it.</summary>
    /// <param name="path">config.json or tokenizer_config.json.</param>
    /// <param name="name">The field, such as <c>eos_token_id</c>.</param>
    /// <exception cref="InvalidDataException">It is no JSON object.</exception>
    public static int? TokenId(string path, string name)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        using JsonDocument document = Json.Parse(path, MaxTokenizerBytes, MaxDepth);
        document.RootElement.TryGetProperty(name, out JsonElement value);
        JsonElement first = value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > 0 ? value[0] : value;
        return first.ValueKind == JsonValueKind.Number && first.TryGetInt32(out int id) ? id : null;
    }

    /// <summary>A whole number.</summary>
    /// <param name="name">The field.</param>
    /// <param name="absent">Its value where there is no such field, or null stands there; the field is required where this is null.</param>
    internal int Integer(string name, int? absent = null) =>
        Find(name) is not { } value ? absent ?? throw Bad(name, "missing")
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) ? number
        : throw Bad(name, $"{Show(value)} is no whole number");

    /// <summary>A number.</summary>
    /// <inheritdoc cref="Integer"/>
    internal double Number(string name, double? absent = null) =>
        Find(name) is { } value ? Number(name, value) : absent ?? throw Bad(name, "missing");

    /// <summary>A truth value.</summary>
    /// <param name="name">The field.</param>
    /// <param name="absent">Its value where there is no such field, or null stands there.</param>
    internal bool Flag(string name, bool absent) => Find(name)?.ValueKind switch
    {
        null => absent,
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Bad(name, $"{Show(_root.GetProperty(name))} is neither true nor false"),
    };

    /// <summary>Refuses a field that is there with another value than those that our models have.</summary>
    /// <param name="name">The field; null is as good as none.</param>
    /// <param name="values">As they stand in JSON, without quotation marks.</param>
    internal void Only(string name, params ReadOnlySpan<string> values)
    {
        if (Find(name) is { } value && !values.Contains(value.ToString().ToLowerInvariant()))
        {
            throw Bad(name, $"{Show(value)} cannot be represented; only {string.Join(" or ", values)} can");
        }
    }

    /// <summary>The base of the rotary frequencies, from the older field and from that of version 5; scaling of them is refused.</summary>
    internal double RopeTheta()
    {
        double? theta = Find("rope_theta") is { } old ? Number("rope_theta", old) : null;
        foreach (string name in (ReadOnlySpan<string>)["rope_scaling", "rope_parameters"])
        {
            if (Find(name) is not { } rope)
            {
                continue;
            }

            foreach (JsonProperty field in rope.ValueKind == JsonValueKind.Object ? rope.EnumerateObject() : throw Bad(name, $"{Show(rope)} is no object"))
            {
                if (field.Name == "rope_theta" && (theta ?? Number(name, field.Value)) == Number(name, field.Value))
                {
                    theta = Number(name, field.Value);
                }
                else if (field is not { Name: "rope_type" or "type", Value.ValueKind: JsonValueKind.String } || field.Value.GetString() != "default")
                {
                    throw Bad(name, $"{Show(rope)} cannot be represented; only the type default with the theta of rope_theta can");
                }
            }
        }

        return theta ?? 10_000;
    }

    /// <summary>Refuses every block that does not attend to all earlier tokens.</summary>
    internal void RequireFullAttention()
    {
        Only("use_sliding_window", "false");
        if (!(Find("use_sliding_window")?.ValueKind == JsonValueKind.False && _read.Add("sliding_window")))
        {
            Only("sliding_window");
        }

        if (Find("layer_types") is { } types && !(types.ValueKind == JsonValueKind.Array && types.EnumerateArray().All(type => type.ToString() == "full_attention")))
        {
            throw Bad("layer_types", $"{Show(types)} cannot be represented; only full_attention can");
        }
    }

    private string Family()
    {
        JsonElement? architecture = Find("architectures") is { ValueKind: JsonValueKind.Array } list && list.GetArrayLength() == 1 ? list[0] : null;
        return (Find("model_type") ?? architecture) is { ValueKind: JsonValueKind.String } family ? family.GetString()! : throw Bad("model_type", "missing");
    }

    private void CheckRest()
    {
        foreach (JsonProperty field in _root.EnumerateObject().Where(field => field.Value.ValueKind != JsonValueKind.Null && !_read.Contains(field.Name) && !s_harmless.Contains(field.Name)))
        {
            throw Bad(field.Name, $"{Show(field.Value)} is not known here; remove the field if it does not change what the model computes");
        }
    }

    private double Number(string name, JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && double.IsFinite(number) ? number : throw Bad(name, $"{Show(value)} is no number");

    private JsonElement? Find(string name)
    {
        _read.Add(name);
        return _root.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    private static string Show(JsonElement value)
    {
        string text = string.Join(' ', value.GetRawText().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        return text.Length > 100 ? text[..100] + "..." : text;
    }

    private InvalidDataException Bad(string name, string problem) => new($"{_path}: {(name.Length > 100 ? name[..100] + "..." : name).ReplaceLineEndings(" ")}: {problem.ReplaceLineEndings(" ")}");
}
