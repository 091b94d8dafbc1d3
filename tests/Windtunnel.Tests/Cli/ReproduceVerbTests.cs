using Windtunnel.Tests.Laws.Reproduction;

namespace Windtunnel.Tests.Cli;

[Collection(nameof(Tool))]
public sealed class ReproduceVerbTests
{
    [Fact]
    public void Figures_are_shown_side_by_side_and_the_exit_code_tells_whether_all_agree()
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder.File("minicpm_ladder.csv"), PublishedStudyTests.Ladder(9_426_240));
        string output = Tool.Run("reproduce", "minicpm", "--data", folder.Path).AssertSucceeds();
        Assert.Contains("all 16 figures within their tolerance", output);
        Assert.Matches(@"MiniCPM-2.4B, parameters without embeddings +2442057984  2442057984 +0.0E\+00 +0.0E\+00  ok", output);

        File.WriteAllText(folder.File("minicpm_ladder.csv"), PublishedStudyTests.Ladder(9_426_241));
        Outcome wrong = Tool.Run("reproduce", "minicpm", "--data", folder.Path);
        Assert.Equal(1, wrong.ExitCode);
        Assert.Contains("OUTSIDE", wrong.Output);
        Assert.Contains("1 of 16 figures outside their tolerance", wrong.Output);
    }

    [Fact]
    public void A_wrong_study_option_or_folder_is_one_line()
    {
        using TemporaryFolder folder = new();
        Tool.Run("reproduce", "kaplan", "--data", folder.Path).AssertFails(2, "'kaplan' is not a study; there are gadre, chinchilla, porian");
        Tool.Run("reproduce", "porian", "--data", folder.Path, "--train-set", "C4").AssertFails(2, "only gadre has one");
        Tool.Run("reproduce", "porian", "--data", folder.Path).AssertFails(2, "has neither porian_isoflop.csv nor");
        Tool.Run("reproduce", "porian").AssertFails(2, "--data");
    }

    [Fact]
    public void One_model_of_the_testbed_is_predicted_with_both_legs()
    {
        string data = SharedData.Require("data/gadre");
        string output = Tool.Run("reproduce", "gadre", "--data", data, "--train-set", "RedPajama", "--size", "6.9B", "--eval-set", "avg17").AssertSucceeds();
        Assert.Matches(@"loss +2.442745  2.424993 +0.7320 %", output);
        Assert.Matches(@"error, through the predicted loss +0.471856  0.471637 +0.0464 %", output);
        Assert.Matches(@"error, from the true loss +0.46693.  0.471637 +-0.9960 %", output);
    }
}
