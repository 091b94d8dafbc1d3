using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Windtunnel.Cli;

/// <summary>A command with examples, which its own help shows and the list of commands does not.</summary>
internal sealed class Verb(string name, string description, string examples) : Command(name, description)
{
    /// <summary>Makes the help of every verb of a tool show its examples.</summary>
    public static void ShowExamples(RootCommand root)
    {
        HelpOption option = root.Options.OfType<HelpOption>().Single();
        option.Action = new Help((HelpAction)option.Action!, verb => verb.Examples);
    }

    private string Examples => examples;

    private sealed class Help(HelpAction standard, Func<Verb, string> examples) : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            int exitCode = standard.Invoke(parseResult);
            if (parseResult.CommandResult.Command is Verb verb)
            {
                Console.WriteLine($"Examples:\n  {examples(verb).ReplaceLineEndings("\n  ")}\n");
            }

            return exitCode;
        }
    }
}
