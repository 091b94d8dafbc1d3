using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Windtunnel.Text.Tokenizers;

namespace Windtunnel.Tests.Text.Tokenizers;

public sealed class PreTokenizerTests
{
    // .NET has atomic groups in place of possessive quantifiers, and does not fold the long s.
    private static readonly string s_gpt4 = PreTokenizer.Gpt4Regex
        .Replace("[sdmt]", "[sdmtſ]").Replace(@"[^\r\n\p{L}\p{N}]?+", @"(?>[^\r\n\p{L}\p{N}]?)").Replace(@"[^\s\p{L}\p{N}]++", @"(?>[^\s\p{L}\p{N}]+)");

    [Theory]
    [InlineData(SplitPattern.Gpt4)]
    [InlineData(SplitPattern.Gpt2)]
    public void The_scanner_cuts_where_the_regular_expression_does(SplitPattern pattern)
    {
        Regex regex = new(pattern == SplitPattern.Gpt4 ? s_gpt4 : PreTokenizer.Gpt2Regex, RegexOptions.CultureInvariant);
        Random random = new(1);
        for (int i = 0; i < 20_000; i++)
        {
            string text = RandomText.Next(random, fragmentsMax: 12);
            // .NET matches UTF-16 units; each surrogate pair is replaced by one unit of the same class, and pieces are compared by length in code points.
            IEnumerable<int> expected = regex.Matches(string.Concat(text.EnumerateRunes().Select(WithoutSurrogates))).Select(match => match.Length);
            Assert.Equal(expected, Pieces(pattern, text).Select(piece => piece.EnumerateRunes().Count()));
        }
    }

    [Theory]
    [InlineData("Hello world", "Hello| world")]
    [InlineData("I'LL say  1234567!\n\nOK", "I|'LL| say| | |123|456|7|!\n\n|OK")]
    [InlineData("a\t\tb \r\n c", "a|\t|\tb| \r\n| c")]
    [InlineData("x   ", "x|   ")]
    public void Known_text_is_cut_as_GPT_4_cuts_it(string text, string pieces) =>
        Assert.Equal(pieces.Split('|'), Pieces(SplitPattern.Gpt4, text));

    [Theory]
    [InlineData(SplitPattern.Gpt4)]
    [InlineData(SplitPattern.Gpt2)]
    public void Any_bytes_are_cut_to_the_end(SplitPattern pattern)
    {
        Random random = new(2);
        byte[] bytes = new byte[200];
        for (int i = 0; i < 2000; i++)
        {
            random.NextBytes(bytes);
            ReadOnlySpan<byte> rest = bytes;
            while (!rest.IsEmpty)
            {
                int length = PreTokenizer.FirstLength(pattern, rest);
                Assert.InRange(length, 1, rest.Length);
                rest = rest[length..];
            }
        }
    }

    private static List<string> Pieces(SplitPattern pattern, string text)
    {
        List<string> pieces = [];
        ReadOnlySpan<byte> rest = Encoding.UTF8.GetBytes(text);
        while (!rest.IsEmpty)
        {
            int length = PreTokenizer.FirstLength(pattern, rest);
            pieces.Add(Encoding.UTF8.GetString(rest[..length]));
            rest = rest[length..];
        }

        return pieces;
    }

    private static string WithoutSurrogates(Rune rune) => rune.IsBmp ? rune.ToString() : Rune.GetUnicodeCategory(rune) switch
    {
        <= UnicodeCategory.OtherLetter => "ы",
        UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => "7",
        _ => "☃",
    };
}
