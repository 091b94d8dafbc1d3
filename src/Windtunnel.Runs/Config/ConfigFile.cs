using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Windtunnel.Runs.Config;

/// <summary>
/// The one strict parser behind every options record: a YAML or JSON file, then dotted overrides, then a typed record.
/// Three layers, later wins: the record's own defaults, the file, the overrides in the order they were typed.
/// </summary>
/// <remarks>
/// Every error is a one-line <see cref="ValidationException"/> that names the file (and line) or the override, and the setting.
/// Where a setting holds one of several registered option types, its bare name is enough: <c>optimizer: muon</c> means
/// <c>optimizer: {type: muon}</c>. Without a <c>type</c>, the type of the enclosing record's default is assumed.
/// Settings left out take the defaults of their own record type, or those of its <c>preset</c>: a public static property of that type.
/// </remarks>
public static class ConfigFile
{
    /// <summary>The largest accepted file, in bytes.</summary>
    public const int MaxBytes = 1_000_000;

    /// <summary>The deepest accepted nesting of maps and lists.</summary>
    public const int MaxDepth = 32;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>How every configuration and record of a run is written to and read from JSON: strict, camelCase, enums by name.</summary>
    public static JsonSerializerOptions JsonOptions { get; } = new(JsonSerializerDefaults.Strict)
    {
        AllowOutOfOrderMetadataProperties = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false) },
        TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { DropComputedProperties } },
        WriteIndented = true,
        NewLine = "\n",
        MaxDepth = 2 * MaxDepth,
    };

    /// <summary>Reads a file, applies the overrides and binds the result.</summary>
    /// <param name="path">A <c>.json</c> file, else YAML.</param>
    /// <param name="overrides">Words of the command line: <c>--a.b=c</c>, <c>--a.b c</c> or <c>a.b=c</c>.</param>
    public static T Load<T>(string path, IReadOnlyList<string>? overrides = null)
        where T : notnull
    {
        return Bind<T>(Apply<T>(Read(path), path, overrides ?? []), path);
    }

    /// <summary>Reads a YAML or JSON file as it stands, knowing nothing of its settings.</summary>
    public static JsonObject Read(string path)
    {
        if (!File.Exists(path))
        {
            throw new ValidationException($"{path}: no such file");
        }

        using FileStream file = File.OpenRead(path);
        if (file.Length > MaxBytes)
        {
            throw new ValidationException($"{path}: larger than {MaxBytes} bytes, which no configuration needs");
        }

        byte[] bytes = new byte[MaxBytes + 1];
        int length = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        string text;
        try
        {
            text = StrictUtf8.GetString(bytes, 0, length).TrimStart('\uFEFF');
        }
        catch (DecoderFallbackException)
        {
            throw new ValidationException($"{path}: not UTF-8 text");
        }

        return Parse(text, path, json: path.EndsWith(".json", StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>Parses YAML (or JSON) text. <paramref name="source"/> is the name that errors give it.</summary>
    public static JsonObject Parse(string text, string source, bool json = false)
    {
        JsonNode? root = json ? ParseJson(text, source) : ConfigYaml.Parse(text, source);
        return root switch
        {
            null => [],
            JsonObject settings => settings,
            _ => throw new ValidationException($"{source}: expected settings (name: value) at the top level"),
        };
    }

    /// <summary>Merges overrides onto the settings of a <typeparamref name="T"/>, checking each in turn; the input stays as it was.</summary>
    /// <exception cref="ValidationException">A setting of the file or of an override does not exist or has the wrong type.</exception>
    public static JsonObject Apply<T>(JsonObject config, string source, IReadOnlyList<string> overrides)
        where T : notnull
    {
        JsonObject merged = ConfigSchema.Check(config, typeof(T), source, complete: false);
        foreach (ConfigOverride change in ConfigOverride.Parse(overrides))
        {
            merged = ConfigSchema.Check(ConfigSchema.Merge(merged, change.Patch(), typeof(T)), typeof(T), change.Text, complete: false);
        }

        return merged;
    }

    /// <summary>Turns settings into a <typeparamref name="T"/>; those left out take the defaults of their records.</summary>
    /// <exception cref="ValidationException">A setting is unknown, missing, of the wrong type, or refused by its record.</exception>
    public static T Bind<T>(JsonObject config, string source)
        where T : notnull
    {
        JsonObject settings = ConfigSchema.Check(config, typeof(T), source, complete: true);
        try
        {
            return settings.Deserialize<T>(JsonOptions)!;
        }
        catch (Exception e) when (e is JsonException or ValidationException or ArgumentException)
        {
            throw new ValidationException($"{source}: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    /// <summary>Writes a record with every setting spelled out, as YAML that <see cref="Load{T}"/> reads back to an equal record.</summary>
    public static string ToYaml<T>(T value)
        where T : notnull
    {
        return ConfigYaml.Write(JsonSerializer.SerializeToNode(value, JsonOptions)!.AsObject());
    }

    /// <summary>Every setting by its dotted path, lists as JSON; of two that share a path, which the schema would refuse, the last.</summary>
    public static IReadOnlyDictionary<string, string> Flat(JsonObject settings)
    {
        Dictionary<string, string> flat = [];
        Add(settings, "");
        return flat;

        void Add(JsonObject inner, string prefix)
        {
            foreach ((string name, JsonNode? value) in inner)
            {
                if (value is JsonObject deeper)
                {
                    Add(deeper, $"{prefix}{name}.");
                }
                else
                {
                    flat[prefix + name] = value is JsonValue scalar && scalar.TryGetValue(out string? text) ? text : value?.ToJsonString() ?? "null";
                }
            }
        }
    }

    /// <summary>The presets of an options type by name: its public static properties of its own type.</summary>
    public static IReadOnlyDictionary<string, object> Presets(Type options) => options
        .GetProperties(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly)
        .Where(property => property.PropertyType == options)
        .ToDictionary(property => JsonNamingPolicy.CamelCase.ConvertName(property.Name), property => property.GetValue(null)!);

    private static JsonNode? ParseJson(string text, string source)
    {
        JsonDocumentOptions options = new() { AllowDuplicateProperties = false, MaxDepth = MaxDepth };
        try
        {
            using JsonDocument document = JsonDocument.Parse(text, options);
            return Copy(document.RootElement);
        }
        catch (JsonException e)
        {
            throw new ValidationException($"{source}:{e.LineNumber + 1}: {e.Message.ReplaceLineEndings(" ")}", e);
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException)
        {
            throw new ValidationException($"{source}: a string is not valid Unicode", e);
        }
    }

    /// <summary>Decodes every string now, so that an invalid one is an error of the file rather than of its first reader.</summary>
    private static JsonNode? Copy(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => new JsonObject(element.EnumerateObject().Select(p => KeyValuePair.Create(p.Name, Copy(p.Value)))),
        JsonValueKind.Array => new JsonArray([.. element.EnumerateArray().Select(Copy)]),
        JsonValueKind.String => JsonValue.Create(element.GetString()),
        JsonValueKind.Null => null,
        _ => JsonValue.Create(element.Clone()),
    };

    /// <summary>A property that follows from others is neither a setting nor written.</summary>
    private static void DropComputedProperties(JsonTypeInfo type)
    {
        for (int i = type.Properties.Count - 1; i >= 0; i--)
        {
            if (type.Properties[i] is { Set: null, AssociatedParameter: null, IsExtensionData: false })
            {
                type.Properties.RemoveAt(i);
            }
        }
    }
}
