using System.ComponentModel.DataAnnotations;
using System.Globalization;
using CsvHelper;

namespace Windtunnel.Laws.Curves;

/// <summary>The losses of one run and the learning rates that led to them. Rows of the warm-up are not kept: laws describe what follows it.</summary>
public sealed class LossCurve
{
    private static readonly CsvReaderOptions s_csv = new()
    {
        MalformedData = CsvMalformedDataHandling.Throw,
        FieldCountMismatch = CsvFieldCountHandling.Throw,
        MaxRecordSize = 1 << 16,
        TrackLineNumbers = true,
    };

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

    /// <summary>This curve without its rows before a step.</summary>
    /// <exception cref="ValidationException">Nothing is left.</exception>
    public LossCurve From(int step) => Of(Name, Steps.Zip(Losses).Where(row => row.First >= step), Rates, Parameters);

    /// <summary>Reads a CSV file with the columns <c>step</c> and <c>loss</c>, and <c>lr</c> where <paramref name="rates"/> is not given.</summary>
    /// <param name="warmup">How many of the first steps rise; for rates from the file.</param>
    /// <param name="rates">The schedule. Without it, the rates of the file are interpolated; fields may be empty.</param>
    /// <param name="parameters">Non-embedding parameters, for laws with model size.</param>
    /// <exception cref="InvalidDataException">The file lacks a column, or a field cannot be read.</exception>
    /// <exception cref="ValidationException">There is no such file, or the rows do not make a curve.</exception>
    public static LossCurve Read(string path, int warmup = 0, LearningRateSequence? rates = null, double parameters = double.NaN)
    {
        if (!File.Exists(path))
        {
            throw new ValidationException($"{path}: there is no such file");
        }

        try
        {
            using CsvReader csv = CsvReader.Create(File.OpenRead(path), s_csv);
            return Read(path, csv, warmup, rates, parameters);
        }
        catch (CsvFormatException e)
        {
            throw new InvalidDataException($"{path}: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    /// <summary>Reads every curve of a folder, by name; CSV files without a <c>step</c> and a <c>loss</c> column are something else and passed over.</summary>
    /// <exception cref="ValidationException">The folder has no curve.</exception>
    public static IReadOnlyList<LossCurve> ReadFolder(string folder, int warmup = 0, LearningRateSequence? rates = null)
    {
        LossCurve[] curves = Directory.Exists(folder)
            ? [.. Directory.EnumerateFiles(folder, "*.csv").Where(IsCurve).Order(StringComparer.Ordinal).Select(path => Read(path, warmup, rates))]
            : [];
        return curves.Length > 0 ? curves : throw new ValidationException($"{folder}: there is no CSV file with the columns step and loss");
    }

    private static bool IsCurve(string path)
    {
        try
        {
            using CsvReader csv = CsvReader.Create(File.OpenRead(path), s_csv);
            return csv.Headers.Contains("step") && csv.Headers.Contains("loss");
        }
        catch (CsvFormatException)
        {
            return false;
        }
    }

    private static LossCurve Read(string path, CsvReader csv, int warmup, LearningRateSequence? rates, double parameters)
    {
        string[] header = [.. csv.Headers];
        int stepColumn = Column("step"), lossColumn = Column("loss"), rateColumn = rates is null ? Column("lr") : -1;
        List<(int Step, double Loss)> rows = [];
        SortedDictionary<int, double> logged = [];
        while (csv.Read())
        {
            double step = Number(stepColumn);
            if (step != Math.Floor(step) || step is < 0 or >= LearningRateSequence.StepsMax)
            {
                throw new InvalidDataException($"{path}: line {csv.LineNumber}: step {csv.GetString(stepColumn)} is not a whole number from 0 to {LearningRateSequence.StepsMax - 1}");
            }

            double loss = Number(lossColumn);
            if (loss <= 0)
            {
                throw new InvalidDataException($"{path}: line {csv.LineNumber}: loss {csv.GetString(lossColumn)} is not positive");
            }

            rows.Add(((int)step, loss));
            if (rateColumn >= 0 && !csv.IsEmpty(rateColumn))
            {
                logged[(int)step] = Number(rateColumn);
            }
        }

        if (rates is null && logged.Count == 0)
        {
            throw new InvalidDataException($"{path}: the column lr is empty; fill it or give the schedule");
        }

        try
        {
            rates ??= LearningRateSequence.Interpolated([.. logged.Keys], [.. logged.Values], warmup);
            return Of(Path.GetFileNameWithoutExtension(path), rows.Where(row => row.Step <= rates.Last), rates, parameters);
        }
        catch (ValidationException e)
        {
            throw new ValidationException($"{path}: {e.Message}", e);
        }

        int Column(string name)
        {
            int column = Array.IndexOf(header, name);
            return column >= 0
                ? column
                : throw new InvalidDataException($"{path}: there is no column {name}; the header is {string.Join(",", header.Take(20))}");
        }

        double Number(int column)
        {
            return double.TryParse(csv.GetString(column), NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && double.IsFinite(value)
                ? value
                : throw new InvalidDataException($"{path}: line {csv.LineNumber}: {header[column]} '{csv.GetString(column)}' is not a number");
        }
    }
}
