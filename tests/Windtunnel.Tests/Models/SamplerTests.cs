using System.ComponentModel.DataAnnotations;
using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tensors.Memory;

namespace Windtunnel.Tests.Models;

public sealed class SamplerTests : IDisposable
{
    private const int Vocabulary = 61, Context = 16, NoEnd = -1;
    private static readonly int[] s_prompt = [7, 3, 60, 0, 12];

    // Wide initial weights, so that the distributions are far from uniform.
    private static readonly ModelOptions s_llama = new LlamaOptions(
        "20k", Layers: 2, Width: 32, Heads: 4, KeyValueHeads: 2, FeedForward: 48, QkNorm: true, InitializerRange: 0.4f).Resolve(Vocabulary, Context);

    private static readonly ModelOptions s_gpt2 = new Gpt2Options("20k", Layers: 2, Width: 32, Heads: 2).Resolve(Vocabulary, Context);

    private readonly CpuBackend _backend = new(1);

    public static TheoryData<string> Families => ["llama", "gpt2"];

    public void Dispose() => _backend.Dispose();

    [Theory]
    [MemberData(nameof(Families))]
    public void Greedy_sampling_takes_the_argmax_of_a_full_forward_pass(string family)
    {
        using Model model = Build(family, _backend);
        int[] sampled = Sample(model, new SamplingOptions(Temperature: 0, TokensMax: Context - s_prompt.Length));

        List<int> tokens = [.. s_prompt];
        while (tokens.Count < Context)
        {
            float[] logits = LastLogits(model, [.. tokens]);
            tokens.Add(Array.IndexOf(logits, logits.Max()));
        }

        Assert.Equal(tokens[s_prompt.Length..], sampled);
    }

