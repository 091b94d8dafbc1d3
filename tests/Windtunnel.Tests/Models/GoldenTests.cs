using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Reference;
using Windtunnel.Tests.Tensors;

namespace Windtunnel.Tests.Models;

/// <summary>The models against cases that torch computed in float64.</summary>
public sealed class GoldenTests
{
    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama")]
    [InlineData("llama_qknorm")]
    [InlineData("llama_scaled")]
    public void Logits_loss_and_every_gradient_agree_with_torch_on_any_number_of_threads(string name)
    {
        GoldenCase golden = new(name);
        Dictionary<string, double[]> grads = golden.Group("grads");
        Shape tokenShape = new(golden.Option<int>("batch"), golden.Option<int>("length"));
        int counted = golden.Targets.Count(target => target >= 0);
        string[] names = [];

        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Model model = Load(golden, backend);
            using Tape tape = new(backend);
            names = [.. model.Parameters.Parameters.Select(parameter => parameter.Name)];
            Tensor tokens = OpCheck.UploadTokens(tape, tokenShape, golden.Tokens), targets = OpCheck.UploadTokens(tape, tokenShape, golden.Targets);
            (Tensor losses, Tensor penalties) = model.Loss(tape, tokens, targets, 1f / counted, golden.Option<float>("z_loss"));
            tape.Backward(losses);
            float[][] parameterGrads = [.. model.Parameters.Parameters.Select(parameter => OpCheck.Read(parameter.Grad, backend))];
            using Tape evaluation = new(backend, recording: false);
            float[] logits = OpCheck.Read(model.Logits(evaluation, tokens), backend);
            return [logits, OpCheck.Read(losses, backend), OpCheck.Read(penalties, backend), .. parameterGrads];
        });

        OpCheck.AssertClose(golden["logits"], results[0], 1e-6, "logits");
        Assert.Equal(golden["loss"][0], (results[1].Sum(loss => (double)loss) + results[2].Sum(penalty => (double)penalty)) / counted, 1e-6);
        Assert.Equal(grads.Keys.Order(StringComparer.Ordinal), names.Order(StringComparer.Ordinal));
        for (int i = 0; i < names.Length; i++)
        {
            OpCheck.AssertClose(grads[names[i]], results[i + 3], 2e-6, $"gradient of {names[i]}");
        }
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama")]
    public void Two_half_batches_accumulate_the_gradient_of_the_whole(string name)
    {
        GoldenCase golden = new(name);
        int length = golden.Option<int>("length");
        using CpuBackend backend = new(1);
        using Model model = Load(golden, backend);
        using Tape tape = new(backend);

        for (int sequence = 0; sequence < 2; sequence++)
        {
            tape.Reset();
            Range rows = (sequence * length)..((sequence + 1) * length);
            Tensor tokens = OpCheck.UploadTokens(tape, new Shape(1, length), golden.Tokens[rows]);
            Tensor targets = OpCheck.UploadTokens(tape, new Shape(1, length), golden.Targets[rows]);
            tape.Backward(model.Loss(tape, tokens, targets, 1f / (2 * length)).Losses);
        }

        Assert.All(
            model.Parameters.Parameters,
            parameter => OpCheck.AssertClose(golden["grads." + parameter.Name], OpCheck.Read(parameter.Grad, backend), 2e-6, parameter.Name));
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama")]
    [InlineData("llama_qknorm")]
    [InlineData("llama_scaled")]
    public void Sampling_with_a_cache_gives_the_logits_of_the_whole_sequence(string name)
    {
        GoldenCase golden = new(name);
        int length = golden.Option<int>("length");
        int[] tokens = golden.Tokens[..length];
        double[] expected = golden["logits"][..(length * golden.Option<int>("vocab"))];

        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Model model = Load(golden, backend);
            using KeyValueCache cache = new(backend, model.Dimensions, length);
            using Tape tape = new(backend, recording: false);
            float[] Sample(params int[] portions)
            {
                cache.Clear();
                List<float> logits = [];
                foreach (int portion in portions)
                {
                    tape.Reset();
                    int[] part = tokens[cache.Length..(cache.Length + portion)];
                    logits.AddRange(OpCheck.Read(model.Logits(tape, OpCheck.UploadTokens(tape, new Shape(1, portion), part), cache), backend));
                }

                return [.. logits];
            }

            return [Sample(4, 1, 1, 5, 1, 1), Sample(13), Sample([.. Enumerable.Repeat(1, 13)])];
        });

        Assert.All(results, logits => OpCheck.AssertClose(expected, logits, 1e-6, "logits"));
    }

    internal static Model Load(GoldenCase golden, Backend backend)
    {
        int vocabulary = golden.Option<int>("vocab"), layers = golden.Option<int>("layers"), width = golden.Option<int>("width"), heads = golden.Option<int>("heads");
        ModelOptions options = golden.Option<string>("family") == "gpt2"
            ? new Gpt2Options(Layers: layers, Width: width, Heads: heads, Context: golden.Option<int>("context"), Epsilon: golden.Option<float>("norm_eps"))
            : golden.Option<double>("embedding_scale") is var embeddingScale and not 1 ? new MiniCpmOptions(
                Layers: layers, Width: width, Heads: heads, KeyValueHeads: golden.Option<int>("kv_heads"), FeedForward: golden.Option<int>("ffn"),
                Tied: golden.Option<bool>("tied"), ScaleEmbedding: embeddingScale, ScaleDepth: golden.Option<double>("residual_scale") * Math.Sqrt(layers),
                BaseWidth: (int)(golden.Option<double>("logit_scale") * width), RopeTheta: golden.Option<double>("rope_theta"),
                Epsilon: golden.Option<float>("norm_eps"))
            : new LlamaOptions(
                Layers: layers, Width: width, Heads: heads, KeyValueHeads: golden.Option<int>("kv_heads"), HeadWidth: golden.Option<int>("head_dim"),
                FeedForward: golden.Option<int>("ffn"), Tied: golden.Option<bool>("tied"), QkNorm: golden.Option<bool>("qk_norm"),
                RopeTheta: golden.Option<double>("rope_theta"), Epsilon: golden.Option<float>("norm_eps"));
        Model model = options.Resolve(vocabulary, golden.Option<int>("length")).Build(backend);
        foreach (Parameter parameter in model.Parameters.Parameters)
        {
            backend.Write(parameter.Value, OpCheck.Narrow(golden["weights." + parameter.Name]));
        }

        return model;
    }
}
