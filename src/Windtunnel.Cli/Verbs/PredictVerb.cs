using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using Windtunnel.Laws;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Figures;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Cli.Verbs;

/// <summary>Predicts runs, their downstream error, or whole loss curves from a fit.</summary>
internal static class PredictVerb
{
    private static readonly Argument<string[]> s_words = new("fit")
    {
        Description = "fit.json and the inputs of the law, such as --n 1.4e9 --d 9e11, or --c 8e21 --m 640; for curves a schedule",
        Arity = ArgumentArity.ZeroOrMore,
        DefaultValueFactory = _ => [],
    };

    private static readonly Option<string?> s_targets = new("--targets") { Description = "a table of runs to predict, with a column for each input (or c and m), and one for the result, and the error, where they are known", HelpName = "FILE.csv" };
    private static readonly Option<string[]> s_where = new("--where") { Description = "only targets that meet a condition", HelpName = "CONDITION" };
    private static readonly Option<double?> s_actual = new("--actual") { Description = "what was measured, where it is known; of a curve: at its end", HelpName = "VALUE" };
    private static readonly Option<string?> s_error = new("--error-fit") { Description = "a fit of the downstream law: predict the error too", HelpName = "FIT.json" };
    private static readonly Option<double?> s_actualError = new("--actual-error") { Description = "the error that was measured, where it is known", HelpName = "VALUE" };
    private static readonly Option<string?> s_schedule = new("--schedule-file") { Description = "of a curve: a table of the learning rate, with columns step and lr", HelpName = "FILE.csv" };
    private static readonly Option<int> s_warmup = new("--warmup") { Description = "of a schedule file: how many of the first steps rise", DefaultValueFactory = _ => 0, HelpName = "STEPS" };
    private static readonly Option<int?> s_steps = new("--steps") { Description = "of a curve: how many updates", HelpName = "N" };
    private static readonly Option<string?> s_rate = new("--lr") { Description = "of a curve: the highest learning rate; of a schedule file: its column", HelpName = "RATE" };
    private static readonly Option<double?> s_size = new("--params") { Description = "of a curve: non-embedding parameters, where the law needs them", HelpName = "N" };
    private static readonly Option<string?> s_out = new("--out") { Description = "where to write predict.svg and predict.csv", HelpName = "DIR" };

    public static Command Command
    {
        get
        {
            Verb predict = new("predict", "predict runs, downstream errors or loss curves from a fit", """
                windtunnel predict fits/over-training/fit.json --n 1.4e9 --d 9.2e11 --actual 2.502
                windtunnel predict fits/over-training/fit.json --c 7.96e21 --m 640 --error-fit fits/downstream/fit.json
                windtunnel predict fits/chinchilla/fit.json --targets larger.csv
                windtunnel predict fits/annealing/fit.json --steps 50000 --lr 1e-3 --schedule wsd --schedule.decay=0.2
                windtunnel predict fits/annealing/fit.json --schedule-file rates.csv --warmup 300
                """)
            { s_words, s_targets, s_where, s_actual, s_error, s_actualError, s_schedule, s_warmup, s_steps, s_rate, s_size, s_out };
            predict.SetAction(Run);
            return predict;
        }
    }

    private static int Run(ParseResult parsed)
    {
        (IReadOnlyList<string> files, IReadOnlyList<(string Name, string Value)> words) = LawWords.Split(parsed.GetValue(s_words)!);
        Fit fit = Fit.Load(files.Count == 1 ? files[0] : throw new ValidationException("predict: give one fit.json"));
        Dictionary<string, string> settings = words.ToDictionary(word => word.Name, word => word.Value);
        string name = LawCatalog.NameOf(fit.Law);
        if (fit.Law is PointLaw law)
        {
            LawWords.Refuse(parsed, $"is about loss curves, and {name} is a law of single runs", s_schedule, s_warmup, s_steps, s_rate, s_size);
            PredictRuns(parsed, fit, law, settings);
        }
        else
        {
            LawWords.Refuse(parsed, $"is about single runs, and {name} is a law of loss curves", s_targets, s_where, s_error, s_actualError);
            PredictCurve(parsed, fit, settings);
        }

        return 0;
    }

