using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Windtunnel.Models;
using Windtunnel.Runs.Config;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Cli.Verbs;

/// <summary>Says which optimizers there are, what they do to which parameters, and what they keep.</summary>
internal static class OptimizersVerb
{
    // Settings that configs leave out at their defaults too.
    private static readonly JsonSerializerOptions s_all = new(ConfigFile.JsonOptions)
    {
        TypeInfoResolver = ConfigFile.JsonOptions.TypeInfoResolver!.WithAddedModifier(type =>
        {
            foreach (JsonPropertyInfo property in type.Properties)
            {
                property.ShouldSerialize = (_, _) => true;
            }
        }),
    };

    private static readonly Argument<string?> s_name = new("name") { Description = "one optimizer, with its settings and presets", Arity = ArgumentArity.ZeroOrOne };

    public static Command Command
    {
        get
        {
            Verb optimizers = new("optimizers", "list the optimizers: rules by role, state, presets; or show one with its settings", """
                windtunnel optimizers
                windtunnel optimizers muon
                windtunnel train configs/runs/tiny.yaml --optimizer.type=muon --optimizer.preset=moonlight
                """)
            { s_name };
            optimizers.SetAction(parsed => Run(parsed.GetValue(s_name)));
            return optimizers;
        }
    }

    /// <summary>Every registered optimizer with its defaults.</summary>
    public static IReadOnlyDictionary<string, OptimizerOptions> Registered { get; } = typeof(OptimizerOptions)
        .GetCustomAttributes<JsonDerivedTypeAttribute>()
        .ToDictionary(type => (string)type.TypeDiscriminator!, type => ConfigFile.Bind<Choice>(new JsonObject { ["optimizer"] = (string)type.TypeDiscriminator! }, "default").Optimizer!);

    private static int Run(string? name)
    {
        if (name is null)
        {
            List();
            return 0;
        }

        Show(name, Registered.GetValueOrDefault(name) ?? throw new ValidationException($"'{name}' is not an optimizer; there are {string.Join(", ", Registered.Keys)}"));
        return 0;
    }

    private static void List()
    {
        TextTable table = new("<name", "<hidden", "<embedding, head", "<norm, bias", "state B/param", "rate", "decay", "<presets", "<source");
        foreach ((string name, OptimizerOptions options) in Registered)
        {
            table.Add(
                name, RuleOf(options, ParameterRole.Hidden), RuleOf(options, ParameterRole.Embedding), RuleOf(options, ParameterRole.Norm),
                $"{StateBytes(options):F2}", $"{options.LearningRate:g3}", $"{options.WeightDecay:g3}",
                string.Join(", ", ConfigFile.Presets(options.GetType()).Keys), options.Source);
        }

        table.Write();
        Console.WriteLine();
        Console.WriteLine("State is of a LLaMA of 1M parameters. Settings of all: decay, decayOn, cautiousDecay, caution, clipNorm.");
    }

    private static void Show(string name, OptimizerOptions options)
    {
        Console.WriteLine($"{name}: {options.Source}");
        foreach (IGrouping<string, ParameterRole> rule in Enum.GetValues<ParameterRole>().GroupBy(role => RuleOf(options, role)))
        {
            Console.WriteLine($"  {rule.Key,-12} {string.Join(", ", rule.Select(role => JsonNamingPolicy.CamelCase.ConvertName(role.ToString())))}");
        }

        Console.WriteLine($"  {StateBytes(options):F2} bytes of state a parameter (a LLaMA of 1M parameters)");
        Console.WriteLine();
        IReadOnlyDictionary<string, object> presets = ConfigFile.Presets(options.GetType());
        (string Name, Dictionary<string, string> Values)[] columns =
            [("default", Flatten(options)), .. presets.Select(preset => (preset.Key, Flatten(preset.Value)))];
        TextTable table = new(["<setting", .. columns.Select(column => $"<{column.Name}")]);
        foreach ((string setting, string value) in columns[0].Values)
        {
            table.Add([setting, value, .. columns.Skip(1).Select(column => column.Values.GetValueOrDefault(setting) is { } other && other != value ? other : "")]);
        }

        table.Write();
        Console.WriteLine();
        Console.WriteLine("A dash: as the default. Choose a preset with --optimizer.preset=NAME; settings that are given win.");
        Console.WriteLine("A preset with a clipNorm goes with --training.clipNorm=0.");
    }

    /// <summary>Bytes that a checkpoint keeps for each parameter.</summary>
    private static double StateBytes(OptimizerOptions options)
    {
        using CountingBackend backend = new();
        using Model model = new LlamaOptions().Resolve(4096, 256).Build(backend);
        using Optimizer optimizer = options.Build(model.Parameters, backend);
        return 4.0 * optimizer.State.Sum(state => state.Tensor.Shape.Count) / model.Parameters.Count;
    }

    private static string RuleOf(OptimizerOptions options, ParameterRole role)
    {
        using CountingBackend backend = new();
        using OptimizerState state = new(backend);
        Shape shape = role is ParameterRole.Norm or ParameterRole.Bias ? new Shape(8) : new Shape(8, 8);
        Parameter parameter = new("", role, shape, 1, 0, default, 0, 0);
        return options.Rules(state).First(rule => rule.Takes(parameter)).Name;
    }

    private static Dictionary<string, string> Flatten(object options)
    {
        Dictionary<string, string> settings = [];
        Add("", JsonSerializer.SerializeToNode(options, options.GetType(), s_all)!.AsObject());
        return settings;

        void Add(string prefix, JsonObject map)
        {
            foreach ((string key, JsonNode? value) in map)
            {
                if (value is JsonObject inner)
                {
                    Add($"{prefix}{key}.", inner);
                }
                else
                {
                    settings[prefix + key] = value?.ToString() ?? "null";
                }
            }
        }
    }

    private sealed record Choice(OptimizerOptions? Optimizer = null);
}
