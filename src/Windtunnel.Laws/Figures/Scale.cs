namespace Windtunnel.Laws.Figures;

/// <summary>An axis with its range and length: from values to pixels.</summary>
internal sealed class Scale
{
    private const double Largest = 1e300, Margin = 0.04;

    private readonly Axis _axis;
    private readonly bool _upward;
    private readonly double _from, _to;

    /// <param name="axis">The axis.</param>
    /// <param name="values">What it has to show.</param>
    /// <param name="length">Its length in pixels.</param>
    /// <param name="upward">Whether values grow towards pixel 0, as on a vertical axis.</param>
    public Scale(Axis axis, IEnumerable<double> values, double length, bool upward)
    {
        (_axis, _upward, Length) = (axis, upward && axis.Categories is null, length);
        int wanted = (int)(length / (upward ? 38 : axis.Log ? 46 : 70));
        if (axis.Categories is { } names)
        {
            (_from, _to) = (-0.5, Math.Max(1, names.Count) - 0.5);
            Values = [.. Enumerable.Range(0, names.Count).Select(position => (double)position)];
            Labels = [.. names];
            return;
        }

        (_from, _to) = Range([.. values.Where(Accepts)]);
        (Low, High) = axis.Log ? (Math.Pow(10, _from), Math.Pow(10, _to)) : (_from, _to);
        int? decimals;
        if (axis.Log)
        {
            Values = Ticks.Log(Low, High, wanted, out double[] minor, out decimals);
            Minor = minor;
        }
        else
        {
            Values = Ticks.Linear(Low, High, Math.Clamp(wanted, 3, 7), out int places);
            decimals = places;
        }

        Labels = NumberLabel.OfTicks(Values, axis.Style, decimals);
    }

    public Axis Axis => _axis;

    public double Length { get; }

    public double Low { get; }

    public double High { get; }

    /// <summary>The values marked and labelled.</summary>
    public double[] Values { get; }

    public string[] Labels { get; }

    /// <summary>The values marked only.</summary>
    public double[] Minor { get; } = [];

    /// <summary>Whether a value can be shown at all.</summary>
    public bool Accepts(double value) => double.IsFinite(value) && Math.Abs(value) <= Largest && (!_axis.Log || value >= 1 / Largest);

    /// <summary>The pixel of a value, kept near the plot where it lies far outside.</summary>
    public double Pixel(double value)
    {
        double share = ((_axis.Log ? Math.Log10(value) : value) - _from) / (_to - _from);
        return Math.Clamp((_upward ? 1 - share : share) * Length, -20 * Length, 21 * Length);
    }

    private (double From, double To) Range(double[] values)
    {
        double low = values.Length == 0 ? (_axis.Log ? 1 : 0) : values.Min(), high = values.Length == 0 ? (_axis.Log ? 10 : 1) : values.Max();
        bool positive = low >= 0;
        (low, high) = (Given(_axis.Low) ?? low, Given(_axis.High) ?? high);
        if (_axis.Log)
        {
            (low, high) = (Math.Log10(low), Math.Log10(high));
        }

        // Ends as close as rounding, or the wrong way round, leave nothing to divide: show some room on both sides.
        if (high - low <= 1e-9 * Math.Max(1e-290, Math.Max(Math.Abs(low), Math.Abs(high))))
        {
            double room = _axis.Log ? 0.2 : Math.Abs(low) < 1e-290 ? 1 : 0.1 * Math.Abs(low);
            return (low - room, low + room);
        }

        double margin = _axis.Log ? Math.Min(1, Margin * (high - low)) : Margin * (high - low);
        double from = Given(_axis.Low) is null ? low - margin : low, to = Given(_axis.High) is null ? high + margin : high;
        return (!_axis.Log && positive && from < 0 ? 0 : from, to);

        double? Given(double? end) => end is { } value && Accepts(value) ? value : null;
    }
}
