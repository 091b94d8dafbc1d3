using System.Text.Json;
using System.Text.Json.Nodes;
using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Tensors;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Models.HuggingFace;

/// <summary>Trained weights in the formats of others against what torch computed from them in float64.</summary>
public sealed class PublishedWeightsTests : IDisposable
{
    private const string Stories = "data/fixtures/stories260K", Shakespeare = "data/fixtures/gpt2_nano_shakespeare";

    private readonly TemporaryFolder _folder = new();
    private readonly CpuBackend _backend = new(1);

    public void Dispose()
    {
        _backend.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(Stories, "stories260K/hf")]
    [InlineData(Shakespeare, "gpt2_nano_shakespeare")]
    public void Logits_and_greedy_tokens_are_those_of_the_reference(string fixture, string folder)
    {
        JsonNode golden = Golden($"{fixture}/golden.json");
        using PretrainedModel pretrained = PretrainedModel.Open(SharedData.Require($"data/fixtures/{folder}"));
        using Model model = pretrained.Load(_backend);

        JsonNode prompt = golden["prompt"]!;
        double worst = Worst(Numbers<double[]>(prompt["logits_f64"] ?? prompt["logits"]), Logits(model, Numbers<int>(prompt["ids"])));
        Assert.True(worst < 1e-4, $"a logit is {worst} off");

        int[] ids = Numbers<int>(golden["greedy"]!["ids"]);
        int given = golden["greedy"]!["start"] is { } start ? Numbers<int>(start).Length : Numbers<int>(prompt["ids"]).Length;
        using Sampler sampler = new(model, model.Dimensions.Vocabulary);
        Assert.Equal(ids[given..], sampler.Generate(ids[..given], new SamplingOptions(Temperature: 0, TokensMax: ids.Length - given), endOfText: -1));
    }

    [Theory]
    [InlineData(Stories, "stories260K/hf")]
    [InlineData(Shakespeare, "gpt2_nano_shakespeare")]
    public void Loss_gradients_and_five_steps_of_adamw_are_those_of_the_reference(string fixture, string folder)
    {
        JsonNode golden = Golden($"{fixture}/golden.json"), step = golden["train_step"]!;
        using PretrainedModel pretrained = PretrainedModel.Open(SharedData.Require($"data/fixtures/{folder}"));
        using Model model = pretrained.Load(_backend, gradients: true);
        int[][] inputs = Numbers<int[]>(step["inputs"]), targets = Numbers<int[]>(step["targets"]);
        Shape shape = new(inputs.Length, inputs[0].Length);
        using Tape tape = new(_backend);
        using Optimizer optimizer = new AdamWOptions(1e-3, 0.9, 0.95, 1e-8, 0.1).Build(model.Parameters, _backend);

        float[] losses = ComputeGradients();
        Assert.Equal((double)step["loss"]!, losses.Average(loss => (double)loss), 1e-6);
        if (step["per_token_nll"] is { } each)
        {
            OpCheck.AssertClose(Numbers<double>(each), losses, 1e-5, "losses");
        }

        Assert.Equal((double)step["global_grad_norm"]!, Math.Sqrt(_backend.SumOfSquares(model.Parameters.Grads)), 1e-5);
        Assert.Equal(step["grad_norm"]!.AsObject().Count, model.Parameters.Parameters.Count);
        Assert.All(model.Parameters.Parameters, parameter =>
        {
            float[] grads = OpCheck.Read(parameter.Grad, _backend);
            double norm = (double)step["grad_norm"]![parameter.Name]!;
            Assert.Equal(norm, Math.Sqrt(grads.Sum(grad => (double)grad * grad)), 1e-5 * Math.Max(1, norm));
            if (step["grad_sum"] is { } sums)
            {
                Assert.Equal((double)sums[parameter.Name]!, grads.Sum(grad => (double)grad), 1e-4);
            }

            // A matrix that Hugging Face stores as [in, out] begins there with a column of ours.
            int stride = model.IsStoredTransposed(parameter) ? parameter.Shape.Columns : 1;
            double[] first = Numbers<double>(step["grad_first4"]![parameter.Name]);
            Assert.All(first.Index(), expected => Assert.Equal(expected.Item, grads[expected.Index * stride], 1e-5));
        });

        double[] expectedLosses = golden["adamw"] is { } adamw ? Numbers<double>(adamw["losses_before_each_step"]) : [];
        foreach ((int i, double expected) in expectedLosses.Index())
        {
            Assert.Equal(expected, ComputeGradients().Average(loss => (double)loss), 2e-5);
            optimizer.Step(new OptimizerStep(i + 1, 1, (float)Math.Min(1, 1 / (Math.Sqrt(_backend.SumOfSquares(model.Parameters.Grads)) + 1e-6))));
        }

        float[] ComputeGradients()
        {
            tape.Reset();
            model.Parameters.ClearGrads();
            Tensor tokens = OpCheck.UploadTokens(tape, shape, [.. inputs.SelectMany(row => row)]), wanted = OpCheck.UploadTokens(tape, shape, [.. targets.SelectMany(row => row)]);
            Tensor computed = model.Loss(tape, tokens, wanted, 1f / (float)shape.Count).Losses;
            float[] values = OpCheck.Read(computed, _backend);
            tape.Backward(computed);
            return values;
        }
    }

