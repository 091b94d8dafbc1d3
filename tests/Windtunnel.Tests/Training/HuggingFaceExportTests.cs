using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Runs;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Tensors;
using Windtunnel.Training;

namespace Windtunnel.Tests.Training;

public sealed class HuggingFaceExportTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly CpuBackend _backend = new(1);

    public void Dispose()
    {
        _backend.Dispose();
        _folder.Dispose();
    }

    public static TheoryData<ModelOptions> Families =>
    [
        TinyRun.Gpt2, TinyRun.Llama, new LlamaOptions("20k", Layers: 2, Width: 32, Heads: 4, Tied: false),
        new MiniCpmOptions("20k", Layers: 3, Width: 32, Heads: 4, BaseWidth: 16),
    ];

    [Theory]
    [MemberData(nameof(Families))]
    public void A_model_trained_here_comes_back_bit_for_bit_and_with_its_logits(ModelOptions options)
    {
        using TrainedModel trained = Train(options);
        string[] files = [.. HuggingFaceExport.Write(trained, _folder.File("out"), new ExportOptions())];
        Assert.Equal(files.Order(), Directory.GetFiles(_folder.File("out")).Select(file => Path.GetFileName(file)).Order());

        using TrainedModel back = TrainedModel.Open(_folder.File("out"), _folder.File("runs"), average: false, _backend);
        Assert.Equal(trained.Tokenizer.Sha256.ToArray(), back.Tokenizer.Sha256.ToArray());
        Assert.Equal("out", back.Name);
        Assert.Null(back.Run);
        if (trained.Model is MiniCpm)
        {
            Assert.IsType<Llama>(back.Model);
        }
        else
        {
            Assert.True(OpCheck.SameBits(OpCheck.Read(trained.Model.Parameters.Values, _backend), OpCheck.Read(back.Model.Parameters.Values, _backend)));
        }

        float[] expected = Logits(trained.Model), actual = Logits(back.Model);
        double worst = expected.Zip(actual).Max(pair => Math.Abs(pair.First - pair.Second));
        Assert.True(worst <= (trained.Model is MiniCpm ? 1e-5 : 0), $"a logit is {worst} off");
    }

    [Fact]
    public void Everything_is_there_that_from_pretrained_asks_for()
    {
        using TrainedModel trained = Train((LlamaOptions)TinyRun.Llama with { Tied = false });
        HuggingFaceExport.Write(trained, _folder.File("out"), new ExportOptions(SafetensorsType.BF16));

        JsonNode config = Read("config.json");
        Assert.Equal(("bfloat16", "bfloat16"), ((string?)config["torch_dtype"], (string?)config["dtype"]));
        Assert.Equal((10_000.0, 10_000.0), ((double)config["rope_theta"]!, (double)config["rope_parameters"]!["rope_theta"]!));
        Assert.Equal("Qwen3ForCausalLM", (string?)config["architectures"]![0]);
        Assert.Null(config["auto_map"]);
        foreach (JsonNode node in (JsonNode[])[config, Read("generation_config.json")])
        {
            Assert.Equal((256, 256), ((int)node["bos_token_id"]!, (int)node["eos_token_id"]!));
        }

        Assert.Equal("PreTrainedTokenizerFast", (string?)Read("tokenizer_config.json")["tokenizer_class"]);
        Assert.Equal(("<|endoftext|>", "<|endoftext|>"), ((string?)Read("special_tokens_map.json")["bos_token"], (string?)Read("special_tokens_map.json")["eos_token"]));
        string card = File.ReadAllText(Path.Combine(_folder.File("out"), "README.md"));
        Assert.StartsWith("---\nlibrary_name: transformers\n", card);
        Assert.Contains("\n## Training Details\n", card);
        Assert.Contains("| val/synthetic/loss | ", card);
        Assert.Contains("`run`", card);

        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(_folder.File("out"), "model.safetensors"));
        Assert.All(file.Tensors, info => Assert.Equal(SafetensorsType.BF16, info.Type));

        JsonNode Read(string name) => JsonNode.Parse(File.ReadAllText(Path.Combine(_folder.File("out"), name)))!;
    }

    [Fact]
    public void What_texts_begin_and_end_with_is_what_the_folder_says()
    {
        using TrainedModel trained = Train(TinyRun.Llama);
        Assert.Equal(new TextEnds(256, 256, 256), trained.Ends);
        HuggingFaceExport.Write(trained, _folder.File("out"), new ExportOptions());

        // An exported model was trained as it was here; one that others trained has nothing in front where its tokenizer puts nothing there.
        Assert.Equal(trained.Ends, TextEnds.Of(_folder.File("out"), trained.Tokenizer));
        File.Delete(Path.Combine(_folder.File("out"), "tokenizer_config.json"));
        Assert.Equal(new TextEnds(null, 256, 256), TextEnds.Of(_folder.File("out"), trained.Tokenizer));

        // An id that is no special token of the tokenizer ends nothing.
        File.WriteAllText(Path.Combine(_folder.File("out"), "config.json"), """{"eos_token_id":[3],"bos_token_id":7}""");
        Assert.Equal(new TextEnds(null, 256, 256), TextEnds.Of(_folder.File("out"), trained.Tokenizer));
    }

    [Fact]
    public void A_run_is_opened_by_its_id_and_by_its_path()
    {
        using TrainedModel trained = Train(TinyRun.Llama);
        (RunFolder folder, long step) = trained.Run!.Value;

        using TrainedModel byPath = TrainedModel.Open($"{folder.Path}@{step}", "elsewhere", average: false, _backend);
        Assert.Equal((trained.Name, step), (byPath.Name, byPath.Run!.Value.Step));
    }

    [Fact]
    public void Weights_larger_than_a_shard_are_spread_over_several_with_an_index()
    {
        using TrainedModel trained = Train(TinyRun.Gpt2);
        string[] files = [.. HuggingFaceExport.Write(trained, _folder.File("out"), new ExportOptions(ShardBytes: 20_000))];

        string[] shards = [.. files.Where(file => file.EndsWith(".safetensors", StringComparison.Ordinal))];
        Assert.InRange(shards.Length, 3, 20);
        Assert.Equal($"model-00001-of-{shards.Length:00000}.safetensors", shards[0]);
        long total = 0;
        foreach (string shard in shards)
        {
            using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(_folder.File("out"), shard));
            long bytes = file.Tensors.Sum(info => info.Bytes);
            Assert.True(bytes <= 20_000 || file.Tensors.Count == 1);
            total += bytes;
        }

        JsonNode index = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder.File("out"), "model.safetensors.index.json")))!;
        Assert.Equal(total, (long)index["metadata"]!["total_size"]!);
        using TrainedModel back = TrainedModel.Open(_folder.File("out"), _folder.File("runs"), average: false, _backend);
        Assert.True(OpCheck.SameBits(OpCheck.Read(trained.Model.Parameters.Values, _backend), OpCheck.Read(back.Model.Parameters.Values, _backend)));
    }

    [Fact]
    public void What_cannot_be_written_or_read_is_said_in_one_line()
    {
        using TrainedModel trained = Train(TinyRun.Gpt2);
        Directory.CreateDirectory(_folder.File("full"));
        _folder.Write("full/a", "");
        Assert.Contains("is not empty", Assert.Throws<ValidationException>(() => HuggingFaceExport.Write(trained, _folder.File("full"), new ExportOptions())).Message);
        Assert.Contains("shard-bytes: 0", Assert.Throws<ValidationException>(() => HuggingFaceExport.Write(trained, _folder.File("a"), new ExportOptions(ShardBytes: 0))).Message);
        Assert.Contains("dtype I8", Assert.Throws<ValidationException>(() => HuggingFaceExport.Write(trained, _folder.File("a"), new ExportOptions(SafetensorsType.I8))).Message);

        HuggingFaceExport.Write(trained, _folder.File("out"), new ExportOptions());
        Assert.Contains("moving average", Assert.Throws<ValidationException>(() => TrainedModel.Open(_folder.File("out"), "runs", average: true, _backend)).Message);
        File.Delete(_folder.File("out/tokenizer.json"));
        Assert.Contains("has no tokenizer", Assert.Throws<InvalidDataException>(() => TrainedModel.Open(_folder.File("out"), "runs", average: false, _backend)).Message);
        Assert.Contains("no such tokenizer", Assert.Throws<ValidationException>(() => TrainedModel.Open(_folder.File("out"), "runs", average: false, _backend, "absent.json")).Message);
        string path = Path.Combine(_folder.File("runs"), "run", "hf", "tokenizer.json");
        using TrainedModel named = TrainedModel.Open(_folder.File("out"), "runs", average: false, _backend, path);
        Assert.Equal(257, named.Tokenizer.VocabularySize);
    }

    private TrainedModel Train(ModelOptions options)
    {
        RunPlaces places = new(_folder.File("runs"), _folder.File("data"), "run");
        using (TrainingRun run = TrainingRun.Start(TinyRun.Config(options, steps: 10), new ConfigOrigin(null, []), places, new RecordingListener()))
        {
            run.Train(new StopSignal());
        }

        return TrainedModel.Open("run", places.Runs, average: false, _backend);
    }

    private float[] Logits(Model model)
    {
        int[] ids = [.. Enumerable.Range(0, 40).Select(i => i * 37 % 256)];
        using Tape tape = new(_backend, recording: false);
        return OpCheck.Read(model.Logits(tape, OpCheck.UploadTokens(tape, new Shape(1, ids.Length), ids)), _backend);
    }
}
