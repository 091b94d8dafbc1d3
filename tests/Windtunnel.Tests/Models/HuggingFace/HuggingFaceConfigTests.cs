using System.Text.Json.Nodes;
using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;

namespace Windtunnel.Tests.Models.HuggingFace;

public sealed class HuggingFaceConfigTests : IDisposable
{
    private const string Llama = """
        {"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":3200,"intermediate_size":8640,"num_hidden_layers":26,
         "num_attention_heads":32,"vocab_size":32000,"max_position_embeddings":2048,"rms_norm_eps":1e-06,"hidden_act":"silu","initializer_range":0.02,
         "bos_token_id":1,"eos_token_id":2,"pad_token_id":0,"tie_word_embeddings":false,"torch_dtype":"float16","transformers_version":"4.28.0.dev0","use_cache":true}
        """;

    private const string Gpt2 = """
        {"activation_function":"gelu_new","architectures":["GPT2LMHeadModel"],"attn_pdrop":0.1,"bos_token_id":50256,"embd_pdrop":0.1,"eos_token_id":50256,
         "initializer_range":0.02,"layer_norm_epsilon":1e-05,"model_type":"gpt2","n_ctx":1024,"n_embd":768,"n_head":12,"n_layer":12,"n_positions":1024,
         "resid_pdrop":0.1,"summary_activation":null,"summary_first_dropout":0.1,"summary_proj_to_labels":true,"summary_type":"cls_index","summary_use_proj":true,
         "task_specific_params":{"text-generation":{"do_sample":true,"max_length":50}},"vocab_size":50257}
        """;

    private readonly TemporaryFolder _folder = new();

    private string Path => _folder.File("config.json");

    public void Dispose() => _folder.Dispose();

    public static TheoryData<ModelOptions> Families =>
    [
        new Gpt2Options("20k", Layers: 3, Width: 48, Heads: 4, FeedForward: 100, Epsilon: 1e-6f),
        new LlamaOptions("20k", Layers: 3, Width: 48, Heads: 4, KeyValueHeads: 2, FeedForward: 80, Tied: false, RopeTheta: 500_000, InitializerRange: 0.03f),
        new LlamaOptions("20k", Layers: 3, Width: 48, Heads: 6, HeadWidth: 16, FeedForward: 80, QkNorm: true),
        new MiniCpmOptions("20k", Layers: 3, Width: 48, Heads: 4, FeedForward: 80, ScaleEmbedding: 11.5, ScaleDepth: 1.3, BaseWidth: 16, Tied: false),
    ];

    [Theory]
    [MemberData(nameof(Families))]
    public void What_is_written_reads_back_as_the_same_options(ModelOptions options)
    {
        ModelOptions resolved = options.Resolve(vocabulary: 300, sequenceLength: 70);
        File.WriteAllText(Path, resolved.ToHuggingFace(299).ToJsonString());

        Assert.Equal(resolved, HuggingFaceConfig.Load(Path) with { Size = resolved.Size });
    }

    [Fact]
    public void Published_files_are_read_with_the_defaults_of_their_families()
    {
        LlamaOptions llama = Assert.IsType<LlamaOptions>(Read(Llama));
        Assert.Equal(new ModelDimensions(26, 3200, 32, 32, 100, 8640, 32_000, 2048), llama.Dimensions);
        Assert.Equal((10_000.0, 1e-6f, false, false), (llama.RopeTheta, llama.Epsilon, llama.Tied, llama.QkNorm));

        Gpt2Options gpt2 = Assert.IsType<Gpt2Options>(Read(Gpt2));
        Assert.Equal(new ModelDimensions(12, 768, 12, 12, 64, 3072, 50_257, 1024), gpt2.Dimensions);

        Gpt2Options medium = Assert.IsType<Gpt2Options>(Read(Gpt2, config =>
            (config["n_embd"], config["n_head"], config["n_layer"], config["n_special"], config["predict_special_tokens"]) = (1024, 16, 24, 0, true)));
        Assert.Equal((24, 1024), (medium.Dimensions.Layers, medium.Dimensions.Width));

        // The first MiniCPM has no model_type.
        MiniCpmOptions miniCpm = Assert.IsType<MiniCpmOptions>(Read(Llama, config =>
        {
            config.Remove("model_type");
            config.Remove("tie_word_embeddings");
            (config["architectures"], config["scale_emb"], config["scale_depth"], config["dim_model_base"]) = (new JsonArray("MiniCPMForCausalLM"), 12, 1.4, 256);
        }));
        Assert.Equal((12.0, 1.4, 256, true), (miniCpm.ScaleEmbedding, miniCpm.ScaleDepth, miniCpm.BaseWidth, miniCpm.Tied));
    }

