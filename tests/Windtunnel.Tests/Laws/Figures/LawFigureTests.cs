using System.Xml.Linq;
using Windtunnel.Laws.Figures;

namespace Windtunnel.Tests.Laws.Figures;

public sealed class LawFigureTests
{
    private static readonly Axis s_compute = new("training compute", "FLOP", Log: true), s_loss = new("loss", "nats/token", Log: true);

    [Fact]
    public void Runs_targets_and_their_errors_are_all_there()
    {
        Figure figure = LawFigure.Draw(
            "Law", s_compute, s_loss,
            [
                new("0.1B", [new(1e18, 3.5, 3.51), new(1e19, 3.2, 3.19, Fitted: false)], [new(1e18, 3.51, 3.4, 3.6), new(1e19, 3.19, 3.1, 3.3)]),
                new("0.4B", [new(4e18, 3.3, 3.3)]),
            ],
            [new("1.4B, M=640", 8e21, 2.52, 2.45, 2.6, 2.5)]);
        Assert.Equal(2, figure.Panels.Count);

        DataPoint error = figure.Panels[1].Marks.OfType<PointMark>().Single(mark => mark.Name == "predicted").Points.Single();
        Assert.Equal((8e21, 0.8, -2.0, 4.0), (error.X, Math.Round(error.Y, 9), Math.Round(error.Low, 9), Math.Round(error.High, 9)));
        Assert.Equal((1e18, 4e18), (figure.Panels[0].Marks.OfType<RegionMark>().Single().From, figure.Panels[0].Marks.OfType<RegionMark>().Single().To));

        PointMark[] points = [.. figure.Panels[0].Marks.OfType<PointMark>()];
        Assert.Equal(["0.1B", "0.1B", "0.4B", "predicted", "actual"], points.Select(mark => mark.Name));
        Assert.Equal([1, 0.5, 1, 1, 1], points.Select(mark => mark.Opacity));
        Assert.Equal(3, points.Take(3).Select(mark => (mark.Tone, mark.Shape, mark.Opacity)).Distinct().Count());

        string[] texts = Texts(figure);
        Assert.Contains("1.4B, M=640 +0.80 %", texts);
        Assert.Contains("fitted", texts);
        Assert.Contains("prediction error (%)", texts);
    }

    [Fact]
    public void Without_predictions_there_is_no_panel_of_errors_and_without_targets_no_region()
    {
        Figure figure = LawFigure.Draw("Runs", s_compute, s_loss, [new("0.1B", [new(1e18, 3.5)])]);
        Assert.Equal(["0.1B"], Assert.Single(figure.Panels).Marks.Select(mark => mark.Name));
    }

    [Fact]
    public void A_target_that_was_not_yet_measured_has_a_name_and_no_error()
    {
        Figure figure = LawFigure.Draw("Plan", s_compute, s_loss, [new("0.1B", [new(1e18, 3.5, 3.5)])], [new("next", 1e20, 3)]);
        Assert.Contains("next", Texts(figure));
        Assert.DoesNotContain("actual", Texts(figure));
        Assert.DoesNotContain("%", string.Concat(Texts(figure).Where(text => text.StartsWith("next", StringComparison.Ordinal))));
    }

    [Fact]
    public void Curves_stand_over_their_learning_rates()
    {
        DataPoint[] measured = [new(1, 4), new(2, 3.5), new(3, 3.2)], predicted = [new(1, 4, 3.9, 4.1), new(2, 3.4), new(3, 3.1, 3, 3.2)], rates = [new(1, 1e-3), new(3, 1e-4)];
        Figure figure = CurveFigure.Draw("Curves", new("step"), s_loss, [new("cosine", measured, predicted, rates), new("constant", measured, [], [])]);
        Assert.Equal(2, figure.Panels.Count);
        Assert.Equal(["cosine", "constant", "measured", "predicted"], figure.Panels[0].Named.Select(entry => entry.Key));
        Assert.Superset(new HashSet<string> { "cosine", "constant", "measured", "predicted", "learning rate", "step" }, Texts(figure).ToHashSet());
        Assert.Equal(1 + (3 * 2) + 3 + 3 + 2, figure.ToCsv().Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);

        Assert.Single(CurveFigure.Draw("Curves", new("step"), s_loss, [new("cosine", measured, [], [])]).Panels);
    }

