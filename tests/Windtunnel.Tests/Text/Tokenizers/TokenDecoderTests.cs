using System.Text;
using Windtunnel.Text.Tokenizers;

namespace Windtunnel.Tests.Text.Tokenizers;

public sealed class TokenDecoderTests
{
    private static readonly Tokenizer s_bytes = new BytesTokenizerOptions().Train([]);

    [Fact]
    public void A_character_spread_over_tokens_appears_whole_with_the_last_of_them()
    {
        TokenDecoder decoder = new(s_bytes);
        string[] parts = [.. Encoding.UTF8.GetBytes("aé漢😀").Select(b => decoder.Append(b))];
        Assert.Equal(["a", "", "é", "", "", "漢", "", "", "", "😀"], parts);
        Assert.Equal("", decoder.Finish());
    }

    [Fact]
    public void Bytes_that_are_not_utf8_read_as_the_replacement_character()
    {
        TokenDecoder decoder = new(s_bytes);
        Assert.Equal("\uFFFDa", decoder.Append(0xFF) + decoder.Append('a'));
        Assert.Equal("", decoder.Append(0xE6));
        Assert.Equal("\uFFFD", decoder.Finish());
    }

    [Fact]
    public void The_end_of_text_token_reads_as_nothing() => Assert.Equal("", new TokenDecoder(s_bytes).Append(s_bytes.EndOfTextId));
}