    private static void PredictRuns(ParseResult parsed, Fit fit, PointLaw law, Dictionary<string, string> settings)
    {
        string? errorPath = parsed.GetValue(s_error);
        Fit? error = errorPath is null ? null : Fit.Load(errorPath);
        if (error is not null && (error.Law is not DownstreamErrorLaw || law.Output.Name != "loss"))
        {
            throw new ValidationException(error.Law is DownstreamErrorLaw
                ? $"--error-fit: takes a loss, and {LawCatalog.NameOf(law)} predicts {law.Output.Name}"
                : $"--error-fit {errorPath}: is a fit of {LawCatalog.NameOf(error.Law)}, not of the downstream law");
        }

        if (error is null)
        {
            LawWords.Refuse(parsed, "needs --error-fit, which predicts the error", s_actualError);
        }

        IReadOnlyList<Target> targets = parsed.GetValue(s_targets) is { } path
            ? Targets(parsed, path, law, settings, error is not null)
            : [Single(parsed, law, settings)];
        FitPredictor predictor = new(fit);
        Prediction[] predictions = [.. targets.Select(target => predictor.At(target.X))];

        Console.WriteLine($"{LawCatalog.NameOf(fit.Law)}  {fit.Law.Formula}");
        TextTable table = new(["<", .. law.Inputs.Select(input => input.Name), law.Output.Name, "95 % from", "to", "of one run", "to", "beyond the fit", "actual", "error"]);
        foreach ((Target target, Prediction at) in targets.Zip(predictions))
        {
            table.Add([
                target.Name, .. target.X.Select(Input), FitReport.Value(at.Value), FitReport.End(at.Mean.Low), FitReport.End(at.Mean.High), FitReport.End(at.Single.Low),
                FitReport.End(at.Single.High), Beyond(at.Extrapolation), Known(target.Actual), Deviation(at.Value, target.Actual)]);
        }

        table.Write();
        if (error is not null)
        {
            WriteErrors(error, targets, predictions);
        }

        FitReport.WriteWarnings(fit.Warnings.Concat(error?.Warnings ?? []));
        Save(parsed, FitFigure.Draw(fit, [.. targets.Zip(predictions, (target, at) => (target.X, at, target.Actual))]));
    }

    // Both legs: the error from the predicted loss, and from the loss that was measured.
    private static void WriteErrors(Fit error, IReadOnlyList<Target> targets, Prediction[] predictions)
    {
        ErrorOfLoss legs = new(error);
        Console.WriteLine();
        Console.WriteLine($"{LawCatalog.NameOf(error.Law)}  {error.Law.Formula}");
        TextTable table = new(
            "<", "from predicted loss", "95 % from", "to", "of one run", "to", "from actual loss", "actual", "error of the chain", "of its second leg");
        foreach ((Target target, Prediction loss) in targets.Zip(predictions))
        {
            Prediction chain = legs.At(loss);
            double second = double.IsNaN(target.Actual) ? double.NaN : legs.At(target.Actual).Value;
            table.Add(
                target.Name, $"{chain.Value:F4}", FitReport.End(chain.Mean.Low), FitReport.End(chain.Mean.High), FitReport.End(chain.Single.Low), FitReport.End(chain.Single.High),
                Known(second), Known(target.ActualError), Deviation(chain.Value, target.ActualError), Deviation(second, target.ActualError));
        }

        table.Write();
        Console.WriteLine("an accurate chain can be two errors that cancel: its second leg starts from the actual loss");
    }

    private static Target Single(ParseResult parsed, PointLaw law, Dictionary<string, string> settings)
    {
        LawWords.Refuse(parsed, "chooses among --targets", s_where);
        return new Target(
            "", Inputs(law, settings.ToDictionary(setting => setting.Key, setting => Number(setting.Key, setting.Value))),
            parsed.GetValue(s_actual) ?? double.NaN, parsed.GetValue(s_actualError) ?? double.NaN);
    }

