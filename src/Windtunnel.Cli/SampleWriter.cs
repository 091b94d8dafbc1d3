using Windtunnel.Models;
using Windtunnel.Text.Tokenizers;
using Windtunnel.Training;

namespace Windtunnel.Cli;

/// <summary>Writes samples of a model as they are drawn.</summary>
internal static class SampleWriter
{
    /// <summary>Writes a continuation of a prompt, token by token.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="sampler">The model.</param>
    /// <param name="tokenizer">The model's.</param>
    /// <param name="ends">What its texts begin and end with.</param>
    /// <param name="prompt">The beginning of a document; it is not written.</param>
    /// <param name="options">How to draw.</param>
    /// <param name="stream">Which of the seed's samples.</param>
    /// <returns>How many tokens were drawn.</returns>
    public static int Continue(TextWriter output, Sampler sampler, Tokenizer tokenizer, TextEnds ends, string prompt, SamplingOptions options, ulong stream = 0)
    {
        TokenDecoder decoder = new(tokenizer, atStart: prompt.Length == 0);
        int drawn = 0;
        int[] tokens = tokenizer.Encode(prompt);

        // Where nothing stands in front of a model's texts, there still has to be something to go on from.
        IEnumerable<int> read = ends.Prefix is { } prefix ? tokens.Prepend(prefix) : tokens.Length == 0 ? [ends.Begin] : tokens;
        foreach (int id in sampler.Generate([.. read], options, ends.End, stream))
        {
            output.Write(Printable(decoder.Append(id)));
            output.Flush();
            drawn++;
        }

        output.Write(decoder.Finish());
        return drawn;
    }

    // A model can draw any bytes, and a terminal obeys control characters.
    private static string Printable(string text) =>
        string.Create(text.Length, text, (characters, source) =>
        {
            for (int i = 0; i < source.Length; i++)
            {
                characters[i] = char.IsControl(source[i]) && source[i] is not ('\n' or '\t') ? '\uFFFD' : source[i];
            }
        });
}
