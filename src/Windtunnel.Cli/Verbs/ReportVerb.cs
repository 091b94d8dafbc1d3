using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Windtunnel.Experiments;
using Windtunnel.Experiments.Reports;
using Windtunnel.Runs;
using Windtunnel.Training;

namespace Windtunnel.Cli.Verbs;

/// <summary>Writes a report of an experiment or of runs.</summary>
internal static class ReportVerb
{
    private static readonly Argument<string[]> s_words = new("names")
    {
        Description = "an experiment, or runs; all runs where nothing is named",
        Arity = new ArgumentArity(0, 1000),
        HelpName = "EXPERIMENT | RUN...",
    };

    private static readonly Option<string?> s_out = new("--out") { Description = "the file to write; report.html in the experiment's folder, or here, unless said", HelpName = "FILE" };
    private static readonly Option<string> s_runs = RunSession.RunsOption(), s_data = RunSession.DataOption(), s_experiments = ExperimentSession.ExperimentsOption();

    public static Command Command
    {
        get
        {
            Verb report = new("report", "write one HTML file that shows an experiment or runs: tables, figures, configs, and where they come from", """
                windtunnel report
                windtunnel report dotnet-docs-optimizers
                windtunnel report trunk cooldown --out schedules.html
                """)
            { s_words, s_out, s_runs, s_data, s_experiments };
            report.SetAction(Run);
            return report;
        }
    }

    private static int Run(ParseResult parsed)
    {
        string[] words = parsed.GetValue(s_words)!;
        string root = parsed.GetValue(s_runs)!, experiments = parsed.GetValue(s_experiments)!;
        if (words.Length == 1 && IsExperiment(experiments, words[0]))
        {
            ExperimentFolder folder = ExperimentFolder.Open(experiments, words[0]);
            RunStore store = new(new RunPlaces(root, parsed.GetValue(s_data)!), Notices.OnConsole);
            return Write(ExperimentReport.Of(folder, store), parsed.GetValue(s_out) ?? folder.ReportPath);
        }

        string[] ids = words.Length > 0 ? words : [.. RunTable.Read(root).Select(row => row.Id)];
        if (ids.Length == 0)
        {
            throw new ValidationException($"report: no runs in {Path.GetFullPath(root)}; train one, or name the folder with --runs");
        }

        return Write(RunsReport.Of(root, ids), parsed.GetValue(s_out) ?? "report.html");
    }

    // Runs and experiments are named alike: what has a folder among the experiments, or a file, is one.
    private static bool IsExperiment(string experiments, string word) =>
        File.Exists(word) || (RunFolder.IsValidId(word) && Directory.Exists(Path.Combine(experiments, word)));

    private static int Write(Report report, string path)
    {
        string folder = report.Save(path);
        Console.WriteLine($"written: {Path.GetFullPath(path)}, with the numbers of {Quantity.Of(report.Figures.Count, "figure")} in {folder}");
        return 0;
    }
}
