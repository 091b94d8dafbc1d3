using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;

namespace Windtunnel.Training;

/// <summary>How a model is exported.</summary>
/// <param name="Type">F32, which keeps every bit, or F16 or BF16.</param>
/// <param name="ShardBytes">The weights of a file at most, where one tensor is not larger.</param>
public sealed record ExportOptions(SafetensorsType Type = SafetensorsType.F32, long ShardBytes = 5_000_000_000)
{
    /// <summary>What torch calls the type.</summary>
    public string TorchType => Type switch
    {
        SafetensorsType.F32 => "float32",
        SafetensorsType.F16 => "float16",
        SafetensorsType.BF16 => "bfloat16",
        _ => throw new ValidationException($"dtype {Type}: must be F32, F16 or BF16"),
    };
}

/// <summary>
/// Writes a trained model as a folder that Hugging Face's transformers loads with <c>from_pretrained</c> and without code of the model's own:
/// weights, configuration, tokenizer and model card. A MiniCPM becomes the LLaMA that computes the same.
/// </summary>
public static class HuggingFaceExport
{
    /// <summary>Writes the folder.</summary>
    /// <returns>The names of the files.</returns>
    /// <exception cref="ValidationException">The folder holds something already, or an option is impossible.</exception>
    public static IReadOnlyList<string> Write(TrainedModel trained, string folder, ExportOptions options)
    {
        if (options.ShardBytes < 1)
        {
            throw new ValidationException($"shard-bytes: {options.ShardBytes} must be positive");
        }

        CreateFolder(folder);
        using Llama? folded = (trained.Model as MiniCpm)?.ToLlama();
        Model model = folded ?? trained.Model;
        (_, int begin, int end) = trained.Ends;
        (string beginName, string endName) = (TextEnds.NameOf(trained.Tokenizer, begin), TextEnds.NameOf(trained.Tokenizer, end));
        JsonObject config = model.Options.ToHuggingFace(end);
        (config["bos_token_id"], config["torch_dtype"], config["dtype"]) = (begin, options.TorchType, options.TorchType);

        List<string> files = WriteWeights(model, folder, options);
        WriteJson("config.json", config);
        WriteJson("generation_config.json", new JsonObject { ["_from_model_config"] = true, ["bos_token_id"] = begin, ["eos_token_id"] = end });
        WriteJson("tokenizer_config.json", trained.Ends.ToTokenizerConfig(trained.Tokenizer, model.Dimensions.Context));
        WriteJson("special_tokens_map.json", new JsonObject { ["bos_token"] = beginName, ["eos_token"] = endName });
        trained.Tokenizer.Save(Path.Combine(folder, "tokenizer.json"));
        AtomicFile.WriteText(Path.Combine(folder, "README.md"), Card(trained, model, options));
        files.AddRange(["tokenizer.json", "README.md"]);
        return files;

        void WriteJson(string name, JsonObject content)
        {
            AtomicFile.WriteText(Path.Combine(folder, name), content.ToJsonString(ConfigFile.JsonOptions));
            files.Add(name);
        }
    }

    /// <summary>Makes the folder that a model is written to.</summary>
    /// <exception cref="ValidationException">It holds something already.</exception>
    public static void CreateFolder(string folder)
    {
        if (Directory.CreateDirectory(folder).EnumerateFileSystemInfos().Any())
        {
            throw new ValidationException($"{folder}: is not empty; name a new folder");
        }
    }

