using System.Diagnostics;
using System.Reflection;
using System.Text;

namespace Windtunnel.Tests.Cli;

/// <summary>Runs the built tool: in this process with its console captured, or as a process of its own.</summary>
public sealed class Tool : IDisposable
{
    /// <summary>Tests that share the console, and the dataset and the finished run <c>trunk</c> prepared here once.</summary>
    [CollectionDefinition(nameof(Tool), DisableParallelization = true)]
    public sealed class Collection : ICollectionFixture<Tool>;

    private readonly TemporaryFolder _folder = new();

    public Tool()
    {
        Environment.SetEnvironmentVariable("NO_COLOR", "1");
        Trunk = Train("--id", "trunk", "--training.length=40", "--schedule.decay=10", "--checkpoints.every=10", "--checkpoints.milestones=[20,30]");
    }

    /// <summary>How the run trunk ended: 40 steps, the last 10 of them decaying, checkpoints at 20, 30 and 40.</summary>
    public Outcome Trunk { get; }

    public string Runs => _folder.File("runs");

    public string Data => _folder.File("data");

    public static string ConfigFolder { get; } = FindConfigs();

    public static string Tiny => Path.Combine(ConfigFolder, "tiny.yaml");

    public string RunFile(params string[] parts) => Path.Combine([Runs, .. parts]);

    /// <summary>Trains the tiny config with overrides.</summary>
    public Outcome Train(params string[] words) => Run(["train", Tiny, "--runs", Runs, "--data", Data, .. words]);

    /// <summary>Runs a verb that takes the folders of runs and data.</summary>
    public Outcome Continue(params string[] words) => Run([.. words, "--runs", Runs, "--data", Data]);

    /// <summary>Runs the program in this process.</summary>
    public static Outcome Run(params string[] words)
    {
        (TextWriter output, TextWriter error) = (Console.Out, Console.Error);
        using StringWriter capturedOutput = new(), capturedError = new();
        Console.SetOut(capturedOutput);
        Console.SetError(capturedError);
        try
        {
            MethodInfo program = typeof(Windtunnel.Cli.CommandLine).Assembly.EntryPoint!;
            int exitCode = (int)program.Invoke(null, [words])!;
            return new Outcome(exitCode, capturedOutput.ToString(), capturedError.ToString());
        }
        finally
        {
            Console.SetOut(output);
            Console.SetError(error);
        }
    }

    /// <summary>Runs the program as a process, and sends it a signal once its output contains a text.</summary>
    public Outcome Signal(string signal, string when, params string[] words)
    {
        ProcessStartInfo start = new("dotnet", [Path.Combine(AppContext.BaseDirectory, "windtunnel.dll"), .. words, "--runs", Runs, "--data", Data])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        StringBuilder output = new();
        Task<string> error = process.StandardError.ReadToEndAsync();
        bool sent = false;
        while (process.StandardOutput.ReadLine() is { } line)
        {
            output.AppendLine(line);
            if (!sent && line.Contains(when, StringComparison.Ordinal))
            {
                sent = true;
                Process.Start("kill", [$"-{signal}", $"{process.Id}"]).WaitForExit();
            }
        }

        process.WaitForExit();
        return new Outcome(process.ExitCode, output.ToString(), error.Result);
    }

    public void Dispose() => _folder.Dispose();

    private static string FindConfigs()
    {
        DirectoryInfo at = new(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(at.FullName, "Windtunnel.slnx")))
        {
            at = at.Parent!;
        }

        return Path.Combine(at.FullName, "configs", "runs");
    }
}

/// <summary>What the tool left behind.</summary>
public sealed record Outcome(int ExitCode, string Output, string Error)
{
    /// <summary>Asserts a failure: the exit code, and one line that contains a text.</summary>
    public void AssertFails(int exitCode, string text)
    {
        Assert.Contains(text, Error, StringComparison.Ordinal);
        Assert.StartsWith("windtunnel: ", Error, StringComparison.Ordinal);
        Assert.Equal(1, Error.Count(c => c == '\n'));
        Assert.Equal(exitCode, ExitCode);
    }

    /// <summary>Asserts success, without a word on standard error or an escape sequence.</summary>
    public string AssertSucceeds()
    {
        Assert.Equal("", Error);
        Assert.Equal(0, ExitCode);
        Assert.DoesNotContain('\e', Output);
        return Output;
    }
}
