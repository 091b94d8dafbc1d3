using System.Text.Json.Nodes;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Runs;

namespace Windtunnel.Tests.Cli;

[Collection(nameof(Tool))]
public sealed class VerbTests(Tool tool)
{
    [Theory]
    [InlineData]
    [InlineData("train")]
    [InlineData("resume")]
    [InlineData("branch")]
    [InlineData("runs")]
    [InlineData("runs", "list")]
    [InlineData("runs", "show")]
    [InlineData("runs", "compare")]
    [InlineData("model")]
    [InlineData("model", "coordinates")]
    [InlineData("inherit")]
    [InlineData("analyze")]
    [InlineData("analyze", "attention")]
    [InlineData("analyze", "context")]
    [InlineData("export")]
    [InlineData("data")]
    [InlineData("tokenizer")]
    [InlineData("tokenizer", "train")]
    [InlineData("tokenizer", "encode")]
    [InlineData("doctor")]
    [InlineData("fit")]
    [InlineData("predict")]
    [InlineData("plan")]
    [InlineData("laws")]
    [InlineData("reproduce")]
    [InlineData("isoflop")]
    [InlineData("optimizers")]
    [InlineData("sweep")]
    [InlineData("compare")]
    [InlineData("report")]
    [InlineData("sweep", "run")]
    [InlineData("sweep", "status")]
    [InlineData("sweep", "results")]
    [InlineData("sweep", "retry")]
    [InlineData("sweep", "worker")]
    [InlineData("tunnel")]
    [InlineData("bench")]
    [InlineData("bench", "optimizers")]
    public void Every_verb_has_help(params string[] verb)
    {
        string output = Tool.Run([.. verb, "--help"]).AssertSucceeds();

        Assert.Contains("Usage:", output);
        Assert.DoesNotContain("<no description>", output);
    }

    [Theory]
    [InlineData("'traim' is not a verb; there are quickstart, train, resume, ", "traim")]
    [InlineData("a verb is missing; of runs there are list, show, compare", "runs")]
    [InlineData("'id' missing", "resume")]
    [InlineData("--at", "branch", "trunk", "--at", "soon")]
    public void A_wrong_command_line_is_one_line_and_exit_code_2(string expected, params string[] words)
    {
        Tool.Run(words).AssertFails(2, expected);
    }

