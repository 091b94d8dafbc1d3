using System.Text.Json;
using System.Text.Json.Nodes;
using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Tensors;

namespace Windtunnel.Tests.Models;

public sealed class MiniCpmTests : IDisposable
{
    private const int Vocabulary = 101, Length = 17;

    private readonly CpuBackend _backend = new(2);

    public void Dispose() => _backend.Dispose();

    [Fact]
    public void The_parametrisation_is_that_of_table_7_and_the_training_code()
    {
        LlamaScales scales = ((MiniCpmOptions)new MiniCpmOptions("minicpm-2.4b").Resolve(122_753, 4096)).Scales;
        Assert.Equal(12, scales.Embedding);
        Assert.Equal(0.22136, scales.Residual, 1e-5);
        Assert.Equal(1 / 9.0, scales.Logits, 1e-7);
        Assert.Equal(1 / 3.0, scales.Deviation, 1e-7);
        Assert.Equal(1 / 9.0, scales.Rate, 1e-12);

        using CountingBackend counting = new();
        using Model model = new MiniCpmOptions("minicpm-1.2b").Resolve(73_440, 4096).Build(counting, gradients: false);
        Assert.All(model.Parameters.Parameters, parameter =>
        {
            (double deviation, double rate) = parameter.Role switch
            {
                ParameterRole.Hidden => (0.1 / Math.Sqrt(6), 1 / 6.0),
                ParameterRole.Embedding => (0.1, 1.0),
                _ => (0.0, 1.0),
            };
            Assert.Equal(deviation, parameter.StandardDeviation, 1e-7);
            Assert.Equal(rate, parameter.RateScale, 1e-12);
        });
    }

    [Fact]
    public void An_untied_head_starts_and_learns_as_the_embedding_does()
    {
        using Model model = Build(new MiniCpmOptions(Layers: 1, Width: 64, Heads: 2, BaseWidth: 16, Tied: false));

        Parameter head = Assert.Single(model.Parameters.Parameters, parameter => parameter.Role == ParameterRole.Head);
        Assert.Equal((0.1f, 1.0), (head.StandardDeviation, head.RateScale));
    }

    [Fact]
    public void Logits_of_a_published_checkpoint_read_as_minicpm_agree_with_double_precision()
    {
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllText(SharedData.Require("data/fixtures/stories260K/golden_extra.json")));
        JsonElement expected = golden.RootElement.GetProperty("minicpm");
        int[] ids = expected.GetProperty("ids").Deserialize<int[]>()!;
        using Model model = new MiniCpmOptions(
            Layers: 5, Width: 64, Heads: 8, KeyValueHeads: 4, FeedForward: 172, ScaleEmbedding: expected.GetProperty("scale_emb").GetDouble(),
            ScaleDepth: expected.GetProperty("scale_depth").GetDouble(), BaseWidth: expected.GetProperty("dim_model_base").GetInt32()).Resolve(512, 512).Build(_backend);
        using SafetensorsFile weights = SafetensorsFile.Open(SharedData.Require("data/fixtures/stories260K/hf/model.safetensors"));
        ModelWeights.Read(weights, model);

