using Windtunnel.Laws.Reproduction;

namespace Windtunnel.Tests.Laws.Reproduction;

public class CurvesStudyTests
{
    [Fact]
    public void Every_figure_of_the_loss_curve_studies_is_reproduced()
    {
        StudyReport report = new CurvesStudy().Run(SharedData.Require("data/curves"));
        Assert.Equal(44, report.Figures.Count);
        Assert.All(report.Figures, figure => Assert.True(figure.Within, $"{figure.What}: {figure.Published} published, {figure.Ours} ours"));
    }
}
