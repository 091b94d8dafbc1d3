using System.Text;

namespace Windtunnel.Text.Tokenizers;

/// <summary>
/// Turns tokens into text as they come. A character whose bytes are spread over tokens appears with the last of them;
/// bytes that are not valid UTF-8 read as U+FFFD.
/// </summary>
/// <param name="tokenizer">Whose tokens they are.</param>
/// <param name="atStart">Whether the first token begins a text, so that a space that encoding put there is not shown.</param>
public sealed class TokenDecoder(Tokenizer tokenizer, bool atStart = true)
{
    private readonly Decoder _utf8 = Encoding.UTF8.GetDecoder();
    private bool _dropsSpace = atStart && tokenizer.HasPrefixSpace;

    /// <summary>The characters that a token completes.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is not in the vocabulary.</exception>
    public string Append(int id)
    {
        ReadOnlySpan<byte> bytes = tokenizer.TokenBytes(id);
        if (_dropsSpace && bytes.Length > 0)
        {
            _dropsSpace = false;
            bytes = bytes[(bytes[0] == ' ' ? 1 : 0)..];
        }

        return Decode(bytes, last: false);
    }

    /// <summary>What an unfinished character at the end reads as; empty where there is none.</summary>
    public string Finish() => Decode([], last: true);

    private string Decode(ReadOnlySpan<byte> bytes, bool last)
    {
        char[] characters = new char[_utf8.GetCharCount(bytes, last)];
        return new string(characters, 0, _utf8.GetChars(bytes, characters, last));
    }
}
