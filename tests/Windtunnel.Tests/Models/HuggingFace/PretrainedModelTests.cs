using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Models.Inheritance;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Tensors;

namespace Windtunnel.Tests.Models.HuggingFace;

public sealed class PretrainedModelTests : IDisposable
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
        new Gpt2Options("20k", Layers: 2, Width: 32, Heads: 2),
        new LlamaOptions("20k", Layers: 2, Width: 32, Heads: 4, KeyValueHeads: 2, FeedForward: 48, Tied: false),
        new LlamaOptions("20k", Layers: 2, Width: 32, Heads: 4, FeedForward: 48, QkNorm: true),
        new MiniCpmOptions("20k", Layers: 2, Width: 32, Heads: 4, FeedForward: 48, BaseWidth: 16),
    ];

    [Theory]
    [MemberData(nameof(Families))]
    public void Weights_come_back_bit_for_bit_from_every_format_under_every_name(ModelOptions options)
    {
        using Model model = Build(options);
        float[] expected = OpCheck.Read(model.Parameters.Values, _backend);
        WriteConfig(model);

        using (FileStream file = File.Create(_folder.File("model.safetensors")))
        {
            ModelWeights.Write(file, model);
        }

        AssertLoads(expected);
        Dictionary<string, (long[] Shape, byte[] Bytes)> tensors = Tensors();
        WriteTorch("pytorch_model.bin", tensors);
        AssertLoads(expected);

        // As the bare model without its head saves itself, with buffers; and as a compiled one does.
        string prefix = options is Gpt2Options ? "transformer." : "model.", buffer = options is Gpt2Options ? "h.0.attn.bias" : "layers.1.self_attn.rotary_emb.inv_freq";
        Dictionary<string, (long[] Shape, byte[] Bytes)> bare = tensors.ToDictionary(pair => pair.Key.Replace(prefix, "", StringComparison.Ordinal), pair => pair.Value);
        bare.Add(buffer, ([1, 2], new byte[8]));
        WriteTorch("pytorch_model.bin", bare);
        AssertLoads(expected);
        WriteTorch("pytorch_model.bin", tensors.ToDictionary(pair => "_orig_mod." + pair.Key, pair => pair.Value));
        AssertLoads(expected);
        File.Delete(_folder.File("pytorch_model.bin"));

        JsonObject map = [];
        foreach ((int i, KeyValuePair<string, (long[] Shape, byte[] Bytes)> pair) in tensors.Index())
        {
            map[pair.Key] = $"part-{i % 3}.bin";
        }

        for (int shard = 0; shard < 3; shard++)
        {
            WriteTorch($"part-{shard}.bin", tensors.Where(pair => (string?)map[pair.Key] == $"part-{shard}.bin"));
        }

        File.WriteAllText(_folder.File("pytorch_model.bin.index.json"), new JsonObject { ["weight_map"] = map }.ToJsonString());
        AssertLoads(expected);
    }

    [Fact]
    public void The_matrices_of_nanogpt_are_told_by_their_shape()
    {
        using Model model = Build(new Gpt2Options("20k", Layers: 2, Width: 32, Heads: 2));
        WriteConfig(model);
        WriteTorch("pytorch_model.bin", model.Parameters.Parameters.Select(parameter => KeyValuePair.Create(
            parameter.Name,
            (Enumerable.Range(0, parameter.Shape.Rank).Select(axis => (long)parameter.Shape[axis]).ToArray(), Bytes(OpCheck.Read(parameter.Value, _backend))))));

        AssertLoads(OpCheck.Read(model.Parameters.Values, _backend));
    }

    [Fact]
    public void A_tied_head_may_be_there_again_but_not_be_another()
    {
        using Model model = Build(new LlamaOptions("20k", Layers: 1, Width: 32, Heads: 2, FeedForward: 48));
        WriteConfig(model);
        Dictionary<string, (long[] Shape, byte[] Bytes)> tensors = Tensors(model);
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"];
        WriteTorch("pytorch_model.bin", tensors);
        AssertLoads(OpCheck.Read(model.Parameters.Values, _backend));

        byte[] other = [.. tensors["lm_head.weight"].Bytes];
        other[0] ^= 1;
        tensors["lm_head.weight"] = (tensors["lm_head.weight"].Shape, other);
        WriteTorch("pytorch_model.bin", tensors);
        AssertRefused("lm_head.weight differs from model.embed_tokens.weight");
    }

    [Fact]
    public void Weights_that_are_missing_left_over_or_of_another_shape_are_named_before_memory_is_taken()
    {
        using Model model = Build(new LlamaOptions("20k", Layers: 2, Width: 32, Heads: 2, FeedForward: 48));
        WriteConfig(model);
        Dictionary<string, (long[] Shape, byte[] Bytes)> tensors = Tensors(model);
        (long[] Shape, byte[] Bytes) gate = tensors["model.layers.1.mlp.gate_proj.weight"];

        Write(("model.layers.1.mlp.gate_proj.weight", null));
        AssertRefused("has no tensor model.layers.1.mlp.gate_proj.weight");
        Write(("model.layers.1.mlp.gate_proj.weight", ([32, 48], gate.Bytes)));
        AssertRefused("model.layers.1.mlp.gate_proj.weight has shape [32, 48]; the model needs [48, 32]");
        Write(("model.layers.0.self_attn.q_proj.bias", ([2], new byte[8])));
        AssertRefused("model.layers.0.self_attn.q_proj.bias is no part of the llama of 2 layers");
        Write(("_orig_mod.model.norm.weight", ([32], new byte[128])));
        AssertRefused("both name model.norm.weight");

        WriteTorch("pytorch_model.bin", tensors);
        JsonObject config = model.Options.ToHuggingFace(0);
        config["num_hidden_layers"] = 1_000_000;
        File.WriteAllText(_folder.File("config.json"), config.ToJsonString());
        AssertRefused("too few for the 1000000 layers");
        config["num_hidden_layers"] = 1;
        File.WriteAllText(_folder.File("config.json"), config.ToJsonString());
        AssertRefused("model.layers.1.input_layernorm.weight is no part of the llama of 1 layers");

        void Write((string Name, (long[], byte[])? Tensor) change)
        {
            Dictionary<string, (long[], byte[])> changed = new(tensors);
            changed.Remove(change.Name);
            if (change.Tensor is { } tensor)
            {
                changed.Add(change.Name, tensor);
            }

            WriteTorch("pytorch_model.bin", changed);
        }
    }

    [Theory]
    [InlineData("""{"weight_map":{"a":"../secret.bin"}}""", "no file beside it")]
    [InlineData("""{"weight_map":{"a":"/etc/passwd"}}""", "no file beside it")]
    [InlineData("""{"weight_map":{"a":"absent.bin"}}""", "no file beside it")]
    [InlineData("""{"weight_map":{"a":""}}""", "no file beside it")]
    [InlineData("""{"weight_map":{"a":7}}""", "not valid JSON")]
    [InlineData("""{"weight_map":{"b":"part.bin"}}""", "weight_map.b: there is no such tensor")]
    [InlineData("""{"weight_map":{"a":"part.bin","a":"part.bin"}}""", "not valid JSON")]
    [InlineData("""{"weight_map":{}}""", null)]
    [InlineData("""{"weight_map":[]}""", "has no weight_map")]
    [InlineData("{}", "has no weight_map")]
    [InlineData("""{"weight_map":{"a":"two.bin"}}""", "lacks b")]
    public void An_index_names_files_beside_it_and_every_tensor_in_them(string index, string? problem)
    {
        WriteTorch("part.bin", [KeyValuePair.Create("a", (new long[] { 1 }, new byte[4]))]);
        WriteTorch("two.bin", [KeyValuePair.Create("a", (new long[] { 1 }, new byte[4])), KeyValuePair.Create("b", (new long[] { 1 }, new byte[4]))]);
        string path = _folder.Write("model.safetensors.index.json", index);
        if (problem is null)
        {
            using ShardedFile file = ShardedFile.Open(path);
            Assert.Empty(file.Tensors);
        }
        else
        {
            string message = Assert.Throws<InvalidDataException>(() => ShardedFile.Open(path)).Message;
            Assert.StartsWith(path, message);
            Assert.Contains(problem, message);
        }
    }

    [Fact]
    public void A_folder_of_seven_billion_parameters_opens_at_once_and_is_read_one_tensor_at_a_time()
    {
        LlamaOptions options = (LlamaOptions)new LlamaOptions("llama-7b", Tied: false).Resolve(32_000, 2048);
        File.WriteAllText(_folder.File("config.json"), options.ToHuggingFace(2).ToJsonString());
        ModelDimensions d = options.Dimensions;
        JsonObject map = [];
        WriteHollow("model-00001-of-00002.safetensors", [("model.embed_tokens.weight", [d.Vocabulary, d.Width]), .. Enumerable.Range(0, 16).SelectMany(Layer)]);
        WriteHollow("model-00002-of-00002.safetensors", [.. Enumerable.Range(16, 16).SelectMany(Layer), ("model.norm.weight", [d.Width]), ("lm_head.weight", [d.Vocabulary, d.Width])]);
        File.WriteAllText(_folder.File("model.safetensors.index.json"), new JsonObject { ["weight_map"] = map }.ToJsonString());

        using (PretrainedModel warm = PretrainedModel.Open(_folder.Path))
        {
            Assert.Equal(options.Count().Total, warm.Weights.Tensors.Sum(info => info.Elements));
        }

        Stopwatch time = Stopwatch.StartNew();
        long before = GC.GetAllocatedBytesForCurrentThread();
        using PretrainedModel pretrained = PretrainedModel.Open(_folder.Path);
        time.Stop();
        Assert.True(time.Elapsed < TimeSpan.FromSeconds(Environment.GetEnvironmentVariable("WINDTUNNEL_SOAK") == "1" ? 1 : 20), $"opened in {time.Elapsed.TotalSeconds:F3} s");
        float[] last = new float[d.Width];
        pretrained.Weights.ReadSingles("model.norm.weight", last);
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 4_000_000);
        TestContext.Current.TestOutputHelper?.WriteLine($"opened in {time.Elapsed.TotalMilliseconds:F1} ms");

        (string, long[])[] Layer(int i) =>
        [
            ($"model.layers.{i}.input_layernorm.weight", [d.Width]), ($"model.layers.{i}.post_attention_layernorm.weight", [d.Width]),
            .. from part in (string[])["q", "k", "v", "o"] select ($"model.layers.{i}.self_attn.{part}_proj.weight", new long[] { d.Width, d.Width }),
            ($"model.layers.{i}.mlp.gate_proj.weight", [d.FeedForward, d.Width]), ($"model.layers.{i}.mlp.up_proj.weight", [d.FeedForward, d.Width]),
            ($"model.layers.{i}.mlp.down_proj.weight", [d.Width, d.FeedForward]),
        ];

        void WriteHollow(string name, (string Name, long[] Shape)[] tensors)
        {
            WriteHollowFile(name, tensors);
            foreach ((string tensor, _) in tensors)
            {
                map[tensor] = name;
            }
        }
    }

    // A header, and then as many bytes as it describes of which none takes room on the disk.
    private void WriteHollowFile(string name, (string Name, long[] Shape)[] tensors)
    {
        StringBuilder header = new("{");
        long at = 0;
        foreach ((string tensor, long[] shape) in tensors)
        {
            long end = at + (2 * shape.Aggregate((a, b) => a * b));
            header.Append($"{(at == 0 ? "" : ",")}\"{tensor}\":{{\"dtype\":\"BF16\",\"shape\":[{string.Join(',', shape)}],\"data_offsets\":[{at},{end}]}}");
            at = end;
        }

        byte[] bytes = Encoding.UTF8.GetBytes(header.Append('}').ToString());
        using FileStream file = File.Create(_folder.File(name));
        file.Write(BitConverter.GetBytes((long)bytes.Length));
        file.Write(bytes);
        file.SetLength(8 + bytes.Length + at);
    }

    [Fact]
    public void One_block_is_inherited_of_a_model_that_is_too_large_to_load()
    {
        LlamaOptions options = (LlamaOptions)new LlamaOptions("20k", Layers: 1000, Width: 512, Heads: 8, FeedForward: 1408).Resolve(100, 64);
        Assert.True(options.Count().Total > int.MaxValue);
        File.WriteAllText(_folder.File("config.json"), options.ToHuggingFace(2).ToJsonString());
        using Model block = (options with { Layers = 1 }).Build(_backend, gradients: false);
        WriteHollowFile("model.safetensors", [
            .. from parameter in block.Parameters.Parameters
               from layer in Enumerable.Range(0, parameter.Name.Contains(".layers.", StringComparison.Ordinal) ? 1000 : 1)
               select (parameter.Name.Replace(".0.", $".{layer}.", StringComparison.Ordinal), Enumerable.Range(0, parameter.Shape.Rank).Select(axis => (long)parameter.Shape[axis]).ToArray())]);

        using (StoredModel stored = PretrainedModel.OpenStored(_folder.Path))
        {
            new RangeOptions(Start: 999, End: 1000).Fill(block, [stored], [new InheritedLayer(999)]);
            Assert.Contains("q_norm", Assert.Throws<InvalidDataException>(() => stored.Read("model.layers.7.self_attn.q_norm.weight")).Message, StringComparison.Ordinal);
        }

        Assert.Equal(0, _backend.Sum(block.Parameters.Values));
        using PretrainedModel whole = PretrainedModel.Open(_folder.Path);
        Assert.Contains("fit into one buffer", Assert.Throws<InvalidDataException>(() => whole.Load(_backend)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_no_model_is_said_to_be_none()
    {
        Assert.Throws<ValidationException>(() => PretrainedModel.Open(_folder.File("absent")));
        Assert.Throws<ValidationException>(() => PretrainedModel.Open(_folder.Path));
        Assert.False(PretrainedModel.IsAt(_folder.Path));
        using Model model = Build(new LlamaOptions("20k", Layers: 1, Width: 32, Heads: 2));
        WriteConfig(model);
        Assert.True(PretrainedModel.IsAt(_folder.Path));
        Assert.Contains("has no weights", Assert.Throws<InvalidDataException>(() => PretrainedModel.Open(_folder.Path)).Message);
        Assert.Contains("llama2.c", Assert.Throws<InvalidDataException>(() => PretrainedModel.Open(_folder.File("config.json"))).Message);
    }

    private Model Build(ModelOptions options)
    {
        Model model = options.Resolve(61, 24).Build(_backend, gradients: false);
        model.Parameters.Initialize(_backend, 5);
        return model;
    }

    private void WriteConfig(Model model) => File.WriteAllText(_folder.File("config.json"), model.Options.ToHuggingFace(60).ToJsonString());

    private void AssertLoads(float[] expected)
    {
        using PretrainedModel pretrained = PretrainedModel.Open(_folder.Path);
        using Model model = pretrained.Load(_backend);
        Assert.True(OpCheck.SameBits(expected, OpCheck.Read(model.Parameters.Values, _backend)));
    }

    private void AssertRefused(string problem)
    {
        string message = Assert.Throws<InvalidDataException>(() =>
        {
            using PretrainedModel pretrained = PretrainedModel.Open(_folder.Path);
            using Model model = pretrained.Load(_backend);
        }).Message;
        Assert.StartsWith(_folder.Path, message);
        Assert.Contains(problem, message);
    }

    /// <summary>The tensors as Hugging Face lays them out.</summary>
    private Dictionary<string, (long[] Shape, byte[] Bytes)> Tensors(Model? model = null)
    {
        if (model is not null)
        {
            using FileStream written = File.Create(_folder.File("model.safetensors"));
            ModelWeights.Write(written, model);
        }

        Dictionary<string, (long[], byte[])> tensors = [];
        using (SafetensorsFile file = SafetensorsFile.Open(_folder.File("model.safetensors")))
        {
            foreach (SafetensorsInfo info in file.Tensors)
            {
                byte[] bytes = new byte[info.Bytes];
                file.ReadBytes(info.Name, bytes);
                tensors.Add(info.Name, ([.. info.Shape], bytes));
            }
        }

        File.Delete(_folder.File("model.safetensors"));
        return tensors;
    }

    private void WriteTorch(string name, IEnumerable<KeyValuePair<string, (long[] Shape, byte[] Bytes)>> tensors)
    {
        TorchArchive archive = TorchArchive.Dictionary();
        foreach ((string tensor, (long[] shape, byte[] bytes)) in tensors)
        {
            archive.Add(tensor, "FloatStorage", bytes, shape);
        }

        archive.Save(_folder.File(name));
    }

    private static byte[] Bytes(float[] values) => MemoryMarshal.AsBytes<float>(values).ToArray();
}
