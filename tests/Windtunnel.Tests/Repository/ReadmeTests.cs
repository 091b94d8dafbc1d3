using System.CommandLine;
using System.CommandLine.Invocation;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Windtunnel.Cli;
using Windtunnel.Cli.Verbs;
using Windtunnel.Runs.Config;
using Windtunnel.Training;

namespace Windtunnel.Tests.Repository;

/// <summary>What the documents say against what there is: commands, configs and links.</summary>
public sealed partial class ReadmeTests
{
    private const string Tool = "windtunnel ", ToolFromSource = "dotnet run -c Release --project src/Windtunnel.Cli -- ";

    /// <summary>Every command of the tool in a code block or in code within a line, and in the comments of shipped configs.</summary>
    public static TheoryData<string, string> Commands => new(
        from document in Documents.Concat(Configs)
        let text = File.ReadAllText(Path.Combine(Root, document))
        from command in (document.EndsWith(".md", StringComparison.Ordinal) ? CodeLines(text) : CommentLines(text)).Distinct()
        where command.StartsWith(Tool, StringComparison.Ordinal) || command.StartsWith(ToolFromSource, StringComparison.Ordinal)
        select (document, command));

    internal static string Root { get; } = FindRoot();

    private static IEnumerable<string> Documents =>
    [
        .. Directory.GetFiles(Root, "*.md").Concat(Directory.GetFiles(Path.Combine(Root, "docs"), "*.md", SearchOption.AllDirectories))
            .Select(path => Path.GetRelativePath(Root, path)).Order(StringComparer.Ordinal),
    ];

    private static IEnumerable<string> Configs => Directory.GetFiles(Path.Combine(Root, "configs"), "*.yaml", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(Root, path)).Order(StringComparer.Ordinal);

    [Theory]
    [MemberData(nameof(Commands))]
    public void Every_command_in_the_documents_parses_and_its_config_loads(string document, string command)
    {
        string[] words = Words(command[(command.StartsWith(Tool, StringComparison.Ordinal) ? Tool : ToolFromSource).Length..]);
        ParseResult parsed = Program.Root.Parse(words);

        // The names of verbs alone, as in a table, ask for help and need no arguments.
        Command verb = parsed.CommandResult.Command;
        Assert.False(verb is RootCommand, $"{document}: '{command}' names no verb");
        if (words.Length > 1)
        {
            Assert.False(parsed.Action is ParseErrorAction, $"{document}: '{command}': {(parsed.Errors.Count > 0 ? parsed.Errors[0].Message : "")}");
        }

        if (verb.Arguments.OfType<Argument<string[]>>().FirstOrDefault(argument => argument.Name == "config") is { } config)
        {
            ConfigWords given = ConfigWords.Parse(parsed, config);
            (given with { File = given.File is null ? null : Path.Combine(Root, given.File) }).Load();
        }

        if (verb.Arguments.OfType<Argument<string[]>>().FirstOrDefault(argument => argument.Name == "settings") is { } settings)
        {
            ConfigFile.Apply<RunConfig>([], command, parsed.GetValue(settings)!);
        }
    }

    [Fact]
    public void The_readme_shows_both_main_commands_and_every_verb()
    {
        string readme = File.ReadAllText(Path.Combine(Root, "README.md"));
        string[] blocks = [.. Fences().Matches(readme).Where(block => block.Groups["language"].Value == "bash").Select(block => block.Groups["code"].Value.Trim())];
        Assert.Equal(ToolFromSource + "quickstart", blocks[0]);
        Assert.Equal("dotnet test -c Release", blocks[1]);
        Assert.All(Program.Root.Subcommands, verb => Assert.Contains($"`windtunnel {verb.Name}`", readme));
    }

    [Fact]
    public void The_readmes_bash_blocks_hold_nothing_but_commands_that_the_tests_know()
    {
        string readme = File.ReadAllText(Path.Combine(Root, "README.md"));
        Assert.All(
            Fences().Matches(readme).Where(block => block.Groups["language"].Value == "bash").SelectMany(block => block.Groups["code"].Value.Trim().Split('\n')),
            line => Assert.True(
                line.StartsWith(Tool, StringComparison.Ordinal) || line.StartsWith(ToolFromSource, StringComparison.Ordinal)
                || line == "dotnet test -c Release" || line == $"windtunnel() {{ {ToolFromSource}\"$@\"; }}",
                line));
    }

