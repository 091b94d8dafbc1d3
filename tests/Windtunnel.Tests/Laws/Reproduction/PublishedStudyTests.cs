using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws;
using Windtunnel.Laws.Reproduction;

namespace Windtunnel.Tests.Laws.Reproduction;

public sealed class PublishedStudyTests
{
    public static TheoryData<string, string> Studies() => new()
    {
        { "gadre", "data/gadre" }, { "chinchilla", "data/scaling" }, { "porian", "data/scaling" },
        { "datablations", "data/scaling" }, { "optimizers", "data/optimizers" }, { "minicpm", "data/minicpm_ladder.csv" },
    };

    [Theory]
    [MemberData(nameof(Studies))]
    public void Every_published_figure_is_reproduced_within_its_tolerance(string name, string data)
    {
        string folder = Path.Combine(SharedData.Require(data), name == "minicpm" ? ".." : "");
        StudyReport report = PublishedStudy.All.Single(study => study.Name == name).Run(folder);

        Assert.NotEmpty(report.Figures);
        Assert.All(report.Figures, figure => Assert.True(figure.Within, $"{figure.Part}: {figure.What}: {figure.Published} published, {figure.Ours} ours"));
        Assert.All(report.Figures, figure => Assert.InRange(figure.Tolerance, 0, Math.Max(0.06 * Math.Abs(figure.Published), 0.0501)));
    }

    [Fact]
    public void Any_cell_of_the_reliability_figures_can_be_asked_for()
    {
        string folder = SharedData.Require("data/gadre");
        ChainPrediction cell = new GadreStudy().Cell(folder, "C4", "paloma_ptb", "0.079B", 640);
        Assert.Equal(24.3, 100 * Math.Abs(cell.LossDeviation!.Value), 0.0501);
        Assert.Null(cell.TrueError);
        Assert.Equal(3.6365, 100 * new GadreStudy().Cell(folder, "RedPajama", "avg17", "1.4B", 640).ErrorDeviation!.Value, 1e-4);

        Assert.Contains("6.9B M=20", Assert.Throws<ValidationException>(() => new GadreStudy().Cell(folder, "C4", "c4_val", "7B", 20)).Message);
        Assert.Contains("C4, RedPajama", Assert.Throws<ValidationException>(() => new GadreStudy().Cell(folder, "Pile", "c4_val", "6.9B", 20)).Message);
        Assert.Contains("no column 'loss_pile'", Assert.Throws<ValidationException>(() => new GadreStudy().Cell(folder, "C4", "pile", "6.9B", 20)).Message);
    }

    [Fact]
    public void A_figure_is_within_its_tolerance_or_not_and_never_when_it_is_no_number()
    {
        Assert.True(new ReproducedFigure("", "", 1, 1.01, 0.011).Within);
        Assert.False(new ReproducedFigure("", "", 1, 0.98, 0.011).Within);
        Assert.False(new ReproducedFigure("", "", 1, double.NaN, 0.011).Within);
        Assert.Equal(2e-3, ReproducedFigure.Relative("", "", -2, -2, 1e-3).Tolerance, 1e-15);
    }

    [Fact]
    public void The_ladder_of_MiniCPM_is_counted_exactly_wherever_its_table_lies()
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder.File("minicpm_ladder.csv"), Ladder(9_426_240));
        Assert.All(new MiniCpmStudy().Run(folder.Path).Figures, figure => Assert.True(figure.Within, figure.What));

        File.WriteAllText(folder.File("minicpm_ladder.csv"), Ladder(9_426_241));
        Assert.Equal("9M, parameters without embeddings", Assert.Single(new MiniCpmStudy().Run(folder.Path).Figures, figure => !figure.Within).What);
    }

    [Fact]
    public void What_is_wrong_with_the_data_is_one_line()
    {
        using TemporaryFolder folder = new();
        MiniCpmStudy study = new();
        Assert.Contains("no such folder", Assert.Throws<ValidationException>(() => study.Run(folder.File("nowhere"))).Message);
        Assert.Contains("has neither minicpm_ladder.csv", Assert.Throws<ValidationException>(() => study.Run(folder.Path)).Message);
        Assert.Contains("gadre", Assert.Throws<ValidationException>(() => new GadreStudy().Run(folder.Path)).Message);

        File.WriteAllText(folder.File("minicpm_ladder.csv"), Ladder(0).Replace(",800,", ",eight,", StringComparison.Ordinal));
        Assert.Contains("d_ff: 'eight' is not a number", Assert.Throws<InvalidDataException>(() => study.Run(folder.Path)).Message);
        File.WriteAllText(folder.File("minicpm_ladder.csv"), "name,d_model\nx,3\n");
        Assert.Contains("no column 'n_layer'", Assert.Throws<ValidationException>(() => study.Run(folder.Path)).Message);
    }

    // Three of the nine models of Hu et al. 2024, Tables 2 and 8.
    internal static string Ladder(int smallest) => $"""
        name,d_model,d_ff,d_head,n_q,n_kv,n_layer,N_exact_nonembed
        9M,320,800,64,5,5,8,{smallest}
        MiniCPM-1.2B,1536,3840,64,24,8,52,1247442432
        MiniCPM-2.4B,2304,5760,64,36,36,40,2442057984

        """;
}