    [Theory]
    [InlineData("rope_scaling", """{"type":"linear","factor":2.0}""", """rope_scaling: {"type":"linear","factor":2.0} cannot be represented""")]
    [InlineData("rope_scaling", """{"rope_type":"llama3","factor":8.0}""", "rope_scaling")]
    [InlineData("rope_parameters", """{"rope_type":"yarn","rope_theta":10000.0}""", "rope_parameters")]
    [InlineData("rope_parameters", """{"rope_type":"default","rope_theta":10000.0,"partial_rotary_factor":0.5}""", "rope_parameters")]
    [InlineData("rope_parameters", "[]", "rope_parameters: [] is no object")]
    [InlineData("attention_bias", "true", "attention_bias: true cannot be represented; only false can")]
    [InlineData("mlp_bias", "true", "mlp_bias: true")]
    [InlineData("hidden_act", "\"gelu\"", "hidden_act: \"gelu\" cannot be represented; only silu or swish can")]
    [InlineData("sliding_window", "4096", "sliding_window: 4096")]
    [InlineData("use_sliding_window", "true", "use_sliding_window: true")]
    [InlineData("layer_types", """["full_attention","sliding_attention"]""", "layer_types")]
    [InlineData("rope_interleaved", "true", "rope_interleaved: true")]
    [InlineData("quantization_config", """{"bits":4}""", """quantization_config: {"bits":4} is not known here; remove the field""")]
    [InlineData("scaled\nattention", "true", "scaled attention: true is not known here")]
    [InlineData("num_hidden_layers", "null", "num_hidden_layers: missing")]
    [InlineData("num_hidden_layers", "2.5", "num_hidden_layers: 2.5 is no whole number")]
    [InlineData("num_hidden_layers", "0", "model.layers: 0")]
    [InlineData("num_attention_heads", "0", "model.heads: 0")]
    [InlineData("num_key_value_heads", "5", "model.keyValueHeads: 5")]
    [InlineData("hidden_size", "99999999", "model.width")]
    [InlineData("head_dim", "65536", "model.headWidth: 65536 is too wide")]
    [InlineData("rms_norm_eps", "\"small\"", "rms_norm_eps: \"small\" is no number")]
    [InlineData("tie_word_embeddings", "1", "tie_word_embeddings: 1 is neither")]
    [InlineData("model_type", "\"mamba\"", "model_type: mamba is none of")]
    public void What_a_llama_here_cannot_represent_is_named_with_field_and_value(string field, string value, string problem) =>
        AssertRefused(Llama, field, value, problem);

    [Theory]
    [InlineData("scale_attn_weights", "false")]
    [InlineData("activation_function", "\"relu\"")]
    [InlineData("tie_word_embeddings", "false")]
    [InlineData("add_cross_attention", "true")]
    [InlineData("n_ctx", "512")]
    [InlineData("n_head", "7")]
    public void What_a_gpt2_here_cannot_represent_is_named_with_field_and_value(string field, string value) =>
        AssertRefused(Gpt2, field, value, value);

    [Fact]
    public void A_minicpm_without_heads_is_refused_as_a_llama_is() => AssertRefused(
        Llama.Replace("\"llama\"", "\"minicpm\"", StringComparison.Ordinal).Replace("{\"arch", "{\"scale_emb\":12,\"scale_depth\":1.4,\"dim_model_base\":256,\"arch", StringComparison.Ordinal),
        "num_attention_heads", "0", "model.heads: 0");

    [Theory]
    [InlineData("""{"eos_token_id":7}""", 7)]
    [InlineData("""{"eos_token_id":[5,6]}""", 5)]
    [InlineData("""{"eos_token_id":null}""", null)]
    [InlineData("""{"eos_token_id":[]}""", null)]
    [InlineData("{}", null)]
    public void Of_several_ids_that_end_a_text_the_first_is_taken(string text, int? expected)
    {
        File.WriteAllText(Path, text);
        Assert.Equal(expected, HuggingFaceConfig.TokenId(Path, "eos_token_id"));
        Assert.Null(HuggingFaceConfig.TokenId(Path + ".absent", "eos_token_id"));
    }

    [Fact]
    public void Two_bases_of_the_rotary_frequencies_have_to_agree()
    {
        Assert.Equal(1e6, ((LlamaOptions)Read(Llama, config => config["rope_parameters"] = JsonNode.Parse("""{"rope_type":"default","rope_theta":1000000.0}"""))).RopeTheta);
        AssertRefused(Llama.Replace("{\"arch", "{\"rope_theta\":10000.0,\"arch", StringComparison.Ordinal), "rope_parameters", """{"rope_type":"default","rope_theta":500000.0}""", "rope_parameters");
    }

    [Theory]
    [InlineData("{", "not valid JSON")]
    [InlineData("[]", "not a JSON object")]
    [InlineData("""{"model_type":"llama","model_type":"llama"}""", "not valid JSON")]
    [InlineData("""{"model_type":7}""", "model_type: missing")]
    [InlineData("""{"model_type":"llama","\ud800":1}""", "not valid JSON")]
    public void What_is_no_config_is_refused(string text, string problem)
    {
        File.WriteAllText(Path, text);
        Assert.Contains(problem, Assert.Throws<InvalidDataException>(() => HuggingFaceConfig.Load(Path)).Message);
    }

    private ModelOptions Read(string text, Action<JsonObject>? change = null)
    {
        JsonObject config = JsonNode.Parse(text)!.AsObject();
        change?.Invoke(config);
        File.WriteAllText(Path, config.ToJsonString());
        return HuggingFaceConfig.Load(Path);
    }

    private void AssertRefused(string text, string field, string value, string problem)
    {
        string message = Assert.Throws<InvalidDataException>(() => Read(text, config => config[field] = JsonNode.Parse(value))).Message;
        Assert.StartsWith(Path, message);
        Assert.Contains(problem, message);
        Assert.DoesNotContain('\n', message);
    }
}
