using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Windtunnel.Models;
using Windtunnel.Runs.Config;
using Windtunnel.Text;
using Windtunnel.Text.Corpora;
using Windtunnel.Text.Tokenizers;
using Windtunnel.Training;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Tests.Repository;

/// <summary>docs/settings.md against the records that settings are read into.</summary>
public sealed partial class SettingsTests
{
    private static readonly Dictionary<string, object> s_records = new()
    {
        ["A run"] = new RunConfig(),
        ["`training`"] = new TrainingOptions(),
        ["`training.distillation`"] = new DistillationOptions(),
        ["`validation`"] = new ValidationOptions(),
        ["`checkpoints`"] = new CheckpointOptions(),
        ["`logging`"] = new LoggingOptions(),
        ["`data`"] = new DataOptions(),
        ["`data.sources`, each"] = new SourceOptions(),
    };

    [Fact]
    public void Every_setting_of_a_run_is_listed_with_its_default_and_no_other()
    {
        Dictionary<string, object> records = new(s_records);
        AddTypes<CorpusOptions>("data.corpus");
        AddTypes<TokenizerOptions>("data.tokenizer");
        AddTypes<ModelOptions>("model");
        AddTypes<ScheduleOptions>("schedule");

        string[] sections = Heading().Split(File.ReadAllText(Path.Combine(ReadmeTests.Root, "docs", "settings.md")));
        Dictionary<string, string> texts = [];
        for (int i = 1; i < sections.Length; i += 2)
        {
            texts[sections[i]] = sections[i + 1];
        }

        foreach ((string heading, object record) in records)
        {
            Assert.True(texts.TryGetValue(heading, out string? text), $"no section {heading}");
            (string Key, string Default)[] listed = [.. Row().Matches(text).Select(row => (row.Groups["key"].Value, row.Groups["default"].Value))];
            Dictionary<string, JsonNode?> defaults = ConfigFile.JsonOptions.GetTypeInfo(record.GetType()).Properties.ToDictionary(
                property => property.Name, property => JsonSerializer.SerializeToNode(property.Get!(record), property.PropertyType, ConfigFile.JsonOptions));
            Assert.Equal(defaults.Keys.Order(StringComparer.Ordinal), listed.Select(row => row.Key).Order(StringComparer.Ordinal));
            Assert.All(listed.Where(row => row.Default.Length > 0), row => Assert.Equal((heading, row.Key, Plain(defaults[row.Key])), (heading, row.Key, row.Default)));
        }

        void AddTypes<T>(string path)
        {
            foreach (JsonDerivedTypeAttribute type in typeof(T).GetCustomAttributes(typeof(JsonDerivedTypeAttribute), inherit: false).Cast<JsonDerivedTypeAttribute>())
            {
                records[$"`{path}: {type.TypeDiscriminator}`"] = ConfigFile.Bind<Holder<T>>(new JsonObject { ["value"] = type.TypeDiscriminator!.ToString() }, "test").Value!;
            }
        }
    }

    // A record that is one of several types by that type's name.
    private static string Plain(JsonNode? value) => value switch
    {
        null => "null",
        JsonObject record => record["type"]?.GetValue<string>() ?? "",
        _ => value.ToJsonString().Trim('"').Replace("E-", "e-", StringComparison.Ordinal),
    };

    private sealed record Holder<T>(T? Value = default);

    [GeneratedRegex(@"^##+ (.*)$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"^\| `(?<key>\w+)` \| (`(?<default>[^`]*)` )?\|", RegexOptions.Multiline)]
    private static partial Regex Row();
}