    [Theory]
    [InlineData("windtunnel train ")]
    [InlineData("windtunnel fit ")]
    public async Task The_readmes_tours_run_as_they_are_written(string start)
    {
        using TemporaryFolder folder = new();
        Directory.CreateSymbolicLink(folder.File("configs"), Path.Combine(Root, "configs"));
        Directory.CreateSymbolicLink(folder.File("docs"), Path.Combine(Root, "docs"));
        string readme = File.ReadAllText(Path.Combine(Root, "README.md"));
        Match tour = Assert.Single(Fences().Matches(readme), block => block.Groups["code"].Value.StartsWith(start, StringComparison.Ordinal));
        foreach (string command in tour.Groups["code"].Value.Trim().Split('\n'))
        {
            ProcessStartInfo tool = new("dotnet", [Path.Combine(AppContext.BaseDirectory, "windtunnel.dll"), .. Words(command[Tool.Length..])])
            {
                WorkingDirectory = folder.Path,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            using Process process = Process.Start(tool)!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = await process.StandardOutput.ReadToEndAsync();
            await process.WaitForExitAsync();
            Assert.True(process.ExitCode == 0 && output.Length > 0 && (await errors).Length == 0, $"{command}: exit code {process.ExitCode}\n{output}\n{await errors}");
        }
    }

    [Fact]
    public void The_readmes_config_is_the_one_that_ships()
    {
        string readme = File.ReadAllText(Path.Combine(Root, "README.md"));
        Match block = Assert.Single(Fences().Matches(readme), block => block.Groups["language"].Value == "yaml");
        Assert.Equal(
            ConfigFile.ToYaml(ConfigFile.Load<RunConfig>(Path.Combine(Root, "configs", "runs", "dotnet-docs-1m.yaml"))),
            ConfigFile.ToYaml(ConfigFile.Bind<RunConfig>(ConfigFile.Parse(block.Groups["code"].Value, "README.md"), "README.md")));
    }

    [Fact]
    public void Every_link_in_the_documents_leads_to_a_file()
    {
        Assert.All(Documents, document =>
        {
            string folder = Path.GetDirectoryName(Path.Combine(Root, document))!;
            Assert.All(
                Links().Matches(File.ReadAllText(Path.Combine(Root, document))).Select(link => link.Groups["target"].Value)
                    .Where(target => !target.Contains("://", StringComparison.Ordinal) && !target.StartsWith('#')),
                target => Assert.True(Path.Exists(Path.Combine(folder, target.Split('#')[0])), $"{document}: {target}"));
        });
    }

    private static IEnumerable<string> CodeLines(string markdown) =>
        Fences().Matches(markdown).SelectMany(block => block.Groups["code"].Value.Split('\n'))
            .Concat(Inline().Matches(Fences().Replace(markdown, "")).Select(code => code.Groups["code"].Value))
            .Select(line => line.Trim());

    // Commands stand five columns into a comment.
    private static IEnumerable<string> CommentLines(string yaml) => yaml.Split('\n').Where(line => line.StartsWith("#     ", StringComparison.Ordinal)).Select(line => line[1..].Trim());

    private static string[] Words(string command) =>
        [.. Word().Matches(command).TakeWhile(word => !word.Value.StartsWith('#')).Select(word => word.Value.Replace("\"", "", StringComparison.Ordinal))];

    private static string FindRoot([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", ".."));

    [Theory]
    [InlineData("Signum.cs")]
    [InlineData("Momentum.cs")]
    public void The_optimizer_that_is_listed_as_an_example_is_the_file_but_its_documentation(string name)
    {
        string[] lines = File.ReadAllLines(Path.Combine(Root, "src", "Windtunnel.Training", "Optimizers", name));
        string code = string.Concat(lines.Where(line => !line.TrimStart().StartsWith("///", StringComparison.Ordinal)).Select(line => $"{line}\n"));

        Assert.Contains(code, Fences().Matches(File.ReadAllText(Path.Combine(Root, "docs", "adding.md"))).Select(match => match.Groups["code"].Value));
    }

    [GeneratedRegex(@"^```(?<language>\w*)\n(?<code>.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Fences();

    [GeneratedRegex(@"`(?<code>[^`\n]+)`")]
    private static partial Regex Inline();

    [GeneratedRegex(@"\]\((?<target>[^)\s]+)\)")]
    private static partial Regex Links();

    [GeneratedRegex("""(?:[^\s"]|"[^"]*")+""")]
    private static partial Regex Word();
}
