using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization;
using Windtunnel.Laws.Fitting;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;

namespace Windtunnel.Laws;

/// <summary>
/// A fitted law with everything that is needed to judge it, to predict with it and to repeat it: the file <c>fit.json</c>.
/// Numbers round-trip.
/// </summary>
/// <param name="Format">The version of the file's format.</param>
/// <param name="Law">The law with its options.</param>
/// <param name="Objective">What was minimised.</param>
/// <param name="Pins">Parameters that were held.</param>
/// <param name="Parameters">Coefficients, then shapes.</param>
/// <param name="Derived">What follows from the parameters.</param>
/// <param name="Quality">How good the fit is.</param>
/// <param name="Warnings">What a careful reader should know, one line each.</param>
/// <param name="Data">The rows that were fitted.</param>
/// <param name="Bootstrap">[replicate][parameter]; null where the intervals are profiles.</param>
public sealed record Fit(
    string Format,
    Law Law,
    Objective Objective,
    IReadOnlyDictionary<string, double> Pins,
    IReadOnlyList<FittedValue> Parameters,
    IReadOnlyList<FittedValue> Derived,
    FitQuality Quality,
    IReadOnlyList<string> Warnings,
    Observations Data,
    double[][]? Bootstrap = null)
{
    private const string CurrentFormat = "windtunnel-fit-1";
    private const long MaxBytes = 512L << 20;

    private static readonly JsonSerializerOptions s_json = new(ConfigFile.JsonOptions) { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    /// <summary>The values of the parameters, in the order of the law.</summary>
    public double[] Values => [.. Parameters.Select(parameter => parameter.Value)];

    /// <summary>Fits a law to rows.</summary>
    /// <exception cref="ValidationException">There are too few rows, or they all say the same.</exception>
    public static Fit Of(PointLaw law, Observations data, FitSettings? settings = null)
    {
        Identifiable.Require(law, data, Pinned(law, settings).Count);
        return Of(law, PointProblem.Bind(law, data.Inputs, data.Observed), data, settings, Identifiable.Doubts(law, data));
    }

    /// <summary>Fits a law that was bound to its data.</summary>
    /// <param name="warnings">What is already known to be doubtful about the data.</param>
    public static Fit Of(Law law, SeparableProblem problem, Observations data, FitSettings? settings = null, IEnumerable<string>? warnings = null)
    {
        IReadOnlyDictionary<string, double> pins = Pinned(law, settings);
        settings ??= new FitSettings();
        Objective objective = settings.Objective ?? law.Objective;
        objective.Validate();
        Fitter fitter = new(problem, objective, pins);
        IReadOnlyList<Optimum> minima = fitter.Search();
        Optimum best = minima[0];
        if (!double.IsFinite(best.Value))
        {
            throw new InvalidDataException($"{data.Source}: the law has no finite objective on these values; look for wrong units");
        }

        ProfileLikelihood likelihood = new(fitter, best);
        IntervalMethod intervals = settings.Intervals
            ?? (objective is AsymmetricObjective || problem.BlockOf(problem.Rows - 1) < problem.Rows - 1 ? IntervalMethod.Bootstrap : IntervalMethod.Profile);
        double[][]? samples = intervals == IntervalMethod.Bootstrap ? fitter.Bootstrap(best, settings.Replicates, settings.Seed) : null;

        FittedValue[] parameters = [.. law.Parameters.Select((parameter, k) => new FittedValue(
            parameter.Name, parameter.Unit, best.Parameters[k],
            best.AtBound[k] || fitter.IsPinned(k) ? null : IntervalOf(values => values[k], () => likelihood.Of(k)), best.AtBound[k], fitter.IsPinned(k)))];
        FittedValue[] derived = [.. law.Derived.Select(quantity => new FittedValue(
            quantity.Name, quantity.Unit, quantity.Value(best.Parameters), IntervalOf(quantity.Value, () => likelihood.Of(quantity.Value)), false, false))];
        FitQuality quality = new(
            best.Value, problem.Rows, likelihood.DegreesOfFreedom, likelihood.ResidualScale, likelihood.ConditionNumber, best.Status, best.Iterations,
            minima.Skip(1).Take(1).Select(next => new LocalMinimum(next.Value, next.Parameters)).FirstOrDefault());
        return new Fit(
            CurrentFormat, law, objective, pins, parameters, derived, quality,
            [.. warnings ?? [], .. Held(law, pins), .. FitWarnings.Of(problem, quality, parameters)], data, samples);

        Interval? IntervalOf(Func<IReadOnlyList<double>, double> function, Func<Interval> profile) => intervals switch
        {
            IntervalMethod.Bootstrap => Interval.OfSample(samples!.Select(sample => function(sample)), likelihood.Confidence),
            IntervalMethod.Profile when likelihood.DegreesOfFreedom > 0 => profile(),
            _ => null,
        };
    }

    /// <summary>What the law predicts for one row of inputs, with the interval of the prediction and of a single run.</summary>
    /// <param name="x">In the order of the law's inputs.</param>
    /// <exception cref="ValidationException">The law is one of whole curves.</exception>
    public Prediction Predict(params double[] x) => new FitPredictor(this).At(x);

    /// <summary>Writes <c>fit.json</c>.</summary>
    public void Save(string path) => AtomicFile.WriteText(path, JsonSerializer.Serialize(this, s_json) + "\n");

    /// <summary>Reads <c>fit.json</c>.</summary>
    /// <exception cref="ValidationException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is no fit, or does not fit together.</exception>
    public static Fit Load(string path)
    {
        FileInfo file = new(path);
        if (!file.Exists)
        {
            throw new ValidationException($"{path}: no such file; 'windtunnel fit LAW DATA --out FOLDER' writes FOLDER/fit.json");
        }

        try
        {
            Fit fit = file.Length <= MaxBytes
                ? JsonSerializer.Deserialize<Fit>(File.ReadAllBytes(path), s_json) ?? throw new InvalidDataException($"{path}: holds no fit")
                : throw new InvalidDataException($"{path}: {file.Length:N0} bytes are too many for a fit");
            fit.Check(path);
            return fit;
        }
        catch (Exception e) when (e is JsonException or ValidationException or ArgumentException or NotSupportedException)
        {
            throw new InvalidDataException($"{path}: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    private static IEnumerable<string> Held(Law law, IReadOnlyDictionary<string, double> pins) =>
        law.Held(pins).Select(pin => FormattableString.Invariant($"{pin.Key} was held at {pin.Value:G4}: intervals are for that value of it"));

    // What the law gives, and what the caller holds.
    private static Dictionary<string, double> Pinned(Law law, FitSettings? settings)
    {
        Dictionary<string, double> pins = new(law.Given);
        foreach ((string name, double value) in settings?.Pins ?? law.Given)
        {
            pins[name] = value;
        }

        return pins;
    }

    // A file may say anything; what is computed from it must not go wrong.
    private void Check(string path)
    {
        Objective.Validate();
        int width = Law is PointLaw { Inputs.Count: var inputs } ? inputs : 0;
        string? problem = Format != CurrentFormat ? $"format: '{Format}' is not {CurrentFormat}"
            : Parameters.Concat(Derived).Any(value => value is null) || Warnings.Contains(null!) || Data.Labels.Contains(null!) || Data.Excluded.Contains(null!) ? "a list has a null"
            : !Parameters.Select(parameter => parameter.Name).SequenceEqual(Law.Parameters.Select(parameter => parameter.Name)) ? "parameters: not those of the law"
            : Parameters.Zip(Law.Parameters).Any(pair => !(double.IsFinite(pair.First.Value) && pair.First.Value >= pair.Second.Lower && pair.First.Value <= pair.Second.Upper)) ? "parameters: a value is out of its bounds"
            : Pins.Any(pin => Parameters.FirstOrDefault(parameter => parameter.Name == pin.Key) is not { } held || held.Value != pin.Value) ? "pins: not the parameters' values"
            : (width > 0 && Data.Observed.Length == 0) || Data.Inputs.Length != width * Data.Observed.Length || Data.Labels.Count != Data.Observed.Length ? "data: inputs, observed and labels do not belong together"
            : Data.Inputs.Concat(Data.Observed).Any(value => !double.IsFinite(value)) ? "data: a value is not a number"
            : Law is PointLaw law && Data.Inputs.Where((value, i) => law.Inputs[i % width].Positive && value <= 0).Any() ? "data: an input is not positive"
            : Law.Output.Positive && Data.Observed.Any(value => value <= 0) ? "data: a result is not positive"
            : Bootstrap?.Any(sample => sample?.Length != Parameters.Count || !sample.All(double.IsFinite)) == true ? "bootstrap: not a number a parameter"
            : null;
        if (problem is not null)
        {
            throw new InvalidDataException($"{path}: {problem}");
        }
    }
}

/// <summary>A parameter, or what follows from parameters.</summary>
/// <param name="Interval">95 %; null where it was not asked for, or no degree of freedom is left.</param>
/// <param name="AtBound">Whether it rests on a bound.</param>
/// <param name="Pinned">Whether it was held.</param>
public sealed record FittedValue(string Name, string Unit, double Value, Interval? Interval, bool AtBound = false, bool Pinned = false);

/// <summary>How good a fit is.</summary>
/// <param name="Value">The objective, summed over rows.</param>
/// <param name="Rows">Rows that were fitted.</param>
/// <param name="DegreesOfFreedom">Rows less parameters.</param>
/// <param name="ResidualScale">Standard deviation of residuals, of logarithms where the objective is.</param>
/// <param name="ConditionNumber">Of the Jacobian with columns of length one.</param>
/// <param name="Status">How the search ended.</param>
/// <param name="NextMinimum">The next-best local minimum that the starts led to.</param>
public sealed record FitQuality(
    double Value, int Rows, int DegreesOfFreedom, double ResidualScale, double ConditionNumber, FitStatus Status, int Iterations, LocalMinimum? NextMinimum);

/// <summary>A local minimum that is not the best.</summary>
public sealed record LocalMinimum(double Value, double[] Parameters);

/// <summary>Where intervals come from.</summary>
public enum IntervalMethod
{
    /// <summary>Profiles of the objective.</summary>
    Profile,

    /// <summary>Quantiles over refitted resamples.</summary>
    Bootstrap,

    /// <summary>No intervals.</summary>
    None,
}

/// <summary>How to fit.</summary>
/// <param name="Objective">What to minimise; null for the law's own.</param>
/// <param name="PinnedValues">Parameters to hold, by name.</param>
/// <param name="Intervals">Null for profiles, and a bootstrap where the objective has kinks that profiles can't follow or rows come in blocks.</param>
/// <param name="Replicates">Resamples of a bootstrap.</param>
/// <param name="Seed">Of the resamples.</param>
public sealed record FitSettings(
    Objective? Objective = null, IReadOnlyDictionary<string, double>? PinnedValues = null, IntervalMethod? Intervals = null,
    int Replicates = 1000, int Seed = 0)
{
    /// <summary>Parameters to hold; none where not given.</summary>
    public IReadOnlyDictionary<string, double> Pins => PinnedValues ?? new Dictionary<string, double>();
}
