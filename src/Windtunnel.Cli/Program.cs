using System.CommandLine;
using Windtunnel.Cli.Verbs;

namespace Windtunnel.Cli;

/// <summary>The tool <c>windtunnel</c>: its verbs, each in a file of its own.</summary>
public static class Program
{
    /// <summary>Every verb.</summary>
    public static RootCommand Root => new("Windtunnel pretrains small language models and predicts large ones.")
    {
        QuickstartVerb.Command,
        TrainVerb.Command,
        ResumeVerb.Command,
        BranchVerb.Command,
        SampleVerb.Command,
        InheritVerb.Command,
        AnalyzeVerb.Command,
        ExportVerb.Command,
        RunsVerb.Command,
        SweepVerb.Command,
        CompareVerb.Command,
        TunnelVerb.Command,
        ReportVerb.Command,
        FitVerb.Command,
        PredictVerb.Command,
        PlanVerb.Command,
        IsoFlopVerb.Command,
        LawsVerb.Command,
        ReproduceVerb.Command,
        ModelVerb.Command,
        OptimizersVerb.Command,
        DataVerb.Command,
        TokenizerVerb.Command,
        DoctorVerb.Command,
        BenchVerb.Command,
    };

    /// <summary>Runs a verb; the exit codes are in docs/formats.md.</summary>
    public static int Main(string[] args) => CommandLine.Run(Root, args);
}
