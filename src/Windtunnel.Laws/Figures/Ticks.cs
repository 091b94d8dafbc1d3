namespace Windtunnel.Laws.Figures;

/// <summary>Where an axis is marked: three to nine round values inside a range.</summary>
internal static class Ticks
{
    private static readonly int[] s_nice = [1, 2, 5];

    /// <summary>Multiples of 1, 2 or 5 times a power of ten.</summary>
    /// <param name="low">The lower end.</param>
    /// <param name="high">The upper end, above <paramref name="low"/> by more than rounding.</param>
    /// <param name="wanted">How many would suit; there are three to nine whatever is wanted.</param>
    /// <param name="decimals">The decimals of the step.</param>
    public static double[] Linear(double low, double high, int wanted, out int decimals)
    {
        double[] best = [];
        int around = (int)Math.Floor(Math.Log10(high - low));
        decimals = 0;
        for (int exponent = around + 1; exponent >= around - 1; exponent--)
        {
            foreach (int nice in s_nice.Reverse())
            {
                double step = Decimal(nice, exponent);
                double[] values = [.. Range((long)Math.Floor(low / step), (long)Math.Ceiling(high / step))
                    .Select(count => Decimal(count * nice, exponent)).Where(value => value >= low && value <= high)];
                if (values.Length is >= 3 and <= 9 && (best.Length == 0 || Math.Abs(values.Length - wanted) < Math.Abs(best.Length - wanted)))
                {
                    best = values;
                    decimals = Math.Max(0, -exponent);
                }
            }
        }

        return best;
    }

    /// <summary>Powers of ten; 1, 2, 5 or 1, 3 in each where there are few; multiples as on a linear axis in less than a decade.</summary>
    /// <param name="low">The lower end, positive.</param>
    /// <param name="high">The upper end, above <paramref name="low"/> by more than rounding.</param>
    /// <param name="most">How many there may be, at least five.</param>
    /// <param name="minor">Takes the unlabelled values between.</param>
    /// <param name="decimals">The decimals of the step where it is constant, else null.</param>
    public static double[] Log(double low, double high, int most, out double[] minor, out int? decimals)
    {
        most = Math.Clamp(most, 5, 9);
        minor = [];
        decimals = null;
        int first = (int)Math.Floor(Math.Log10(low)), last = (int)Math.Ceiling(Math.Log10(high));
        double[] decades = Inside(1, 1);
        if (decades.Length >= 3)
        {
            int stride = ((decades.Length - 1) / most) + 1;
            minor = stride == 1 ? Inside(1, 2, 3, 4, 5, 6, 7, 8, 9) : stride < 5 ? decades : [];
            double[] values = Inside(stride, 1);
            return values.Length <= most ? values : Inside(stride + 1, 1);
        }

        minor = Inside(1, 1, 2, 3, 4, 5, 6, 7, 8, 9);
        if (new[] { Inside(1, 1, 2, 5), Inside(1, 1, 3) }.FirstOrDefault(values => values.Length >= 3 && values.Length <= most) is { } few)
        {
            return few;
        }

        minor = [];
        double[] linear = Linear(low, high, Math.Min(most, 6), out int places);
        decimals = places;
        return linear;

        double[] Inside(int stride, params int[] digits) =>
        [
            .. from exponent in Range(first, last)
               where exponent % stride == 0
               from digit in digits
               let value = Decimal(digit, (int)exponent)
               where value >= low && value <= high
               select value,
        ];
    }

    // Read as a decimal, so that 3 x 0.1 is 0.3.
    private static double Decimal(long digits, int exponent) => double.Parse($"{digits}E{exponent}");

    private static IEnumerable<long> Range(long first, long last)
    {
        for (long i = first; i <= last; i++)
        {
            yield return i;
        }
    }
}
