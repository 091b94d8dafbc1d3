using Windtunnel.Models;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Tensors;

namespace Windtunnel.Tests.Models;

public sealed class ParameterSetTests
{
    [Fact]
    public void Initial_values_are_the_same_bits_for_a_seed_on_any_threads_and_differ_between_seeds_and_names()
    {
        float[][] values = OpCheck.OnAllThreadCounts(backend =>
        {
            using Model model = new LlamaOptions("1m").Resolve(300, 64).Build(backend);
            model.Parameters.Initialize(backend, 7);
            float[] seven = OpCheck.Read(model.Parameters.Values, backend);
            model.Parameters.Initialize(backend, 8);
            return [seven, OpCheck.Read(model.Parameters.Values, backend)];
        });

        Assert.False(OpCheck.SameBits(values[0], values[1]));
    }

    [Fact]
    public void A_parameter_starts_the_same_in_a_model_with_other_layers()
    {
        using CpuBackend backend = new(1);
        float[][] queries = [.. new[] { 2, 3 }.Select(layers =>
        {
            using Model model = new LlamaOptions(Layers: layers, Width: 64, Heads: 2).Resolve(300, 64).Build(backend);
            model.Parameters.Initialize(backend, 7);
            return OpCheck.Read(model.Parameters.Parameters.Single(parameter => parameter.Name == "model.layers.1.self_attn.q_proj.weight").Value, backend);
        })];

        Assert.True(OpCheck.SameBits(queries[0], queries[1]));
    }

    [Fact]
    public void Queries_and_keys_say_which_rows_belong_to_one_key_value_head()
    {
        using CpuBackend backend = new(1);
        using Model gpt2 = new Gpt2Options(Layers: 1, Width: 64, Heads: 4).Resolve(300, 64).Build(backend);
        using Model llama = new LlamaOptions(Layers: 1, Width: 64, Heads: 4, KeyValueHeads: 2).Resolve(300, 64).Build(backend);
        ScoreRows Of(Model model, string name) => model.Parameters.Parameters.Single(parameter => parameter.Name.EndsWith(name, StringComparison.Ordinal)).Scores;

        Assert.Equal(new ScoreRows(128, 16), Of(gpt2, "c_attn.weight"));
        Assert.Equal(new ScoreRows(64, 32), Of(llama, "q_proj.weight"));
        Assert.Equal(new ScoreRows(32, 16), Of(llama, "k_proj.weight"));
        Assert.All(new[] { "v_proj.weight", "o_proj.weight", "gate_proj.weight" }, name => Assert.Equal(default, Of(llama, name)));
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama")]
    public void Initial_values_have_the_declared_deviation_and_constants(string family)
    {
        using CpuBackend backend = new(2);
        ModelOptions options = family == "gpt2" ? new Gpt2Options(Layers: 2, Width: 128, Heads: 4) : new LlamaOptions(Layers: 2, Width: 128, Heads: 4);
        using Model model = options.Resolve(500, 64).Build(backend);
        model.Parameters.Initialize(backend, 1);

        foreach (Parameter parameter in model.Parameters.Parameters)
        {
            float[] values = OpCheck.Read(parameter.Value, backend);
            if (!parameter.IsMatrix)
            {
                float constant = parameter.Name.EndsWith("bias", StringComparison.Ordinal) ? 0 : 1;
                Assert.All(values, value => Assert.Equal(constant, value));
                continue;
            }

            // GPT-2 divides what enters the residual stream by the root of twice the layers.
            double expected = parameter.Name.EndsWith("c_proj.weight", StringComparison.Ordinal) ? 0.02 / 2 : 0.02;
            double deviation = Math.Sqrt(values.Average(value => (double)value * value));
            Assert.Equal(1, deviation / expected, 5 / Math.Sqrt(2.0 * values.Length));
        }
    }

    [Fact]
    public void Parameters_lie_by_role_in_the_flat_buffers_and_do_not_overlap()
    {
        using CpuBackend backend = new(1);
        using Model model = new LlamaOptions(Layers: 2, Width: 40, Heads: 5, FeedForward: 72, QkNorm: true, Tied: false).Resolve(101, 33).Build(backend);
        ParameterSet set = model.Parameters;

        long end = 0;
        foreach (Parameter parameter in set.Parameters)
        {
            Assert.InRange(parameter.Offset, end, end + 15);
            end = parameter.Offset + parameter.Shape.Count;
            backend.Fill(parameter.Value, 1);
            backend.Fill(parameter.Grad, 2);
        }

        Assert.InRange(end, set.Length - 15, set.Length);
        Assert.Equal(set.Parameters.Select(parameter => parameter.Role).Order(), set.Parameters.Select(parameter => parameter.Role));
        Assert.Equal(set.Count, backend.Sum(set.Values));
        Assert.Equal(2 * set.Count, backend.Sum(set.Grads));
    }

    [Fact]
    public void Gradients_that_nothing_wrote_are_zeroed_on_request()
    {
        using CpuBackend backend = new(1);
        using Model model = new Gpt2Options(Layers: 1, Width: 32, Heads: 2).Resolve(101, 33).Build(backend);
        backend.Fill(model.Parameters.Grads, 3);

        model.Parameters.ClearGrads();
        model.Parameters.ZeroUnusedGrads(backend);

        Assert.Equal(0, model.Parameters.Parameters.Sum(parameter => backend.SumOfSquares(parameter.Grad)));
    }
}
