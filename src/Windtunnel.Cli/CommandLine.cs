using System.CommandLine;
using System.CommandLine.Invocation;
using System.ComponentModel.DataAnnotations;

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
            Console.Error.WriteLine($"windtunnel: {Problem(parsed)}");
            return 2;
        }

        try
        {
            // The trainer handles signals itself: it finishes its step and saves.
            return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });
        }
        catch (Exception error) when (Explain(error) is { } explained)
        {
            Console.Error.WriteLine($"windtunnel: {explained.Message.ReplaceLineEndings(" ")}");
            return explained.ExitCode;
        }
    }

    private static string Problem(ParseResult parsed)
    {
        Command command = parsed.CommandResult.Command;
        return command.Subcommands.Count == 0
            ? parsed.Errors[0].Message
            : $"{(parsed.UnmatchedTokens.Count > 0 ? $"'{parsed.UnmatchedTokens[0]}' is not a verb" : "a verb is missing")}; "
                + $"{(command is RootCommand ? "" : $"of {command.Name} ")}there are {string.Join(", ", command.Subcommands.Select(verb => verb.Name))}";
    }

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
