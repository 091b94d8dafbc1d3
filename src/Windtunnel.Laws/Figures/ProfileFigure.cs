namespace Windtunnel.Laws.Figures;

/// <summary>How much worse a fit becomes as one parameter is held away from its best value.</summary>
public static class ProfileFigure
{
    /// <summary>Draws the profile, the level that bounds the interval, and the interval.</summary>
    /// <param name="parameter">The parameter, with its unit.</param>
    /// <param name="profile">The parameter's values and twice the drop of the log-likelihood from its maximum at each.</param>
    /// <param name="estimate">The best value.</param>
    /// <param name="low">The lower end of the interval; NaN where the profile never reaches the level.</param>
    /// <param name="high">The upper end of the interval; NaN where the profile never reaches the level.</param>
    /// <param name="level">The drop that bounds the interval; 3.841 for 95 %, the quantile of chi-squared with one degree of freedom.</param>
    /// <param name="title">What was fitted.</param>
    public static Figure Draw(
        Axis parameter, IReadOnlyList<DataPoint> profile, double estimate, double low = double.NaN, double high = double.NaN,
        double level = 3.841458820694124, string title = "")
    {
        List<Mark> marks =
        [
            new LineMark("", profile, Tone.Category(0)),
            new PointMark("", profile, Tone.Category(0), Size: 2.2),
            new RuleMark(level, Math.Abs(level - 3.841458820694124) < 1e-9 ? "95 %" : $"{level:0.###}", Tone: Tone.Muted),
            new RuleMark(estimate, parameter.Short(estimate), Vertical: true, Dash.Solid, Tone.Category(1)),
        ];
        if (double.IsFinite(low) && double.IsFinite(high))
        {
            marks.Add(new RegionMark(low, high, $"{parameter.Short(low)} to {parameter.Short(high)}", Tone.Category(0)));
        }
        else
        {
            marks.AddRange(new[] { low, high }.Where(double.IsFinite).Select(end => new RuleMark(end, parameter.Short(end), Vertical: true, Dash.Dotted, Tone.Muted)));
        }

        // A flat bottom is what the profile is drawn for; its walls may leave the picture.
        return new(title.Length > 0 ? title : $"Profile likelihood of {parameter.Label}", [new Panel(parameter, new("2 × drop of log-likelihood", Low: 0, High: 3 * level), marks, Height: 180)]);
    }
}
