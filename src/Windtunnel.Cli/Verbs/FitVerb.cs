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
    private const int MostLetters = 60;

    private static readonly Argument<string[]> s_words = LawWords.Argument();
    private static readonly Option<string?> s_group = new("--group") { Description = "fit each value of this column on its own", HelpName = "COLUMN" };
    private static readonly Option<string[]> s_where = new("--where") { Description = "only rows that meet a condition, such as dataset=C4 or \"tokens>1e9\"", HelpName = "CONDITION" };
    private static readonly Option<string[]> s_fix = new("--fix") { Description = "hold a parameter", HelpName = "NAME=VALUE" };
    private static readonly Option<IntervalMethod?> s_intervals = new("--intervals") { Description = "how to find 95 % intervals; profiles where they can be had, unless said", HelpName = "profile|bootstrap|none" };
    private static readonly Option<int?> s_resamples = new("--resamples") { Description = $"resamples of a bootstrap; 1000 unless said, {CurveFit.Replicates} for curves", HelpName = "N" };
    private static readonly Option<int> s_seed = new("--seed") { Description = "of the resamples", DefaultValueFactory = _ => 0, HelpName = "N" };
    private static readonly Option<int?> s_backTest = new("--back-test") { Description = "also hide the N largest rungs, fit the rest, and predict what was hidden; of curves: leave out each in turn", HelpName = "N" };
    private static readonly Option<string?> s_curves = new("--curves") { Description = "loss curves: CSV files, folders of them, or runs; the same as naming them after the law", HelpName = "FILE,FILE,..." };
    private static readonly Option<int> s_warmup = new("--warmup") { Description = "of curves: how many of the first steps rise", DefaultValueFactory = _ => 0, HelpName = "STEPS" };
    private static readonly Option<int> s_from = new("--from") { Description = "of curves: leave out what was measured before this step", DefaultValueFactory = _ => 0, HelpName = "STEP" };
    private static readonly Option<bool> s_scan = new("--scan-lambda") { Description = "of the annealing law: try several lambdas and keep the best" };
    private static readonly Option<string?> s_sizes = new("--params") { Description = "of curves, for a law with size: non-embedding parameters, one a curve or one for all; runs know theirs", HelpName = "N,N,..." };
    private static readonly Option<string?> s_out = new("--out") { Description = "where to write fit.json, fit.svg and fit.csv; fits/LAW unless said", HelpName = "DIR" };

    public static Command Command
    {
        get
        {
            Verb fit = new("fit", "fit a law to a table of runs or to loss curves, with intervals and warnings", """
                windtunnel fit chinchilla runs.csv --n params --d tokens --loss val_loss
                windtunnel fit over-training runs.csv --group dataset --where "tokens>1e9"
                windtunnel fit chinchilla runs.csv --objective huber --objective.delta 1e-4
                windtunnel fit chinchilla runs --n params_non_embedding --back-test 1
                windtunnel fit annealing --curves stable.csv,short.csv,long.csv --warmup 300 --scan-lambda
                windtunnel fit annealing 25m.csv 100m.csv --size=true --params 25e6,100e6 --loss val_loss
                """)
            { s_words, s_group, s_where, s_fix, s_intervals, s_resamples, s_seed, s_backTest, s_curves, s_warmup, s_from, s_scan, s_sizes, s_out };
            fit.SetAction(Run);
            return fit;
        }
    }

    private static int Run(ParseResult parsed)
    {
        LawWords words = LawWords.Parse(parsed.GetValue(s_words)!);
        words = words with { Data = [.. words.Data, .. parsed.GetValue(s_curves)?.Split(',', StringSplitOptions.RemoveEmptyEntries) ?? []] };
        Law law = words.Request.Law;
        string name = LawCatalog.NameOf(law);
        FitSettings settings = new(words.Request.Objective, Pins(parsed), parsed.GetValue(s_intervals), Resamples(parsed, law), parsed.GetValue(s_seed));
        string folder = parsed.GetValue(s_out) ?? Path.Combine("fits", name);
        if (words.Data.Count == 0)
        {
            throw new ValidationException($"fit {name}: give {(law is CurveLaw ? "loss curves" : "a table or folder of runs")} after the law");
        }

        if (law is PointLaw ofRows)
        {
            LawWords.Refuse(parsed, $"is about loss curves, and {name} is a law of single runs", s_curves, s_warmup, s_from, s_scan, s_sizes);
            return FitRows(parsed, ofRows, words, settings, folder);
        }

        LawWords.Refuse(parsed, $"is about tables of runs, and {name} is a law of loss curves", s_group, s_where);
        FitCurves(parsed, (CurveLaw)law, words, settings, folder);
        return 0;
    }

    private static int FitRows(ParseResult parsed, PointLaw law, LawWords words, FitSettings settings, string folder)
    {
        PointTable table = PointTable.Read(words.Data.Count == 1 ? words.Data[0] : throw new ValidationException(
            $"fit: give one table or folder of runs, not {string.Join(" and ", words.Data)}"));
        table = (parsed.GetValue(s_where) ?? []).Aggregate(table, (rows, condition) => rows.Where(condition));
        if (table.Count == 0)
        {
            throw new ValidationException($"{table.Source}: has no rows{(parsed.GetValue(s_where) is { Length: > 0 } conditions ? $" with {string.Join(" and ", conditions)}" : "")}");
        }

        if (parsed.GetValue(s_group) is not { } column)
        {
            FitTable(parsed, law, words, settings, table, folder);
            return 0;
        }

        // A group that cannot be fitted says so, and does not keep the others from it.
        int exitCode = 0;
        HashSet<string> taken = new(StringComparer.OrdinalIgnoreCase);
        foreach ((string group, PointTable rows) in table.GroupBy(column))
        {
            Console.WriteLine(PlainText.Line($"== {group}"));
            try
            {
                FitTable(parsed, law, words, settings, rows, Path.Combine(folder, FolderName(group, taken)));
            }
            catch (Exception error) when (error is ValidationException or InvalidDataException)
            {
                exitCode = Math.Max(exitCode, CommandLine.Fail(error, $"{column} {PointTable.Quote(group)}: "));
            }
        }

        return exitCode;
    }

    private static void FitTable(ParseResult parsed, PointLaw law, LawWords words, FitSettings settings, PointTable table, string folder)
    {
        Observations data = table.Observe(law, words.Columns);
        Fit fit = Fit.Of(law, data, settings);
        FitReport.Write(fit);
        Save(fit, FitFigure.Draw(fit), folder);
        if (parsed.GetValue(s_backTest) is { } hidden)
        {
            FitReport.Write(BackTest.Run(law, data, hidden, settings));
        }

        Console.WriteLine();
    }

    private static void FitCurves(ParseResult parsed, CurveLaw law, LawWords words, FitSettings settings, string folder)
    {
        int warmup = Steps(parsed, s_warmup), from = Steps(parsed, s_from);
        LossCurve[] curves = [.. Sized(law, parsed.GetValue(s_sizes), [.. words.Data.SelectMany(path => Read(path, warmup, words.Columns)).Select(curve => curve.From(from))])];
        if (parsed.GetValue(s_scan))
        {
            LambdaScan scan = LambdaScan.Of(
                law as AnnealingLaw ?? throw new ValidationException("--scan-lambda: only the annealing law has a lambda"), curves, settings.Objective, pins: settings.Pins);
            law = scan.Law;
            Console.WriteLine($"lambda {scan.Law.Lambda}: objectives {string.Join(", ", scan.Profile.Select(at => $"{at.Lambda} {at.Value:G4}"))}");
        }

        CurveFit fit = CurveFit.Of(law, curves, string.Join(", ", words.Data), settings);
        FitReport.Write(fit.Fit);
        Save(fit.Fit, FitFigure.Draw(fit.Fit, curves), folder);
        IReadOnlyList<LeaveOneOut> leftOut = parsed.GetValue(s_backTest) is null ? [] : LeaveOneOut.Of(law, new Fitter(law.Bind(curves), fit.Fit.Objective, fit.Fit.Pins));
        FitReport.Write(curves, fit.Scores, [.. leftOut.Select(each => each.Score)]);
    }

    // A curve file, a folder of curves, or a run, which knows the size of its model.
    private static IEnumerable<LossCurve> Read(string path, int warmup, IReadOnlyDictionary<string, string> columns)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        if (!File.Exists(Path.Combine(full, "run.json")))
        {
            return Directory.Exists(full) ? LossCurve.ReadFolder(path, warmup, mapping: columns) : [LossCurve.Read(path, warmup, mapping: columns)];
        }

        RunFolder run = columns.Count == 0
            ? RunFolder.Open(Path.GetDirectoryName(full)!, Path.GetFileName(full))
            : throw new ValidationException($"--{columns.First().Key}: names a column of a CSV file, and {path} is a run");
        return [LossCurve.Read(run, warmup, parameters: RunRecord.Load(run.RecordPath).Model?.NonEmbedding ?? double.NaN)];
    }

    private static IEnumerable<LossCurve> Sized(CurveLaw law, string? list, LossCurve[] curves)
    {
        if (list is null)
        {
            return !law.NeedsParameters || curves.FirstOrDefault(curve => double.IsNaN(curve.Parameters)) is not { } unknown ? curves : throw new ValidationException(
                $"{unknown.Name}: the law needs its non-embedding parameters; give --params 25e6,100e6,... (one a curve, or one for all)");
        }

        if (!law.NeedsParameters)
        {
            throw new ValidationException($"--params: this law has no size in it{(law is AnnealingLaw ? "; --size=true puts it in" : "")}");
        }

        double[] sizes = [.. list.Split(',').Select(word => double.TryParse(word, out double size) && size > 0 && double.IsFinite(size)
            ? size
            : throw new ValidationException($"--params {list}: '{word}' is not a positive number"))];
        return sizes.Length == 1 || sizes.Length == curves.Length
            ? curves.Select((curve, i) => LossCurve.Of(curve.Name, curve.Steps.Zip(curve.Losses), curve.Rates, sizes[sizes.Length == 1 ? 0 : i]))
            : throw new ValidationException($"--params {list}: {Quantity.Of(sizes.Length, "size")} for {Quantity.Of(curves.Length, "curve")} ({string.Join(", ", curves.Select(curve => curve.Name))})");
    }

    private static int Steps(ParseResult parsed, Option<int> option) => parsed.GetValue(option) is >= 0 and int steps
        ? steps
        : throw new ValidationException($"{option.Name} {parsed.GetValue(option)}: must be 0 or more");

    private static void Save(Fit fit, Figure figure, string folder)
    {
        Directory.CreateDirectory(folder);
        fit.Save(Path.Combine(folder, "fit.json"));
        AtomicFile.WriteText(Path.Combine(folder, "fit.svg"), figure.ToSvg());
        AtomicFile.WriteText(Path.Combine(folder, "fit.csv"), figure.ToCsv());
        Console.WriteLine($"written: {Path.Combine(folder, "fit.json")}, fit.svg, fit.csv");
    }

    // Groups come from the data: their folders must not lead out of this one, and must differ.
    private static string FolderName(string group, HashSet<string> taken)
    {
        string safe = string.Concat(group.Take(MostLetters).Select(letter => char.IsLetterOrDigit(letter) || letter is '-' or '_' ? letter : '_'));
        safe = safe.Length > 0 ? safe : "empty";
        string name = safe;
        for (int next = 2; !taken.Add(name); next++)
        {
            name = $"{safe}-{next}";
        }

        return name;
    }

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
