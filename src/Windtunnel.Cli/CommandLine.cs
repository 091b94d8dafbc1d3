using System.CommandLine;
using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Cli;

/// <summary>Runs a verb and turns what goes wrong into one line and a documented exit code.</summary>
public static class CommandLine
{
    /// <summary>Parses and runs; the exit code is 0, 1 failure, 2 usage or config, 3 data or checkpoint, or the verb's own (docs/formats.md).</summary>
    public static int Run(RootCommand root, string[] args)
    {
        ParseResult parsed = root.Parse(args);
        if (parsed.Errors.Count > 0)
        {
            Console.Error.WriteLine($"windtunnel: {parsed.Errors[0].Message} (windtunnel --help lists what there is)");
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

    private static (string Message, int ExitCode)? Explain(Exception error) => error switch
    {
        ValidationException => (error.Message, 2),
        InvalidDataException => (error.Message, 3),
        AggregateException { InnerException: { } inner } => Explain(inner),
        IOException or UnauthorizedAccessException => (error.Message, 1),
        PlatformNotSupportedException or OutOfMemoryException => (error.Message, 1),
        _ => null,
    };
}
