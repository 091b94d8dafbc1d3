using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws;

/// <summary>The columns of one curve: takes the shapes and fills [row, coefficient] and, unless empty, [row, shape, coefficient].</summary>
public delegate void CurveColumns(ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives);

/// <summary>A law of whole loss curves: the loss after an update follows from the learning rates of all updates up to it.</summary>
public abstract record CurveLaw : Law
{
    /// <inheritdoc/>
    public sealed override Quantity Output => new("loss", "nats/token", "validation loss after an update");

    /// <summary>Whether predictions need the number of non-embedding parameters.</summary>
    [JsonIgnore]
    public virtual bool NeedsParameters => false;

    /// <summary>The columns at some steps of a sequence of learning rates; what does not depend on the shapes is computed here, once.</summary>
    /// <param name="steps">Ascending, after the warm-up.</param>
    /// <param name="parameters">Non-embedding parameters; only where they are needed.</param>
    /// <exception cref="ValidationException">An option of the law is out of range.</exception>
    public abstract CurveColumns At(LearningRateSequence rates, IReadOnlyList<int> steps, double parameters);

    /// <summary>Binds the law to curves.</summary>
    /// <exception cref="ValidationException">There is no curve, or a size is needed and missing.</exception>
    public CurveProblem Bind(IReadOnlyList<LossCurve> curves)
    {
        if (curves.Count == 0)
        {
            throw new ValidationException("curves: there is none to fit");
        }

        return new CurveProblem(curves, [.. curves.Select(curve => Checked(curve.Rates, curve.Steps, curve.Parameters, curve.Name))])
        {
            Observed = [.. curves.SelectMany(curve => curve.Losses)],
            Parameters = Parameters,
        };
    }

    /// <summary>The predicted losses at some steps.</summary>
    /// <param name="values">All parameters, in the order of <see cref="Law.Parameters"/>.</param>
    /// <param name="steps">Ascending, after the warm-up.</param>
    /// <param name="parameters">Non-embedding parameters, where the law needs them.</param>
    public double[] Predict(ReadOnlySpan<double> values, LearningRateSequence rates, IReadOnlyList<int> steps, double parameters = double.NaN)
    {
        int coefficients = Coefficients;
        double[] columns = new double[steps.Count * coefficients], losses = new double[steps.Count];
        Checked(rates, steps, parameters, "schedule")(values[coefficients..], columns, []);
        for (int i = 0; i < columns.Length; i++)
        {
            losses[i / coefficients] += values[i % coefficients] * columns[i];
        }

        return losses;
    }

    /// <summary>The predicted loss at the last step.</summary>
    public double PredictLast(ReadOnlySpan<double> values, LearningRateSequence rates, double parameters = double.NaN) =>
        Predict(values, rates, [rates.Last], parameters)[0];

    private CurveColumns Checked(LearningRateSequence rates, IReadOnlyList<int> steps, double parameters, string name)
    {
        return !NeedsParameters || parameters > 0
            ? At(rates, steps, parameters)
            : throw new ValidationException($"{name}: this law needs the number of non-embedding parameters");
    }
}

/// <summary>A curve law bound to loss curves, whose rows follow each other.</summary>
public sealed class CurveProblem : SeparableProblem
{
    // Of a curve, in runs of consecutive rows: the errors of neighbours are alike.
    private const int BlocksOfACurve = 10;

    private readonly CurveColumns[] _columns;
    private readonly int[] _blocks;

    internal CurveProblem(IReadOnlyList<LossCurve> curves, CurveColumns[] columns)
    {
        (Curves, _columns) = (curves, columns);
        List<int> blocks = [];
        foreach (int rows in curves.Select(curve => curve.Steps.Count))
        {
            int first = blocks.Count > 0 ? blocks[^1] + 1 : 0, length = (rows + BlocksOfACurve - 1) / BlocksOfACurve;
            blocks.AddRange(Enumerable.Range(0, rows).Select(row => first + (row / length)));
        }

        _blocks = [.. blocks];
    }

    /// <summary>The curves, in order of rows.</summary>
    public IReadOnlyList<LossCurve> Curves { get; }

    /// <summary>The rows of a curve: what to leave out for a test on it.</summary>
    public Range RowsOf(int curve)
    {
        int first = Curves.Take(curve).Sum(before => before.Steps.Count);
        return first..(first + Curves[curve].Steps.Count);
    }

    /// <inheritdoc/>
    public override int BlockOf(int row) => _blocks[row];

    /// <inheritdoc/>
    public override void Evaluate(ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives)
    {
        int slope = derivatives.IsEmpty ? 0 : Shapes;
        for (int curve = 0; curve < _columns.Length; curve++)
        {
            int size = Curves[curve].Steps.Count * Coefficients;
            _columns[curve](shapes, columns[..size], derivatives[..(slope * size)]);
            columns = columns[size..];
            derivatives = derivatives[(slope * size)..];
        }
    }
}
