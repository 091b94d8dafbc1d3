using System.ComponentModel.DataAnnotations;
using Windtunnel.Runs;

namespace Windtunnel.Laws.Curves;

/// <summary>The losses of one run and the learning rates that led to them. Rows of the warm-up are not kept: laws describe what follows it.</summary>
public sealed class LossCurve
{
    private LossCurve(string name, int[] steps, double[] losses, LearningRateSequence rates, double parameters)
    {
        (Name, Steps, Losses, Rates, Parameters) = (name, steps, losses, rates, parameters);
    }

    /// <summary>What it is called in tables and messages.</summary>
    public string Name { get; }

    /// <summary>Ascending; each after the warm-up.</summary>
    public IReadOnlyList<int> Steps { get; }

    /// <summary>The loss at each step, in nats a token.</summary>
    public IReadOnlyList<double> Losses { get; }

    /// <summary>The learning rate of every update.</summary>
    public LearningRateSequence Rates { get; }

    /// <summary>Non-embedding parameters of the model; NaN where unknown. Only laws with model size need it.</summary>
    public double Parameters { get; }

    /// <summary>A curve from rows in any order; of rows that repeat a step, as resumed runs log them, the last counts.</summary>
    /// <exception cref="ValidationException">A loss is not positive, a step lies beyond the rates, or nothing lies after the warm-up.</exception>
    public static LossCurve Of(string name, IEnumerable<(int Step, double Loss)> rows, LearningRateSequence rates, double parameters = double.NaN)
    {
        SortedDictionary<int, double> sorted = [];
        foreach ((int step, double loss) in rows)
        {
            if (!(loss > 0) || double.IsInfinity(loss))
            {
                throw new ValidationException($"{name}: the loss at step {step} is {loss}; losses are positive numbers");
            }

            if (step < 0 || step > rates.Last)
            {
                throw new ValidationException($"{name}: there is a loss at step {step}, but the schedule has steps 0 to {rates.Last}");
            }

            if (step >= rates.Warmup)
            {
                sorted[step] = loss;
            }
        }

        return sorted.Count > 0
            ? new LossCurve(name, [.. sorted.Keys], [.. sorted.Values], rates, parameters)
            : throw new ValidationException($"{name}: there is no loss after the warm-up of {rates.Warmup} steps");
    }

    /// <summary>This curve under another name.</summary>
    public LossCurve Named(string name) => Of(name, Steps.Zip(Losses), Rates, Parameters);

    /// <summary>This curve without its rows before a step.</summary>
    /// <exception cref="ValidationException">Nothing is left.</exception>
    public LossCurve From(int step) => Of(Name, Steps.Zip(Losses).Where(row => row.First >= step), Rates, Parameters);

    /// <summary>Reads a CSV file with the columns <c>step</c> and <c>loss</c>, and <c>lr</c> where <paramref name="rates"/> is not given.</summary>
    /// <exception cref="InvalidDataException">The file is no table, or a cell cannot be read.</exception>
    /// <exception cref="ValidationException">There is no such file or column, or the rows do not make a curve.</exception>
    public static LossCurve Read(
        string path, int warmup = 0, LearningRateSequence? rates = null, double parameters = double.NaN, IReadOnlyDictionary<string, string>? mapping = null) =>
        Read(PointTable.Read(path), warmup, rates, parameters, mapping);

