using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text.Json.Nodes;
using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Models.Inheritance;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Tensors;

namespace Windtunnel.Tests.Models.Inheritance;

public sealed class InheritanceTests : IDisposable
{
    private const int Vocabulary = 31, Length = 12;

    private static readonly ModelOptions
        s_llama = new LlamaOptions(Layers: 6, Width: 16, Heads: 4, KeyValueHeads: 2, FeedForward: 32, Size: "20k", QkNorm: true, Tied: false),
        s_gpt2 = new Gpt2Options(Layers: 6, Width: 16, Heads: 4, FeedForward: 32, Size: "20k"),
        s_miniCpm = new MiniCpmOptions(Layers: 6, Width: 16, Heads: 4, KeyValueHeads: 2, FeedForward: 32, Size: "20k", BaseWidth: 8);

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Families => ["llama", "gpt2", "minicpm"];

    public static TheoryData<InheritanceOptions, string> Choices => new()
    {
        { new FirstOptions(), "0 1 2" },
        { new FirstOptions(Layers: 5), "0 1 2 3 4" },
        { new Windtunnel.Models.Inheritance.RangeOptions(Start: 2, End: 4), "2 3" },
        { new Windtunnel.Models.Inheritance.RangeOptions(Start: 4), "4 5" },
        { new AlternateOptions(), "0 2 4" },
        { new AlternateOptions(Layers: 4), "0 1 3 4" },
        { new ListedOptions(Layers: [5, 0, 0]), "5 0 0" },
        { new StackOptions(), "0 1 2 3 4 5 0 1 2 3 4 5" },
        { new StackOptions(Layers: 2, Times: 3), "0 1 0 1 0 1" },
        { new HalfWidthOptions(), "0 1 2 3 4 5" },
    };

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("stories260K/golden.json", "stories260K/hf/model.safetensors")]
    [InlineData("gpt2_nano_shakespeare/golden.json", "gpt2_nano_shakespeare/model.safetensors")]
    public void The_first_n_layers_of_real_models_have_the_losses_that_torch_computed(string goldenPath, string weightsPath)
    {
        JsonObject golden = JsonNode.Parse(File.ReadAllText(SharedData.Require($"data/fixtures/{goldenPath}")))!.AsObject();
        int[][] inputs = Rows(golden["train_step"]!["inputs"]!), targets = Rows(golden["train_step"]!["targets"]!);
        using CpuBackend backend = new(1);
        using Model reference = RealModels.Load(weightsPath, backend);

        foreach ((string layers, JsonNode? expected) in golden["inherit_first_n"]!.AsObject())
        {
            using Model target = Inherit(new FirstOptions(Layers: int.Parse(layers, CultureInfo.InvariantCulture)), reference);
            using Tape tape = new(backend, recording: false);
            Shape shape = new(inputs.Length, inputs[0].Length);
            (Tensor losses, _) = target.Loss(
                tape, OpCheck.UploadTokens(tape, shape, [.. inputs.SelectMany(row => row)]), OpCheck.UploadTokens(tape, shape, [.. targets.SelectMany(row => row)]), 0);
            Assert.Equal(1, backend.Sum(losses) / targets.Sum(row => row.Count(id => id >= 0)) / (double)expected!, 1e-5);
        }
    }

    [Theory]
    [MemberData(nameof(Choices))]
    public void Each_choice_takes_the_layers_that_it_says(InheritanceOptions options, string expected)
    {
        Assert.Equal(expected, string.Join(' ', options.Taken([6]).Select(layer => layer.Layer)));
    }

    [Fact]
    public void A_random_choice_is_in_order_without_repetition_and_follows_its_seed()
    {
        int[][] choices = [.. Enumerable.Range(1, 20).Select(seed => new RandomOptions(Layers: 4, Seed: (ulong)seed).Taken([9]).Select(layer => layer.Layer).ToArray())];

        Assert.All(choices, choice => Assert.Equal(choice.Distinct().Order(), choice));
        Assert.All(choices, choice => Assert.Equal(4, choice.Length));
        Assert.Equal(choices[2], new RandomOptions(Layers: 4, Seed: 3).Taken([9]).Select(layer => layer.Layer));
        Assert.True(choices.Select(choice => string.Join(' ', choice)).Distinct().Count() > 10);
        Assert.Equal(Enumerable.Range(0, 9), choices.SelectMany(choice => choice).Distinct().Order());
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Copied_weights_are_the_references_bits_and_the_others_are_drawn_from_the_seed(string family)
    {
        using CpuBackend backend = new(1);
        using Model reference = Random(Options(family), backend);
        InheritanceOptions options = new ListedOptions(Layers: [4, 1], Copy: InheritedParts.Code, Blocks: InheritedBlocks.Attention, Norms: false);
        using Model target = Inherit(options, reference, out IReadOnlyList<InheritedParameter> inherited);
        using Model fresh = target.Options.Build(backend);
        fresh.Parameters.Initialize(backend, 7);

        foreach (InheritedParameter parameter in inherited)
        {
            Model source = parameter.Source is null ? fresh : reference;
            float[] expected = OpCheck.Read(source.Parameters.Parameters.Single(other => other.Name == (parameter.Source ?? parameter.Parameter.Name)).Value, backend);
            Assert.True(OpCheck.SameBits(expected, OpCheck.Read(parameter.Parameter.Value, backend)), parameter.Parameter.Name);
        }

        string[] copied = [.. inherited.Where(parameter => parameter.Source is not null).Select(parameter => parameter.Source!).Order(StringComparer.Ordinal)];
        string[] expectedNames = family switch
        {
            "gpt2" => [.. Block("transformer.h.", "attn.c_attn.bias", "attn.c_attn.weight", "attn.c_proj.bias", "attn.c_proj.weight"), "transformer.wte.weight"],
            "llama" => ["lm_head.weight", .. Block("model.layers.", Projections)],
            _ => ["model.embed_tokens.weight", .. Block("model.layers.", Projections)],
        };
        Assert.Equal(expectedNames, copied);

        static IEnumerable<string> Block(string prefix, params string[] names) => new[] { 1, 4 }.SelectMany(layer => names.Select(name => $"{prefix}{layer}.{name}"));
    }

    [Theory]
    [InlineData(InheritedParts.All, true, "tokens positions finalNorm")]
    [InlineData(InheritedParts.Paper, true, "tokens")]
    [InlineData(InheritedParts.Code, true, "tokens")]
    [InlineData(InheritedParts.All, false, "tokens finalNorm head")]
    [InlineData(InheritedParts.Paper, false, "tokens head")]
    [InlineData(InheritedParts.Code, false, "head")]
    public void Outside_the_blocks_the_paper_the_scripts_and_the_default_copy_different_things(InheritedParts copy, bool isGpt2, string expected)
    {
        using CpuBackend backend = new(1);
        using Model reference = Random(isGpt2 ? s_gpt2 : s_llama, backend);

        using Model target = Inherit(new FirstOptions(Copy: copy), reference, out IReadOnlyList<InheritedParameter> inherited);

        HashSet<string> parts = [.. inherited.Where(parameter => parameter.Source is not null && !parameter.Source.Any(char.IsDigit)).Select(parameter => parameter.Source switch
        {
            "transformer.wte.weight" or "model.embed_tokens.weight" => "tokens",
            "transformer.wpe.weight" => "positions",
            "lm_head.weight" => "head",
            _ => "finalNorm",
        })];
        Assert.Equal(expected.Split(' ').Order(), parts.Order());
    }

    [Theory]
    [InlineData(InheritedBlocks.All, true, 12)]
    [InlineData(InheritedBlocks.All, false, 8)]
    [InlineData(InheritedBlocks.Attention, true, 6)]
    [InlineData(InheritedBlocks.Attention, false, 4)]
    [InlineData(InheritedBlocks.FeedForward, true, 6)]
    [InlineData(InheritedBlocks.FeedForward, false, 4)]
    public void Of_a_block_either_half_can_be_copied_with_its_norm_or_without(InheritedBlocks blocks, bool norms, int expected)
    {
        using CpuBackend backend = new(1);
        using Model reference = Random(s_gpt2, backend);

        using Model target = Inherit(new FirstOptions(Layers: 1, Blocks: blocks, Norms: norms), reference, out IReadOnlyList<InheritedParameter> inherited);

        Assert.Equal(expected, inherited.Count(parameter => parameter.Source?.StartsWith("transformer.h.0.", StringComparison.Ordinal) == true));
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Blocks_do_what_they_did_in_the_reference_whatever_their_place_and_the_depth(string family)
    {
        ModelOptions options = Options(family) is Gpt2Options gpt2 ? gpt2 with { InverseLayerScale = true } : Options(family);
        using CpuBackend backend = new(1);
        using Model reference = Random(options, backend);
        using Model target = Inherit(new Windtunnel.Models.Inheritance.RangeOptions(Start: 2, End: 5), reference);
        foreach (Parameter parameter in reference.Parameters.Parameters)
        {
            // Blocks that add nothing are not there.
            if (new[] { "o_proj", "down_proj", "c_proj" }.Any(parameter.Name.Contains) && new[] { ".0.", ".1.", ".5." }.Any(parameter.Name.Contains))
            {
                backend.Fill(parameter.Value, 0);
            }
        }

        double[] expected = [.. Logits(reference).Select(logit => (double)logit)];
        OpCheck.AssertClose(expected, Logits(target), 2e-6, "logits");
    }

    [Fact]
    public void Scores_divided_by_the_layer_are_those_of_smaller_queries()
    {
        using CpuBackend backend = new(1);
        using Model plain = Random(s_gpt2, backend);
        using Model scaled = Random(((Gpt2Options)s_gpt2) with { InverseLayerScale = true }, backend);
        float[] before = Logits(scaled);
        Assert.False(OpCheck.SameBits(Logits(plain), before));

        foreach (Parameter parameter in plain.Parameters.Parameters.Where(parameter => parameter.Name.Contains("c_attn", StringComparison.Ordinal)))
        {
            float[] values = OpCheck.Read(parameter.Value, backend);
            int layer = int.Parse(parameter.Name.Split('.')[2], CultureInfo.InvariantCulture);
            for (int i = 0; i < values.Length / 3; i++)
            {
                values[i] /= layer + 1;
            }

            backend.Write(parameter.Value, values);
        }

        OpCheck.AssertClose([.. Logits(plain).Select(logit => (double)logit)], before, 2e-6, "logits");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Whether_scores_are_divided_by_the_layer_survives_config_json(bool inverse)
    {
        using TemporaryFolder folder = new();
        ModelOptions options = Resolved(((Gpt2Options)s_gpt2) with { InverseLayerScale = inverse });
        string path = folder.Write("config.json", options.ToHuggingFace(0).ToJsonString());

        Assert.Equal(inverse, Assert.IsType<Gpt2Options>(HuggingFaceConfig.Load(path)).InverseLayerScale);
    }

    [Fact]
    public void Half_the_width_is_the_first_half_of_every_matrix_and_of_each_that_is_stacked_in_it()
    {
        using CpuBackend backend = new(1);
        using Model gpt2 = Random(s_gpt2, backend), llama = Random(s_llama, backend);
        using Model narrowGpt2 = Inherit(new HalfWidthOptions(), gpt2), narrowLlama = Inherit(new HalfWidthOptions(), llama);

        Assert.Equal((8, 2, 2, 4, 16), (narrowGpt2.Dimensions.Width, narrowGpt2.Dimensions.Heads, narrowGpt2.Dimensions.KeyValueHeads, narrowGpt2.Dimensions.HeadWidth, narrowGpt2.Dimensions.FeedForward));
        Assert.Equal((8, 2, 1, 4, 16), (narrowLlama.Dimensions.Width, narrowLlama.Dimensions.Heads, narrowLlama.Dimensions.KeyValueHeads, narrowLlama.Dimensions.HeadWidth, narrowLlama.Dimensions.FeedForward));
        Check(gpt2, narrowGpt2, "transformer.h.3.attn.c_attn.weight", 3);
        Check(gpt2, narrowGpt2, "transformer.h.3.attn.c_attn.bias", 3);
        Check(gpt2, narrowGpt2, "transformer.h.3.mlp.c_proj.weight", 1);
        Check(llama, narrowLlama, "model.layers.5.self_attn.k_proj.weight", 1);
        Check(llama, narrowLlama, "model.layers.5.self_attn.q_norm.weight", 1);
        Check(llama, narrowLlama, "lm_head.weight", 1);

        void Check(Model wide, Model narrow, string name, int parts)
        {
            Parameter from = wide.Parameters.Parameters.Single(parameter => parameter.Name == name), to = narrow.Parameters.Parameters.Single(parameter => parameter.Name == name);
            float[] all = OpCheck.Read(from.Value, backend), half = OpCheck.Read(to.Value, backend);
            bool isVector = from.Shape.Rank == 1;
            int rows = isVector ? from.Shape.Columns : from.Shape.Rows, columns = isVector ? 1 : from.Shape.Columns;
            int keptRows = isVector ? to.Shape.Columns : to.Shape.Rows, keptColumns = isVector ? 1 : to.Shape.Columns;
            float[] expected =
            [
                .. from row in Enumerable.Range(0, rows)
                   where row % (rows / parts) < keptRows / parts
                   from column in Enumerable.Range(0, keptColumns)
                   select all[(row * columns) + column],
            ];
            Assert.Equal(expected, half);
        }
    }

    [Fact]
    public void A_model_that_grows_keeps_what_it_has_learnt_and_gets_the_references_next_blocks()
    {
        using CpuBackend backend = new(1);
        using Model reference = Random(s_miniCpm, backend);
        using Model small = Inherit(new FirstOptions(Layers: 2), reference);
        backend.Fill(small.Parameters.Values, 0.25f);
        GrowOptions options = new("small", "reference", Layers: 3);

        ModelOptions target = options.Target([small.Options, reference.Options]);
        using Model grown = target.Build(backend);
        using StoredModel first = Stored(small), second = Stored(reference);
        options.Fill(grown, [first, second], options.Taken([2, 6]));

        Assert.Equal(5, grown.Dimensions.Layers);
        Assert.Equal(((MiniCpmOptions)reference.Options).Scales.Residual, ((MiniCpmOptions)target).Scales.Residual, 1e-6f);
        Assert.All(
            grown.Parameters.Parameters,
            parameter =>
            {
                bool isNew = new[] { ".2.", ".3.", ".4." }.Any(parameter.Name.Contains);
                float[] expected = OpCheck.Read((isNew ? reference : small).Parameters.Parameters.Single(other => other.Name == parameter.Name).Value, backend);
                Assert.True(OpCheck.SameBits(expected, OpCheck.Read(parameter.Value, backend)), parameter.Name);
            });
        Assert.Contains("between 1 and 4", Assert.Throws<ValidationException>(() => (options with { Layers = 5 }).Taken([2, 6])).Message);
        Assert.Contains("differ in more than their depth", Assert.Throws<ValidationException>(() => options.Target([small.Options, Resolved(s_llama)])).Message);
    }

    [Fact]
    public void What_the_reference_does_not_have_is_refused_by_name()
    {
        Fails(new FirstOptions(Layers: 7), "inheritance.layers: 7 must be between 1 and the reference's 6");
        Fails(new AlternateOptions(Layers: 0), "inheritance.layers: 0");
        Fails(new Windtunnel.Models.Inheritance.RangeOptions(Start: 3, End: 3), "inheritance.start: 3");
        Fails(new Windtunnel.Models.Inheritance.RangeOptions(Start: 3, End: 9), "inheritance.end: 9");
        Fails(new ListedOptions(), "names no block");
        Fails(new ListedOptions(Layers: [0, 6]), "6 is none of the reference's blocks, 0 to 5");
        Fails(new StackOptions(Times: 0), "inheritance.times: 0");
        Assert.Contains(
            "heads is 3", Assert.Throws<ValidationException>(() => new HalfWidthOptions().Target([Resolved(new Gpt2Options(Layers: 1, Width: 48, Heads: 3))])).Message);

        static void Fails(InheritanceOptions options, string message) =>
            Assert.Contains(message, Assert.Throws<ValidationException>(() => options.Taken([6])).Message, StringComparison.Ordinal);
    }

    private static string[] Projections { get; } = ["self_attn.k_proj.weight", "self_attn.o_proj.weight", "self_attn.q_proj.weight", "self_attn.v_proj.weight"];

    private static ModelOptions Options(string family) => family switch { "llama" => s_llama, "gpt2" => s_gpt2, _ => s_miniCpm };

    private static ModelOptions Resolved(ModelOptions options) => options.Resolve(Vocabulary, Length);

    // Every weight random, gains and biases too, so that none is like another's.
    private static Model Random(ModelOptions options, Backend backend)
    {
        Model model = Resolved(options).Build(backend);
        float[] values = new float[model.Parameters.Length];
        foreach (Parameter parameter in model.Parameters.Parameters)
        {
            Philox.Named(1, parameter.Name).FillNormal(values.AsSpan((int)parameter.Offset, (int)parameter.Shape.Count), 0.3f);
        }

        backend.Write(model.Parameters.Values, values);
        return model;
    }

    private Model Inherit(InheritanceOptions options, Model reference) => Inherit(options, reference, out _);

    private Model Inherit(InheritanceOptions options, Model reference, out IReadOnlyList<InheritedParameter> inherited)
    {
        Model target = options.Target([reference.Options]).Build(reference.Backend);
        target.Parameters.Initialize(reference.Backend, 7);
        using StoredModel stored = Stored(reference);
        inherited = options.Fill(target, [stored], options.Taken([reference.Dimensions.Layers]));
        return target;
    }

    private StoredModel Stored(Model model)
    {
        string path = _folder.File($"{Guid.NewGuid()}.safetensors");
        using (FileStream stream = File.Create(path))
        {
            ModelWeights.Write(stream, model);
        }

        return new StoredModel(SafetensorsFile.Open(path), model.Options);
    }

    private static float[] Logits(Model model)
    {
        using Tape tape = new(model.Backend, recording: false);
        Tensor tokens = OpCheck.UploadTokens(tape, new Shape(2, Length), new Random(5).GetItems([.. Enumerable.Range(0, Vocabulary)], 2 * Length));
        return OpCheck.Read(model.Logits(tape, tokens), model.Backend);
    }

    private static int[][] Rows(JsonNode rows) => [.. rows.AsArray().Select(row => row!.AsArray().Select(id => (int)id!).ToArray())];
}
