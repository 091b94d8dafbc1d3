using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws;
using Windtunnel.Laws.Reproduction;

namespace Windtunnel.Cli.Verbs;

/// <summary>Runs published analyses again and shows their figures beside ours.</summary>
internal static class ReproduceVerb
{
    private static readonly Argument<string> s_study = new("study") { Description = string.Join(", ", PublishedStudy.All.Select(study => study.Name)) };
    private static readonly Option<string> s_data = new("--data") { Description = "the folder with the published tables, or one that holds it; docs/published.md lists them", Required = true, HelpName = "DIR" };
    private static readonly Option<string?> s_trainSet = new("--train-set") { Description = "of gadre: predict one model trained on C4, RedPajama or RefinedWeb instead", HelpName = "NAME" };
    private static readonly Option<string> s_evalSet = new("--eval-set") { Description = "a loss such as c4_val or paloma_ptb, or the error avg17 or avg46", DefaultValueFactory = _ => "c4_val", HelpName = "NAME" };
    private static readonly Option<string> s_size = new("--size") { Description = "the size of the model, such as 0.411B", DefaultValueFactory = _ => "1.4B", HelpName = "SIZE" };
    private static readonly Option<int> s_multiplier = new("--multiplier") { Description = "its tokens a parameter", DefaultValueFactory = _ => 20, HelpName = "M" };

    public static Command Command
    {
        get
        {
            Verb reproduce = new("reproduce", "run a published analysis again: its figures, ours, and the difference; fails if one is outside its tolerance", """
                windtunnel reproduce chinchilla --data data
                windtunnel reproduce gadre --data data --train-set RedPajama --size 1.4B --multiplier 640 --eval-set avg17
                """)
            { s_study, s_data, s_trainSet, s_evalSet, s_size, s_multiplier };
            reproduce.SetAction(Run);
            return reproduce;
        }
    }

    private static int Run(ParseResult parsed)
    {
        string name = parsed.GetValue(s_study)!, folder = parsed.GetValue(s_data)!;
        PublishedStudy study = PublishedStudy.All.FirstOrDefault(study => study.Name == name)
            ?? throw new ValidationException($"'{name}' is not a study; there are {string.Join(", ", PublishedStudy.All.Select(each => each.Name))}");
        if (parsed.GetValue(s_trainSet) is not { } trainSet)
        {
            LawWords.Refuse(parsed, "says which model of gadre to predict, and needs --train-set", s_evalSet, s_size, s_multiplier);
            return Compare(study.Name, study.Source, study.Run(folder));
        }

        GadreStudy gadre = study as GadreStudy ?? throw new ValidationException($"--train-set: only gadre has one, not {name}");
        Show(gadre.Cell(folder, trainSet, parsed.GetValue(s_evalSet)!, parsed.GetValue(s_size)!, parsed.GetValue(s_multiplier)));
        return 0;
    }

    private static int Compare(string name, string source, StudyReport report)
    {
        Console.WriteLine(source);
        foreach (IGrouping<string, ReproducedFigure> part in report.Figures.GroupBy(figure => figure.Part))
        {
            Console.WriteLine();
            Console.WriteLine(part.Key);
            TextTable table = new("<", "published", "ours", "difference", "allowed", "<");
            foreach (ReproducedFigure figure in part)
            {
                table.Add(figure.What, $"{figure.Published:G10}", $"{figure.Ours:G10}", $"{figure.Difference:0.0E+00}", $"{figure.Tolerance:0.0E+00}", figure.Within ? "ok" : "OUTSIDE");
            }

            table.Write();
        }

        Console.WriteLine();
        foreach (string remark in report.Remarks)
        {
            Console.WriteLine($"- {remark}");
        }

        int outside = report.Figures.Count(figure => !figure.Within);
        Console.WriteLine();
        Console.WriteLine(outside == 0
            ? $"{name}: all {report.Figures.Count} figures within their tolerance"
            : $"{name}: {outside} of {report.Figures.Count} figures outside their tolerance");
        return outside == 0 ? 0 : 1;
    }

    private static void Show(ChainPrediction cell)
    {
        TextTable table = new("<", "predicted", "true", "relative error");
        table.Add("loss", $"{cell.Loss:F6}", $"{cell.TrueLoss:F6}", $"{cell.LossDeviation:P4}");
        if (cell.TrueError is not null)
        {
            table.Add("error, through the predicted loss", $"{cell.Error:F6}", $"{cell.TrueError:F6}", $"{cell.ErrorDeviation:P4}");
            table.Add("error, from the true loss", $"{cell.ErrorFromTrueLoss:F6}", $"{cell.TrueError:F6}", $"{cell.ErrorFromTrueLossDeviation:P4}");
        }

        table.Write();
    }
}
