namespace Windtunnel.Laws.Figures;

/// <summary>How an axis writes its numbers.</summary>
public enum NumberStyle
{
    /// <summary>Plain decimals, powers of ten where they would be long.</summary>
    Auto,

    /// <summary>1.4B, 3.2M, 5k: parameters, tokens, steps.</summary>
    Count,

    /// <summary>10^18, 2x10^18: compute, learning rates.</summary>
    Power,
}

/// <summary>An axis of a panel. Its range is that of the data, and a little more, where it isn't given.</summary>
/// <param name="Label">What is shown, without its unit.</param>
/// <param name="Unit">Its unit, empty for a pure number.</param>
/// <param name="Log">Whether the axis is logarithmic; values of zero and below are then left out.</param>
/// <param name="Low">The lower end, null for the data's.</param>
/// <param name="High">The upper end, null for the data's.</param>
/// <param name="Style">How its numbers are written.</param>
/// <param name="Categories">Names for the positions 0, 1, 2, ..., on a vertical axis from the top; null for numbers.</param>
public sealed record Axis(
    string Label, string Unit = "", bool Log = false, double? Low = null, double? High = null, NumberStyle Style = NumberStyle.Auto,
    IReadOnlyList<string>? Categories = null)
{
    /// <summary>The label with its unit.</summary>
    internal string Caption => Unit.Length == 0 ? Label : $"{Label} ({Unit})";

    /// <summary>A value with its unit, in a few digits; the name of a category.</summary>
    internal string Short(double value) =>
        Categories is { } names ? (value >= 0 && value < names.Count ? names[(int)value] : "")
        : Unit is "" or "%" ? NumberLabel.Short(value, Style) + Unit : $"{NumberLabel.Short(value, Style)} {Unit}";
}
