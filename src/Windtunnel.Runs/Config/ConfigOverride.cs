using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Windtunnel.Runs.Config;

/// <summary>One dotted setting of the command line, such as <c>--optimizer.beta2=0.95</c>.</summary>
/// <param name="Text">What was typed.</param>
/// <param name="Path">The names between the dots.</param>
/// <param name="Value">The value, as YAML reads it.</param>
public sealed partial record ConfigOverride(string Text, IReadOnlyList<string> Path, JsonNode? Value)
{
    /// <summary>Reads the words <c>--a.b=c</c>, <c>--a.b c</c> and <c>a.b=c</c>, in order.</summary>
    /// <remarks>A value that opens with <c>[</c>, <c>{</c> or a quote is YAML flow style; any other is one plain scalar.</remarks>
    /// <exception cref="ValidationException">A word is no override, or has no value.</exception>
    public static IReadOnlyList<ConfigOverride> Parse(IReadOnlyList<string> words)
    {
        List<ConfigOverride> overrides = [];
        for (int i = 0; i < words.Count; i++)
        {
            string word = words[i];
            bool dashed = word.StartsWith("--", StringComparison.Ordinal);
            string[] parts = (dashed ? word[2..] : word).Split('=', 2);
            if (!DottedPath().IsMatch(parts[0]) || (!dashed && parts.Length == 1))
            {
                throw new ValidationException($"{word}: not a setting; write --name.of.setting=value");
            }

            if (parts.Length == 1 && (i + 1 == words.Count || words[i + 1].StartsWith("--", StringComparison.Ordinal)))
            {
                throw new ValidationException($"{word}: has no value; write {word}=value (true or false for a switch)");
            }

            string value = parts.Length == 2 ? parts[1] : words[++i];
            string text = parts.Length == 2 ? word : $"{word} {value}";
            overrides.Add(new ConfigOverride(text, parts[0].Split('.'), ConfigYaml.ParseValue(value, text)));
        }

        return overrides;
    }

    /// <summary>The override as settings: <c>a.b=c</c> is <c>{a: {b: c}}</c>.</summary>
    public JsonObject Patch()
    {
        JsonNode? patch = Value?.DeepClone();
        foreach (string name in Path.Reverse())
        {
            patch = new JsonObject { [name] = patch };
        }

        return patch!.AsObject();
    }

    [GeneratedRegex(@"\A[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*){0,30}\z")]
    private static partial Regex DottedPath();
}
