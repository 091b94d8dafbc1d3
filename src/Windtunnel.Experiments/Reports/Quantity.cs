using System.Globalization;

namespace Windtunnel.Experiments.Reports;

/// <summary>Numbers as a person reads them.</summary>
public static class Quantity
{
    /// <summary>1 row, 2 rows.</summary>
    public static string Of(int count, string noun) => $"{count:N0} {noun}{(count == 1 ? "" : "s")}";

    /// <summary>1,234 or 1.23M, with k, M, B and T; 1.23e+20 beyond.</summary>
    public static string Count(double value) => Math.Abs(value) < 10_000 ? $"{value:0.##}" : Scaled(value, ["", "k", "M", "B", "T"], 1e3);

    /// <summary>Operations or operations a second: 1.23 PFLOP.</summary>
    public static string Flops(double value) => Scaled(value, [" FLOP", " kFLOP", " MFLOP", " GFLOP", " TFLOP", " PFLOP", " EFLOP", " ZFLOP"], 1e3);

    /// <summary>412 MB, in powers of ten.</summary>
    public static string Bytes(double value) => Scaled(value, [" B", " kB", " MB", " GB", " TB", " PB"], 1e3);

    /// <summary>0:07, 12:30, 3:05:00, 2d 4h.</summary>
    public static string Time(double seconds)
    {
        TimeSpan time = TimeSpan.FromSeconds(Math.Clamp(double.IsFinite(seconds) ? Math.Round(seconds) : 0, 0, 1e11));
        return time.TotalDays >= 1 ? $"{time.Days}d {time.Hours}h" : time.TotalHours >= 1 ? $"{time:h\\:mm\\:ss}" : $"{time:m\\:ss}";
    }

    /// <summary>A number that may be without limit: an end of an interval, a speedup.</summary>
    public static string Limit(double value, string format) => double.IsInfinity(value) ? "no limit" : value.ToString(format, CultureInfo.InvariantCulture);

    private static string Scaled(double value, string[] units, double step)
    {
        double whole = value;
        int unit = 0;
        while (Math.Abs(value) >= step * 0.9995 && unit < units.Length - 1)
        {
            value /= step;
            unit++;
        }

        if (Math.Abs(value) >= 1e5)
        {
            return $"{whole:0.##e+0}{units[0]}";
        }

        return (value >= 100 || unit == 0 ? $"{value:0}" : value >= 10 ? $"{value:0.0}" : $"{value:0.00}") + units[unit];
    }
}
