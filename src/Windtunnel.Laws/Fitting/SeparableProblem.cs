namespace Windtunnel.Laws.Fitting;

/// <summary>
/// A law bound to observations: y_i = sum_j c_j f_ij(s), where fitters see only the columns f and their derivatives by the shapes.
/// Immutable, and safe to evaluate from several threads with buffers of one's own.
/// </summary>
public abstract class SeparableProblem
{
    /// <summary>What was observed.</summary>
    public required double[] Observed { get; init; }

    /// <summary>The parameters: coefficients, then shapes.</summary>
    public required IReadOnlyList<Parameter> Parameters { get; init; }

    /// <summary>Number of observations.</summary>
    public int Rows => Observed.Length;

    /// <summary>Number of coefficients: columns.</summary>
    public int Coefficients => field > 0 ? field : field = Parameters.Count(parameter => parameter.Kind == ParameterKind.Coefficient);

    /// <summary>Number of shapes.</summary>
    public int Shapes => Parameters.Count - Coefficients;

    /// <summary>
    /// Bootstrap draws whole blocks of rows: the block of each row, 0, 1, ... in order of rows. Rows of one loss curve are far from
    /// independent.
    /// </summary>
    public virtual int BlockOf(int row) => row;

    /// <summary>Evaluates all columns.</summary>
    /// <param name="shapes">The shapes s.</param>
    /// <param name="columns">[row, coefficient]: takes f.</param>
    /// <param name="derivatives">[row, shape, coefficient]: takes the derivatives of f by s; empty where they are not wanted.</param>
    public abstract void Evaluate(ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives);
}

/// <summary>A law of independent rows.</summary>
/// <param name="inputs">[row, input], in the order of <see cref="PointLaw.Inputs"/>.</param>
public sealed class PointProblem(PointLaw law, double[] inputs) : SeparableProblem
{
    /// <summary>Binds a law to rows.</summary>
    /// <param name="inputs">[row, input].</param>
    /// <param name="observed">[row].</param>
    public static PointProblem Bind(PointLaw law, double[] inputs, double[] observed) =>
        new(law, inputs) { Observed = observed, Parameters = law.Parameters };

    /// <inheritdoc/>
    public override void Evaluate(ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives)
    {
        int coefficients = Coefficients, slope = derivatives.IsEmpty ? 0 : coefficients * Shapes, width = inputs.Length / Rows;
        for (int row = 0; row < Rows; row++)
        {
            law.Columns(
                inputs.AsSpan(row * width, width), shapes, columns.Slice(row * coefficients, coefficients), derivatives.Slice(row * slope, slope));
        }
    }
}