    private static List<string> WriteWeights(Model model, string folder, ExportOptions options)
    {
        List<List<Parameter>> shards = [[]];
        long size = 0, total = 0;
        foreach (Parameter parameter in model.Parameters.Parameters)
        {
            long bytes = parameter.Shape.Count * (options.Type == SafetensorsType.F32 ? sizeof(float) : sizeof(short));
            if (size > 0 && size + bytes > options.ShardBytes)
            {
                shards.Add([]);
                size = 0;
            }

            shards[^1].Add(parameter);
            (size, total) = (size + bytes, total + bytes);
        }

        List<string> files = [];
        JsonObject index = [];
        foreach ((int i, List<Parameter> shard) in shards.Index())
        {
            string name = shards.Count == 1 ? "model.safetensors" : $"model-{i + 1:00000}-of-{shards.Count:00000}.safetensors";
            AtomicFile.Write(Path.Combine(folder, name), file => ModelWeights.Write(file, model, type: options.Type, parameters: shard));
            files.Add(name);
            foreach (Parameter parameter in shard)
            {
                index[parameter.Name] = name;
            }
        }

        if (shards.Count > 1)
        {
            files.Add("model.safetensors.index.json");
            JsonObject content = new() { ["metadata"] = new JsonObject { ["total_size"] = total }, ["weight_map"] = index };
            AtomicFile.WriteText(Path.Combine(folder, files[^1]), content.ToJsonString(ConfigFile.JsonOptions));
        }

        return files;
    }

    private static string Card(TrainedModel trained, Model model, ExportOptions options)
    {
        (ModelDimensions d, ModelCounts counts) = (model.Dimensions, model.Options.Count());
        string family = trained.Model.Options.Family;

        // Where encoding does not begin a text, its user has to.
        string begin = trained is { Ends.Prefix: { } prefix, Tokenizer.BeginningOfTextId: null } ? TextEnds.NameOf(trained.Tokenizer, prefix) : "";
        StringBuilder card = new();
        Line($"""
            ---
            library_name: transformers
            pipeline_tag: text-generation
            tags:
            - windtunnel
            - {family}
            ---

            # {trained.Name}

            A language model of {counts.Total:N0} parameters, {counts.NonEmbedding:N0} without embeddings, written by Windtunnel.

            ## Model Details

            | | |
            |---|---|
            | architecture | {model.Options.ToHuggingFace(0)["architectures"]![0]}{(model == trained.Model ? "" : $", with the scales of a {family} multiplied into its weights")} |
            | layers, width, feed-forward | {d.Layers}, {d.Width}, {d.FeedForward} |
            | heads, key-value heads, head width | {d.Heads}, {d.KeyValueHeads}, {d.HeadWidth} |
            | vocabulary, context | {d.Vocabulary:N0}, {d.Context:N0} |
            | numbers | {options.TorchType} |

            ## Uses

            It continues text. It was not tuned to follow instructions, and nothing keeps it from repeating what is false or harmful in its data.

            ## How to Get Started

            ```python
            from transformers import AutoModelForCausalLM, AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
            model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")
            ids = tokenizer("{begin}The", return_tensors="pt")
            print(tokenizer.decode(model.generate(**ids, max_new_tokens=50, do_sample=False)[0]))
            ```
            """);
        if (trained.Run is (RunFolder folder, long step))
        {
            RunRecord record = RunRecord.Load(folder.RecordPath);
            RunConfig config = ConfigFile.Load<RunConfig>(folder.ConfigPath);
            Line($"""

                ## Training Details

                The weights after step {step:N0} of run `{record.Id}`, {config.Training.TokensAStep:N0} tokens a step. Its whole configuration:

                ```yaml
                {ConfigFile.ToYaml(config).TrimEnd()}
                ```
                """);
            if (record.Summary is { Count: > 0 } summary)
            {
                Line($"""

                    ## Evaluation

                    At the end of the run, losses in nats a token and bpb in bits a byte:

                    | metric | value |
                    |---|---|
                    """);
                foreach ((string name, double value) in summary.OrderBy(metric => metric.Key, StringComparer.Ordinal))
                {
                    Line($"| {name} | {value:G5} |");
                }
            }
        }

        return card.ToString();

        void Line(FormattableString text) => card.Append(text.ToString(CultureInfo.InvariantCulture).ReplaceLineEndings("\n")).Append('\n');
    }
}
