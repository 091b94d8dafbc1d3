using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Cli.Verbs;

/// <summary>Fits a law to a table of runs or to loss curves.</summary>
internal static class FitVerb
{
    private static readonly Argument<string[]> s_words = LawWords.Argument();
    private static readonly Option<string?> s_group = new("--group") { Description = "fit each value of this column on its own", HelpName = "COLUMN" };
    private static readonly Option<string[]> s_where = new("--where") { Description = "only rows that meet a condition, such as dataset=C4 or \"tokens>1e9\"", HelpName = "CONDITION" };
    private static readonly Option<string[]> s_fix = new("--fix") { Description = "hold a parameter", HelpName = "NAME=VALUE" };
    private static readonly Option<IntervalMethod?> s_intervals = new("--intervals") { Description = "how to find 95 % intervals; profiles where they can be had, unless said", HelpName = "profile|bootstrap|none" };
    private static readonly Option<int> s_resamples = new("--resamples") { Description = "resamples of a bootstrap", DefaultValueFactory = _ => 1000, HelpName = "N" };
    private static readonly Option<int> s_seed = new("--seed") { Description = "of the resamples", DefaultValueFactory = _ => 0, HelpName = "N" };
    private static readonly Option<int?> s_backTest = new("--back-test") { Description = "also hide the N largest rungs, fit the rest, and predict what was hidden", HelpName = "N" };
    private static readonly Option<string?> s_out = new("--out") { Description = "where to write fit.json, fit.svg and fit.csv; fits/LAW unless said", HelpName = "DIR" };

    public static Command Command
    {
        get
        {
            Verb fit = new("fit", "fit a law to a table of runs, with intervals and warnings", """
                windtunnel fit chinchilla runs.csv --n params --d tokens --loss val_loss
                windtunnel fit chinchilla runs.csv --tied=true --group dataset --where "tokens>1e9"
                windtunnel fit chinchilla runs --n params_non_embedding --back-test 1
                """)
            { s_words, s_group, s_where, s_fix, s_intervals, s_resamples, s_seed, s_backTest, s_out };
            fit.SetAction(Run);
            return fit;
        }
    }

    private static int Run(ParseResult parsed)
    {
        LawWords words = LawWords.Parse(parsed.GetValue(s_words)!);
        FitSettings settings = new(words.Request.Objective, Pins(parsed), parsed.GetValue(s_intervals), parsed.GetValue(s_resamples), parsed.GetValue(s_seed));
        string folder = parsed.GetValue(s_out) ?? Path.Combine("fits", LawCatalog.NameOf(words.Request.Law));
        PointLaw law = (PointLaw)words.Request.Law;
        PointTable table = PointTable.Read(words.Data.Count == 1 ? words.Data[0] : throw new ValidationException("fit: give one table or folder of runs after the law"));
        foreach (string condition in parsed.GetValue(s_where) ?? [])
        {
            table = table.Where(condition);
        }

        foreach ((string group, PointTable rows) in parsed.GetValue(s_group) is { } column ? table.GroupBy(column) : [("", table)])
        {
            if (group.Length > 0)
            {
                Console.WriteLine($"== {group}");
            }

            Observations data = rows.Observe(law, words.Columns);
            Fit fit = Fit.Of(law, data, settings);
            FitReport.Write(fit);
            if (parsed.GetValue(s_backTest) is { } hidden)
            {
                FitReport.Write(BackTest.Run(law, data, hidden, settings));
            }

            Save(fit, Path.Combine(folder, group));
        }

        return 0;
    }

    private static void Save(Fit fit, string folder)
    {
        Directory.CreateDirectory(folder);
        fit.Save(Path.Combine(folder, "fit.json"));
        Console.WriteLine($"written: {Path.Combine(folder, "fit.json")}");
        Console.WriteLine();
    }

    private static Dictionary<string, double> Pins(ParseResult parsed)
    {
        Dictionary<string, double> pins = [];
        foreach (string[] pin in (parsed.GetValue(s_fix) ?? []).Select(pin => pin.Split('=', 2)))
        {
            pins[pin[0]] = pin.Length == 2 && double.TryParse(pin[1], out double value) && double.IsFinite(value)
                ? value
                : throw new ValidationException($"--fix {string.Join('=', pin)}: write a parameter and a number, such as alpha=0.34");
        }

        return pins;
    }
}