    private static Target[] Targets(ParseResult parsed, string path, PointLaw law, Dictionary<string, string> columns, bool withError)
    {
        bool ofRuns = IsOfRuns(law);
        string[] known = [.. law.Inputs.Select(input => input.Name), law.Output.Name, .. ofRuns ? ["c", "m"] : Array.Empty<string>(), .. withError ? ["error"] : Array.Empty<string>()];
        if (columns.Keys.FirstOrDefault(name => !known.Contains(name)) is { } unknown)
        {
            throw new ValidationException($"--{unknown}: is no column that is needed; name those of {string.Join(", ", known)}");
        }

        PointTable table = (parsed.GetValue(s_where) ?? []).Aggregate(PointTable.Read(path), (rows, condition) => rows.Where(condition));
        if (table.Count == 0)
        {
            throw new ValidationException($"{path}: holds no target");
        }

        if (table.Count > 1)
        {
            LawWords.Refuse(parsed, $"is one value for {table.Count:N0} targets; put what was measured into a column of {path}", s_actual, s_actualError);
        }

        // Where runs are not given by their own inputs, compute and tokens a parameter say as much.
        bool byCompute = ofRuns && !columns.ContainsKey("n") && !columns.ContainsKey("d")
            && (columns.ContainsKey("c") || columns.ContainsKey("m") || table.FindColumn("n", columns) is null || table.FindColumn("d", columns) is null)
            && table.FindColumn("c", columns) is not null && table.FindColumn("m", columns) is not null;
        string[] names = byCompute ? ["c", "m"] : [.. law.Inputs.Select(input => input.Name)];
        bool[] positive = byCompute ? [true, true] : [.. law.Inputs.Select(input => input.Positive)];
        string[] named = [.. names.Select(name => table.ColumnFor(name, columns))];
        IReadOnlyList<double>[] inputs = [.. named.Select(table.Numbers)];
        IReadOnlyList<double> actual = Results(law.Output.Name, s_actual), errors = withError ? Results("error", s_actualError) : [];
        return [.. Enumerable.Range(0, table.Count).Select(row =>
        {
            double[] x = [.. inputs.Select(column => column[row])];
            int bad = Enumerable.Range(0, x.Length).FirstOrDefault(i => !double.IsFinite(x[i]) || (positive[i] && x[i] <= 0), -1);
            return bad < 0
                ? new Target(table.Labels[row], byCompute ? OfCompute(x[0], x[1]) : x, actual[row], withError ? errors[row] : double.NaN)
                : throw new InvalidDataException(
                    $"{path}: {table.Labels[row]}: {named[bad]}: {PointTable.Quote(table.Texts(named[bad])[row])} is not a{(positive[bad] ? " positive" : "")} number");
        })];

        IReadOnlyList<double> Results(string quantity, Option<double?> option) => parsed.GetValue(option) is { } one ? [one]
            : table.FindColumn(quantity, columns) is { } column ? table.Numbers(column)
            : [.. Enumerable.Repeat(double.NaN, table.Count)];
    }

    // The law's own inputs, or compute C = 6ND and tokens a parameter M for laws of N and D.
    private static double[] Inputs(PointLaw law, Dictionary<string, double> given)
    {
        if (given.Count == 2 && given.TryGetValue("c", out double compute) && given.TryGetValue("m", out double multiplier) && IsOfRuns(law))
        {
            return OfCompute(compute, multiplier);
        }

        string wanted = string.Join(", ", law.Inputs.Select(input => $"--{input.Name} ({input.Meaning})"));
        return given.Count == law.Inputs.Count && law.Inputs.All(input => given.ContainsKey(input.Name))
            ? [.. law.Inputs.Select(input => given[input.Name])]
            : throw new ValidationException($"predict: give {wanted}{(IsOfRuns(law) ? ", or --c (operations, 6ND) and --m (tokens a parameter)" : "")}");
    }

    private static bool IsOfRuns(PointLaw law) => law.Inputs is [{ Name: "n" }, { Name: "d" }];

    private static double[] OfCompute(double compute, double multiplier)
    {
        (double n, double d) = OverTrainingLaw.Allocate(compute, multiplier);
        return [n, d];
    }

    private static void PredictCurve(ParseResult parsed, Fit fit, Dictionary<string, string> settings)
    {
        bool sized = ((CurveLaw)fit.Law).NeedsParameters;
        if (sized ? parsed.GetValue(s_size) is not (> 0 and < double.PositiveInfinity) : parsed.GetValue(s_size) is not null)
        {
            throw new ValidationException(sized ? "predict: this law needs --params, a positive number of non-embedding parameters" : "--params: this law has no size in it");
        }

        LearningRateSequence rates = parsed.GetValue(s_schedule) is { } path ? FromFile(parsed, path, settings) : FromName(parsed, settings);
        if (rates.Last < 1 || rates.Warmup > rates.Last)
        {
            throw new ValidationException($"predict: a schedule of {Quantity.Of(rates.Last, "step")}, {rates.Warmup:N0} of them warm-up, leaves nothing to predict");
        }

        int first = Math.Max(Math.Max(1, rates.Warmup), rates.Last / 50);
        int[] shown = [.. Enumerable.Range(0, 201).Select(i => first + (int)((long)i * (rates.Last - first) / 200)).Distinct()];
        IReadOnlyList<Prediction> curve = new FitPredictor(fit).Curve(rates, shown, parsed.GetValue(s_size) ?? double.NaN);

        Console.WriteLine($"{LawCatalog.NameOf(fit.Law)}  {fit.Law.Formula}");
        TextTable table = new("step", "lr", "loss", "95 % from", "to", "of one run", "to");
        foreach (int i in Enumerable.Range(0, 11).Select(tenth => tenth * (shown.Length - 1) / 10).Distinct())
        {
            Prediction at = curve[i];
            table.Add(
                $"{shown[i]:N0}", $"{rates[shown[i]]:0.00e+00}", $"{at.Value:F4}", FitReport.End(at.Mean.Low), FitReport.End(at.Mean.High), FitReport.End(at.Single.Low), FitReport.End(at.Single.High));
        }

        table.Write();
        if (parsed.GetValue(s_actual) is { } actual)
        {
            Console.WriteLine($"at the end: predicted {curve[^1].Value:F4}, actual {actual:F4}, error {Deviation(curve[^1].Value, actual)}");
        }

        FitReport.WriteWarnings(curve[^1].Extrapolation > 1.05
            ? [.. fit.Warnings, $"the schedule lies {Quantity.Count(curve[^1].Extrapolation)} times outside the curves that were fitted"]
            : fit.Warnings);
        Save(parsed, FitFigure.Draw(fit, "predicted", rates, shown, curve));
    }

