namespace Windtunnel.Tests.Cli;

[Collection(nameof(Tool))]
public sealed class SampleVerbTests(Tool tool)
{
    [Fact]
    public void A_sample_starts_with_its_prompt_and_is_the_same_each_time()
    {
        string text = Sample("trunk", "--prompt", "a wo").AssertSucceeds();
        Assert.StartsWith("a wo", text);
        Assert.True(text.Length > 20, text);
        Assert.Equal(text, Sample("trunk", "--prompt", "a wo").AssertSucceeds());
        Assert.NotEqual(text, Sample("trunk", "--prompt", "a wo", "--seed", "2").AssertSucceeds());
    }

    [Fact]
    public void A_count_of_samples_gives_different_ones_of_which_the_first_is_the_single_one()
    {
        string one = Sample("trunk").AssertSucceeds();
        string[] three = Sample("trunk", "--count", "3").AssertSucceeds().Split("\n---\n");
        Assert.Equal(3, three.Distinct().Count());
        Assert.Equal(one, three[0]);
    }

    [Fact]
    public void An_older_checkpoint_can_be_sampled_and_one_that_is_not_there_is_named()
    {
        Assert.NotEqual(Sample("trunk@20").AssertSucceeds(), Sample("trunk@40").AssertSucceeds());
        Assert.Equal(Sample("trunk").AssertSucceeds(), Sample("trunk@40").AssertSucceeds());
        Sample("trunk@21").AssertFails(3, "step-00000021");
        Sample("trunk@last").AssertFails(2, "is not a step");
    }

    [Fact]
    public void Sampling_needs_no_data_folder_and_changes_nothing_in_the_run()
    {
        tool.Trunk.AssertSucceeds();
        string[] before = Files();
        Tool.Run("sample", "trunk", "--runs", tool.Runs, "--max-tokens", "5").AssertSucceeds();
        Assert.Equal(before, Files());

        string[] Files() => [.. Directory.GetFiles(tool.RunFile("trunk"), "*", SearchOption.AllDirectories)
            .Select(path => $"{path} {File.GetLastWriteTimeUtc(path):O}").Order(StringComparer.Ordinal)];
    }

    [Fact]
    public void Impossible_settings_an_unknown_run_and_an_average_that_was_not_kept_are_one_line_each()
    {
        Sample("trunk", "--temperature", "-1").AssertFails(2, "temperature");
        Sample("trunk", "--top-p", "0").AssertFails(2, "top-p");
        Sample("trunk", "--count", "0").AssertFails(2, "count");
        Sample("nowhere").AssertFails(2, "nowhere");
        Sample("trunk", "--ema").AssertFails(3, "ema.safetensors");
    }

    private Outcome Sample(string run, params string[] words)
    {
        tool.Trunk.AssertSucceeds();
        return Tool.Run(["sample", run, "--runs", tool.Runs, "--max-tokens", "60", .. words]);
    }
}
