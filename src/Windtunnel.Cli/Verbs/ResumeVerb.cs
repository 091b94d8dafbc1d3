using System.CommandLine;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Training;

namespace Windtunnel.Cli.Verbs;

/// <summary>Goes on with a run that was stopped or killed.</summary>
internal static class ResumeVerb
{
    private static readonly Argument<string> s_id = new("id") { Description = "the run" };
    private static readonly Option<int?> s_threads = new("--threads") { Description = "worker threads, 0 for one a core; changes no bit of the result", HelpName = "N" };
    private static readonly Option<string> s_runs = RunSession.RunsOption(), s_data = RunSession.DataOption();

    public static Command Command
    {
        get
        {
            Verb resume = new("resume", "go on with a run that was stopped or killed, bit for bit, from its newest good checkpoint", """
                windtunnel resume tiny-20260101-120000
                """)
            { s_id, s_threads, s_runs, s_data };
            resume.SetAction(Run);
            return resume;
        }
    }

    private static int Run(ParseResult parsed)
    {
        string id = parsed.GetValue(s_id)!;
        RunPlaces places = new(parsed.GetValue(s_runs)!, parsed.GetValue(s_data)!);
        RunConfig config = ConfigFile.Load<RunConfig>(RunFolder.Open(places.Runs, id).ConfigPath);
        using TrainingDisplay display = TrainingDisplay.For(config);
        return RunSession.Train(TrainingRun.Resume(id, places, display, parsed.GetValue(s_threads)), display);
    }
}