    [Fact]
    public void The_same_weights_come_from_every_format()
    {
        string stories = SharedData.Require(Stories);
        using PretrainedModel pretrained = PretrainedModel.Open(Path.Combine(stories, "hf"));
        using Model model = pretrained.Load(_backend);
        float[] expected = OpCheck.Read(model.Parameters.Values, _backend);

        File.WriteAllBytes(_folder.File("v1.bin"), Llama2CWriter.Write(model, _backend, legacy: false));
        string[] paths =
        [
            Beside("shards", [.. Directory.GetFiles(Path.Combine(stories, "hf_sharded"))]), Beside("torch", Path.Combine(stories, "hf", "pytorch_model.bin")),
            Path.Combine(stories, "stories260K.bin"), _folder.File("v1.bin"),
        ];
        Assert.All(paths, path =>
        {
            using PretrainedModel other = PretrainedModel.Open(path);
            using Model same = other.Load(_backend);
            Assert.Equal(model.Options, same.Options);
            Assert.True(OpCheck.SameBits(expected, OpCheck.Read(same.Parameters.Values, _backend)), path);
        });
    }

    [Fact]
    public void The_legacy_format_is_written_as_its_tool_writes_it()
    {
        string published = SharedData.Require($"{Stories}/stories260K.bin");
        using PretrainedModel pretrained = PretrainedModel.Open(published);
        using Model model = pretrained.Load(_backend);
        byte[] expected = File.ReadAllBytes(published), written = Llama2CWriter.Write(model, _backend, legacy: true);

        int angles = model.Dimensions.Context * model.Dimensions.HeadWidth * sizeof(float);
        Assert.Equal(expected.Length, written.Length);
        Assert.True(expected.AsSpan(..^angles).SequenceEqual(written.AsSpan(..^angles)));
    }

    [Fact]
    public void Bfloat16_weights_give_the_logits_of_their_rounded_numbers()
    {
        JsonNode golden = Golden($"{Stories}/golden_extra.json")["bf16_weights_f64_math"]!;
        using PretrainedModel pretrained = PretrainedModel.Open(Beside("bf16", SharedData.Require($"{Stories}/hf_bf16/model.safetensors")));
        using Model model = pretrained.Load(_backend);

        double[] expected = Numbers<double>(golden["last_logits"]);
        double worst = Worst([expected], Logits(model, Numbers<int>(golden["ids"]))[^expected.Length..]);
        Assert.True(worst < 1e-4, $"a logit is {worst} off");
    }

    [Fact]
    public void A_config_of_minicpm_gives_the_logits_of_its_scales()
    {
        JsonNode golden = Golden($"{Stories}/golden_extra.json")["minicpm"]!;
        string folder = Beside("minicpm", SharedData.Require($"{Stories}/hf/model.safetensors"));
        JsonObject config = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "config.json")))!.AsObject();
        config["model_type"] = "minicpm";
        foreach (string name in (string[])["scale_emb", "scale_depth", "dim_model_base"])
        {
            config[name] = golden[name]!.DeepClone();
        }

        File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString());
        using PretrainedModel pretrained = PretrainedModel.Open(folder);
        using Model model = pretrained.Load(_backend);
        using Llama folded = ((MiniCpm)model).ToLlama();
        foreach (Model same in (Model[])[model, folded])
        {
            double worst = Worst(Numbers<double[]>(golden["logits"]), Logits(same, Numbers<int>(golden["ids"])));
            Assert.True(worst < 1e-4, $"a logit is {worst} off");
        }
    }

    /// <summary>A folder with the config of stories260K and these files.</summary>
    private string Beside(string name, params string[] files)
    {
        string folder = Directory.CreateDirectory(_folder.File(name)).FullName;
        foreach (string file in (string[])[SharedData.Require($"{Stories}/hf/config.json"), .. files])
        {
            File.WriteAllBytes(Path.Combine(folder, Path.GetFileName(file)), File.ReadAllBytes(file));
        }

        return folder;
    }

    private float[] Logits(Model model, int[] ids)
    {
        using Tape tape = new(_backend, recording: false);
        return OpCheck.Read(model.Logits(tape, OpCheck.UploadTokens(tape, new Shape(1, ids.Length), ids)), _backend);
    }

    private static double Worst(double[][] expected, float[] actual)
    {
        double[] flat = [.. expected.SelectMany(row => row)];
        Assert.Equal(flat.Length, actual.Length);
        return flat.Zip(actual).Max(pair => Math.Abs(pair.First - pair.Second));
    }

    private static JsonNode Golden(string path) => JsonNode.Parse(File.ReadAllText(SharedData.Require(path)))!;

    private static T[] Numbers<T>(JsonNode? node) => node.Deserialize<T[]>()!;
}