    private static LearningRateSequence FromFile(ParseResult parsed, string path, Dictionary<string, string> settings)
    {
        LawWords.Refuse(parsed, "is for schedules by name; --schedule-file has its own steps", s_steps);
        if (settings.Keys.FirstOrDefault(name => name != "step") is { } other)
        {
            throw new ValidationException($"--{other}: does not go with --schedule-file, which is a schedule already");
        }

        if (parsed.GetValue(s_rate) is { } column)
        {
            settings["lr"] = column;
        }

        int warmup = parsed.GetValue(s_warmup);
        return warmup >= 0
            ? LearningRateSequence.Read(PointTable.Read(path), warmup, settings)
            : throw new ValidationException($"--warmup {warmup}: must be 0 or more");
    }

    private static LearningRateSequence FromName(ParseResult parsed, Dictionary<string, string> settings)
    {
        LawWords.Refuse(parsed, "is for --schedule-file; of a schedule by name write --schedule.warmup", s_warmup);
        int steps = parsed.GetValue(s_steps) ?? throw new ValidationException("predict: a curve needs --steps and --lr, or --schedule-file");
        double peak = Number("lr", parsed.GetValue(s_rate) ?? throw new ValidationException("predict: a curve needs --lr, the highest learning rate"));
        if (steps is < 2 or >= LearningRateSequence.StepsMax)
        {
            throw new ValidationException($"--steps {steps}: must be 2 to {LearningRateSequence.StepsMax - 1:N0}");
        }

        ScheduleRequest request = ConfigFile.Bind<ScheduleRequest>(
            ConfigFile.Apply<ScheduleRequest>(new JsonObject(), "command line", [.. settings.Select(setting => $"{setting.Key}={setting.Value}")]), "command line");
        ScheduleOptions options = request.Schedule ?? new WsdOptions();
        Schedule schedule = options.Build(steps, tokensAStep: 1);
        return LearningRateSequence.OfUpdates(steps, update => peak * schedule.Factor(update), (int)options.Warmup.Steps(1, steps));
    }

    private static void Save(ParseResult parsed, Figure figure)
    {
        if (parsed.GetValue(s_out) is { } folder)
        {
            Directory.CreateDirectory(folder);
            AtomicFile.WriteText(Path.Combine(folder, "predict.svg"), figure.ToSvg());
            AtomicFile.WriteText(Path.Combine(folder, "predict.csv"), figure.ToCsv());
            Console.WriteLine($"written: {Path.Combine(folder, "predict.svg")}, predict.csv");
        }
    }

    private static double Number(string name, string value) => double.TryParse(value, out double number) && number > 0 && double.IsFinite(number)
        ? number
        : throw new ValidationException($"--{name} {value}: must be a positive number");

    private static string Input(double value) => Math.Abs(value) < 100 ? $"{value:G5}" : Quantity.Count(value);

    private static string Beyond(double times) => times <= 1 ? "inside" : times < 10_000 ? $"{times:0.#}x" : $"{Quantity.Count(times)}x";

    private static string? Known(double value) => double.IsNaN(value) ? null : FitReport.Value(value);

    private static string? Deviation(double predicted, double actual) => double.IsNaN(predicted / actual) ? null : FitReport.Deviation((predicted / actual) - 1);

    // A run to predict: its inputs in the order of the law, and what was measured, NaN where it is not known.
    private sealed record Target(string Name, double[] X, double Actual, double ActualError);

    private sealed record ScheduleRequest(ScheduleOptions? Schedule = null);
}
