using System.Globalization;
using System.Text;
using Spectre.Console;
using Windtunnel.Runs;

namespace Windtunnel.Cli;

/// <summary>
/// A run's losses over its training tokens, drawn in Braille dots: the mean training loss of each column, the held-out losses
/// as circles, and the learning rate underneath, where a decay shows.
/// </summary>
internal static class LossChart
{
    private const int LabelWidth = 7;
    private const string Levels = "▁▂▃▄▅▆▇█";

    // Dots of a Braille cell, [row, column], as bits of its code point (Unicode chapter 21).
    private static readonly int[,] s_dots = { { 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 }, { 0x40, 0x80 } };

    /// <summary>The width that suits the terminal, 80 where there is none.</summary>
    public static int TerminalWidth => Math.Clamp(AnsiConsole.Profile.Width, 40, 100);

    /// <summary>Draws the chart; empty where fewer than two training losses were recorded.</summary>
    /// <param name="rows">The run's metrics.</param>
    /// <param name="width">Columns of the terminal.</param>
    /// <param name="height">Lines of the plot, without its axes.</param>
    public static string Draw(IEnumerable<MetricsRow> rows, int width = 80, int height = 12)
    {
        List<(long Tokens, double Value)> losses = [], heldOut = [], rates = [];
        foreach (MetricsRow row in rows)
        {
            foreach ((string name, double value) in row.Values)
            {
                List<(long, double)>? series = name switch
                {
                    "train/loss" => losses,
                    "train/lr" => rates,
                    _ when name.StartsWith("val/", StringComparison.Ordinal) && name.EndsWith("/loss", StringComparison.Ordinal) => heldOut,
                    _ => null,
                };
                if (double.IsFinite(value))
                {
                    series?.Add((row.At.Tokens, value));
                }
            }
        }

        int columns = Math.Max(8, width - LabelWidth - 2);
        double?[] means = losses.Count < 2 ? [] : Means(losses, columns);
        if (means.OfType<double>().Count() < 2)
        {
            return "";
        }

        // The first drop from chance would flatten all that follows, so the plot starts below it.
        double top = means[(means.Length / 25)..].OfType<double>().First();
        double lowest = means.OfType<double>().Concat(heldOut.Select(point => point.Value)).Min();
        double margin = Math.Max(0.01, 0.03 * (top - lowest)), high = top + margin, low = lowest - margin;
        double tick = new[] { 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5 }.First(candidate => (high - low) / candidate <= 8 || candidate == 5);
        long tokens = losses[^1].Tokens;

        char[,] cells = Curve(means, height, columns, low, high);
        foreach ((long at, double value) in heldOut)
        {
            int row = (int)((high - value) / (high - low) * height);
            if (row >= 0 && row < height)
            {
                cells[row, Math.Min(columns - 1, (int)((double)at / tokens * columns))] = '●';
            }
        }

        StringBuilder text = new();
        text.AppendLine(CultureInfo.InvariantCulture, $"{"",LabelWidth} loss, nats a token (● held-out)");
        for (int row = 0; row < height; row++)
        {
            double rowHigh = high - ((high - low) * row / height), rowLow = high - ((high - low) * (row + 1) / height);
            double label = Math.Floor((rowHigh / tick) + 1e-9) * tick;
            bool labelled = label > rowLow + (1e-9 * tick);
            text.Append(CultureInfo.InvariantCulture, $"{(labelled ? label.ToString(tick < 0.1 ? "F2" : "F1", CultureInfo.InvariantCulture) : ""),LabelWidth} {(labelled ? '┤' : '│')}");
            for (int column = 0; column < columns; column++)
            {
                text.Append(cells[row, column]);
            }

            text.AppendLine();
        }

        text.AppendLine(Axis(columns)).AppendLine(AxisLabels(columns, tokens));
        return text.Append(Rate(rates, columns)).ToString();
    }

    /// <summary>The mean of the points in each of <paramref name="count"/> equal stretches of the run; null where there is none.</summary>
    private static double?[] Means(List<(long Tokens, double Value)> points, int count)
    {
        double[] sums = new double[count];
        int[] counts = new int[count];
        foreach ((long at, double value) in points)
        {
            int i = Math.Min(count - 1, (int)((double)at / points[^1].Tokens * count));
            sums[i] += value;
            counts[i]++;
        }

        return [.. sums.Zip(counts, (sum, n) => n == 0 ? (double?)null : sum / n)];
    }

    private static char[,] Curve(double?[] means, int height, int columns, double low, double high)
    {
        char[,] cells = new char[height, columns];
        for (int i = 0; i < cells.Length; i++)
        {
            cells[i / columns, i % columns] = ' ';
        }

        (int X, double Y)? before = null;
        for (int x = 0; x < means.Length; x++)
        {
            if (means[x] is not { } mean)
            {
                continue;
            }

            double y = (high - mean) / (high - low) * 4 * height;
            (int X, double Y) start = before ?? (x, y);
            int steps = Math.Max(1, Math.Max(2 * (x - start.X), (int)Math.Abs(y - start.Y)));
            for (int i = 0; i <= steps; i++)
            {
                double share = (double)i / steps;
                Dot((int)Math.Round(2 * (start.X + (share * (x - start.X)))), (int)Math.Floor(start.Y + (share * (y - start.Y))));
            }

            before = (x, y);
        }

        return cells;

        void Dot(int x, int y)
        {
            if (y >= 0 && y < 4 * height)
            {
                ref char cell = ref cells[y / 4, x / 2];
                cell = (char)((cell == ' ' ? 0x2800 : cell) | s_dots[y % 4, x % 2]);
            }
        }
    }

    private static string Axis(int columns)
    {
        char[] axis = new string('─', columns).ToCharArray();
        for (int i = 1; i <= 4; i++)
        {
            axis[(columns * i / 4) - 1] = '┬';
        }

        return $"{"",LabelWidth} └{new string(axis)}";
    }

    private static string AxisLabels(int columns, long tokens)
    {
        char[] labels = new string(' ', LabelWidth + 2 + columns).ToCharArray();
        "tokens".CopyTo(labels.AsSpan(1));
        labels[LabelWidth + 2] = '0';
        for (int i = 1; i <= 4; i++)
        {
            string label = Quantity.Count(tokens * i / 4);
            label.CopyTo(labels.AsSpan(LabelWidth + 2 + (columns * i / 4) - label.Length));
        }

        return new string(labels);
    }

    private static string Rate(List<(long Tokens, double Value)> rates, int columns)
    {
        double highest = rates.Count == 0 ? 0 : rates.Max(rate => rate.Value);
        if (highest == 0)
        {
            return "";
        }

        StringBuilder text = new($"{"rate",LabelWidth - 1}   ");
        double last = 0;
        foreach (double? rate in Means(rates, columns))
        {
            last = rate ?? last;
            text.Append(Levels[(int)Math.Round(last / highest * (Levels.Length - 1))]);
        }

        return text.AppendLine().ToString();
    }
}