    [Fact]
    public void A_short_text_takes_no_memory_for_the_rest_of_the_context()
    {
        ModelOptions options = s_llama with { Context = 1 << 20 };
        using Model model = options.Resolve(Vocabulary, Context).Build(_backend, gradients: false);
        long before = _backend.Ledger.LiveBytes;

        using Sampler sampler = new(model, Vocabulary);
        Assert.Equal(3, sampler.Generate(s_prompt, new SamplingOptions(TokensMax: 3), NoEnd).Count());
        Assert.InRange(_backend.Ledger.LiveBytes - before, 1, 1 << 16);
        Assert.Equal(40, sampler.Generate(s_prompt, new SamplingOptions(TokensMax: 40), NoEnd).Count());
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Text_beyond_the_context_slides_to_the_newest_half_of_it(string family)
    {
        using Model model = Build(family, _backend);
        int[] sampled = Sample(model, new SamplingOptions(Temperature: 0, TokensMax: 3 * Context));

        List<int> tokens = [.. s_prompt], window = [.. s_prompt];
        for (int i = 0; i < 3 * Context; i++)
        {
            window = window.Count > Context ? tokens[^(Context / 2)..] : window;
            float[] logits = LastLogits(model, [.. window]);
            tokens.Add(Array.IndexOf(logits, logits.Max()));
            window.Add(tokens[^1]);
        }

        Assert.Equal(tokens[s_prompt.Length..], sampled);
    }

    [Fact]
    public void A_prompt_longer_than_the_context_is_read_from_its_newest_half_context()
    {
        using Model model = Build("llama", _backend);
        int[] prompt = [.. Enumerable.Range(0, 100).Select(i => i * 17 % Vocabulary)];
        SamplingOptions options = new(TokensMax: 5);
        Assert.Equal(Sample(model, options, prompt: prompt[^(Context / 2)..]), Sample(model, options, prompt: prompt));
    }

    [Fact]
    public void A_context_of_one_token_can_be_sampled()
    {
        ModelOptions options = new LlamaOptions("20k", Layers: 1, Width: 16, Heads: 1, FeedForward: 16).Resolve(Vocabulary, 1);
        using Model model = options.Build(_backend, gradients: false);
        model.Parameters.Initialize(_backend, seed: 1);
        Assert.Equal(9, Sample(model, new SamplingOptions(TokensMax: 9)).Length);
    }

    [Fact]
    public void Top_k_of_one_is_greedy()
    {
        using Model model = Build("llama", _backend);
        Assert.Equal(
            Sample(model, new SamplingOptions(Temperature: 0, TokensMax: 40)), Sample(model, new SamplingOptions(Temperature: 2, TopK: 1, TokensMax: 40)));
    }

    [Theory]
    [InlineData(1.0, 0, 1.0)]
    [InlineData(0.7, 0, 0.9)]
    [InlineData(1.5, 10, 1.0)]
    [InlineData(3.0, 20, 0.5)]
    [InlineData(5.0, 0, 0.01)]
    public void Temperature_top_k_and_top_p_match_a_naive_reference(double temperature, int topK, double topP)
    {
        using Model model = Build("llama", _backend);
        SamplingOptions options = new(temperature, topK, topP, TokensMax: Context - s_prompt.Length, Seed: 5);
        List<int> tokens = [.. s_prompt];
        int[] expected = [.. Enumerable.Range(0, options.TokensMax).Select(i =>
        {
            tokens.Add(Draw(LastLogits(model, [.. tokens]), options, new Philox(options.Seed, 2).Uniform((ulong)i)));
            return tokens[^1];
        })];

        Assert.Equal(expected, Sample(model, options, stream: 2));

        static int Draw(float[] logits, SamplingOptions options, double uniform)
        {
            // Hugging Face's order: temperature, top-k, then top-p of what is left.
            List<(int Id, double P)> likeliest =
            [
                .. logits.Select((logit, id) => (Id: id, P: Math.Exp(logit / options.Temperature))).OrderByDescending(token => token.P)
                    .Take(options.TopK == 0 ? int.MaxValue : options.TopK),
            ];
            double all = likeliest.Sum(token => token.P), before = 0;
            List<(int Id, double P)> nucleus = [];
            foreach ((int id, double p) in likeliest)
            {
                if (before / all < options.TopP)
                {
                    nucleus.Add((id, p));
                }

                before += p;
            }

            double target = uniform * nucleus.Sum(token => token.P), sum = 0;
            return nucleus.First(token => (sum += token.P) > target).Id;
        }
    }

    [Fact]
    public void The_same_seed_gives_the_same_tokens_on_any_number_of_threads()
    {
        SamplingOptions options = new(TokensMax: 60, Seed: 3);
        using Model one = Build("llama", _backend);
        using CpuBackend threads = new(3);
        using Model three = Build("llama", threads);
        int[] tokens = Sample(one, options);
        Assert.Equal(tokens, Sample(one, options));
        Assert.Equal(tokens, Sample(three, options));
        Assert.NotEqual(tokens, Sample(one, options with { Seed = 4 }));
        Assert.NotEqual(tokens, Sample(one, options, stream: 1));
    }

    [Fact]
    public void A_shorter_sample_is_the_beginning_of_a_longer_one()
    {
        using Model model = Build("llama", _backend);
        Assert.Equal(Sample(model, new SamplingOptions(TokensMax: 50))[..20], Sample(model, new SamplingOptions(TokensMax: 20)));
    }

    [Fact]
    public void A_sample_stops_at_the_end_of_the_text_and_does_not_return_it()
    {
        using Model model = Build("llama", _backend);
        int[] tokens = Sample(model, new SamplingOptions(TokensMax: 50));
        int end = tokens[10];
        Assert.Equal(tokens[..Array.IndexOf(tokens, end)], Sample(model, new SamplingOptions(TokensMax: 50), endOfText: end));
    }

    [Fact]
    public void Tokens_that_the_tokenizer_lacks_are_never_drawn()
    {
        using Model model = Build("llama", _backend);
        using Sampler sampler = new(model, vocabulary: 5);
        Assert.All(sampler.Generate([0], new SamplingOptions(Temperature: 10, TopK: 0), NoEnd), id => Assert.InRange(id, 0, 4));
        Assert.All(sampler.Generate([0], new SamplingOptions(Temperature: 0), NoEnd), id => Assert.InRange(id, 0, 4));
    }

    [Theory]
    [InlineData(-0.1, 50, 1.0, 10)]
    [InlineData(double.NaN, 50, 1.0, 10)]
    [InlineData(double.PositiveInfinity, 50, 1.0, 10)]
    [InlineData(1.0, -1, 1.0, 10)]
    [InlineData(1.0, 50, 0.0, 10)]
    [InlineData(1.0, 50, 1.1, 10)]
    [InlineData(1.0, 50, 1.0, -1)]
    public void Impossible_settings_are_refused(double temperature, int topK, double topP, int tokensMax) =>
        Assert.Throws<ValidationException>(new SamplingOptions(temperature, topK, topP, tokensMax).Validate);

    private static Model Build(string family, CpuBackend backend)
    {
        Model model = (family == "llama" ? s_llama : s_gpt2).Build(backend, gradients: false);
        model.Parameters.Initialize(backend, seed: 1);
        return model;
    }

    private static int[] Sample(Model model, SamplingOptions options, int[]? prompt = null, int endOfText = NoEnd, ulong stream = 0)
    {
        using Sampler sampler = new(model, Vocabulary);
        return [.. sampler.Generate(prompt ?? s_prompt, options, endOfText, stream)];
    }

    private static float[] LastLogits(Model model, int[] tokens)
    {
        Backend backend = model.Backend;
        using Tape tape = new(backend, recording: false);
        DeviceBuffer buffer = backend.Allocate(tokens.Length);
        Tensor ids = new(buffer, 0, new Shape(1, tokens.Length), DType.I32);
        backend.Write(ids, tokens);
        float[] logits = new float[tokens.Length * Vocabulary];
        backend.Read(model.Logits(tape, ids), logits);
        buffer.Free();
        return logits[^Vocabulary..];
    }
}
