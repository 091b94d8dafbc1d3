using System.CommandLine;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;

namespace Windtunnel.Cli;

/// <summary>Runs a verb and turns what goes wrong into one line and a documented exit code.</summary>
public static class CommandLine
{
    /// <summary>Parses and runs; the exit code is 0, 1 failure, 2 usage or config, 3 data or checkpoint, or the verb's own (docs/formats.md).</summary>
    public static int Run(RootCommand root, string[] args)
    {
        Verb.ShowExamples(root);
        ParseResult parsed = root.Parse(args.Length == 0 ? ["--help"] : args);
        if (parsed.Action is ParseErrorAction)
        {
            Console.Error.WriteLine($"windtunnel: {PlainText.Line(Problem(parsed))}");
            return 2;
        }

        try
        {
            // The trainer handles signals itself: it finishes its step and saves.
            return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
        }
        catch (Exception error) when (Explain(error) is not null)
        {
            return Fail(error);
        }
    }

    /// <summary>Writes what went wrong as one line; the exit code says which kind of thing it was.</summary>
    /// <param name="part">The part of the work that failed, where the rest goes on.</param>
    internal static int Fail(Exception error, string part = "")
    {
        (string message, int exitCode) = Explain(error) ?? (error.Message, 1);
        Console.Error.WriteLine($"windtunnel: {PlainText.Line(part + message)}");
        return exitCode;
    }

    private static string Problem(ParseResult parsed)
    {
        Command command = parsed.CommandResult.Command;
        return command.Subcommands.Count == 0
            ? Problem(parsed.Errors[0])
            : $"{(parsed.UnmatchedTokens.Count > 0 ? $"'{parsed.UnmatchedTokens[0]}' is not a verb" : "a verb is missing")}; "
                + $"{(command is RootCommand ? "" : $"of {command.Name} ")}there are {string.Join(", ", command.Subcommands.Select(verb => verb.Name))}";
    }

    // Where a word is no value of its option's type, the parser names the type as the runtime does.
    private static string Problem(ParseError error)
    {
        (string name, Type type) = (error.SymbolResult as OptionResult ?? error.SymbolResult?.Parent as OptionResult)?.Option is { } option ? (option.Name, option.ValueType)
            : error.SymbolResult is ArgumentResult argument ? (argument.Argument.Name, argument.Argument.ValueType)
            : ("", typeof(string));
        type = type.GetElementType() ?? Nullable.GetUnderlyingType(type) ?? type;
        string? word = error.SymbolResult?.Tokens.Select(token => token.Value).FirstOrDefault(value => error.Message.Contains($"'{value}'", StringComparison.Ordinal));
        return word is null || !error.Message.Contains(type.FullName!, StringComparison.Ordinal) ? error.Message : $"{name} {word}: must be {Expected(type)}";
    }

    private static string Expected(Type type) => type.IsEnum ? $"one of {string.Join(", ", Enum.GetNames(type).Select(JsonNamingPolicy.CamelCase.ConvertName))}"
        : type == typeof(bool) ? "true or false"
        : type == typeof(int) || type == typeof(long) ? $"a whole number{(type == typeof(int) ? $" of at most {int.MaxValue:N0}" : "")}, written in digits"
        : "a number";

    private static (string Message, int ExitCode)? Explain(Exception error) => error switch
    {
        ValidationException => (error.Message, 2),
        InvalidDataException => (error.Message, 3),
        AggregateException { InnerException: { } inner } => Explain(inner),
        IOException or UnauthorizedAccessException => (error.Message, 1),
        PlatformNotSupportedException or OutOfMemoryException or OverflowException => (error.Message, 1),
        _ => null,
    };
}
