using System.CommandLine;
using Windtunnel.Cli;
using Windtunnel.Cli.Verbs;

RootCommand root = new("Windtunnel pretrains small language models and predicts large ones.")
{
    BenchVerb.Command,
};

return CommandLine.Run(root, args);
