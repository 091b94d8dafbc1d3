namespace Windtunnel.Laws.Figures;

/// <summary>A run's loss over its training, measured and predicted, with its schedule.</summary>
/// <param name="Name">At the end of its line.</param>
/// <param name="Measured">The losses measured, by step or tokens; empty while there are none.</param>
/// <param name="Predicted">The losses predicted, with their interval where it is known; empty where there are none.</param>
/// <param name="LearningRate">The learning rate; empty where it isn't known.</param>
public sealed record TrainingCurve(
    string Name, IReadOnlyList<DataPoint> Measured, IReadOnlyList<DataPoint> Predicted, IReadOnlyList<DataPoint> LearningRate);

/// <summary>Whole loss curves against what a law says of them, over the learning rates that shape them.</summary>
public static class CurveFigure
{
    private const double FirstDrop = 0.04;

    /// <summary>Draws the losses and, below, the learning rates.</summary>
    /// <param name="title">What the curves are.</param>
    /// <param name="x">Steps or tokens.</param>
    /// <param name="y">The loss.</param>
    /// <param name="curves">The runs.</param>
    /// <param name="subtitle">The law.</param>
    public static Figure Draw(string title, Axis x, Axis y, IReadOnlyList<TrainingCurve> curves, string subtitle = "")
    {
        List<Mark> losses = [], rates = [];
        foreach ((int i, TrainingCurve curve) in curves.Index())
        {
            Tone tone = Tone.Category(i);
            Dash dash = (Dash)(i % 4);
            if (curve.Predicted.Count == 0)
            {
                losses.Add(new LineMark(curve.Name, curve.Measured, tone, dash));
            }
            else
            {
                losses.Add(new LineMark("", curve.Measured, tone, Width: 3.6, Opacity: 0.35));
                losses.Add(new BandMark("", curve.Predicted, tone));
                losses.Add(new LineMark(curve.Name, curve.Predicted, tone, dash));
            }

            rates.Add(new LineMark(curve.Name, curve.LearningRate, tone, dash));
        }

        // Wide and pale is measured, thin is predicted: the names are the curves', so these two are said once for all.
        if (curves.Any(curve => curve.Measured.Count > 0) && curves.Any(curve => curve.Predicted.Count > 0))
        {
            losses.Add(new LineMark("measured", [], Width: 3.6, Opacity: 0.35));
            losses.Add(new LineMark("predicted", []));
        }

        // The first drop from chance would flatten all that follows, so the plot starts below it.
        DataPoint[] points = [.. curves.SelectMany(curve => curve.Measured.Concat(curve.Predicted)).Where(point => double.IsFinite(point.X) && double.IsFinite(point.Y))];
        double first = points.Select(point => point.X).DefaultIfEmpty().Min(), last = points.Select(point => point.X).DefaultIfEmpty().Max();
        double high = points.Where(point => point.X >= first + (FirstDrop * (last - first))).Select(point => point.Y).DefaultIfEmpty(double.NaN).Max();
        Panel panel = new(x, y.High is null && points.Any(point => point.Y < high) ? y with { High = high } : y, losses, Legend: Legend.LineEnds);
        return new(title, curves.Any(curve => curve.LearningRate.Count > 0)
            ? [panel, new Panel(x, new("learning rate", Low: 0, Style: NumberStyle.Power), rates, Height: 70, Legend: Legend.None)]
            : [panel], subtitle, SharedX: true);
    }
}
