using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace Windtunnel.Runs.Config;

/// <summary>What settings a type has, as its serializer contract tells: checks and completes a tree of settings before it is bound.</summary>
internal static class ConfigSchema
{
    /// <summary>The setting that takes what is not given from a preset of the options' type.</summary>
    private const string Preset = "preset";

    private static readonly JsonSerializerOptions WithoutRequired = new(ConfigFile.JsonOptions) { RespectRequiredConstructorParameters = false };

    /// <summary>A copy with bare names expanded, missing types filled in and whole numbers written as such.</summary>
    /// <param name="complete">Whether required settings must be there yet.</param>
    public static JsonObject Check(JsonNode? settings, Type type, string source, bool complete)
    {
        return Node(settings, type, new Place(source, "", complete, null))!.AsObject();
    }

    /// <summary>Lays <paramref name="over"/> on checked settings: maps merge, the rest is replaced, and so is a map whose type changes.</summary>
    public static JsonNode? Merge(JsonNode? under, JsonNode? over, Type type)
    {
        JsonTypeInfo info = Contract(type);
        over = Expand(over, info);
        if (under is not JsonObject lower || over is not JsonObject upper || info.Kind is not (JsonTypeInfoKind.Object or JsonTypeInfoKind.Dictionary))
        {
            return over?.DeepClone();
        }

        if (info.PolymorphismOptions is { } variants)
        {
            string key = variants.TypeDiscriminatorPropertyName;
            if (upper.ContainsKey(key) && !JsonNode.DeepEquals(upper[key], lower[key]))
            {
                return upper.DeepClone();
            }

            info = Variant(variants, lower[key]) is { } variant ? Contract(variant) : info;
        }

        JsonObject merged = lower.DeepClone().AsObject();
        foreach ((string key, JsonNode? value) in upper)
        {
            Type member = info.Kind == JsonTypeInfoKind.Dictionary ? info.ElementType! : Setting(info, key)?.PropertyType ?? typeof(JsonNode);
            merged[key] = Merge(lower[key], value, member);
        }

        return merged;
    }

    private static JsonNode? Node(JsonNode? node, Type type, Place place)
    {
        JsonTypeInfo info = Contract(type);
        node = Expand(node, info);
        return (info.Kind, node) switch
        {
            (JsonTypeInfoKind.Object, JsonObject map) => Settings(map, info, place),
            (JsonTypeInfoKind.Dictionary, JsonObject map) => new JsonObject(
                map.Select(pair => KeyValuePair.Create(pair.Key, Element(pair.Value, info, place.At(pair.Key))))),
            (JsonTypeInfoKind.Enumerable, JsonArray list) => new JsonArray(
                [.. list.Select((item, i) => Element(item, info, place with { Path = $"{place.Path}[{i}]" }))]),
            (JsonTypeInfoKind.None, _) => Value(node, type, place),
            _ => throw place.Mismatch(node, Expected(type)),
        };
    }

    private static JsonNode? Element(JsonNode? node, JsonTypeInfo collection, Place place)
    {
        return Node(node, collection.ElementType!, place) ?? (Nullable.GetUnderlyingType(collection.ElementType!) is null
            ? throw place.Mismatch(node, Expected(collection.ElementType!))
            : null);
    }

    private static JsonObject Settings(JsonObject map, JsonTypeInfo info, Place place)
    {
        JsonObject result = [];
        if (info.PolymorphismOptions is { } variants)
        {
            string key = variants.TypeDiscriminatorPropertyName;
            string? name = map.ContainsKey(key) ? Text(map[key]) : Name(variants, place.DefaultType?.Invoke());
            Type variant = Variant(variants, name) ?? throw place.At(key).Error(
                (map.ContainsKey(key) ? $"'{ConfigYaml.Brief(Text(map[key]) ?? map[key]?.ToJsonString() ?? "null")}' is not registered" : "is missing")
                + $"; choose one of {string.Join(", ", variants.DerivedTypes.Select(v => v.TypeDiscriminator))}");
            info = Contract(variant);
            result[key] = name;
            map = new JsonObject(map.Where(pair => pair.Key != key).Select(pair => KeyValuePair.Create(pair.Key, pair.Value?.DeepClone())));
            if (map.ContainsKey(Preset))
            {
                JsonNode? preset = map[Preset];
                map.Remove(Preset);
                IReadOnlyDictionary<string, object> presets = ConfigFile.Presets(info.Type);
                if (!presets.TryGetValue(Text(preset) ?? "", out object? defaults))
                {
                    throw place.At(Preset).Error(
                        $"is {ConfigYaml.Brief(preset?.ToJsonString() ?? "null")}; {name} has "
                        + (presets.Count > 0 ? $"the presets {string.Join(", ", presets.Keys)}" : "no presets"));
                }

                if (place.Complete)
                {
                    map = Merge(JsonSerializer.SerializeToNode(defaults, info.Type, ConfigFile.JsonOptions), map, info.Type)!.AsObject();
                }
                else
                {
                    result[Preset] = preset?.DeepClone();
                }
            }
        }

        foreach ((string key, JsonNode? value) in map)
        {
            JsonPropertyInfo setting = Setting(info, key) ?? throw place.At(key).Error("is not a setting; " + Suggest(key, info, place));
            Place at = place.At(key) with { DefaultType = () => DefaultType(info.Type, setting) };
            bool nullable = setting.AssociatedParameter?.IsNullable ?? setting.IsSetNullable;
            result[key] = value is null && nullable ? null : Node(value, setting.PropertyType, at);
        }

        if (place.Complete && info.Properties.FirstOrDefault(p => p.IsRequired && !map.ContainsKey(p.Name)) is { } missing)
        {
            throw place.At(missing.Name).Error("is required");
        }

        return result;
    }

