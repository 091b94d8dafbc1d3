using System.Text.Json.Serialization;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws;

/// <summary>
/// A law of the field: what it predicts, from what, with which parameters. Every law here is linear in some of its parameters,
/// y = sum_j c_j f_j(x; s), in coefficients c once the shapes s (exponents, rates) are fixed; the fitter lives off that.
/// </summary>
/// <remarks>A law is one file: a positional record of its options that derives from <see cref="PointLaw"/> or <see cref="CurveLaw"/>, and one line here.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(ChinchillaLaw), "chinchilla")]
[JsonDerivedType(typeof(AnnealingLaw), "annealing")]
[JsonDerivedType(typeof(MultiPowerLaw), "multi-power")]
[JsonDerivedType(typeof(OverTrainingLaw), "over-training")]
[JsonDerivedType(typeof(DownstreamErrorLaw), "downstream")]
[JsonDerivedType(typeof(DataConstrainedLaw), "data-constrained")]
[JsonDerivedType(typeof(ModelDataLaw), "minicpm")]
[JsonDerivedType(typeof(BatchSizeLaw), "batch-size")]
[JsonDerivedType(typeof(HyperparameterLaw), "hyperparameter")]
[JsonDerivedType(typeof(PowerLaw), "power")]
[JsonDerivedType(typeof(PowerProductLaw), "power-product")]
public abstract record Law
{
    /// <summary>One line that says what the law relates.</summary>
    public abstract string Title { get; }

    /// <summary>The formula, in the names of <see cref="Parameters"/>.</summary>
    public abstract string Formula { get; }

    /// <summary>Paper and equation, and where this differs from it.</summary>
    public abstract string Source { get; }

    /// <summary>What is predicted, with its unit.</summary>
    public abstract Quantity Output { get; }

    /// <summary>The parameters: first the coefficients, in the order of the columns, then the shapes.</summary>
    public abstract IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>What the published fit minimises; the default of a fit.</summary>
    public virtual Objective Objective => new HuberObjective();

    /// <summary>What follows from the parameters and is worth an interval of its own: optimal ratios, exponents of the optimum.</summary>
    public virtual IReadOnlyList<DerivedQuantity> Derived => [];

    /// <summary>Parameters that are given rather than fitted: those of a base law that is taken from elsewhere. A pin overrides the value.</summary>
    [JsonIgnore]
    public virtual IReadOnlyDictionary<string, double> Given => new Dictionary<string, double>();

    /// <summary>Those of the pins whose parameters the law does not give.</summary>
    public IEnumerable<KeyValuePair<string, double>> Held(IReadOnlyDictionary<string, double> pins) => pins.Where(pin => !Given.ContainsKey(pin.Key));

    /// <summary>How many of the parameters are coefficients.</summary>
    public int Coefficients => Parameters.Count(parameter => parameter.Kind == ParameterKind.Coefficient);
}

/// <summary>A law of independent rows: each prediction needs the inputs of its own row only.</summary>
public abstract record PointLaw : Law
{
    /// <summary>The inputs, in the order of x.</summary>
    public abstract IReadOnlyList<Quantity> Inputs { get; }

    /// <summary>Whether larger models have smaller values of the first input, as they do of a loss: which end of a ladder is the far one.</summary>
    [JsonIgnore]
    public virtual bool FirstInputFallsWithSize => false;

    /// <summary>The columns f_j(x; s) of one row.</summary>
    /// <param name="x">The inputs of the row.</param>
    /// <param name="shapes">The shapes s.</param>
    /// <param name="columns">Takes f_j, one a coefficient.</param>
    /// <param name="derivatives">Takes the derivatives of f_j by s_p, at p * coefficients + j; empty where they are not wanted.</param>
    public abstract void Columns(ReadOnlySpan<double> x, ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives);

    /// <summary>The prediction for one row.</summary>
    /// <param name="parameters">All parameters, in the order of <see cref="Law.Parameters"/>.</param>
    public double Predict(ReadOnlySpan<double> parameters, params ReadOnlySpan<double> x)
    {
        int coefficients = Coefficients;
        Span<double> columns = stackalloc double[coefficients];
        Columns(x, parameters[coefficients..], columns, []);
        double value = 0;
        for (int j = 0; j < coefficients; j++)
        {
            value += parameters[j] * columns[j];
        }

        return value;
    }
}

/// <summary>A number with a meaning: an input, an output.</summary>
/// <param name="Name">As a column or flag names it.</param>
/// <param name="Unit">Its unit, empty for a pure number.</param>
/// <param name="Meaning">What it counts, in one line: for a number of parameters, which of them.</param>
/// <param name="Positive">Whether values of zero and below are errors.</param>
public sealed record Quantity(string Name, string Unit, string Meaning, bool Positive = true);

/// <summary>How a parameter enters its law.</summary>
public enum ParameterKind
{
    /// <summary>Linearly: it multiplies a column.</summary>
    Coefficient,

    /// <summary>In any other way: an exponent, a rate.</summary>
    Shape,
}

/// <summary>A parameter of a law.</summary>
/// <param name="Kind">Coefficient or shape.</param>
/// <param name="Unit">Its unit, empty for a pure number.</param>
/// <param name="Lower">The lowest value allowed; zero for a coefficient that has to be positive.</param>
/// <param name="Upper">The highest value allowed.</param>
/// <param name="Starts">Of a shape: where searches start. Every combination is tried.</param>
public sealed record Parameter(
    string Name, ParameterKind Kind, string Unit = "", double Lower = double.NegativeInfinity, double Upper = double.PositiveInfinity,
    params double[] Starts)
{
    /// <summary>A coefficient, not negative unless said.</summary>
    public static Parameter Coefficient(string name, string unit = "", double lower = 0) => new(name, ParameterKind.Coefficient, unit, lower);

    /// <summary>A shape between bounds.</summary>
    public static Parameter Shape(string name, double lower, double upper, params double[] starts) => new(name, ParameterKind.Shape, "", lower, upper, starts);
}

/// <summary>A function of a law's parameters.</summary>
/// <param name="Value">From all parameters, in the order of <see cref="Law.Parameters"/>; NaN where it does not exist.</param>
public sealed record DerivedQuantity(string Name, string Unit, Func<IReadOnlyList<double>, double> Value);
