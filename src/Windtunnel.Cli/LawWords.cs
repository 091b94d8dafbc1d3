using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using Windtunnel.Laws;
using Windtunnel.Laws.Fitting;
using Windtunnel.Runs.Config;

namespace Windtunnel.Cli;

/// <summary>
/// The part of a command line that names a law, its data, its options and the columns: <c>chinchilla runs.csv --tied=true --n params
/// --objective huber --objective.delta 1e-4</c>.
/// </summary>
/// <param name="Request">The law and the objective.</param>
/// <param name="Data">Files or folders.</param>
/// <param name="Columns">Column by quantity of the law, or of the file of a loss curve.</param>
internal sealed record LawWords(LawRequest Request, IReadOnlyList<string> Data, IReadOnlyDictionary<string, string> Columns)
{
    private static readonly string[] s_ofCurves = ["step", "loss", "lr"];

    /// <summary>The argument that takes these words.</summary>
    public static Argument<string[]> Argument() => new("law")
    {
        Description = "the law, the data, and its settings and columns, such as chinchilla runs.csv --n params --tied=true",
        Arity = ArgumentArity.ZeroOrMore,
        DefaultValueFactory = _ => [],
    };

    /// <summary>Sorts words into files and settings.</summary>
    /// <exception cref="ValidationException">A setting has no value, or two.</exception>
    public static (IReadOnlyList<string> Plain, IReadOnlyList<(string Name, string Value)> Settings) Split(IReadOnlyList<string> words)
    {
        List<string> plain = [];
        List<(string Name, string Value)> settings = [];
        for (int i = 0; i < words.Count; i++)
        {
            if (!words[i].StartsWith("--", StringComparison.Ordinal))
            {
                plain.Add(words[i]);
            }
            else if (words[i].IndexOf('=', StringComparison.Ordinal) is > 2 and int equals)
            {
                settings.Add((words[i][2..equals], words[i][(equals + 1)..]));
            }
            else if (i + 1 < words.Count && !words[i + 1].StartsWith("--", StringComparison.Ordinal))
            {
                settings.Add((words[i][2..], words[++i]));
            }
            else
            {
                throw new ValidationException($"{words[i]}: has no value; write {words[i]}=VALUE, such as {words[i]}=true for a switch");
            }
        }

        return settings.GroupBy(setting => setting.Name).FirstOrDefault(group => group.Count() > 1) is { } twice
            ? throw new ValidationException($"--{twice.Key}: given {twice.Count()} times: {string.Join(", ", twice.Select(setting => setting.Value))}")
            : (plain, settings);
    }

    /// <summary>Refuses options of a verb that mean nothing for what it was given.</summary>
    /// <exception cref="ValidationException">One of them was given.</exception>
    public static void Refuse(ParseResult parsed, string reason, params Option[] options)
    {
        if (options.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false }) is { } given)
        {
            throw new ValidationException($"{given.Name}: {reason}");
        }
    }

    /// <summary>Reads the words of a fit.</summary>
    /// <exception cref="ValidationException">The law is missing or unknown, or a setting is wrong.</exception>
    public static LawWords Parse(IReadOnlyList<string> words)
    {
        (IReadOnlyList<string> plain, IReadOnlyList<(string Name, string Value)> settings) = Split(words);
        string name = plain.Count > 0 ? plain[0] : throw new ValidationException($"a law is missing; there are {string.Join(", ", LawCatalog.Names)}");
        Law law = LawCatalog.Default(name);
        HashSet<string> quantities = law is PointLaw point ? [.. point.Inputs.Select(input => input.Name), law.Output.Name] : [.. s_ofCurves];
        string[] overrides = [$"law={name}", .. settings
            .Where(setting => !quantities.Contains(setting.Name))
            .Select(setting => IsFull(setting.Name) ? $"{setting.Name}={setting.Value}" : $"law.{setting.Name}={setting.Value}")];
        return new LawWords(
            ConfigFile.Bind<LawRequest>(ConfigFile.Apply<LawRequest>(new JsonObject(), "command line", overrides), "command line"),
            [.. plain.Skip(1)],
            settings.Where(setting => quantities.Contains(setting.Name)).ToDictionary(setting => setting.Name, setting => setting.Value));
    }

    // Settings of the law may also be written in full, where an option of the verb has the same name.
    private static bool IsFull(string name) =>
        name == "objective" || name.StartsWith("objective.", StringComparison.Ordinal) || name.StartsWith("law.", StringComparison.Ordinal);
}

/// <summary>What a command line asks to be fitted.</summary>
/// <param name="Objective">Null for the law's own.</param>
internal sealed record LawRequest(Law Law, Objective? Objective = null);
