namespace Windtunnel.Laws.Figures;

/// <summary>Numbers as a figure writes them; powers are marked with ^, which <see cref="Svg.Text"/> raises.</summary>
internal static class NumberLabel
{
    private static readonly (double Size, string Name)[] s_units = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")];

    /// <summary>The labels of ticks, all in one style.</summary>
    /// <param name="decimals">The decimals that tell neighbours apart; null for as many as each one has.</param>
    public static string[] OfTicks(double[] values, NumberStyle style, int? decimals)
    {
        double largest = values.Select(Math.Abs).DefaultIfEmpty().Max();
        double smallest = decimals is null ? values.Select(Math.Abs).DefaultIfEmpty().Min() : largest;
        return style switch
        {
            NumberStyle.Count => [.. values.Select(Count)],
            NumberStyle.Auto when largest == 0 || (largest < 1e5 && smallest >= (decimals is null ? 1e-3 : 1e-2)) =>
                [.. values.Select(value => Minus(value.ToString(decimals is { } count ? $"F{count}" : "0.######")))],
            _ => [.. values.Select(Power)],
        };
    }

    /// <summary>1.4B.</summary>
    public static string Count(double value)
    {
        double size = Math.Abs(value);
        if (size >= 1e15 || (size < 1e-3 && size > 0))
        {
            return Power(value);
        }

        foreach ((double unit, string name) in s_units)
        {
            if (size >= unit)
            {
                return Minus($"{value / unit:0.####}{name}");
            }
        }

        return Minus($"{value:0.####}");
    }

    /// <summary>2.5×10^18, and 10^18 for a power alone.</summary>
    public static string Power(double value)
    {
        string[] parts = value.ToString("0.#########E+0").Split('E');
        string exponent = parts[1].TrimStart('+');
        return Minus(exponent == "0" ? parts[0] : parts[0] is "1" or "-1" ? $"{parts[0]}0^{exponent}" : $"{parts[0]}×10^{exponent}");
    }

    /// <summary>A value in four digits, five where it is long anyway.</summary>
    public static string Short(double value, NumberStyle style)
    {
        double size = Math.Abs(value);
        double rounded = size is > 1e-290 and < 1e290 ? double.Parse(value.ToString("E3")) : value;
        return style == NumberStyle.Count ? Count(rounded)
            : size is 0 or (>= 1e-3 and < 1e5) ? Minus(rounded.ToString("G5"))
            : Power(rounded);
    }

    // As wide as a plus sign, where a hyphen is not.
    private static string Minus(string number) => number.Replace('-', '−');
}
