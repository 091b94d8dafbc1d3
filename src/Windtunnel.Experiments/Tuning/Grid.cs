using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Experiments.Tuning;

/// <summary>The values that a setting may take.</summary>
/// <param name="Key">The dotted path of the setting, such as <c>optimizer.learningRate</c>.</param>
/// <param name="Values">As an override writes them; two or more make it worth tuning.</param>
public sealed record Axis(string Key, IReadOnlyList<string> Values)
{
    /// <summary>The last name of the path, for people: <c>learningRate</c>.</summary>
    public string Name => Key[(Key.LastIndexOf('.') + 1)..];

    /// <summary>Whether the values were drawn from a range: the first for the first point of a sample, and so on.</summary>
    public bool IsRange { get; init; }
}

/// <summary>A discrete grid of settings; a point of it takes one value of each axis.</summary>
public sealed class Grid
{
    private readonly Func<GridPoint, bool>? _exists;

    /// <summary>A grid.</summary>
    /// <param name="axes">At most one for a setting.</param>
    /// <param name="exists">Says which points are no configurations, a warm-up longer than the run for instance; all are when null.</param>
    /// <exception cref="ValidationException">An axis has no values, or has one twice, or two axes have one key.</exception>
    public Grid(IReadOnlyList<Axis> axes, Func<GridPoint, bool>? exists = null)
    {
        (Axes, _exists) = (axes, exists);
        foreach ((int index, Axis axis) in axes.Index())
        {
            if (axis.Values.Count == 0 || (!axis.IsRange && axis.Values.Distinct().Count() < axis.Values.Count) || axes.Take(index).Any(other => other.Key == axis.Key))
            {
                throw new ValidationException($"{axis.Key}: needs one axis, with one value or more, each of them once");
            }
        }
    }

    /// <summary>The settings, in the order of a point's indices.</summary>
    public IReadOnlyList<Axis> Axes { get; }

    /// <summary>Points, impossible ones included; at most 2^62.</summary>
    public long Count => Product(Axes);

    /// <summary>The same without the axes that are ranges.</summary>
    internal long ListCount => Product(Axes.Where(axis => !axis.IsRange));

    /// <summary>Whether a point is a configuration.</summary>
    public bool Contains(GridPoint point) => _exists?.Invoke(point) ?? true;

    /// <summary>Every point in order, impossible ones included.</summary>
    public IEnumerable<GridPoint> Points()
    {
        int[] indices = new int[Axes.Count];
        int axis;
        do
        {
            yield return new GridPoint([.. indices]);
            for (axis = indices.Length - 1; axis >= 0 && ++indices[axis] == Axes[axis].Values.Count; axis--)
            {
                indices[axis] = 0;
            }
        }
        while (axis >= 0);
    }

    /// <summary>The point of a number below <see cref="ListCount"/>, with the same value of each range.</summary>
    internal GridPoint PointAt(long index, int range)
    {
        int[] indices = new int[Axes.Count];
        for (int axis = indices.Length - 1; axis >= 0; axis--)
        {
            if (Axes[axis].IsRange)
            {
                indices[axis] = range;
            }
            else
            {
                (index, long value) = Math.DivRem(index, Axes[axis].Values.Count);
                indices[axis] = (int)value;
            }
        }

        return new GridPoint(indices);
    }

    /// <summary>The configurations that differ from a point in one setting, in the order of axes and of their values.</summary>
    /// <param name="reach">By how many values at most; by any number when null.</param>
    public IEnumerable<GridPoint> Neighbours(GridPoint point, int? reach = null) =>
        from axis in Enumerable.Range(0, Axes.Count)
        from value in Enumerable.Range(0, Axes[axis].Values.Count)
        where value != point[axis] && !(Math.Abs(value - point[axis]) > reach)
        let neighbour = point.With(axis, value)
        where Contains(neighbour)
        select neighbour;

    /// <summary>The value that a point takes on an axis.</summary>
    public string Value(GridPoint point, int axis) => Axes[axis].Values[point[axis]];

    /// <summary>A point as overrides.</summary>
    public IReadOnlyList<string> Overrides(GridPoint point) => [.. Axes.Select((axis, i) => $"{axis.Key}={axis.Values[point[i]]}")];

    /// <summary>A point for people: the last names of its settings with their values.</summary>
    public string Describe(GridPoint point) => string.Join(' ', Axes.Select((axis, i) => $"{axis.Name}={axis.Values[point[i]]}"));

    private static long Product(IEnumerable<Axis> axes) =>
        (long)Int128.Min(1L << 62, axes.Aggregate(Int128.One, (count, axis) => Int128.Min(1L << 62, count * axis.Values.Count)));
}

/// <summary>An index into each axis of a grid; points order like words.</summary>
public readonly struct GridPoint(params int[] indices) : IEquatable<GridPoint>, IComparable<GridPoint>
{
    private readonly int[] _indices = indices;

    /// <summary>The index of the value on an axis.</summary>
    public int this[int axis] => _indices[axis];

    /// <summary>The point with another value on an axis.</summary>
    public GridPoint With(int axis, int value)
    {
        int[] changed = [.. _indices];
        changed[axis] = value;
        return new GridPoint(changed);
    }

    /// <inheritdoc/>
    public bool Equals(GridPoint other) => _indices.AsSpan().SequenceEqual(other._indices);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is GridPoint other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => _indices.Aggregate(17, HashCode.Combine);

    /// <inheritdoc/>
    public int CompareTo(GridPoint other) => _indices.AsSpan().SequenceCompareTo(other._indices);

    /// <inheritdoc/>
    public override string ToString() => $"({string.Join(", ", _indices)})";

    /// <summary>Whether two points are the same.</summary>
    public static bool operator ==(GridPoint left, GridPoint right) => left.Equals(right);

    /// <summary>Whether two points differ.</summary>
    public static bool operator !=(GridPoint left, GridPoint right) => !left.Equals(right);

    /// <summary>Whether a point comes before another.</summary>
    public static bool operator <(GridPoint left, GridPoint right) => left.CompareTo(right) < 0;

    /// <summary>Whether a point comes after another.</summary>
    public static bool operator >(GridPoint left, GridPoint right) => left.CompareTo(right) > 0;

    /// <summary>Whether a point does not come after another.</summary>
    public static bool operator <=(GridPoint left, GridPoint right) => left.CompareTo(right) <= 0;

    /// <summary>Whether a point does not come before another.</summary>
    public static bool operator >=(GridPoint left, GridPoint right) => left.CompareTo(right) >= 0;
}
