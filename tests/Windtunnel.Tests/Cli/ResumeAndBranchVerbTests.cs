using Windtunnel.Runs;

namespace Windtunnel.Tests.Cli;

[Collection(nameof(Tool))]
public sealed class ResumeAndBranchVerbTests(Tool tool)
{
    [Fact]
    public void Resuming_a_finished_run_validates_it_again_and_changes_nothing()
    {
        tool.Trunk.AssertSucceeds();
        string weights = tool.RunFile("trunk", "checkpoints", "step-00000040", "model.safetensors");
        byte[] before = File.ReadAllBytes(weights);
        double loss = RunRecord.Load(tool.RunFile("trunk", "run.json")).Summary!["val/synthetic/loss"];

        string output = tool.Continue("resume", "trunk").AssertSucceeds();

        Assert.Contains("completed at step 40", output);
        Assert.Equal(before, File.ReadAllBytes(weights));
        Assert.Equal(loss, RunRecord.Load(tool.RunFile("trunk", "run.json")).Summary!["val/synthetic/loss"]);
    }

    [Fact]
    public void A_damaged_checkpoint_is_passed_over_with_a_notice_and_training_goes_on_from_the_one_before()
    {
        tool.Train("--id", "damaged", "--training.length=20", "--schedule.decay=5", "--checkpoints.every=10").AssertSucceeds();
        string weights = tool.RunFile("damaged", "checkpoints", "step-00000020", "model.safetensors");
        byte[] good = File.ReadAllBytes(weights), bad = [.. good];
        bad[^100] ^= 1;
        File.WriteAllBytes(weights, bad);

        string output = tool.Continue("resume", "damaged").AssertSucceeds();

        Assert.Contains("passed over a bad checkpoint", output);
        Assert.Contains("model.safetensors", output);
        Assert.True(Directory.Exists(tool.RunFile("damaged", "checkpoints", "step-00000020.bad")));
        Assert.Equal(good, File.ReadAllBytes(weights));
    }

    [Fact]
    public void A_run_whose_checkpoints_are_all_damaged_is_exit_code_3_and_not_started_over()
    {
        tool.Train("--id", "lost", "--training.length=4", "--schedule={type: constant}").AssertSucceeds();
        foreach (string weights in Directory.GetFiles(tool.RunFile("lost", "checkpoints"), "model.safetensors", SearchOption.AllDirectories))
        {
            File.WriteAllBytes(weights, [1, 2, 3]);
        }

        tool.Continue("resume", "lost").AssertFails(3, "no checkpoint can be used");
        tool.Continue("resume", "lost").AssertFails(3, "set aside before");
    }

    [Fact]
    public void A_cooldown_branches_off_the_stable_part_and_brings_the_rate_to_zero()
    {
        string output = tool.Continue("branch", "trunk", "--at", "20", "--cooldown", "6", "--id", "cooled", "--schedule.shape=oneMinusSqrt").AssertSucceeds();

        Assert.Contains("completed at step 26", output);
        Assert.Equal(new RunParent("trunk", 20, RunParentKind.Branch), RunRecord.Load(tool.RunFile("cooled", "run.json")).Parent);
        string config = File.ReadAllText(tool.RunFile("cooled", "config.yaml"));
        Assert.Contains("decay: 6\n", config);
        Assert.Contains("shape: oneMinusSqrt\n", config);
        MetricsRow last = MetricsLog.Read(tool.RunFile("cooled", "metrics.jsonl")).Last(row => row.Values.ContainsKey("train/lr"));
        Assert.Equal(26, last.At.Step);
        Assert.Equal(0, last.Values["train/lr"]);
    }

    [Fact]
    public void A_cooldown_needs_a_rate_that_has_not_decayed_yet()
    {
        tool.Continue("branch", "trunk", "--cooldown", "5").AssertFails(2, "--at 40: the learning rate is 0 % of its highest there");
        tool.Continue("branch", "trunk", "--at", "20", "--cooldown", "0").AssertFails(2, "--cooldown 0 must be at least 1");
    }

    [Fact]
    public void A_branch_leaves_what_its_running_parent_is_writing()
    {
        string saving = Directory.CreateDirectory(tool.RunFile("trunk", "checkpoints", "step-00000035.tmp-1")).FullName;

        tool.Continue("branch", "trunk", "--at", "30", "--training.length=31", "--id", "beside", "--schedule.decay=1").AssertSucceeds();

        Assert.True(Directory.Exists(saving));
        Directory.Delete(saving);
    }

    [Theory]
    [InlineData(2, "no such run", "resume", "nothing")]
    [InlineData(2, "is not a run id", "resume", "../trunk")]
    [InlineData(2, "no such run", "branch", "nothing")]
    [InlineData(3, "no such checkpoint; there are steps 20, 30, 40", "branch", "trunk", "--at", "25")]
    [InlineData(2, "model is not the parent's", "branch", "trunk", "--at", "30", "--model.size=50k")]
    [InlineData(2, "40 steps end before the branch does", "branch", "trunk")]
    public void What_cannot_be_continued_is_one_line(int exitCode, string expected, params string[] words)
    {
        tool.Continue(words).AssertFails(exitCode, expected);
    }
}
