using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Windtunnel.Models;
using Windtunnel.Tensors.Backends.Cpu;

namespace Windtunnel.Tests.Models;

public sealed class ModelOptionsTests
{
    // Radford et al. 2019 (as released), Touvron et al. 2023 and Wen et al. 2025, table 1.
    [Theory]
    [InlineData("gpt2", 124_439_808)]
    [InlineData("gpt2-medium", 354_823_168)]
    [InlineData("gpt2-large", 774_030_080)]
    [InlineData("gpt2-xl", 1_557_611_200)]
    public void Gpt2_presets_have_the_published_number_of_parameters(string size, long parameters) =>
        Assert.Equal(parameters, new Gpt2Options(size).Resolve(50_257, 1024).Count().Total);

    [Theory]
    [InlineData("llama-130m", 134_217_728, 512)]
    [InlineData("llama-300m", 301_989_888, 768)]
    [InlineData("llama-520m", 536_870_912, 1024)]
    [InlineData("llama-1.2b", 1_207_959_552, 1536)]
    public void Llama_presets_of_the_optimizer_study_have_the_published_number_of_weights_outside_embeddings(string size, long matrices, int width)
    {
        ModelCounts counts = new LlamaOptions(size).Resolve(50_257, 1024).Count();

        Assert.Equal(matrices, counts.NonEmbedding - (32 * 2 * width) - width);
        Assert.Equal(matrices + (50_257L * width), counts.MatrixProducts);
        Assert.Equal(32 * width, counts.AttentionWidth);
    }

    [Fact]
    public void Llama_7b_has_the_published_number_of_parameters() =>
        Assert.Equal(6_738_415_616, new LlamaOptions("llama-7b", Tied: false).Resolve(32_000, 2048).Count().Total);

    // Hu et al. 2024, tables 8 and 2, by the formula of the models as released.
    [Theory]
    [InlineData("minicpm-9m", 9_426_240)]
    [InlineData("minicpm-30m", 36_188_672)]
    [InlineData("minicpm-70m", 65_964_160)]
    [InlineData("minicpm-0.1b", 108_552_960)]
    [InlineData("minicpm-0.17b", 166_216_064)]
    [InlineData("minicpm-0.2b", 241_214_464)]
    [InlineData("minicpm-0.5b", 498_614_592)]
    [InlineData("minicpm-1.2b", 1_247_442_432)]
    [InlineData("minicpm-2.4b", 2_442_057_984)]
    public void Minicpm_presets_have_the_published_number_of_parameters_without_embeddings_in_heads_of_64(string size, long parameters)
    {
        ModelOptions model = new MiniCpmOptions(size).Resolve(122_753, 4096);

        Assert.Equal(parameters, model.Count().NonEmbedding);
        Assert.Equal(64, model.Dimensions.HeadWidth);
    }

    public static TheoryData<ModelOptions> Shapes =>
    [
        new Gpt2Options("20k"),
        new Gpt2Options("1m"),
        new Gpt2Options(Layers: 3, Width: 40, Heads: 5, FeedForward: 72, Context: 50),
        new LlamaOptions("20k"),
        new LlamaOptions("0.15m", Tied: false),
        new LlamaOptions("1m", QkNorm: true),
        new LlamaOptions(Layers: 3, Width: 40, Heads: 6, KeyValueHeads: 2, HeadWidth: 12, FeedForward: 88, Vocabulary: 150, Tied: false, QkNorm: true),
        new MiniCpmOptions("0.15m"),
        new MiniCpmOptions(Layers: 3, Width: 48, Heads: 6, KeyValueHeads: 2, FeedForward: 88, Vocabulary: 150, Tied: false),
    ];

