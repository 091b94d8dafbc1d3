using System.CommandLine;
using Windtunnel.Cli;
using Windtunnel.Cli.Verbs;

RootCommand root = new("Windtunnel pretrains small language models and predicts large ones.")
{
<<<<<<< HEAD
    TrainVerb.Command,
    ResumeVerb.Command,
    BranchVerb.Command,
    RunsVerb.Command,
    ModelVerb.Command,
    DataVerb.Command,
    TokenizerVerb.Command,
    DoctorVerb.Command,
=======
    QuickstartVerb.Command,
    SampleVerb.Command,
>>>>>>> gen
    BenchVerb.Command,
};

return CommandLine.Run(root, args);
