using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Windtunnel.Runs.Config;

/// <summary>
/// The part of YAML that a configuration needs, to and from JSON nodes: maps, lists and scalars by the YAML 1.2 core schema.
/// Anchors, aliases, tags and duplicate keys are refused, so a small file cannot grow into a large tree.
/// </summary>
internal static partial class ConfigYaml
{
    /// <summary>Parses one document; null where it is empty.</summary>
    public static JsonNode? Parse(string text, string source)
    {
        Parser parser = new(new Scanner(new StringReader(text)));
        try
        {
            parser.Consume<StreamStart>();
            if (parser.TryConsume<StreamEnd>(out _))
            {
                return null;
            }

            parser.Consume<DocumentStart>();
            JsonNode? root = ReadNode(parser, source, depth: 0);
            parser.Consume<DocumentEnd>();
            if (!parser.TryConsume<StreamEnd>(out _))
            {
                throw new ValidationException($"{source}:{parser.Current?.Start.Line}: more than one document");
            }

            return root;
        }
        catch (InvalidOperationException e)
        {
            // What the scanner throws, instead of its own exception, on some malformed flow scalars.
            throw new ValidationException($"{source}:{parser.Current?.End.Line ?? 1}: not YAML", e);
        }
        catch (YamlException e)
        {
            throw new ValidationException($"{source}:{e.Start.Line}: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    /// <summary>Parses the value of an override: flow style where it opens like it, else one plain scalar.</summary>
    public static JsonNode? ParseValue(string text, string source)
    {
        string value = text.Trim();
        return value.Length > 0 && "[{\"'".Contains(value[0]) ? Parse(value, source) : Resolve(value, source);
    }

    /// <summary>Writes block style; lists of scalars on one line; strings in quotes only where they would read as something else.</summary>
    public static string Write(JsonObject settings)
    {
        StringBuilder yaml = new();
        WriteMap(yaml, settings, indent: 0);
        return yaml.ToString();
    }

    /// <summary>Text from a file as one line of an error.</summary>
    public static string Brief(string text) => (text.Length > 60 ? text[..57] + "..." : text).ReplaceLineEndings(" ");

    private static JsonNode? ReadNode(Parser parser, string source, int depth)
    {
        ParsingEvent next = parser.Consume<ParsingEvent>();
        string at = $"{source}:{next.Start.Line}";
        if (next is not NodeEvent node)
        {
            throw new ValidationException($"{at}: aliases are not accepted");
        }

        if (!node.Anchor.IsEmpty || !node.Tag.IsEmpty)
        {
            throw new ValidationException($"{at}: anchors and tags are not accepted");
        }

        if (node is Scalar scalar)
        {
            return scalar.Style == ScalarStyle.Plain ? Resolve(scalar.Value, at) : JsonValue.Create(scalar.Value);
        }

        if (depth == ConfigFile.MaxDepth)
        {
            throw new ValidationException($"{at}: nested deeper than {ConfigFile.MaxDepth}");
        }

        return node is MappingStart ? ReadMap(parser, source, depth) : ReadList(parser, source, depth);
    }

    private static JsonObject ReadMap(Parser parser, string source, int depth)
    {
        JsonObject map = [];
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            if (parser.Consume<ParsingEvent>() is not Scalar { Anchor.IsEmpty: true, Tag.IsEmpty: true } key)
            {
                throw new ValidationException($"{source}:{parser.Current?.Start.Line}: a key must be a plain name");
            }

            if (map.ContainsKey(key.Value))
            {
                throw new ValidationException($"{source}:{key.Start.Line}: duplicate key '{Brief(key.Value)}'");
            }

            map.Add(key.Value, ReadNode(parser, source, depth + 1));
        }

        return map;
    }

    private static JsonArray ReadList(Parser parser, string source, int depth)
    {
        JsonArray list = [];
        while (!parser.TryConsume<SequenceEnd>(out _))
        {
            list.Add(ReadNode(parser, source, depth + 1));
        }

        return list;
    }

    /// <summary>A plain scalar by YAML 1.2.2 section 10.3.2 (core schema), but for infinity and NaN, which no setting accepts.</summary>
    private static JsonValue? Resolve(string text, string at)
    {
        switch (text)
        {
            case "" or "~" or "null" or "Null" or "NULL":
                return null;
            case "true" or "True" or "TRUE":
                return JsonValue.Create(true);
            case "false" or "False" or "FALSE":
                return JsonValue.Create(false);
        }

        if (Integer().IsMatch(text) && long.TryParse(text, out long integer))
        {
            return JsonValue.Create(integer);
        }

        if (Float().IsMatch(text) && double.Parse(text) is double number && double.IsFinite(number))
        {
            return ulong.TryParse(text, out ulong large) ? JsonValue.Create(large) : JsonValue.Create(number);
        }

        if (Hexadecimal().IsMatch(text) && ulong.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, null, out ulong hex))
        {
            return JsonValue.Create(hex);
        }

        if (Octal().IsMatch(text))
        {
            return JsonValue.Create(Convert.ToInt64(text[2..], 8));
        }

        return Float().IsMatch(text) || NotFinite().IsMatch(text)
            ? throw new ValidationException($"{at}: {Brief(text)} is not a finite number")
            : JsonValue.Create(text);
    }

    private static void WriteMap(StringBuilder yaml, JsonObject map, int indent)
    {
        foreach ((string key, JsonNode? value) in map)
        {
            yaml.Append(' ', indent).Append(Quote(key)).Append(':');
            if (value is JsonObject { Count: > 0 } inner)
            {
                yaml.Append('\n');
                WriteMap(yaml, inner, indent + 2);
            }
            else if (value is JsonArray list && list.Any(item => item is JsonObject or JsonArray))
            {
                yaml.Append('\n');
                foreach (JsonNode? item in list)
                {
                    yaml.Append(' ', indent + 2).Append("- ");
                    WriteFlow(yaml, item);
                    yaml.Append('\n');
                }
            }
            else
            {
                yaml.Append(' ');
                WriteFlow(yaml, value);
                yaml.Append('\n');
            }
        }
    }

    private static void WriteFlow(StringBuilder yaml, JsonNode? node)
    {
        switch (node)
        {
            case null:
                yaml.Append("null");
                break;
            case JsonObject map:
                WriteJoined(yaml, '{', map, '}', pair =>
                {
                    yaml.Append(Quote(pair.Key)).Append(": ");
                    WriteFlow(yaml, pair.Value);
                });
                break;
            case JsonArray list:
                WriteJoined(yaml, '[', list, ']', item => WriteFlow(yaml, item));
                break;
            default:
                yaml.Append(node.GetValueKind() == JsonValueKind.String ? Quote(node.GetValue<string>()) : node.ToJsonString());
                break;
        }
    }

    private static void WriteJoined<T>(StringBuilder yaml, char open, IEnumerable<T> items, char close, Action<T> write)
    {
        yaml.Append(open);
        bool first = true;
        foreach (T item in items)
        {
            yaml.Append(first ? "" : ", ");
            first = false;
            write(item);
        }

        yaml.Append(close);
    }

    private static string Quote(string text)
    {
        if (PlainText().IsMatch(text) && Resolve(text, "") is JsonValue value && value.GetValueKind() == JsonValueKind.String)
        {
            return text;
        }

        StringBuilder quoted = new("\"");
        foreach (Rune rune in text.EnumerateRunes())
        {
            quoted.Append(rune.Value switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                < 0x20 or (>= 0x7f and <= 0xa0) or 0x2028 or 0x2029 or 0xfeff or (>= 0xfff0 and <= 0xffff) => $"\\u{rune.Value:x4}",
                _ => rune.ToString(),
            });
        }

        return quoted.Append('"').ToString();
    }

    [GeneratedRegex(@"\A[-+]?[0-9]+\z")]
    private static partial Regex Integer();

    [GeneratedRegex(@"\A[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\z")]
    private static partial Regex Float();

    [GeneratedRegex(@"\A0x[0-9a-fA-F]+\z")]
    private static partial Regex Hexadecimal();

    [GeneratedRegex(@"\A0o[0-7]{1,20}\z")]
    private static partial Regex Octal();

    [GeneratedRegex(@"\A([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\z")]
    private static partial Regex NotFinite();

    [GeneratedRegex(@"\A[A-Za-z_/][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*\z")]
    private static partial Regex PlainText();
}
