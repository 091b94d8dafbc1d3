using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using System.Text.RegularExpressions;
using Windtunnel.Runs.Config;
using Windtunnel.Training;

namespace Windtunnel.Cli;

/// <summary>The part of a command line that makes a config: at most one file, and overrides, in any order.</summary>
/// <param name="File">The config file; null where every setting starts from its default.</param>
/// <param name="Overrides">Dotted settings, as typed.</param>
internal sealed partial record ConfigWords(string? File, IReadOnlyList<string> Overrides)
{
    /// <summary>The argument that takes these words; options that are not the verb's own end up in it too.</summary>
    public static Argument<string[]> Argument(string name = "config") => new(name)
    {
        Description = "a config file (YAML or JSON), and settings such as --model.size=1m or optimizer=muon",
        Arity = ArgumentArity.ZeroOrMore,
        DefaultValueFactory = _ => [],
    };

    /// <summary>Sorts the words that a verb was given.</summary>
    /// <exception cref="ValidationException">There are two files, or a word is a misspelt option.</exception>
    public static ConfigWords Parse(ParseResult parsed, Argument<string[]> argument)
    {
        string[] words = parsed.GetValue(argument)!;
        List<string> overrides = [];
        string? file = null;
        for (int i = 0; i < words.Length; i++)
        {
            if (Setting().IsMatch(words[i]))
            {
                overrides.Add(words[i]);
            }
            else if (words[i].StartsWith('-'))
            {
                if (parsed.CommandResult.Command.Options.FirstOrDefault(option => IsMisspelling(words[i], option.Name)) is { } meant)
                {
                    throw new ValidationException($"{words[i]} is neither an option nor a setting; did you mean {meant.Name}?");
                }

                // Its value is the next word; without one, or with one dash, the overrides' own parser says what is wrong.
                overrides.AddRange(words.Skip(i++).Take(2));
            }
            else
            {
                file = file is null ? words[i] : throw new ValidationException(
                    $"'{file}' and '{words[i]}' are two config files; give one (a setting is written --name.of.setting=value)");
            }
        }

        return new ConfigWords(file, overrides);
    }

    /// <summary>The config, not yet resolved.</summary>
    /// <exception cref="ValidationException">A file is missing or wrong, or a setting is.</exception>
    public RunConfig Load() => File is null
        ? ConfigFile.Bind<RunConfig>(ConfigFile.Apply<RunConfig>([], "command line", Overrides), "command line")
        : ConfigFile.Load<RunConfig>(File, Overrides);

    /// <summary>What a run records of it.</summary>
    public ConfigOrigin Origin() => new(File is null ? null : System.IO.File.ReadAllText(File), Overrides);

    private static bool IsMisspelling(string word, string option) => !word.Contains('.') && option.Length > 5 && word.StartsWith(option[..5], StringComparison.Ordinal);

    [GeneratedRegex(@"\A(--)?[A-Za-z_][A-Za-z0-9_.-]*=")]
    private static partial Regex Setting();
}
