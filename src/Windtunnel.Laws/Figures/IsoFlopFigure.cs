namespace Windtunnel.Laws.Figures;

/// <summary>The runs of one compute budget.</summary>
/// <param name="Compute">The budget, in FLOP.</param>
/// <param name="Runs">Parameters and loss of each run.</param>
/// <param name="Curve">What was fitted through them: a parabola, a spline.</param>
/// <param name="Optimum">The parameters and loss at its minimum; Low and High are the interval of the parameters.</param>
public sealed record IsoFlopBudget(double Compute, IReadOnlyList<DataPoint> Runs, IReadOnlyList<DataPoint> Curve, DataPoint Optimum);

/// <summary>Loss against model size at constant compute, with the minima, and the power law that they follow.</summary>
public static class IsoFlopFigure
{
    /// <summary>Draws the budgets and, where the law is given, the optima below.</summary>
    /// <param name="title">What was fitted.</param>
    /// <param name="size">The axis of model sizes, as a rule logarithmic.</param>
    /// <param name="loss">The axis of losses.</param>
    /// <param name="budgets">The budgets, from the smallest.</param>
    /// <param name="law">The law of the optimum: compute and parameters, with an interval where it is known.</param>
    /// <param name="subtitle">The law in words.</param>
    public static Figure Draw(
        string title, Axis size, Axis loss, IReadOnlyList<IsoFlopBudget> budgets, IReadOnlyList<DataPoint>? law = null, string subtitle = "")
    {
        List<Mark> curves = [], optima = [];
        foreach ((int i, IsoFlopBudget budget) in budgets.Index())
        {
            Tone tone = Tone.Ordered(i, budgets.Count);
            string name = $"{NumberLabel.Short(budget.Compute, NumberStyle.Power)} FLOP";
            curves.Add(new LineMark(name, budget.Curve, tone, (Dash)(i % 4), 1.3));
            curves.Add(new PointMark(name, budget.Runs, tone, PointMark.ShapeOf(i), Size: 2.6));
        }

        curves.Add(new PointMark("minimum", [.. budgets.Select(budget => new DataPoint(budget.Optimum.X, budget.Optimum.Y))], Shape: MarkerShape.Diamond, Hollow: true, Size: 4.6));

        // Runs far from their optimum would squeeze the minima: the axis ends where the fitted curves do.
        double highest = budgets.SelectMany(budget => budget.Curve).Select(point => point.Y).Where(double.IsFinite).DefaultIfEmpty(double.NaN).Max();
        Panel panel = new(size, double.IsFinite(highest) && loss.High is null ? loss with { High = highest } : loss, curves);
        if (law is null)
        {
            return new(title, [panel], subtitle);
        }

        optima.Add(new BandMark("", law, Tone.Category(0)));
        optima.Add(new LineMark("power law", law, Tone.Category(0)));
        optima.Add(new PointMark(
            "minimum", [.. budgets.Select(budget => new DataPoint(budget.Compute, budget.Optimum.X, budget.Optimum.Low, budget.Optimum.High))],
            Shape: MarkerShape.Diamond, Hollow: true, Size: 4.6));
        return new(title, [panel, new Panel(new("compute", "FLOP", Log: true), size with { Label = "best size" }, optima, Height: 150)], subtitle);
    }
}