    private static JsonNode? Value(JsonNode? node, Type type, Place place)
    {
        Type bare = Nullable.GetUnderlyingType(type) ?? type;
        bool isNumber = node is JsonValue && node.GetValueKind() == JsonValueKind.Number;
        if (isNumber && IsInteger(bare) && decimal.TryParse(node!.ToJsonString(), NumberStyles.Float, null, out decimal number)
            && number == decimal.Truncate(number))
        {
            node = JsonValue.Create(decimal.Truncate(number));
        }

        try
        {
            // The converter takes case variants and numbers as enum names; only the names themselves are settings.
            object? value = node.Deserialize(type, ConfigFile.JsonOptions);
            bool refused = value switch
            {
                null => node is not null,
                double d => !double.IsFinite(d),
                float f => !float.IsFinite(f),
                Enum => !EnumNames(bare).Contains(Text(node)),
                _ => false,
            };
            if (!refused && (value is not null || type != typeof(string)))
            {
                return node?.DeepClone();
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
        }

        throw place.Mismatch(node, Expected(type));
    }

    private static JsonNode? Expand(JsonNode? node, JsonTypeInfo info)
    {
        return info.PolymorphismOptions is { } variants && Text(node) is { } name
            ? new JsonObject { [variants.TypeDiscriminatorPropertyName] = name }
            : node;
    }

    private static string Expected(Type type)
    {
        Type bare = Nullable.GetUnderlyingType(type) ?? type;
        JsonTypeInfo info = Contract(bare);
        return info switch
        {
            { PolymorphismOptions: { } variants } => $"one of {string.Join(", ", variants.DerivedTypes.Select(v => v.TypeDiscriminator))}, or a map with that {variants.TypeDiscriminatorPropertyName}",
            { Kind: JsonTypeInfoKind.Object or JsonTypeInfoKind.Dictionary } => "a map",
            { Kind: JsonTypeInfoKind.Enumerable } => "a list",
            _ when bare.IsEnum => $"one of {string.Join(", ", EnumNames(bare))}",
            _ when bare == typeof(bool) => "true or false",
            _ when bare == typeof(string) => "text (in quotes where it looks like a number)",
            _ when IsInteger(bare) => $"a whole number that fits {bare.Name}",
            _ when bare == typeof(double) || bare == typeof(float) => "a finite number",
            _ => bare.Name,
        };
    }

    private static string Suggest(string key, JsonTypeInfo info, Place place)
    {
        string[] names = [.. info.Properties.Select(p => p.Name)];
        string? nearest = names.MinBy(name => Distance(Fold(key), Fold(name)));
        return nearest is not null && Distance(Fold(key), Fold(nearest)) <= Math.Max(2, nearest.Length / 3)
            ? $"did you mean {place.At(nearest).Path}?"
            : $"the settings here are {(names.Length == 0 ? "none" : string.Join(", ", names))}";

        static string Fold(string name) => name.Replace("_", "").Replace("-", "").ToLowerInvariant();
    }

    /// <summary>Levenshtein's edit distance, one row at a time; long keys count by their first 64 characters.</summary>
    private static int Distance(string a, string b)
    {
        a = a.Length > 64 ? a[..64] : a;
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(substituted, 1 + Math.Min(row[j], row[j - 1]));
            }
        }

        return row[b.Length];
    }

    /// <summary>The type of a setting's value in a record whose settings are all left out, if such a record can be built.</summary>
    private static Type? DefaultType(Type record, JsonPropertyInfo setting)
    {
        try
        {
            return JsonSerializer.Deserialize("{}", record, WithoutRequired) is { } value ? setting.Get?.Invoke(value)?.GetType() : null;
        }
        catch (Exception e) when (e is JsonException or ValidationException or ArgumentException)
        {
            return null;
        }
    }

    private static JsonTypeInfo Contract(Type type) => ConfigFile.JsonOptions.GetTypeInfo(type);

    private static JsonPropertyInfo? Setting(JsonTypeInfo info, string name) => info.Properties.FirstOrDefault(p => p.Name == name);

    private static Type? Variant(JsonPolymorphismOptions variants, JsonNode? name)
    {
        return variants.DerivedTypes.FirstOrDefault(v => v.TypeDiscriminator is string known && known == Text(name)).DerivedType;
    }

    private static string? Name(JsonPolymorphismOptions variants, Type? type)
    {
        return variants.DerivedTypes.FirstOrDefault(v => v.DerivedType == type).TypeDiscriminator as string;
    }

    private static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    private static bool IsInteger(Type type) => type.IsPrimitive && type != typeof(bool) && type != typeof(char) && type != typeof(double) && type != typeof(float);

    private static string[] EnumNames(Type type) => [.. Enum.GetNames(type).Select(JsonNamingPolicy.CamelCase.ConvertName)];

    /// <summary>Where in which source a node stands, to say so in errors.</summary>
    private sealed record Place(string Source, string Path, bool Complete, Func<Type?>? DefaultType)
    {
        private static readonly JsonSerializerOptions s_readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

        public Place At(string key) => this with { Path = (Path.Length == 0 ? "" : Path + ".") + ConfigYaml.Brief(key), DefaultType = null };

        public ValidationException Error(string problem) => new($"{Source}: {(Path.Length == 0 ? "the file" : Path)} {problem}");

        public ValidationException Mismatch(JsonNode? node, string expected)
        {
            return Error($"is {ConfigYaml.Brief(node?.ToJsonString(s_readable) ?? "null")}; expected {expected}");
        }
    }
}
