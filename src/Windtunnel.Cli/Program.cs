using System.CommandLine;
using Windtunnel.Cli;
using Windtunnel.Cli.Verbs;

RootCommand root = new("Windtunnel pretrains small language models and predicts large ones.")
{
    QuickstartVerb.Command,
    SampleVerb.Command,
    BenchVerb.Command,
};

return CommandLine.Run(root, args);