    [Theory]
    [MemberData(nameof(Shapes), DisableDiscoveryEnumeration = true)]
    public void Counts_by_formula_are_the_counts_of_the_built_model(ModelOptions options)
    {
        ModelOptions resolved = options.Resolve(101, 33);
        ModelCounts counts = resolved.Count();
        using CpuBackend backend = new(1);
        using Model model = resolved.Build(backend, gradients: false);

        Assert.Equal(counts.Total, model.Parameters.Count);
        Assert.Equal(counts.Embedding, Sum(ParameterRole.Embedding, ParameterRole.Head));

        // The positions of GPT-2 are looked up, and so is a token embedding that is not the head too.
        long lookedUp = resolved is Gpt2Options ? (long)model.Dimensions.Context * model.Dimensions.Width
            : resolved.Tied ? 0 : Sum(ParameterRole.Embedding);
        Assert.Equal(counts.MatrixProducts, model.Parameters.Parameters.Where(parameter => parameter.IsMatrix).Sum(parameter => parameter.Shape.Count) - lookedUp);

        long Sum(params ParameterRole[] roles) =>
            model.Parameters.Parameters.Where(parameter => roles.Contains(parameter.Role)).Sum(parameter => parameter.Shape.Count);
    }

    [Fact]
    public void Training_flops_a_token_are_six_a_weight_and_twelve_a_head_width_and_position()
    {
        ModelCounts counts = new Gpt2Options("gpt2").Resolve(50_257, 1024).Count();

        Assert.Equal((6.0 * (84_934_656 + (50_257 * 768))) + (12.0 * 12 * 768 * 1024), counts.TrainingFlopsAToken(1024));
    }

    [Theory]
    [InlineData("20k")]
    [InlineData("50k")]
    [InlineData("0.15m")]
    [InlineData("0.4m")]
    [InlineData("1m")]
    [InlineData("4m")]
    [InlineData("10m")]
    [InlineData("40m")]
    [InlineData("124m")]
    [InlineData("400m")]
    [InlineData("1.2b")]
    public void The_size_dial_lands_within_five_percent_with_sensible_heads(string size) =>
        AssertDial(size, double.Parse(size[..^1]) * size[^1] switch { 'k' => 1e3, 'm' => 1e6, _ => 1e9 }, 0.05);

    // Widths are multiples of 16, which is coarse for models of two or three layers.
    [Fact]
    public void The_size_dial_lands_within_ten_percent_from_any_target_above_100k()
    {
        for (double target = 1e5; target <= 1.2e9; target *= 1.2)
        {
            AssertDial($"{target / 1e6:0.######}m", target, 0.1);
        }
    }

    [Fact]
    public void Layers_and_width_override_the_dial()
    {
        ModelDimensions d = new LlamaOptions("10m", Layers: 7, Heads: 4, Width: 256).Resolve(300, 64).Dimensions;

        Assert.Equal((7, 256, 4, 64), (d.Layers, d.Width, d.Heads, d.HeadWidth));
        Assert.Equal(9, new Gpt2Options("1m", Layers: 9).Resolve(300, 64).Dimensions.Layers);
    }

