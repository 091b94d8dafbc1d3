using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws.Reproduction;

/// <summary>A published analysis that can be run again from its data, and compared with what was published.</summary>
public abstract class PublishedStudy
{
    /// <summary>Every study.</summary>
    public static IReadOnlyList<PublishedStudy> All { get; } =
        [new GadreStudy(), new ChinchillaStudy(), new PorianStudy(), new DatablationsStudy(), new OptimizersStudy(), new MiniCpmStudy(), new CurvesStudy()];

    /// <summary>As the verb names it.</summary>
    public abstract string Name { get; }

    /// <summary>Authors, year and title.</summary>
    public abstract string Source { get; }

    /// <summary>Where the files are under a folder that holds the data of several studies.</summary>
    protected abstract string Subfolder { get; }

    /// <summary>Runs the analysis.</summary>
    /// <param name="folder">The folder with the study's files, or one that holds it.</param>
    /// <exception cref="ValidationException">The folder or a file is not there.</exception>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    public abstract StudyReport Run(string folder);

    /// <summary>Reads a table of the study.</summary>
    protected PointTable Read(string folder, string file)
    {
        string beside = Path.Combine(folder, file), below = Path.Combine(folder, Subfolder, file);
        return !Directory.Exists(folder) ? throw new ValidationException($"{folder}: no such folder; --data names the one with the published tables")
            : File.Exists(beside) ? PointTable.Read(beside)
            : File.Exists(below) ? PointTable.Read(below)
            : throw new ValidationException($"{folder}: has neither {file} nor {Path.Combine(Subfolder, file)}");
    }

    /// <summary>A column of finite numbers.</summary>
    /// <exception cref="InvalidDataException">One is not.</exception>
    protected static IReadOnlyList<double> Numbers(PointTable table, string column)
    {
        IReadOnlyList<double> values = table.Numbers(column);
        int bad = values.ToList().FindIndex(value => !double.IsFinite(value));
        return bad < 0 ? values : throw new InvalidDataException($"{table.Source}: {column}: '{table.Texts(column)[bad]}' is not a number");
    }

    /// <summary>The rows of a table as a problem of a law.</summary>
    /// <param name="columns">Column by quantity, where it has an unusual name.</param>
    protected static Fitter Bind(PointLaw law, PointTable table, Objective? objective = null, params IEnumerable<(string Quantity, string Column)> columns)
    {
        Observations data = table.Observe(law, columns.ToDictionary(pair => pair.Quantity, pair => pair.Column));
        Identifiable.Require(law, data, law.Given.Count);
        return new Fitter(PointProblem.Bind(law, data.Inputs, data.Observed), objective ?? law.Objective, law.Given);
    }
}

/// <summary>What came out of a study.</summary>
/// <param name="Figures">Published and ours.</param>
/// <param name="Remarks">What the comparison taught, a sentence each.</param>
public sealed record StudyReport(IReadOnlyList<ReproducedFigure> Figures, IReadOnlyList<string> Remarks);

/// <summary>A published figure and ours.</summary>
/// <param name="Part">Where it was published: a table, a file.</param>
/// <param name="What">What it is of.</param>
/// <param name="Tolerance">The largest difference that rounding and method allow.</param>
public sealed record ReproducedFigure(string Part, string What, double Published, double Ours, double Tolerance)
{
    /// <summary>Ours less the published.</summary>
    public double Difference => Ours - Published;

    /// <summary>Whether the difference is allowed; a value that is not a number never is.</summary>
    public bool Within => Math.Abs(Difference) <= Tolerance;

    /// <summary>A figure with a tolerance relative to the published value.</summary>
    public static ReproducedFigure Relative(string part, string what, double published, double ours, double tolerance) =>
        new(part, what, published, ours, tolerance * Math.Abs(published));
}
