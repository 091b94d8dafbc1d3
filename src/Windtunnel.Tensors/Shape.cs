using System.Diagnostics.CodeAnalysis;

namespace Windtunnel.Tensors;

/// <summary>One to four dimensions, outermost first, of a densely packed row-major tensor.</summary>
public readonly struct Shape : IEquatable<Shape>
{
    private readonly int _d0, _d1, _d2, _d3;

    /// <summary>A vector of <paramref name="d0"/> elements.</summary>
    public Shape(int d0) => (Rank, _d0, _d1, _d2, _d3) = (1, Positive(d0), 1, 1, 1);

    /// <summary>A matrix [d0, d1].</summary>
    public Shape(int d0, int d1) => (Rank, _d0, _d1, _d2, _d3) = (2, Positive(d0), Positive(d1), 1, 1);

    /// <summary>A tensor [d0, d1, d2].</summary>
    public Shape(int d0, int d1, int d2) => (Rank, _d0, _d1, _d2, _d3) = (3, Positive(d0), Positive(d1), Positive(d2), 1);

    /// <summary>A tensor [d0, d1, d2, d3].</summary>
    public Shape(int d0, int d1, int d2, int d3) => (Rank, _d0, _d1, _d2, _d3) = (4, Positive(d0), Positive(d1), Positive(d2), Positive(d3));

    /// <summary>The number of dimensions, 1 to 4.</summary>
    public int Rank { get; }

    /// <summary>The size of dimension <paramref name="axis"/>; negative axes count from the end.</summary>
    public int this[int axis] => (axis < 0 ? axis + Rank : axis) switch
    {
        0 => _d0,
        1 when Rank > 1 => _d1,
        2 when Rank > 2 => _d2,
        3 when Rank > 3 => _d3,
        _ => throw new ArgumentOutOfRangeException(nameof(axis), $"axis {axis} of a shape with {Rank} dimensions"),
    };

    /// <summary>The number of elements.</summary>
    public long Count => (long)_d0 * _d1 * _d2 * _d3;

    /// <summary>The size of the innermost dimension.</summary>
    public int Columns => this[-1];

    /// <summary>The number of rows when every dimension but the last is flattened.</summary>
    public int Rows => checked((int)(Count / Columns));

    /// <summary>This shape with another innermost size.</summary>
    public Shape WithColumns(int columns) => Rank switch
    {
        1 => new Shape(columns),
        2 => new Shape(_d0, columns),
        3 => new Shape(_d0, _d1, columns),
        _ => new Shape(_d0, _d1, _d2, columns),
    };

    /// <inheritdoc/>
    public bool Equals(Shape other) =>
        Rank == other.Rank && _d0 == other._d0 && _d1 == other._d1 && _d2 == other._d2 && _d3 == other._d3;

    /// <inheritdoc/>
    public override bool Equals([NotNullWhen(true)] object? obj) => obj is Shape other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Rank, _d0, _d1, _d2, _d3);

    /// <summary>True when rank and all sizes agree.</summary>
    public static bool operator ==(Shape left, Shape right) => left.Equals(right);

    /// <summary>True when rank or a size differs.</summary>
    public static bool operator !=(Shape left, Shape right) => !left.Equals(right);

    /// <summary>The sizes in brackets, outermost first.</summary>
    public override string ToString() => Rank switch
    {
        1 => $"[{_d0}]",
        2 => $"[{_d0}, {_d1}]",
        3 => $"[{_d0}, {_d1}, {_d2}]",
        _ => $"[{_d0}, {_d1}, {_d2}, {_d3}]",
    };

    private static int Positive(int size) =>
        size > 0 ? size : throw new ArgumentOutOfRangeException(nameof(size), $"a dimension must be positive, not {size}");
}