    public static TheoryData<ModelOptions, string> Impossible => new()
    {
        { new Gpt2Options("1x"), "model.size" },
        { new Gpt2Options("llama-7b"), "model.size" },
        { new LlamaOptions(""), "model.size" },
        { new LlamaOptions("infinityb"), "model.size" },
        { new Gpt2Options(Layers: 0), "model.layers" },
        { new Gpt2Options("gpt2", Layers: -1), "model.layers" },
        { new Gpt2Options(Width: 0), "model.width" },
        { new Gpt2Options(Width: -16), "model.width" },
        { new Gpt2Options(Width: int.MaxValue), "model.width" },
        { new Gpt2Options(Heads: 0), "model.heads" },
        { new Gpt2Options("gpt2", Heads: 7), "model.width" },
        { new Gpt2Options(FeedForward: -4), "model.feedForward" },
        { new Gpt2Options(Vocabulary: 100), "model.vocabulary" },
        { new Gpt2Options(Context: 32), "model.context" },
        { new LlamaOptions(Layers: 0), "model.layers" },
        { new LlamaOptions(Width: 0), "model.width" },
        { new LlamaOptions("llama-130m", Width: -16), "model.width" },
        { new LlamaOptions(Heads: -2), "model.heads" },
        { new LlamaOptions(KeyValueHeads: 0), "model.keyValueHeads" },
        { new LlamaOptions("llama-130m", KeyValueHeads: 3), "model.keyValueHeads" },
        { new LlamaOptions(HeadWidth: 0), "model.headWidth" },
        { new LlamaOptions(HeadWidth: 9), "model.headWidth" },
        { new LlamaOptions("llama-130m", Heads: 7), "model.width" },
        { new LlamaOptions(FeedForward: 0), "model.feedForward" },
        { new LlamaOptions(Vocabulary: 100), "model.vocabulary" },
        { new LlamaOptions(Context: 32), "model.context" },
        { new MiniCpmOptions("llama-7b"), "model.size" },
        { new MiniCpmOptions(Width: 98, Heads: 3), "model.width" },
        { new MiniCpmOptions(Width: 96, Heads: 0), "model.heads" },
        { new MiniCpmOptions(BaseWidth: 0), "model.baseWidth" },
        { new MiniCpmOptions(ScaleEmbedding: 0), "model.scaleEmbedding" },
        { new MiniCpmOptions(ScaleDepth: -1.4), "model.scaleDepth" },
        { new MiniCpmOptions(InitializerRange: 0), "model.initializerRange" },
        { new Gpt2Options { Tied = false }, "model.tied" },
    };

    [Theory]
    [MemberData(nameof(Impossible), DisableDiscoveryEnumeration = true)]
    public void Impossible_dimensions_are_refused_by_name(ModelOptions options, string field)
    {
        ValidationException error = Assert.Throws<ValidationException>(() => options.Resolve(101, 33));

        Assert.StartsWith(field + ":", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_can_be_printed_before_they_are_resolved() =>
        Assert.StartsWith("Gpt2Options { Size = 1m, Layers = 3, ", new Gpt2Options(Layers: 3).ToString(), StringComparison.Ordinal);

    [Fact]
    public void Options_read_from_their_bare_type_have_their_defaults()
    {
        JsonSerializerOptions camelCase = new(JsonSerializerDefaults.Web);

        Assert.Equal(new Gpt2Options(), JsonSerializer.Deserialize<ModelOptions>("""{"type":"gpt2"}""", camelCase));
        Assert.Equal(new LlamaOptions(), JsonSerializer.Deserialize<ModelOptions>("""{"type":"llama"}""", camelCase));
        Assert.Equal(new MiniCpmOptions(), JsonSerializer.Deserialize<ModelOptions>("""{"type":"minicpm"}""", camelCase));
        LlamaOptions resolved = (LlamaOptions)new LlamaOptions("1m", QkNorm: true).Resolve(101, 33);
        Assert.Equal(resolved, JsonSerializer.Deserialize<ModelOptions>(JsonSerializer.Serialize<ModelOptions>(resolved, camelCase), camelCase));
    }

    private static void AssertDial(string size, double target, double tolerance)
    {
        foreach (ModelOptions options in new ModelOptions[] { new Gpt2Options(size), new LlamaOptions(size), new MiniCpmOptions(size) })
        {
            ModelOptions resolved = options.Resolve(5000, 128);
            ModelDimensions d = resolved.Dimensions;

            Assert.InRange(resolved.Count().NonEmbedding / target, 1 - tolerance, 1 + tolerance);
            Assert.Equal((d.Width, d.Heads), (d.Heads * d.HeadWidth, d.KeyValueHeads));
            Assert.Equal(d.Width < 64 ? 16 : d.Width < 512 ? 32 : 64, d.HeadWidth);
            Assert.InRange((double)d.Width / d.Layers, 2, 256);
        }
    }
}
