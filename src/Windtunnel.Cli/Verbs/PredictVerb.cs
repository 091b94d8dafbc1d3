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

    private static readonly Option<string?> s_targets = new("--targets") { Description = "a table of runs to predict, with a column for each input, and one for the result where it is known", HelpName = "FILE.csv" };
    private static readonly Option<string[]> s_where = new("--where") { Description = "only targets that meet a condition", HelpName = "CONDITION" };
    private static readonly Option<double?> s_actual = new("--actual") { Description = "what was measured, where it is known", HelpName = "VALUE" };
    private static readonly Option<string?> s_error = new("--error-fit") { Description = "a fit of the downstream law: predict the error too", HelpName = "FIT.json" };
    private static readonly Option<double?> s_actualError = new("--actual-error") { Description = "the error that was measured, where it is known", HelpName = "VALUE" };
    private static readonly Option<int?> s_steps = new("--steps") { Description = "of a curve: how many updates", HelpName = "N" };
    private static readonly Option<double?> s_rate = new("--lr") { Description = "of a curve: the highest learning rate", HelpName = "RATE" };
    private static readonly Option<double> s_size = new("--params") { Description = "of a curve: non-embedding parameters, where the law needs them", DefaultValueFactory = _ => double.NaN, HelpName = "N" };
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
                """)
            { s_words, s_targets, s_where, s_actual, s_error, s_actualError, s_steps, s_rate, s_size, s_out };
            predict.SetAction(Run);
            return predict;
        }
    }

    private static int Run(ParseResult parsed)
    {
        (IReadOnlyList<string> files, IReadOnlyList<(string Name, string Value)> settings) = LawWords.Split(parsed.GetValue(s_words)!);
        Fit fit = Fit.Load(files.Count == 1 ? files[0] : throw new ValidationException("predict: give one fit.json"));
        if (fit.Law is PointLaw law)
        {
            PredictRuns(parsed, fit, law, settings);
        }
        else
        {
            PredictCurve(parsed, fit, settings);
        }

        return 0;
    }

    private static void PredictRuns(ParseResult parsed, Fit fit, PointLaw law, IReadOnlyList<(string Name, string Value)> settings)
    {
        string? errorPath = parsed.GetValue(s_error);
        Fit? error = errorPath is null ? null : Fit.Load(errorPath);
        if (error is not null && error.Law is not DownstreamErrorLaw)
        {
            throw new ValidationException($"--error-fit {errorPath}: is a fit of {LawCatalog.NameOf(error.Law)}, not of the downstream law");
        }

        List<(string Name, double[] X, double Actual)> targets = [.. Targets(parsed, law, settings)];
        FitPredictor predictor = new(fit);
        Prediction[] predictions = [.. targets.Select(target => predictor.At(target.X))];

        Console.WriteLine($"{LawCatalog.NameOf(fit.Law)}  {fit.Law.Formula}");
        TextTable table = new(["<", .. law.Inputs.Select(input => input.Name), law.Output.Name, "95 % from", "to", "of one run", "to", "beyond the fit", "actual", "error"]);
        foreach (((string name, double[] x, double actual), Prediction at) in targets.Zip(predictions))
        {
            table.Add([
                name, .. x.Select(Input), $"{at.Value:F4}", FitReport.End(at.Mean.Low), FitReport.End(at.Mean.High), FitReport.End(at.Single.Low), FitReport.End(at.Single.High),
                at.Extrapolation > 1 ? $"{at.Extrapolation:0.#}x" : "inside", double.IsNaN(actual) ? null : $"{actual:F4}",
                double.IsNaN(actual) ? null : $"{(at.Value - actual) / actual:+0.00%;-0.00%}"]);
        }

        table.Write();
        if (error is not null)
        {
            WriteErrors(error, targets, predictions, parsed.GetValue(s_actualError));
        }

        foreach (string warning in fit.Warnings.Concat(error?.Warnings ?? []))
        {
            Console.WriteLine($"! {warning}");
        }

        Save(parsed, FitFigure.Draw(fit, [.. targets.Zip(predictions, (target, at) => (target.X, at, target.Actual))]));
    }

    // Both legs: the error from the predicted loss, and from the loss that was measured.
    private static void WriteErrors(Fit error, List<(string Name, double[] X, double Actual)> targets, Prediction[] predictions, double? actualError)
    {
        FitPredictor predictor = new(error);
        Console.WriteLine();
        Console.WriteLine($"{LawCatalog.NameOf(error.Law)}  {error.Law.Formula}");
        TextTable table = new("<", "from predicted loss", "95 % from", "to", "from actual loss", "actual", "error of the chain", "of its second leg");
        foreach (((string name, _, double actual), Prediction loss) in targets.Zip(predictions))
        {
            Prediction chain = predictor.At(loss.Value);
            double? second = double.IsNaN(actual) ? null : predictor.At(actual).Value;
            table.Add(
                name, $"{chain.Value:F4}", FitReport.End(chain.Mean.Low), FitReport.End(chain.Mean.High), $"{second:F4}", $"{actualError:F4}",
                $"{(chain.Value / actualError) - 1:+0.00%;-0.00%}", $"{(second / actualError) - 1:+0.00%;-0.00%}");
        }

        table.Write();
        Console.WriteLine("intervals of the error take the loss as given; an accurate chain can be two errors that cancel");
    }

    private static IEnumerable<(string Name, double[] X, double Actual)> Targets(ParseResult parsed, PointLaw law, IReadOnlyList<(string Name, string Value)> settings)
    {
        double actual = parsed.GetValue(s_actual) ?? double.NaN;
        if (parsed.GetValue(s_targets) is not { } path)
        {
            yield return ("", Inputs(law, settings.ToDictionary(setting => setting.Name, setting => Number(setting.Name, setting.Value))), actual);
            yield break;
        }

        PointTable table = PointTable.Read(path);
        foreach (string condition in parsed.GetValue(s_where) ?? [])
        {
            table = table.Where(condition);
        }

        Dictionary<string, string> columns = settings.ToDictionary(setting => setting.Name, setting => setting.Value);
        IReadOnlyList<double>[] inputs = [.. law.Inputs.Select(input => table.Numbers(table.ColumnFor(input.Name, columns)))];
        string? result = columns.ContainsKey(law.Output.Name) || table.Columns.Contains(law.Output.Name) ? table.ColumnFor(law.Output.Name, columns) : null;
        for (int row = 0; row < table.Count; row++)
        {
            double[] x = [.. inputs.Select(column => column[row])];
            int bad = Array.FindIndex(x, value => !(value > 0 && double.IsFinite(value)));
            yield return bad < 0
                ? (table.Labels[row], x, result is null ? double.NaN : table.Numbers(result)[row])
                : throw new InvalidDataException($"{path}: {table.Labels[row]}: {law.Inputs[bad].Name} must be a positive number");
        }
    }

    // The law's own inputs, or compute C = 6ND and tokens a parameter M for laws of N and D.
    private static double[] Inputs(PointLaw law, Dictionary<string, double> given)
    {
        if (given.Count == 2 && given.TryGetValue("c", out double compute) && given.TryGetValue("m", out double multiplier) && law.Inputs is [{ Name: "n" }, { Name: "d" }])
        {
            (double n, double d) = OverTrainingLaw.Allocate(compute, multiplier);
            return [n, d];
        }

        string wanted = string.Join(", ", law.Inputs.Select(input => $"--{input.Name} ({input.Meaning})"));
        return given.Count == law.Inputs.Count && law.Inputs.All(input => given.ContainsKey(input.Name))
            ? [.. law.Inputs.Select(input => given[input.Name])]
            : throw new ValidationException($"predict: give {wanted}{(law.Inputs is [{ Name: "n" }, { Name: "d" }] ? ", or --c (operations, 6ND) and --m (tokens a parameter)" : "")}");
    }

    private static void PredictCurve(ParseResult parsed, Fit fit, IReadOnlyList<(string Name, string Value)> settings)
    {
        int steps = parsed.GetValue(s_steps) ?? throw new ValidationException("predict: a curve needs --steps");
        double peak = parsed.GetValue(s_rate) ?? throw new ValidationException("predict: a curve needs --lr, the highest learning rate");
        if (steps is < 2 or > LearningRateSequence.StepsMax || !(peak > 0 && double.IsFinite(peak)))
        {
            throw new ValidationException($"predict: --steps must be 2 to {LearningRateSequence.StepsMax:N0} and --lr positive");
        }

        ScheduleRequest request = ConfigFile.Bind<ScheduleRequest>(
            ConfigFile.Apply<ScheduleRequest>(new JsonObject(), "command line", [.. settings.Select(setting => $"{setting.Name}={setting.Value}")]), "command line");
        ScheduleOptions options = request.Schedule ?? new WsdOptions();
        Schedule schedule = options.Build(steps, tokensAStep: 1);
        int warmup = (int)options.Warmup.Steps(1, steps);
        LearningRateSequence rates = LearningRateSequence.OfUpdates(steps, update => peak * schedule.Factor(update), warmup);
        int first = Math.Max(warmup + 1, steps / 50);
        int[] shown = [.. Enumerable.Range(0, 201).Select(i => first + (int)((long)i * (steps - first) / 200)).Distinct()];
        IReadOnlyList<Prediction> curve = new FitPredictor(fit).Curve(rates, shown, parsed.GetValue(s_size));

        Console.WriteLine($"{LawCatalog.NameOf(fit.Law)}  {fit.Law.Formula}");
        TextTable table = new("step", "lr", "loss", "95 % from", "to", "of one run", "to");
        for (int i = 0; i < shown.Length; i += Math.Max(1, shown.Length / 10))
        {
            Prediction at = curve[i];
            table.Add(
                $"{shown[i]:N0}", $"{rates[shown[i]]:0.00e+00}", $"{at.Value:F4}", FitReport.End(at.Mean.Low), FitReport.End(at.Mean.High), FitReport.End(at.Single.Low), FitReport.End(at.Single.High));
        }

        table.Write();
        foreach (string warning in fit.Warnings)
        {
            Console.WriteLine($"! {warning}");
        }

        Save(parsed, FitFigure.Draw(fit, "predicted", rates, shown, curve));
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

    private static string Input(double value) => Quantity.Count(value);

    private sealed record ScheduleRequest(ScheduleOptions? Schedule = null);
}
