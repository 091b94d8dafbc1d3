using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Models.Inheritance;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Training;

namespace Windtunnel.Cli.Verbs;

/// <summary>Makes a smaller model of another's blocks, without training it.</summary>
internal static class InheritVerb
{
    private static readonly Argument<string[]> s_words = ConfigWords.Argument("settings");
    private static readonly Option<string> s_out = new("--out") { Description = "a new folder for model.safetensors, config.json, the tokenizer and lineage.json", Required = true, HelpName = "DIR" };
    private static readonly Option<ulong> s_seed = new("--init-seed") { Description = "of what is not copied", DefaultValueFactory = _ => 1 };
    private static readonly Option<string> s_runs = RunSession.RunsOption();

    public static Command Command
    {
        get
        {
            s_words.Description =
                "which blocks (first, range, alternate, random, listed, stack, grow or half-width) and settings of it, such as --from RUN --layers 4 --copy paper --blocks attention";
            Verb inherit = new("inherit", "make a smaller model of the first blocks of a trained one, or of others of its blocks, without training it", """
                windtunnel inherit --from reference --layers 4 --out inherited
                windtunnel inherit --from reference@1000 --layers 4 --copy code --norms false --out inherited
                windtunnel inherit stack --from reference --layers 2 --out stacked
                windtunnel inherit half-width --from reference --out narrow
                """)
            { s_words, s_out, s_seed, s_runs };
            inherit.SetAction(Run);
            return inherit;
        }
    }

    private static int Run(ParseResult parsed)
    {
        ConfigWords words = ConfigWords.Parse(parsed, s_words);
        JsonObject settings = ConfigFile.Apply<InheritanceOptions>(new JsonObject { ["type"] = words.File ?? "first" }, "inherit", words.Overrides);
        InheritanceOptions options = ConfigFile.Bind<InheritanceOptions>(settings, "inherit");
        InheritedModel inherited = InheritedModel.Open(options.At([.. options.Sources.Select(path => Reference.Find(path, parsed.GetValue(s_runs)!))], sha256: null));

        string folder = parsed.GetValue(s_out)!;
        HuggingFaceExport.CreateFolder(folder);
        using CpuBackend backend = new();
        using Model model = inherited.Target.Build(backend, gradients: false);
        model.Parameters.Initialize(backend, parsed.GetValue(s_seed));
        IReadOnlyList<InheritedParameter> parameters = inherited.Fill(model);
        RunLineage lineage = inherited.Lineage(parameters);

        Reference reference = inherited.References[0];
        AtomicFile.Write(Path.Combine(folder, "model.safetensors"), file => ModelWeights.Write(file, model));
        JsonObject config = model.Options.ToHuggingFace(reference.Ends.End);
        config["bos_token_id"] = reference.Ends.Begin;
        AtomicFile.WriteText(Path.Combine(folder, "config.json"), config.ToJsonString(ConfigFile.JsonOptions));
        reference.Tokenizer.Save(Path.Combine(folder, "tokenizer.json"));
        AtomicFile.WriteText(
            Path.Combine(folder, "tokenizer_config.json"), reference.Ends.ToTokenizerConfig(reference.Tokenizer, model.Dimensions.Context).ToJsonString(ConfigFile.JsonOptions));
        AtomicFile.WriteText(Path.Combine(folder, "lineage.json"), JsonSerializer.Serialize(lineage, ConfigFile.JsonOptions) + "\n");
        Describe(lineage, parameters);
        Console.WriteLine($"written: {Path.Combine(folder, "model.safetensors")}, config.json, tokenizer.json, tokenizer_config.json, lineage.json");
        return 0;
    }

    private static void Describe(RunLineage lineage, IReadOnlyList<InheritedParameter> parameters)
    {
        foreach (LineageSource source in lineage.References)
        {
            Console.WriteLine($"reference  {source.Path}: {source.Layers} layers, {source.Parameters:N0} parameters");
        }

        Console.WriteLine($"inherits   layers {string.Join(", ", lineage.Layers)}: {lineage.Parameters:N0} parameters, {lineage.Copied:N0} of them copied");
        Console.WriteLine();
        TextTable table = new("<parameter", "tensors", "parameters", "<from");
        foreach (IGrouping<string, InheritedParameter> part in parameters.GroupBy(Row))
        {
            table.Add(part.Key.Split('\n')[0], $"{part.Count()}", $"{part.Sum(parameter => parameter.Parameter.Shape.Count):N0}", part.Key.Split('\n')[1]);
        }

        table.Write();
    }

    // All blocks together: their parameters by name, without the block's number.
    private static string Row(InheritedParameter parameter) =>
        $"{string.Join('.', parameter.Parameter.Name.Split('.').Select(word => int.TryParse(word, out _) ? "*" : word))}\n{(parameter.Source is null ? "new" : "copied")}";
}
