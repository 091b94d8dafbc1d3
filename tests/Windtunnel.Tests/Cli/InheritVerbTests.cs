using System.Text.Json;
using System.Text.Json.Nodes;
using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Training;

namespace Windtunnel.Tests.Cli;

/// <summary><c>windtunnel inherit</c>, <c>analyze attention</c>, and the shipped recipes at a size of seconds.</summary>
[Collection(nameof(Tool))]
public sealed class InheritVerbTests(Tool tool) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static string Recipes => Path.Combine(Tool.ConfigFolder, "..", "inherit");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_run_is_cut_down_to_its_first_layers_in_a_folder_that_says_where_they_are_from()
    {
        string output = Tool.Run("inherit", "--from", "trunk@30", "--layers", "1", "--copy", "code", "--out", _folder.File("first"), "--runs", tool.Runs).AssertSucceeds();

        Assert.Matches(@"inherits   layers 0: [\d,]+ parameters, [\d,]+ of them copied", output);
        Assert.Matches(@"\nmodel\.layers\.\*\.self_attn\.q_proj\.weight +1 +[\d,]+  copied\n", output);
        Assert.Matches(@"\nmodel\.norm\.weight +1 +\d+  new\n", output);
        RunLineage lineage = JsonSerializer.Deserialize<RunLineage>(File.ReadAllText(_folder.File("first/lineage.json")), ConfigFile.JsonOptions)!;
        Assert.Equal([0], lineage.Layers);
        Assert.EndsWith("trunk@30", lineage.References[0].Path, StringComparison.Ordinal);
        using SafetensorsFile all = SafetensorsFile.Open(tool.RunFile("trunk", "checkpoints", "step-00000030", "model.safetensors"));
        using SafetensorsFile first = SafetensorsFile.Open(_folder.File("first/model.safetensors"));
        Assert.Equal(Bytes(all, "model.layers.0.mlp.down_proj.weight"), Bytes(first, "model.layers.0.mlp.down_proj.weight"));
        Assert.False(first.Contains("model.layers.1.mlp.down_proj.weight"));
        Assert.Contains("\"num_hidden_layers\": 1", File.ReadAllText(_folder.File("first/config.json")), StringComparison.Ordinal);
        Assert.Equal(File.ReadAllBytes(tool.RunFile("trunk", "hf", "tokenizer.json")), File.ReadAllBytes(_folder.File("first/tokenizer.json")));

        // What was written is a model to sample from, and to inherit from in turn.
        Tool.Run("sample", _folder.File("first"), "--max-tokens", "3").AssertSucceeds();
        Tool.Run("inherit", "stack", "--from", _folder.File("first"), "--out", _folder.File("stacked")).AssertSucceeds();
        using SafetensorsFile stacked = SafetensorsFile.Open(_folder.File("stacked/model.safetensors"));
        Assert.Equal(Bytes(first, "model.layers.0.mlp.down_proj.weight"), Bytes(stacked, "model.layers.1.mlp.down_proj.weight"));

        // Nothing is written over, least of all the reference itself.
        Tool.Run("inherit", "stack", "--from", _folder.File("first"), "--out", _folder.File("first")).AssertFails(2, "is not empty; name a new folder");
    }

    [Fact]
    public void A_published_model_is_cut_down_and_looked_into_as_our_own_are()
    {
        string hf = SharedData.Require("data/fixtures/stories260K/hf"), golden = SharedData.Require("data/fixtures/stories260K/golden.json");
        JsonNode expected = JsonNode.Parse(File.ReadAllText(golden))!;

        string output = Tool.Run("inherit", "--from", hf, "--layers", "3", "--out", _folder.File("first")).AssertSucceeds();

        Assert.Contains("5 layers, 260,032 parameters", output, StringComparison.Ordinal);
        Assert.Equal(1, (int)JsonNode.Parse(File.ReadAllText(_folder.File("first/config.json")))!["bos_token_id"]!);
        using CpuBackend backend = new(1);
        using Model model = PretrainedModel.Open(_folder.File("first")).Load(backend);
        using Tape tape = new(backend, recording: false);
        Tensor[] text = [.. new[] { "inputs", "targets" }.Select(name => expected["train_step"]![name]!.AsArray()).Select(rows =>
        {
            Tensor ids = tape.New(new Shape(rows.Count, rows[0]!.AsArray().Count), DType.I32);
            backend.Write(ids, [.. rows.SelectMany(row => row!.AsArray()).Select(id => (int)id!)]);
            return ids;
        })];
        Assert.Equal(1, backend.Sum(model.Loss(tape, text[0], text[1], 0).Losses) / text[1].Shape.Count / (double)expected["inherit_first_n"]!["3"]!, 1e-5);

        string story = _folder.Write("story.txt", (string)expected["run_c_greedy_200_text"]!);
        Tool.Run("analyze", "attention", hf, "--text", story, "--sequences", "2", "--tokens", "50", "--out", _folder.Path).AssertSucceeds();
        Tool.Run("analyze", "attention", hf, "--out", _folder.Path).AssertFails(2, "give some text with --text");
        Tool.Run("analyze", "context", hf, _folder.File("first"), "--text", story, "--sequences", "2", "--tokens", "50").AssertSucceeds();
        tool.Continue("analyze", "context", "trunk", hf, "--text", story, "--sequences", "2", "--tokens", "50").AssertFails(2, "another tokenizer");
    }

    [Fact]
    public void Wrong_settings_are_one_line()
    {
        Tool.Run("inherit", "--from", "nothing", "--out", _folder.Path, "--runs", tool.Runs).AssertFails(2, "nothing is no run and no other model");
        Tool.Run("inherit", "--from", "trunk", "--layers", "99", "--out", _folder.Path, "--runs", tool.Runs).AssertFails(2, "inheritance.layers: 99");
        Tool.Run("inherit", "middle", "--from", "trunk", "--out", _folder.Path, "--runs", tool.Runs).AssertFails(2, "choose one of first, range, alternate");
        Tool.Run("inherit", "--from", "trunk", "--layer", "1", "--out", _folder.Path, "--runs", tool.Runs).AssertFails(2, "did you mean layers?");
        Tool.Run("train", Tool.Tiny, "--inheritance={type: first, from: nothing}", "--runs", tool.Runs, "--data", tool.Data).AssertFails(2, "nothing is no run and no other model");
    }

    [Fact]
    public void Attention_is_tabulated_drawn_and_written()
    {
        string output = tool.Continue("analyze", "attention", "trunk", "--sequences", "5", "--tokens", "40", "--out", _folder.Path).AssertSucceeds();

        Assert.StartsWith("5 sequences of 40 tokens", output, StringComparison.Ordinal);
        Assert.Matches(@"(no layer is|layers? are) lazy", output);
        string[] rows = File.ReadAllLines(_folder.File("attention.csv"));
        Assert.Equal("layer,head,rank,mass,first_token,max_rank,lazy", rows[0]);
        Assert.All(rows[1..], row => Assert.InRange(double.Parse(row.Split(',')[2]), 1, 40));
        Assert.Contains("approximate rank", File.ReadAllText(_folder.File("attention.svg")), StringComparison.Ordinal);

        string text = _folder.Write("text.txt", string.Concat(Enumerable.Repeat("The quick brown fox. ", 50)));
        Tool.Run("analyze", "attention", tool.RunFile("trunk"), "--sequences", "2", "--text", text, "--tokens", "30", "--out", _folder.Path).AssertSucceeds();
        Assert.StartsWith("2 sequences of 64 tokens", tool.Continue("analyze", "attention", "trunk", "--sequences", "2", "--out", _folder.Path).AssertSucceeds(), StringComparison.Ordinal);
        tool.Continue("analyze", "attention", "trunk", "--tokens", "1000", "--out", _folder.Path).AssertFails(2, "context of 64");
        tool.Continue("analyze", "attention", "trunk", "--sequences", "0").AssertFails(2, "--sequences 0");
    }

    [Fact]
    public void What_models_make_of_their_context_is_a_row_each()
    {
        string output = tool.Continue("analyze", "context", "trunk@30", "trunk", "--sequences", "20").AssertSucceeds();

        Assert.StartsWith("loss in nats of 1,280 tokens", output, StringComparison.Ordinal);
        Assert.Matches(@"\nmodel +all +1-4 +5-16 +17-64 +repeats +two alone +gain\ntrunk@30( +-?\d\.\d{3}){7}\ntrunk@\d+( +-?\d\.\d{3}){7}\nstandard error( +0\.\d{3}){7}\n", output);

        string text = _folder.Write("text.txt", string.Concat(Enumerable.Repeat("The quick brown fox. ", 50)));
        Assert.StartsWith("loss in nats of 60 tokens", tool.Continue("analyze", "context", "trunk", "--text", text, "--sequences", "2", "--tokens", "30").AssertSucceeds(), StringComparison.Ordinal);
        tool.Continue("analyze", "context", "trunk", "--tokens", "65").AssertFails(2, "--tokens 65: ");
    }

    [Theory]
    [InlineData("low-data", 1_815_000_000, 8_388_608_000)]
    [InlineData("full-data-medium", 204_000_000, 39_321_600_000)]
    [InlineData("full-data-large", 420_000_000, 13_107_200_000)]
    [InlineData("full-data-xl", 820_000_000, 13_107_200_000)]
    public void What_the_papers_runs_would_cost_is_known_without_their_references(string name, long parameters, long tokens)
    {
        RunConfig config = ConfigFile.Load<RunConfig>(Path.Combine(Recipes, $"{name}.yaml"));
        Assert.NotNull(config.Inheritance);
        config = (config with { Inheritance = null }).Resolve(config.Data.Tokenizer.VocabularySizeMax());

        RunEstimate estimate = RunEstimate.Of(config);

        Assert.Equal(1, (double)estimate.Counts.Total / parameters, 0.01);
        Assert.Equal(tokens, estimate.Tokens);
    }

    [Fact]
    public void A_missing_reference_is_noted_where_only_the_costs_are_asked_for()
    {
        string output = Tool.Run("train", Tool.Tiny, "--inheritance={type: first, from: nothing, layers: 2}", "--model.layers=2", "--dry-run").AssertSucceeds();

        Assert.StartsWith("# nothing: not there; the costs are those of model", output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_small_study_runs_from_its_reference_to_its_verdicts()
    {
        HashSet<string> replaced = [];
        foreach (string name in new[] { "reference", "half-depth", "layers", "epochs" })
        {
            string text = File.ReadAllText(Path.Combine(Recipes, $"{name}.yaml"));
            foreach ((string from, string to) in Smaller())
            {
                replaced.UnionWith(text.Contains(from, StringComparison.Ordinal) ? [from] : []);
                text = text.Replace(from, to, StringComparison.Ordinal);
            }

            _folder.Write($"{name}.yaml", text);
        }

        Assert.Equal(Smaller().Select(pair => pair.From), Smaller().Select(pair => pair.From).Where(replaced.Contains));

        string reference = _folder.File("reference.yaml");
        Verb("train", reference, "--id", "inherit-reference").AssertSucceeds();
        Verb("train", reference, "--model.layers=2", "--id", "inherit-shallow").AssertSucceeds();

        string compared = Experiment("compare", _folder.File("half-depth.yaml"), "--seeds=[1, 2]").AssertSucceeds();
        Assert.All(
            new[] { "inherit", "scratch-2x", "stacking", "hybrid-stacking", "half-width", "distillation", "distilbert", "full-depth" },
            variant => Assert.Matches($@"\n{variant} +2 +0 ", compared));
        string swept = Experiment("sweep", "run", _folder.File("layers.yaml"), "--seeds=[1]").AssertSucceeds();
        Assert.Equal(8, File.ReadAllLines(_folder.File("experiments/inherited-layers/results.csv")).Length);
        Experiment("sweep", "run", _folder.File("epochs.yaml"), "--seeds=[1]").AssertSucceeds();
        Assert.Equal(7, File.ReadAllLines(_folder.File("experiments/inherited-epochs/results.csv")).Length);

        // A finished run grows, and what is asked for again is not trained again.
        string trained = Directory.GetDirectories(_folder.File("runs")).Select(path => RunRecord.Load(Path.Combine(path, "run.json")))
            .First(record => record.Lineage is { Layers: [0, 1, 2, 3] }).Id;
        Verb("train", reference, $"--inheritance={{type: grow, from: {_folder.File("runs")}/{trained}, reference: {_folder.File("runs")}/inherit-reference}}", "--model.layers=6", "--id", "grown")
            .AssertSucceeds();
        Assert.Equal([0, 1, 2, 3, 4, 5], RunRecord.Load(_folder.File("runs/grown/run.json")).Lineage!.Layers);
        int runs = Directory.GetDirectories(_folder.File("runs")).Length;
        Experiment("compare", _folder.File("half-depth.yaml"), "--seeds=[1, 2]").AssertSucceeds();
        Assert.Equal(runs, Directory.GetDirectories(_folder.File("runs")).Length);
        Assert.NotEmpty(swept);
    }

    private IEnumerable<(string From, string To)> Smaller() =>
    [
        ("runs/inherit-", $"{_folder.File("runs")}/inherit-"),
        ("corpus: dotnet-docs, tokenizer: {type: bpe, vocabularySize: 512}", "corpus: {type: synthetic, documents: 100, vocabularySize: 50}, tokenizer: bytes, validationFraction: 0.1"),
        ("width: 64, heads: 2, feedForward: 176", "width: 16, heads: 2, feedForward: 32"),
        ("width: 32, heads: 1, feedForward: 88", "width: 8, heads: 1, feedForward: 16"),
        ("warmup: 50", "warmup: 1"), ("length: 1465", "length: 5"), ("length: 2930", "length: 10"),
        ("sequenceLength: 64, batchSize: 32", "sequenceLength: 32, batchSize: 2"), ("tokens: null", "tokens: 500"),
        ("[3000000, 1500000, 750000, 375000, 187500, 93750]", "[1000, 200]"), ("[183, 366, 732, 1465]", "[3, 5]"),
    ];

    private Outcome Verb(params string[] words) => Tool.Run([.. words, "--runs", _folder.File("runs"), "--data", _folder.File("data")]);

    private Outcome Experiment(params string[] words) => Verb([.. words, "--experiments", _folder.File("experiments")]);

    private static byte[] Bytes(SafetensorsFile file, string name)
    {
        byte[] bytes = new byte[file.Info(name).Bytes];
        file.ReadBytes(name, bytes);
        return bytes;
    }
}
