using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Figures;
using Windtunnel.Laws.Fitting;
using Windtunnel.Runs;

namespace Windtunnel.Cli.Verbs;

/// <summary>Fits a law to a table of runs or to loss curves.</summary>
internal static class FitVerb
{
    private static readonly Argument<string[]> s_words = LawWords.Argument();
    private static readonly Option<string?> s_group = new("--group") { Description = "fit each value of this column on its own", HelpName = "COLUMN" };
    private static readonly Option<string[]> s_where = new("--where") { Description = "only rows that meet a condition, such as dataset=C4 or \"tokens>1e9\"", HelpName = "CONDITION" };
    private static readonly Option<string[]> s_fix = new("--fix") { Description = "hold a parameter", HelpName = "NAME=VALUE" };
    private static readonly Option<IntervalMethod?> s_intervals = new("--intervals") { Description = "how to find 95 % intervals; profiles where they can be had, unless said", HelpName = "profile|bootstrap|none" };
    private static readonly Option<int?> s_resamples = new("--resamples") { Description = $"resamples of a bootstrap; 1000 unless said, {CurveFit.Replicates} for curves", HelpName = "N" };
    private static readonly Option<int> s_seed = new("--seed") { Description = "of the resamples", DefaultValueFactory = _ => 0, HelpName = "N" };
    private static readonly Option<int?> s_backTest = new("--back-test") { Description = "also hide the N largest rungs, fit the rest, and predict what was hidden", HelpName = "N" };
    private static readonly Option<int> s_warmup = new("--warmup") { Description = "of curves: how many of the first steps rise", DefaultValueFactory = _ => 0, HelpName = "STEPS" };
    private static readonly Option<int> s_from = new("--from") { Description = "of curves: leave out what was measured before this step", DefaultValueFactory = _ => 0, HelpName = "STEP" };
    private static readonly Option<bool> s_scan = new("--scan-lambda") { Description = "of the annealing law: try several lambdas and keep the best" };
    private static readonly Option<string?> s_out = new("--out") { Description = "where to write fit.json, fit.svg and fit.csv; fits/LAW unless said", HelpName = "DIR" };

    public static Command Command
    {
        get
        {
            Verb fit = new("fit", "fit a law to a table of runs or to loss curves, with intervals and warnings", """
                windtunnel fit chinchilla runs.csv --n params --d tokens --loss val_loss
                windtunnel fit over-training runs.csv --group dataset --where "tokens>1e9"
                windtunnel fit chinchilla runs --n params_non_embedding --back-test 1
                windtunnel fit annealing stable.csv short.csv long.csv --warmup 300 --scan-lambda
                """)
            { s_words, s_group, s_where, s_fix, s_intervals, s_resamples, s_seed, s_backTest, s_warmup, s_from, s_scan, s_out };
            fit.SetAction(Run);
            return fit;
        }
    }

    private static int Run(ParseResult parsed)
    {
        LawWords words = LawWords.Parse(parsed.GetValue(s_words)!);
        FitSettings settings = new(
            words.Request.Objective, Pins(parsed), parsed.GetValue(s_intervals), Resamples(parsed, words.Request.Law), parsed.GetValue(s_seed));
        string folder = parsed.GetValue(s_out) ?? Path.Combine("fits", LawCatalog.NameOf(words.Request.Law));
        if (words.Data.Count == 0)
        {
            throw new ValidationException($"fit {LawCatalog.NameOf(words.Request.Law)}: give {(words.Request.Law is CurveLaw ? "loss curves" : "a table or folder of runs")} after the law");
        }

        if (words.Request.Law is CurveLaw curves)
        {
            FitCurves(parsed, curves, words.Data, settings, folder);
        }
        else
        {
            FitRows(parsed, (PointLaw)words.Request.Law, words, settings, folder);
        }

        return 0;
    }

    private static void FitRows(ParseResult parsed, PointLaw law, LawWords words, FitSettings settings, string folder)
    {
        PointTable table = PointTable.Read(words.Data.Count == 1 ? words.Data[0] : throw new ValidationException("fit: give one table or folder of runs"));
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

            Save(fit, FitFigure.Draw(fit), Path.Combine(folder, SafeName(group)));
        }
    }

    private static void FitCurves(ParseResult parsed, CurveLaw law, IReadOnlyList<string> paths, FitSettings settings, string folder)
    {
        LossCurve[] curves = [.. paths.SelectMany(path => Read(path, parsed.GetValue(s_warmup))).Select(curve => curve.From(parsed.GetValue(s_from)))];
        if (parsed.GetValue(s_scan))
        {
            LambdaScan scan = LambdaScan.Of(
                law as AnnealingLaw ?? throw new ValidationException("--scan-lambda: only the annealing law has a lambda"), curves, settings.Objective, pins: settings.Pins);
            law = scan.Law;
            Console.WriteLine($"lambda {scan.Law.Lambda}: objectives {string.Join(", ", scan.Profile.Select(at => $"{at.Lambda} {at.Value:G4}"))}");
        }

        CurveFit fit = CurveFit.Of(law, curves, string.Join(", ", paths), settings);
        FitReport.Write(fit.Fit);
        FitReport.Write(curves, fit.Scores);
        Save(fit.Fit, FitFigure.Draw(fit.Fit, curves), folder);
    }

    // A curve file, a folder of curves, or a run.
    private static IEnumerable<LossCurve> Read(string path, int warmup)
    {
        string full = Path.GetFullPath(path);
        return File.Exists(Path.Combine(full, "run.json")) ? [LossCurve.Read(RunFolder.Open(Path.GetDirectoryName(full)!, Path.GetFileName(full)), warmup)]
            : Directory.Exists(full) ? LossCurve.ReadFolder(path, warmup)
            : [LossCurve.Read(path, warmup)];
    }

    private static void Save(Fit fit, Figure figure, string folder)
    {
        Directory.CreateDirectory(folder);
        fit.Save(Path.Combine(folder, "fit.json"));
        AtomicFile.WriteText(Path.Combine(folder, "fit.svg"), figure.ToSvg());
        AtomicFile.WriteText(Path.Combine(folder, "fit.csv"), figure.ToCsv());
        Console.WriteLine($"written: {Path.Combine(folder, "fit.json")}, fit.svg, fit.csv");
        Console.WriteLine();
    }

    // Groups come from the data: they must not lead out of the folder.
    private static string SafeName(string group) => string.Concat(group.Select(letter => char.IsLetterOrDigit(letter) || letter is '-' or '_' ? letter : '_'));

    private static int Resamples(ParseResult parsed, Law law)
    {
        int resamples = parsed.GetValue(s_resamples) ?? (law is CurveLaw ? CurveFit.Replicates : 1000);
        return resamples is >= 20 and <= 1_000_000 ? resamples : throw new ValidationException($"--resamples {resamples}: must be 20 to 1,000,000");
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
