using System.Globalization;
using System.Text;
using Windtunnel.Laws.Figures;
using Windtunnel.Training;

namespace Windtunnel.Cli;

/// <summary>A coordinate check as a verdict in words, a figure and a table.</summary>
internal static class CoordinateReport
{
    private const double FewestDecades = 1.5;

    /// <summary>Says how each part's activation follows the width.</summary>
    public static void Write(CoordinateCheck check)
    {
        CoordinateSlope[] last = [.. check.LastSlopes];
        TextTable table = new("<part", "slope before training", $"after {Quantity.Of(last[0].Step, "step")}", "<activations");
        foreach (CoordinateSlope slope in last)
        {
            double before = check.Slopes.Single(other => other.Part == slope.Part && other.Step == 0).Slope;
            table.Add(slope.Part, Signed(before), Signed(slope.Slope), slope.Verdict);
        }

        table.Write();
        Console.WriteLine();
        Console.WriteLine(Verdict(last));
    }

    /// <summary>Draws the size of the activations against the width, a panel for each kind of part.</summary>
    /// <param name="check">What was measured.</param>
    /// <param name="model">The family.</param>
    public static Figure Draw(CoordinateCheck check, string model)
    {
        int steps = check.Coordinates.Max(at => at.Step);
        int[] shown = [.. new[] { 0, 1, 2, (steps + 1) / 2, steps }.Where(step => step <= steps).Distinct().Order()];
        IGrouping<string, Coordinate>[] kinds = [.. check.Coordinates.Where(at => shown.Contains(at.Step)).GroupBy(at => at.Part.Split('.')[0])];
        double decades = Math.Max(FewestDecades, kinds.Max(kind => Math.Log10(kind.Max(at => at.RootMeanSquare) / kind.Min(at => at.RootMeanSquare))) * 1.1);
        return new Figure(
            $"Activations of {model} against width", [.. kinds.Select((kind, i) => Panel(kind, shown, decades, i == 0))],
            "Root mean square, before training and after some of its first steps; one line a block", Columns: 2);
    }

    /// <summary>All that was measured.</summary>
    public static string ToCsv(CoordinateCheck check)
    {
        StringBuilder csv = new("part,step,width,rms\n");
        foreach (Coordinate at in check.Coordinates)
        {
            csv.Append(CultureInfo.InvariantCulture, $"{at.Part},{at.Step},{at.Width},{at.RootMeanSquare:R}\n");
        }

        return csv.ToString();
    }

    // Rounded first, and a negative zero made positive: the format would write both signs.
    private static string Signed(double slope) => $"{Math.Round(slope, 2) + 0.0:+0.00;-0.00}";

    private static string Verdict(CoordinateSlope[] last)
    {
        if (last.All(slope => slope.IsFlat))
        {
            return $"flat: every part keeps its size within width^±{CoordinateCheck.FlatSlope}, so one learning rate serves these widths";
        }

        bool grows = last.Any(slope => slope.Verdict == "growing" || !double.IsFinite(slope.Slope));
        CoordinateSlope[] moving = [.. last.Where(slope => !slope.IsFlat && (slope.Verdict == "growing" == grows))];
        CoordinateSlope steepest = moving.MaxBy(slope => Math.Abs(slope.Slope));
        string parts = $"{moving.Length} of {Quantity.Of(last.Length, "part")}, {steepest.Part} as width^{steepest.Slope:0.00}";
        return grows
            ? $"growing: {parts}; a wider model needs a lower learning rate"
            : $"shrinking: {parts}; random logits do so as width^-0.50 where they are scaled by the width: take more steps, so that training outweighs them";
    }

    // All panels span as many decades, so that the same slope looks the same and flat looks flat.
    private static Panel Panel(IGrouping<string, Coordinate> kind, int[] shown, double decades, bool named)
    {
        double middle = Math.Sqrt(kind.Max(at => at.RootMeanSquare) * kind.Min(at => at.RootMeanSquare)), reach = Math.Pow(10, decades / 2);
        IEnumerable<Mark> marks =
            from line in kind.GroupBy(at => (at.Part, at.Step))
            let place = Array.IndexOf(shown, line.Key.Step)
            let points = line.Select(at => new DataPoint(at.Width, at.RootMeanSquare, Note: line.Key.Part)).ToArray()
            let name = $"step {line.Key.Step}"
            let tone = Tone.Ordered(place, shown.Length)
            from mark in new Mark[] { new LineMark(name, points, tone, (Dash)(place % 4)), new PointMark(name, points, tone, PointMark.ShapeOf(place), Size: 2.4) }
            select mark;
        return new Panel(
            new Axis("width", Log: true), new Axis("", Log: true, Low: middle / reach, High: middle * reach), [.. marks], Title: kind.Key, Height: 150,
            Legend: named ? Legend.Auto : Legend.None);
    }
}