    [Fact]
    public void The_first_drop_of_a_loss_does_not_flatten_the_rest()
    {
        DataPoint[] measured = [.. Enumerable.Range(0, 101).Select(i => new DataPoint(i, i < 4 ? 11 - i : 3 - (0.01 * i)))];
        Assert.Equal(2.96, CurveFigure.Draw("", new("step"), s_loss, [new("run", measured, [], [])]).Panels[0].Y.High);
        Assert.Equal(5, CurveFigure.Draw("", new("step"), s_loss with { High = 5 }, [new("run", measured, [], [])]).Panels[0].Y.High);
        Assert.Null(CurveFigure.Draw("", new("step"), s_loss, [new("flat", [new(0, 2), new(1, 2)], [], [])]).Panels[0].Y.High);
        Assert.Null(CurveFigure.Draw("", new("step"), s_loss, [new("none", [], [], [])]).Panels[0].Y.High);
    }

    [Fact]
    public void Many_targets_are_not_named_one_by_one()
    {
        LawTarget[] targets = [.. Enumerable.Range(1, 30).Select(i => new LawTarget($"t{i}", 1e20 * i, 3, Actual: 3.1))];
        Assert.DoesNotContain(Texts(LawFigure.Draw("", s_compute, s_loss, [], targets)), text => text.StartsWith('t') && text.Contains('%'));
        Assert.Contains("t1 −3.23 %", Texts(LawFigure.Draw("", s_compute, s_loss, [], targets[..3])));
    }

    [Fact]
    public void A_profile_shows_its_level_estimate_and_interval()
    {
        DataPoint[] profile = [.. Enumerable.Range(-10, 21).Select(i => new DataPoint(0.35 + (0.005 * i), 0.16 * i * i))];
        string[] texts = Texts(ProfileFigure.Draw(new("alpha"), profile, 0.35, 0.3255, 0.3745));
        Assert.Superset(new HashSet<string> { "Profile likelihood of alpha", "95 %", "0.35", "0.3255 to 0.3745", "alpha" }, texts.ToHashSet());

        // An end that isn't there leaves the other.
        texts = Texts(ProfileFigure.Draw(new("alpha"), profile, 0.35, double.NaN, 0.3745, level: 2.706));
        Assert.Superset(new HashSet<string> { "2.706", "0.35", "0.3745" }, texts.ToHashSet());
        Assert.DoesNotContain(texts, text => text.Contains("NaN"));
    }

    [Fact]
    public void Budgets_have_their_runs_curve_and_minimum_and_the_minima_their_law()
    {
        IsoFlopBudget[] budgets =
        [
            .. new[] { 1e18, 1e19 }.Select((compute, i) => new IsoFlopBudget(
                compute, [new(1e7, 4), new(1e8, 3.5 - i), new(1e9, 9)], [new(1e7, 4), new(1e8, 3.4), new(5e8, 4.2)], new(8e7 * (i + 1), 3.4 - i, 6e7, 2e8))),
        ];
        Figure figure = IsoFlopFigure.Draw("IsoFLOP", new("parameters", Log: true, Style: NumberStyle.Count), s_loss, budgets, [new(1e18, 8e7), new(1e19, 1.6e8)], "N* = k C^0.5");
        Assert.Equal(["10^18 FLOP", "10^19 FLOP", "minimum"], figure.Panels[0].Named.Select(entry => entry.Key));
        Assert.Equal(4.2, figure.Panels[0].Y.High);
        Assert.Equal([(1e18, 8e7), (1e19, 1.6e8)], figure.Panels[1].Marks.OfType<PointMark>().Single().Points.Select(point => (point.X, point.Y)));
        Assert.Contains("1019 FLOP", Texts(figure));
        Assert.Contains("best size", Texts(figure));
        Assert.Single(IsoFlopFigure.Draw("IsoFLOP", s_compute, s_loss, []).Panels);
    }

    private static string[] Texts(Figure figure) =>
        [.. XElement.Parse(figure.ToSvg()).Descendants().Where(element => element.Name.LocalName == "text").Select(element => element.Value)];
}