    [Fact]
    public void Runs_are_listed_sorted_and_filtered()
    {
        string output = Tool.Run("runs", "list", "--runs", tool.Runs, "--where", "id=trunk").AssertSucceeds();

        string[] lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2, lines.Length);
        Assert.StartsWith("trunk  completed", lines[1]);
        Tool.Run("runs", "list", "--runs", tool.Runs, "--where", "id=nothing").AssertSucceeds();
        Tool.Run("runs", "list", "--runs", tool.Runs, "--sort", "beauty").AssertFails(2, "'beauty' is not a column");
    }

    [Fact]
    public void A_run_is_shown_with_its_validations_and_its_config()
    {
        string output = Tool.Run("runs", "show", "trunk", "--runs", tool.Runs).AssertSucceeds();

        double bitsPerByte = RunRecord.Load(tool.RunFile("trunk", "run.json")).Summary!["val/synthetic/bpb"];
        Assert.Contains("run          trunk (completed, exit code 0)", output);
        Assert.Contains("checkpoints  20, 30, 40", output);
        Assert.Contains($"{bitsPerByte:F4}", output);
        Assert.EndsWith(File.ReadAllText(tool.RunFile("trunk", "config.yaml")), output);
    }

    [Fact]
    public void What_a_foreign_run_says_of_itself_reaches_no_terminal_as_it_is()
    {
        using TemporaryFolder folder = new();
        const string hostile = "\e]0;owned\a";
        foreach (string id in new[] { "foreign", "other" })
        {
            RunFolder run = RunFolder.Create(folder.Path, id, id);
            (RunRecord.Start(run, hostile, 1, new RunParent(hostile, 1, RunParentKind.Branch)) with { Id = hostile, Host = hostile, ToolVersion = hostile, GitSha = hostile, Status = RunStatus.Completed })
                .Save(run.RecordPath);
            File.WriteAllText(run.ConfigPath, $"name: \"\\e]0;{id}\"\na.b: 1\na: {{b: 2}}\n");
        }

        Assert.Contains("run          ?]0;owned? (completed)", Tool.Run("runs", "show", "foreign", "--runs", folder.Path).AssertSucceeds());
        Assert.Contains("?]0;other", Tool.Run("runs", "compare", "foreign", "other", "--runs", folder.Path).AssertSucceeds());
        folder.Write("other/run.json", "{\"\\u001b]0;owned\": 1}");
        Assert.Contains("other: ", Tool.Run("runs", "list", "--runs", folder.Path).AssertSucceeds());
    }

    [Fact]
    public void Compared_runs_show_only_the_settings_that_differ()
    {
        tool.Train("--id", "other", "--training.length=2", "--schedule={type: constant}", "--seed=7").AssertSucceeds();

        string output = Tool.Run("runs", "compare", "trunk", "other", "--runs", tool.Runs).AssertSucceeds();

        string[] differing = [.. output.Split('\n').Select(line => line.Split(' ')[0])];
        Assert.Contains("seed", differing);
        Assert.Contains("schedule.type", differing);
        Assert.Contains("training.length", differing);
        Assert.DoesNotContain("training.batchSize", differing);
        Assert.DoesNotContain("model.size", differing);
        Tool.Run("runs", "compare", "trunk", "nothing", "--runs", tool.Runs).AssertFails(2, "no such run");
    }

    [Fact]
    public void A_dataset_is_prepared_and_described()
    {
        string output = Tool.Run("data", Tool.Tiny, "--data", tool.Data).AssertSucceeds();

        Assert.Contains("synthetic  train ", output);
        Assert.Contains("synthetic  validation ", output);
        Assert.Contains(Directory.GetDirectories(tool.Data), folder => output.Contains($"vocabulary 512, in {folder}", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("--model.size=20k")]
    [InlineData("model=gpt2", "--model.size=50k")]
    [InlineData("model=minicpm", "--model.size=50k", "--model.tied=false")]
    [InlineData("--model.size=50k", "--model.tied=false", "--model.qkNorm=true", "--model.heads=4", "--model.keyValueHeads=2")]
    public void The_parts_of_a_model_add_up(params string[] words)
    {
        string[] lines = Tool.Run(["model", .. words]).AssertSucceeds().Split('\n');

        string[][] parts = [.. lines.SkipWhile(line => !line.StartsWith("part", StringComparison.Ordinal)).Skip(1).TakeWhile(line => line.Length > 0)
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))];
        Assert.Equal("total", parts[^1][0]);
        Assert.Equal(Number(parts[^1][2]), parts[..^1].Sum(part => Number(part[2])));
        Assert.Equal(Number(parts[^1][^1]), parts[..^1].Where(part => part[^1] != "-").Sum(part => Number(part[2])));

        static long Number(string text) => long.Parse(text.Replace(",", "", StringComparison.Ordinal));
    }

    [Fact]
    public void Activations_are_compared_over_widths_in_words_a_table_and_a_figure()
    {
        using TemporaryFolder folder = new();
        string[] words = ["model", "coordinates", Tool.Tiny, "--data", tool.Data, "--out", folder.Path, "--model={type: minicpm, size: 20k, baseWidth: 16}"];

        string output = Tool.Run([.. words, "--widths", "16,32", "--steps", "2"]).AssertSucceeds();

        int parts = 2 + (3 * output.Split('\n').Count(line => line.StartsWith("residual.", StringComparison.Ordinal)));
        Assert.Matches(@"(?m)^(flat|growing|shrinking): ", output);
        Assert.Equal(1 + (parts * 2 * 3), File.ReadAllLines(folder.File("coordinates.csv")).Length);
        Assert.Contains("Activations of minicpm against width", File.ReadAllText(folder.File("coordinates.svg")));
        Tool.Run([.. words, "--widths", "16,wide"]).AssertFails(2, "'wide' is not a whole number");
        Tool.Run([.. words, "--widths", "16,40"]).AssertFails(2, "width 40 is not a multiple of the head width 16");
        Tool.Run([.. words, "--widths", "32"]).AssertFails(2, "at least two widths");
    }

    [Fact]
    public void A_trained_minicpm_is_written_as_a_llama()
    {
        using TemporaryFolder folder = new();
        tool.Train("--id", "minicpm", "--training.length=3", "--schedule={type: constant}", "--model={type: minicpm, size: 20k, baseWidth: 16}").AssertSucceeds();

        Tool.Run("export", "minicpm", "--runs", tool.Runs, "--out", folder.File("llama")).AssertSucceeds();

        using SafetensorsFile weights = SafetensorsFile.Open(folder.File("llama/model.safetensors"));
        Assert.Equal(512, weights.Info("lm_head.weight").Shape[0]);
        Assert.Contains("\"LlamaForCausalLM\"", File.ReadAllText(folder.File("llama/config.json")));
        Assert.True(File.Exists(folder.File("llama/tokenizer.json")));
        Tool.Run("export", "minicpm", "--runs", tool.Runs, "--out", folder.File("llama")).AssertFails(2, "is not empty");
    }

    [Fact]
    public void An_exported_model_writes_what_its_run_writes()
    {
        using TemporaryFolder folder = new();
        string[] greedily = ["--temperature", "0", "--max-tokens", "20", "--prompt", "The "];

        string exported = Tool.Run("export", "trunk@30", "--runs", tool.Runs, "--out", folder.File("trunk"), "--shard-bytes", "30000").AssertSucceeds();

        Assert.Contains("model.safetensors.index.json", exported);
        Assert.Contains("(step 30)", exported);
        Assert.Equal(
            Tool.Run(["sample", "trunk@30", "--runs", tool.Runs, .. greedily]).AssertSucceeds(), Tool.Run(["sample", folder.File("trunk"), .. greedily]).AssertSucceeds());
        Tool.Run("sample", folder.File("trunk"), "--ema").AssertFails(2, "only runs have a moving average");
        Tool.Run("export", "trunk", "--runs", tool.Runs, "--out", folder.File("other"), "--dtype", "f8").AssertFails(2, "--dtype f8");
        File.WriteAllText(folder.File("trunk/config.json"), "{}");
        Tool.Run("sample", folder.File("trunk")).AssertFails(3, "model_type: missing");
    }

    [Fact]
    public void A_published_model_tells_its_story_from_every_format_and_from_its_export()
    {
        string stories = SharedData.Require("data/fixtures/stories260K");
        string story = (string)JsonNode.Parse(File.ReadAllText(Path.Combine(stories, "golden.json")))!["run_c_greedy_200_text"]!;
        using TemporaryFolder folder = new();
        string[] greedily = ["--temperature", "0", "--max-tokens", "60"];
        Tool.Run("export", Path.Combine(stories, "hf"), "--out", folder.File("again")).AssertSucceeds();

        foreach (string[] model in (string[][])[
            [Path.Combine(stories, "hf")], [Path.Combine(stories, "stories260K.bin"), "--tokenizer", Path.Combine(stories, "tok512.bin")], [folder.File("again")]])
        {
            string told = Tool.Run(["sample", .. model, .. greedily]).AssertSucceeds().TrimEnd();
            Assert.InRange(told.Length, 150, 300);
            Assert.StartsWith(told, story);
            Assert.Equal(story[..told.Length], Tool.Run(["sample", .. model, .. greedily, "--prompt", story[..16]]).AssertSucceeds()[..told.Length]);
        }

        Assert.Equal((1, 2), ((int)Config()["bos_token_id"]!, (int)Config()["eos_token_id"]!));
        Tool.Run("sample", Path.Combine(stories, "stories260K.bin")).AssertFails(3, "has no tokenizer");

        JsonNode Config() => JsonNode.Parse(File.ReadAllText(folder.File("again/config.json")))!;
    }

    [Fact]
    public void The_dial_is_tabulated_from_20k_to_billions()
    {
        string output = Tool.Run("model", "--sizes").AssertSucceeds();

        Assert.Contains("\n20k ", output);
        Assert.Contains("\n1.2b ", output);
        Assert.Contains("\nllama-7b ", output);
    }

    [Fact]
    public void Optimizers_are_listed_with_their_rules_state_and_presets()
    {
        string output = Tool.Run("optimizers").AssertSucceeds();

        Assert.Matches(@"\nadamw +adamw +adamw +adamw +8\.00 +0\.003 +0\.1 +study, original", output);
        Assert.Matches(@"\nmuon +muon +adamw +adamw +[45]\.[0-9]+ ", output);
        output = Tool.Run("optimizers", "muon").AssertSucceeds();
        Assert.Matches(@"\n  adamw +embedding, head, router, norm, bias\n", output);
        Assert.Matches(@"\nsetting +default +study +original +moonlight\n", output);
        Assert.Matches(@"\nnewtonSchulz\.steps +5 +10 +- +-\n", output);
        Assert.Matches(@"\npadBlocks +false +true +-\n", Tool.Run("optimizers", "kron").AssertSucceeds());
        Tool.Run("optimizers", "moun").AssertFails(2, "'moun' is not an optimizer; there are adamw, ");
        Tool.Run("bench", "optimizers", "a", "moun").AssertFails(2, "'moun' is not an optimizer; there are adamw, ");
    }

    [Fact]
    public void A_tokenizer_is_trained_shown_and_takes_text_there_and_back()
    {
        using TemporaryFolder folder = new();
        folder.Write("a.txt", string.Concat(Enumerable.Repeat("the cat sat on the mat\n", 50)));
        string file = folder.File("tokenizer.json");
        Tool.Run(
            "tokenizer", "train", $"data.corpus={{type: files, paths: [{folder.File("a.txt")}]}}", "--data.tokenizer.vocabularySize=270",
            "--data.validationFraction=0", "--out", file).AssertSucceeds();

        Assert.Contains(" the\n", Tool.Run("tokenizer", "show", file).AssertSucceeds());
        string[] encoded = Tool.Run("tokenizer", "encode", file, "the cat, a \u00e9\n").AssertSucceeds().Split('\n');
        Assert.Contains("\\n", encoded[1]);
        Tool.Run("tokenizer", "decode", file, "270").AssertFails(2, "270 is not a token id: the vocabulary is 0 to ");
        Tool.Run("tokenizer", "decode", file, "-1").AssertFails(2, "-1");
        Tool.Run("tokenizer", "show", folder.Path + "/none.json").AssertFails(2, "no such file");
        File.WriteAllText(file, "{}");
        Tool.Run("tokenizer", "show", file).AssertFails(3, "tokenizer.json");
    }

    [Fact]
    public void The_doctor_measures_this_machine()
    {
        string output = Tool.Run("doctor").AssertSucceeds();

        Assert.Matches(@"fp32 peak    [0-9.]+ [GT]FLOP/s on 1 thread", output);
        Assert.Matches(@"read speed   [0-9.]+ [GT]B/s", output);
        Assert.Contains("corpus       dotnet-docs", output);
    }
}
