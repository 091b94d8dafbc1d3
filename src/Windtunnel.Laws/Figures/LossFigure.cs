namespace Windtunnel.Laws.Figures;

/// <summary>What a run measured while it trained, over steps or tokens.</summary>
/// <param name="Name">The run.</param>
/// <param name="Training">The training loss.</param>
/// <param name="Validation">The validation loss, of a branch from the trunk's on.</param>
/// <param name="LearningRate">The learning rate; empty where it isn't known.</param>
/// <param name="Group">Runs of one group share a colour and a name in the legend, such as those of one size; none where it is empty.</param>
/// <param name="IsBranch">Whether the run started on another.</param>
/// <param name="Diverged">Whether it ended so.</param>
public sealed record LossHistory(
    string Name, IReadOnlyList<DataPoint> Training, IReadOnlyList<DataPoint> Validation, IReadOnlyList<DataPoint> LearningRate,
    string Group = "", bool IsBranch = false, bool Diverged = false)
{
    /// <summary>The loss to look at: that of validation where there is one.</summary>
    internal IReadOnlyList<DataPoint> Main => Validation.Count > 0 ? Validation : Training;
}

/// <summary>The losses of runs as they trained, trunks and their branches, over their learning rates.</summary>
public static class LossFigure
{
    // The share of a run that its fall from chance takes, which would flatten all that follows.
    private const double FirstDrop = 0.1;

    // More training losses than this, which scatter, hide the validation losses.
    private const int MostTrainingLosses = 6;

    /// <summary>Draws the losses and, below, the learning rates.</summary>
    /// <param name="title">What the runs are.</param>
    /// <param name="x">Steps or tokens.</param>
    /// <param name="y">The loss.</param>
    /// <param name="runs">Groups in their order: from the smallest size to the largest.</param>
    /// <param name="groupsAreOrdered">Whether their order means anything.</param>
    /// <param name="subtitle">What else is to be said of all.</param>
    public static Figure Draw(string title, Axis x, Axis y, IReadOnlyList<LossHistory> runs, bool groupsAreOrdered = true, string subtitle = "")
    {
        List<Mark> losses = [], rates = [];
        List<string> groups = [.. runs.Select(run => run.Group).Where(group => group.Length > 0).Distinct()];
        bool showsTraining = runs.Count <= MostTrainingLosses && runs.Any(run => run.Validation.Count > 0 && run.Training.Count > 0);
        foreach ((int i, LossHistory run) in runs.Index())
        {
            bool grouped = run.Group.Length > 0;
            int place = groups.IndexOf(run.Group);
            Tone tone = !grouped ? Tone.Category(i) : groupsAreOrdered ? Tone.Ordered(place, groups.Count) : Tone.Category(place);
            Dash dash = run.IsBranch ? Dash.Dashed : grouped ? Dash.Solid : (Dash)(i % 4);
            string name = grouped ? run.Group : run.Name;
            if (showsTraining && run.Validation.Count > 0)
            {
                losses.Add(new LineMark("", run.Training, tone, Width: 1, Opacity: 0.4));
            }

            losses.Add(new LineMark(name, Noted(run.Main, run.Name), tone, dash, run.IsBranch ? 1.2 : 1.6));
            if (run.Main.LastOrDefault(point => double.IsFinite(point.Y)) is { Y: > 0 } end)
            {
                losses.Add(new PointMark("", [end with { Note = run.Name }], tone, PointMark.ShapeOf(grouped ? place : i), Size: 2.8));
                losses.AddRange(run.Diverged && !(grouped && runs.Take(i).Any(other => other.Diverged && other.Group == run.Group)) ? [new NoteMark("diverged", end.X, end.Y, Tone: tone)] : Array.Empty<Mark>());
            }

            rates.Add(new LineMark(name, Noted(run.LearningRate, run.Name), tone, dash, run.IsBranch ? 1.2 : 1.6));
        }

        // Pale is training and dashed a branch, whatever the colour: these are said once for all.
        losses.AddRange(showsTraining ? [new LineMark("training", [], Width: 1, Opacity: 0.4)] : Array.Empty<Mark>());
        losses.AddRange(groups.Count > 0 && runs.Any(run => run.IsBranch) ? [new LineMark("branch", [], Dash: Dash.Dashed, Width: 1.2)] : Array.Empty<Mark>());

        // Nor does a logarithmic axis begin where nothing can be seen yet.
        y = y with { High = y.High ?? HighestLater(runs) };
        double[] seen = [.. runs.SelectMany(run => run.Main).Where(point => point.Y <= y.High).Select(point => point.X)];
        x = x with { Low = x.Low ?? (x.Log && seen.Length > 0 ? seen.Min() : null) };
        Panel panel = new(x, y, losses, Legend: runs.Count == 1 && !showsTraining ? Legend.None : Legend.LineEnds);
        return new(title, runs.Any(run => run.LearningRate.Count > 0)
            ? [panel, new Panel(x, new("learning rate", Low: 0, Style: NumberStyle.Power), rates, Height: 70, Legend: Legend.None)]
            : [panel], subtitle, SharedX: true);
    }

    private static double? HighestLater(IReadOnlyList<LossHistory> runs)
    {
        double[] shown =
        [
            .. from run in runs
               let last = run.Main.Select(point => point.X).DefaultIfEmpty().Max()
               from point in run.Main
               where run.IsBranch || point.X >= FirstDrop * last
               where double.IsFinite(point.Y)
               select point.Y,
        ];
        return shown.Length > 1 && shown.Max() > shown.Min() ? shown.Max() + (0.04 * (shown.Max() - shown.Min())) : null;
    }

    private static DataPoint[] Noted(IReadOnlyList<DataPoint> points, string note) => [.. points.Select(point => point.Note.Length > 0 ? point : point with { Note = note })];
}
