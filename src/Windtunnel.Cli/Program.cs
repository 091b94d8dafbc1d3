using System.CommandLine;
using Windtunnel.Cli;
using Windtunnel.Cli.Verbs;

RootCommand root = new("Windtunnel pretrains small language models and predicts large ones.")
{
    QuickstartVerb.Command,
    DataVerb.Command,
    TokenizerVerb.Command,
    ModelVerb.Command,
    TrainVerb.Command,
    ResumeVerb.Command,
    BranchVerb.Command,
    SampleVerb.Command,
    RunsVerb.Command,
    BenchVerb.Command,
    DoctorVerb.Command,
};

return CommandLine.Run(root, args);