        double[] logits = [.. expected.GetProperty("logits").EnumerateArray().SelectMany(row => row.Deserialize<double[]>()!)];
        OpCheck.AssertClose(logits, Logits(model, ids), 1e-5, "logits");
    }

    [Theory]
    [InlineData(true, 16)]
    [InlineData(false, 16)]
    [InlineData(true, 100)]
    public void Folded_into_a_llama_it_gives_the_same_logits(bool tied, int baseWidth)
    {
        using Model model = Build(new MiniCpmOptions(Layers: 3, Width: 64, Heads: 4, KeyValueHeads: 2, FeedForward: 80, Tied: tied, BaseWidth: baseWidth));
        using Llama folded = ((MiniCpm)model).ToLlama();

        Assert.False(folded.Options.Tied);
        Assert.Equal("llama", (string?)folded.Options.ToHuggingFace(0)["model_type"]);
        OpCheck.AssertClose([.. Logits(model).Select(logit => (double)logit)], Logits(folded), 1e-5, "logits");
    }

    [Theory]
    [InlineData(32)]
    [InlineData(128)]
    [InlineData(512)]
    public void Random_weights_of_any_width_predict_nothing(int width)
    {
        using Model model = Build(new MiniCpmOptions(Layers: 2, Width: width, Heads: 4, FeedForward: width, BaseWidth: 32));
        using Tape tape = new(_backend);
        Tensor tokens = OpCheck.UploadTokens(tape, new Shape(4, Length), Ids(4 * Length, 1)), targets = OpCheck.UploadTokens(tape, new Shape(4, Length), Ids(4 * Length, 2));

        double loss = _backend.Sum(model.Loss(tape, tokens, targets, 1).Losses) / (4 * Length);

        // The variance of the logits, 0.1^2 32^2 / width here, adds half of itself.
        Assert.InRange(loss, Math.Log(Vocabulary) - 0.1, Math.Log(Vocabulary) + 0.35);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Where_every_scale_is_one_it_is_a_llama_bit_for_bit(bool tied)
    {
        using Model model = Build(new MiniCpmOptions(
            Layers: 4, Width: 32, Heads: 2, FeedForward: 48, Tied: tied, ScaleEmbedding: 1, ScaleDepth: 2, BaseWidth: 32, InitializerRange: 0.02f));
        using Model llama = Build(new LlamaOptions(Layers: 4, Width: 32, Heads: 2, FeedForward: 48, Tied: tied));

        Assert.True(OpCheck.SameBits(Gradients(llama), Gradients(model)));
        Assert.True(OpCheck.SameBits(Logits(llama), Logits(model)));
    }

    [Fact]
    public void Its_config_json_has_the_fields_of_the_released_models()
    {
        JsonObject config = new MiniCpmOptions("minicpm-1.2b").Resolve(73_440, 4096).ToHuggingFace(2);

        Assert.Equal("MiniCPMForCausalLM", (string?)config["architectures"]![0]);
        Assert.Equal("minicpm", (string?)config["model_type"]);
        Assert.Equal(12, (double)config["scale_emb"]!);
        Assert.Equal(1.4, (double)config["scale_depth"]!);
        Assert.Equal(256, (int)config["dim_model_base"]!);
        Assert.Equal(0.1f, (float)config["initializer_range"]!);
        Assert.Equal((1536, 3840, 52, 24, 8), (
            (int)config["hidden_size"]!, (int)config["intermediate_size"]!, (int)config["num_hidden_layers"]!, (int)config["num_attention_heads"]!,
            (int)config["num_key_value_heads"]!));
        Assert.True((bool)config["tie_word_embeddings"]!);
    }

    private static int[] Ids(int count, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(Vocabulary))];
    }

    private Model Build(ModelOptions options)
    {
        Model model = options.Resolve(Vocabulary, Length).Build(_backend);
        model.Parameters.Initialize(_backend, 3);
        return model;
    }

    private float[] Logits(Model model, int[]? ids = null)
    {
        ids ??= Ids(Length, 1);
        using Tape tape = new(_backend, recording: false);
        return OpCheck.Read(model.Logits(tape, OpCheck.UploadTokens(tape, new Shape(1, ids.Length), ids)), _backend);
    }

    private float[] Gradients(Model model)
    {
        using Tape tape = new(_backend);
        Tensor tokens = OpCheck.UploadTokens(tape, new Shape(1, Length), Ids(Length, 1)), targets = OpCheck.UploadTokens(tape, new Shape(1, Length), Ids(Length, 2));
        tape.Backward(model.Loss(tape, tokens, targets, 1f / Length).Losses);
        return OpCheck.Read(model.Parameters.Grads, _backend);
    }
}
