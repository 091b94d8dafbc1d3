using Windtunnel.Cli;
using Windtunnel.Models;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Text.Tokenizers;
using Windtunnel.Text.Tokenizers;
using Windtunnel.Training;

namespace Windtunnel.Tests.Cli;

public sealed class SampleWriterTests : IDisposable
{
    private static readonly SamplingOptions s_options = new(Temperature: 0, TokensMax: 12);

    private readonly CpuBackend _backend = new(1);
    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData("a b", false)]
    [InlineData("", true)]
    public void A_sample_begins_as_its_tokenizer_says_and_drops_a_space_at_the_start_of_a_text_only(string prompt, bool dropsSpace)
    {
        File.WriteAllBytes(_folder.File("tokenizer.model"), ScoredVocabulary.Random(1).Model());
        Tokenizer tokenizer = Tokenizer.Load(_folder.Path);
        using Model model = new LlamaOptions("20k", Layers: 2, Width: 32, Heads: 4, FeedForward: 48, InitializerRange: 0.4f)
            .Resolve(tokenizer.VocabularySize, 64).Build(_backend, gradients: false);
        model.Parameters.Initialize(_backend, seed: 3);
        using Sampler sampler = new(model, tokenizer.VocabularySize);

        int[] ids = [.. sampler.Generate([tokenizer.BeginningOfTextId!.Value, .. tokenizer.Encode(prompt)], s_options, tokenizer.EndOfTextId)];
        TokenDecoder decoder = new(tokenizer, atStart: dropsSpace);
        string expected = string.Concat(ids.Select(decoder.Append)) + decoder.Finish();
        using StringWriter written = new();
        Assert.Equal(ids.Length, SampleWriter.Continue(written, sampler, tokenizer, TextEnds.Of(tokenizer), prompt, s_options));
        Assert.NotEmpty(ids);
        Assert.Equal(string.Concat(expected.Select(c => char.IsControl(c) && c is not ('\n' or '\t') ? '\uFFFD' : c)), written.ToString());
    }

    public void Dispose()
    {
        _backend.Dispose();
        _folder.Dispose();
    }
}
