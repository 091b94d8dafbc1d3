using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends.Cpu;

namespace Windtunnel.Tests.Models;

public sealed class AttentionAnalysisTests
{
    [Theory]
    [InlineData("stories260K/golden.json", "stories260K/hf/model.safetensors", 64)]
    [InlineData("gpt2_nano_shakespeare/golden.json", "gpt2_nano_shakespeare/model.safetensors", 0)]
    public void Ranks_and_masses_of_real_models_are_those_that_torch_computed(string goldenPath, string weightsPath, int length)
    {
        JsonObject golden = JsonNode.Parse(File.ReadAllText(SharedData.Require($"data/fixtures/{goldenPath}")))!.AsObject();
        JsonNode expected = golden["attention"]!;
        int[][] inputs = [.. golden["train_step"]!["inputs"]!.AsArray().Select(row => row!.AsArray().Select(id => (int)id!).ToArray())];
        int[][] sequences = [.. inputs.Take(expected["k_star[layer][head][seq]"]![0]![0]!.AsArray().Count).Select(row => length > 0 ? row[..length] : row)];
        using CpuBackend backend = new(1);
        using Model model = RealModels.Load(weightsPath, backend);

        AttentionAnalysis analysis = AttentionAnalysis.Of(model, sequences);

        Assert.All(analysis.Heads, head =>
        {
            Assert.Equal(Numbers(expected["k_star[layer][head][seq]"]![head.Layer]![head.Head]!), head.Ranks);
            Assert.Equal(Numbers(expected["m_star[layer][head][seq]"]![head.Layer]![head.Head]!), head.Masses);
        });
        Assert.Equal(expected["MaxRank"]!.AsArray().Select(rank => (double)rank!), analysis.Layers.Select(layer => layer.MaxRank));
        Assert.Equal(expected["AvgMass"]!.AsArray().Select(mass => (double)mass!), analysis.Layers.Select(layer => layer.AverageMass));
        Assert.Null(model.AttentionObserver);
    }

    [Fact]
    public void A_head_without_queries_sees_all_tokens_alike_and_one_that_sees_only_the_first_is_lazy()
    {
        const int Length = 20;
        using CpuBackend backend = new(2);
        using Model model = new Gpt2Options(Layers: 2, Width: 8, Heads: 2, FeedForward: 16, Vocabulary: 40, Context: Length).Resolve(1, 1).Build(backend);
        model.Parameters.Initialize(backend, 1);
        foreach (Parameter parameter in model.Parameters.Parameters.Where(parameter => parameter.Name.EndsWith(".c_attn.weight", StringComparison.Ordinal)))
        {
            backend.Fill(parameter.Value, 0);
        }

        // Where keys don't depend on the tokens either, every query has the mean of what it sees: entries 1 / (i + 1).
        int[][] sequences = [[.. Enumerable.Range(0, Length)], [.. Enumerable.Range(20, Length)]];
        AttentionAnalysis uniform = AttentionAnalysis.Of(model, sequences);
        double[] columns = [.. Enumerable.Range(0, Length).Select(column => Enumerable.Range(column, Length - column).Sum(row => 1.0 / ((row + 1) * (row + 1))))];
        int mass = Enumerable.Range(1, Length).First(count => columns.Take(count).Sum() >= 0.9 * columns.Sum());
        double first = Enumerable.Range(0, Length).Average(row => 1.0 / (row + 1));
        Assert.All(uniform.Heads, head => Assert.Equal((mass, mass), (head.Masses[0], head.Masses[1])));
        Assert.All(uniform.Heads, head => Assert.Equal(first, head.FirstToken, 1e-6));
        Assert.All(uniform.Layers, layer => Assert.False(layer.IsLazy));

        // The first position alone has a large key, and all queries agree on it.
        Sink(model, backend);
        AttentionAnalysis sunk = AttentionAnalysis.Of(model, sequences);
        Assert.All(sunk.Heads.Where(head => head.Layer == 0), head => Assert.Equal((1.0, 1.0), (head.Rank, head.Mass)));
        Assert.True(sunk.Layers[0].IsLazy);
        Assert.All(sunk.Heads.Where(head => head.Layer == 0), head => Assert.InRange(head.FirstToken, 0.999, 1));
    }

    [Fact]
    public void Sequences_that_do_not_fit_and_shares_out_of_range_are_refused()
    {
        using CpuBackend backend = new(1);
        using Model model = new Gpt2Options(Layers: 1, Width: 8, Heads: 2, FeedForward: 16, Vocabulary: 40, Context: 4).Resolve(1, 1).Build(backend);

        Assert.Throws<ValidationException>(() => AttentionAnalysis.Of(model, [[1, 2, 3, 4, 5]]));
        Assert.Throws<ValidationException>(() => AttentionAnalysis.Of(model, [[1, 2], [1]]));
        Assert.Throws<ValidationException>(() => AttentionAnalysis.Of(model, [[1, 2]], tau: 0));
        Assert.Throws<ValidationException>(() => AttentionAnalysis.Of(model, [[1, 2]], eta: 1.1));
    }

    // Positions alone decide: the first one is (1, -1, 0, ...), all others its negative; queries are constant, keys read the first coordinate.
    private static void Sink(Model model, CpuBackend backend)
    {
        Write("transformer.wte.weight", (_, _) => 0);
        Write("transformer.wpe.weight", (row, column) => column > 1 ? 0 : (row == 0) == (column == 0) ? 1 : -1);
        Write("transformer.h.0.attn.c_attn.bias", (_, column) => column < 8 ? 1 : 0);
        Write("transformer.h.0.attn.c_attn.weight", (row, column) => row is >= 8 and < 16 && column == 0 ? 5 : 0);

        void Write(string name, Func<int, int, float> value)
        {
            Parameter parameter = model.Parameters.Parameters.Single(other => other.Name == name);
            int columns = parameter.Shape.Columns;
            backend.Write(parameter.Value, [.. Enumerable.Range(0, (int)parameter.Shape.Count).Select(i => value(i / columns, i % columns))]);
        }
    }

    private static int[] Numbers(JsonNode list) => [.. list.AsArray().Select(number => (int)number!)];
}
