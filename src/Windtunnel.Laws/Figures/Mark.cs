using System.Xml.Linq;

namespace Windtunnel.Laws.Figures;

/// <summary>One value of a mark.</summary>
/// <param name="Low">The lower end of its interval; NaN for none.</param>
/// <param name="High">The upper end of its interval; NaN for none.</param>
/// <param name="Note">What else is worth knowing about it, for its tooltip and the table.</param>
public readonly record struct DataPoint(double X, double Y, double Low = double.NaN, double High = double.NaN, string Note = "");

/// <summary>Something drawn in a panel. Values that are not numbers, or that a logarithmic axis has no place for, are left out.</summary>
/// <param name="Name">Its name in the legend; marks of one name share an entry, and one without a name has none.</param>
/// <param name="Points">Its values.</param>
/// <param name="Tone">Its colour.</param>
public abstract record Mark(string Name, IReadOnlyList<DataPoint> Points, Tone Tone)
{
    /// <summary>What kind of mark this is, for the table.</summary>
    internal abstract string Kind { get; }

    /// <summary>Higher ones are drawn over lower ones.</summary>
    internal virtual int Layer => 1;

    /// <summary>The values that the axes have to reach.</summary>
    internal virtual (IEnumerable<double> X, IEnumerable<double> Y) Extent =>
        (Points.Select(point => point.X), Points.SelectMany(point => new[] { point.Y, point.Low, point.High }));

    /// <summary>Draws itself into a group that has its colour.</summary>
    internal abstract void Draw(Plot plot, XElement group);

    /// <summary>Draws the sample for the legend, from (0, 0) to (<see cref="Panel.KeyWidth"/>, 0).</summary>
    internal virtual IEnumerable<XElement> Key => [];
}