    /// <summary>A curve from a table with the columns <c>step</c> and <c>loss</c>, and <c>lr</c> where <paramref name="rates"/> is not given.</summary>
    /// <param name="warmup">How many of the first steps rise; for rates from the table.</param>
    /// <param name="rates">The schedule. Without it, the rates of the table are interpolated; cells may be empty.</param>
    /// <param name="parameters">Non-embedding parameters, for laws with model size.</param>
    /// <param name="mapping">Column by quantity, where columns are named otherwise.</param>
    /// <exception cref="InvalidDataException">A cell cannot be read.</exception>
    /// <exception cref="ValidationException">A column is missing, or the rows do not make a curve.</exception>
    public static LossCurve Read(
        PointTable table, int warmup = 0, LearningRateSequence? rates = null, double parameters = double.NaN, IReadOnlyDictionary<string, string>? mapping = null)
    {
        string path = table.Source;
        mapping ??= new Dictionary<string, string>();
        string stepColumn = table.ColumnFor("step", mapping), lossColumn = table.ColumnFor("loss", mapping);
        int[] steps = [.. Numbers(stepColumn).Select((value, row) => value == Math.Floor(value) && value is >= 0 and < LearningRateSequence.StepsMax
            ? (int)value
            : throw new InvalidDataException($"{path}: {table.Labels[row]}: {stepColumn}: {value} is not a whole number from 0 to {LearningRateSequence.StepsMax - 1}"))];
        double[] losses = [.. Numbers(lossColumn).Select((value, row) => value > 0
            ? value
            : throw new InvalidDataException($"{path}: {table.Labels[row]}: {lossColumn}: {value} must be positive"))];
        double[] logged = rates is null ? [.. Numbers(table.ColumnFor("lr", mapping), mayBeEmpty: true)] : [];
        try
        {
            IEnumerable<(int Step, double Loss)> rows = steps.Zip(losses);
            if (rates is null)
            {
                rates = Interpolated(steps.Zip(logged).Where(row => !double.IsNaN(row.Second)), warmup);
                rows = rows.Where(row => row.Step <= rates.Last);
            }

            return Of(Path.GetFileNameWithoutExtension(path), rows, rates, parameters);
        }
        catch (ValidationException e)
        {
            throw new ValidationException($"{path}: {e.Message}", e);
        }

        IEnumerable<double> Numbers(string column, bool mayBeEmpty = false)
        {
            IReadOnlyList<string> texts = table.Texts(column);
            return table.Numbers(column).Select((value, row) => double.IsFinite(value) || (mayBeEmpty && texts[row].Length == 0)
                ? value
                : throw new InvalidDataException($"{path}: {table.Labels[row]}: {column}: {PointTable.Quote(texts[row])} is not a number"));
        }
    }

    /// <summary>Reads every curve of a folder, by name; CSV files without a <c>step</c> column are something else and passed over.</summary>
    /// <exception cref="ValidationException">The folder has no curve.</exception>
    public static IReadOnlyList<LossCurve> ReadFolder(
        string folder, int warmup = 0, LearningRateSequence? rates = null, IReadOnlyDictionary<string, string>? mapping = null)
    {
        string step = mapping?.GetValueOrDefault("step") ?? "step";
        PointTable[] tables = Directory.Exists(folder)
            ? [.. Directory.EnumerateFiles(folder, "*.csv").Order(StringComparer.Ordinal).Select(PointTable.Read).Where(table => table.Columns.Contains(step))]
            : [];
        return tables.Length > 0
            ? [.. tables.Select(table => Read(table, warmup, rates, mapping: mapping))]
            : throw new ValidationException($"{folder}: there is no CSV file with a column {step}");
    }

    /// <summary>The validation losses of a run.</summary>
    /// <param name="warmup">How many of the updates rise; for rates from the log.</param>
    /// <param name="rates">The schedule that the run applied. Without it, the logged rates are interpolated.</param>
    /// <param name="validationSet">Which <c>val/&lt;set&gt;</c>; without it, the first by name.</param>
    /// <exception cref="InvalidDataException">The log cannot be read.</exception>
    /// <exception cref="ValidationException">The rows do not make a curve.</exception>
    public static LossCurve Read(
        RunFolder run, int warmup = 0, LearningRateSequence? rates = null, double parameters = double.NaN, string? validationSet = null)
    {
        List<(int Step, double Loss)> losses = [];
        List<(int Step, double Rate)> logged = [];
        string? name = validationSet is null ? null : $"val/{validationSet}/loss";
        foreach (MetricsRow row in MetricsLog.Read(run.MetricsPath).TakeWhile(row => row.At.Step < LearningRateSequence.StepsMax))
        {
            name ??= row.Values.Keys.Where(key => key.StartsWith("val/", StringComparison.Ordinal) && key.EndsWith("/loss", StringComparison.Ordinal)).Min();
            if (name is not null && row.Values.TryGetValue(name, out double loss))
            {
                losses.Add(((int)row.At.Step, loss));
            }

            if (row.Values.TryGetValue("train/lr", out double rate))
            {
                logged.Add(((int)row.At.Step, rate));
            }
        }

        if (rates is null)
        {
            // Updates count from 1: the entry before the first belongs to the warm-up.
            rates = Interpolated(logged, warmup + 1);
            losses.RemoveAll(row => row.Step > rates.Last);
        }

        return Of(run.Id, losses, rates, parameters);
    }

    private static LearningRateSequence Interpolated(IEnumerable<(int Step, double Rate)> logged, int warmup)
    {
        SortedDictionary<int, double> sorted = [];
        foreach ((int step, double rate) in logged)
        {
            sorted[step] = rate;
        }

        return LearningRateSequence.Interpolated([.. sorted.Keys], [.. sorted.Values], warmup);
    }
}
