using System.Xml.Linq;
using Windtunnel.Laws.Figures;

namespace Windtunnel.Tests.Laws.Figures;

/// <summary>Figures of runs: losses as they trained, slices of a search, bars.</summary>
public sealed class RunFiguresTests
{
    private static readonly Axis s_tokens = new("tokens", Style: NumberStyle.Count), s_loss = new("loss", "nats/token");

    [Fact]
    public void Runs_of_one_size_share_a_colour_and_a_name_and_branches_are_dashed()
    {
        Figure figure = LossFigure.Draw("Loss", s_tokens, s_loss, [History("a", "small"), History("b", "small", isBranch: true), History("c", "large")]);

        LineMark[] lines = [.. figure.Panels[0].Marks.OfType<LineMark>().Where(line => line.Points.Count > 0 && line.Opacity == 1)];
        Assert.Equal(["small", "small", "large"], lines.Select(line => line.Name));
        Assert.Equal(lines[0].Tone, lines[1].Tone);
        Assert.NotEqual(lines[0].Tone, lines[2].Tone);
        Assert.Equal([Dash.Solid, Dash.Dashed, Dash.Solid], lines.Select(line => line.Dash));
        Assert.Contains(figure.Panels[0].Marks.OfType<LineMark>(), line => line is { Name: "branch", Points.Count: 0 });
        Assert.Contains("small,line,2,", figure.ToCsv());
        XElement.Parse(figure.ToSvg());
    }

    [Fact]
    public void The_fall_from_chance_does_not_flatten_what_follows()
    {
        DataPoint[] points = [new(1, 10), .. Enumerable.Range(10, 91).Select(x => new DataPoint(x, 3 - (0.001 * x)))];

        Figure figure = LossFigure.Draw("Loss", s_tokens, s_loss, [new LossHistory("a", [], points, [])]);

        Assert.InRange(figure.Panels[0].Y.High!.Value, 2.99, 3.1);
        Assert.Contains(",1,10,", figure.ToCsv());
    }

    [Fact]
    public void A_run_without_points_and_one_of_nothing_but_NaN_draw_nothing()
    {
        Figure figure = LossFigure.Draw(
            "Loss", s_tokens, s_loss, [new LossHistory("none", [], [], []), new LossHistory("nan", [new(1, double.NaN)], [new(1, double.NaN)], [new(1, double.NaN)], Diverged: true)]);

        Assert.Empty(figure.Panels[0].Marks.OfType<PointMark>());
        XElement.Parse(figure.ToSvg());
    }

    [Fact]
    public void A_slice_follows_the_lowest_loss_at_each_value()
    {
        Panel panel = Slice(["1e-3", "2e-3", "4e-3"], [(0, 3), (0, 2.5), (1, 2.2), (1, 2.1), (2, 2.4)], best: 1);

        Assert.Equal([new(1e-3, 2.5), new(2e-3, 2.1), new(4e-3, 2.4)], panel.Marks.OfType<LineMark>().Single().Points);
        Assert.Equal(5, panel.Marks.OfType<PointMark>().First().Points.Count);
        Assert.Equal(new(2e-3, 2.1), panel.Marks.OfType<PointMark>().Single(mark => mark.Hollow).Points.Single());
        Assert.Empty(panel.Marks.OfType<NoteMark>());
    }

    [Fact]
    public void A_best_at_the_edge_and_runs_that_diverged_are_said()
    {
        Panel panel = Slice(["1", "2", "3", "4"], [(0, 2), (1, 2.5), (2, 2.6), (2, double.PositiveInfinity), (3, double.PositiveInfinity)], best: 0);

        Assert.Equal("best, at the edge", panel.Marks.OfType<NoteMark>().Single().Text);
        Assert.Equal([(3, "1 of 2 diverged"), (4, "diverged")], panel.Marks.OfType<RuleMark>().Select(rule => (rule.Value, rule.Text)));
    }

    [Fact]
    public void Values_that_are_no_numbers_are_categories_without_a_line()
    {
        Panel panel = Slice(["cosine", "linear"], [(0, 2), (1, 2.5)], best: 0);

        Assert.Equal(["cosine", "linear"], panel.X.Categories!);
        Assert.Empty(panel.Marks.OfType<LineMark>());
        Assert.Empty(panel.Marks.OfType<NoteMark>());
    }

    [Fact]
    public void A_slice_of_nothing_but_diverged_runs_is_a_figure_all_the_same()
    {
        XElement.Parse(SliceFigure.Draw("t", s_loss, [new Slice("x", ["1", "2"], [(0, double.PositiveInfinity), (1, double.NaN)], -1)]).ToSvg());
        XElement.Parse(SliceFigure.Draw("t", s_loss, []).ToSvg());
    }

    [Fact]
    public void Bars_have_their_intervals_and_what_has_none_has_its_reason()
    {
        Figure figure = BarFigure.Draw("t", new Axis("difference", "nats"), [new Bar("muon", -0.05, -0.06, -0.04), new Bar("sgd", double.NaN, Note: "no loss")], noise: 0.01);

        Assert.Contains(",-0.05,muon,-0.06,-0.04,", figure.ToCsv());
        Assert.Equal("no loss", figure.Panels[0].Marks.OfType<NoteMark>().Single().Text);
        Assert.Equal((-0.01, 0.01), figure.Panels[0].Marks.OfType<RegionMark>().Select(region => (region.From, region.To)).Single());
        XElement.Parse(figure.ToSvg());
    }

    private static Panel Slice(string[] values, (int, double)[] runs, int best) =>
        SliceFigure.Draw("t", s_loss, [new Slice("x", values, runs, best)]).Panels.Single();

    private static LossHistory History(string name, string group, bool isBranch = false) =>
        new(name, [], [new(1, 3), new(2, 2)], [new(1, 1e-3), new(2, 1e-3)], group, isBranch);
}
