using System.Text;

namespace Windtunnel.Tests.Text.Tokenizers;

/// <summary>Random strings that are dense in the cases that matter to tokenizers.</summary>
internal static class RandomText
{
    private static readonly string[] s_fragments =
    [
        "the", "don't", "I'LL", "we'Ve", "'re", "'S", "'ſ", "''", "'x", " ", "  ", "   ", "\n", "\r\n", "\n\n", "\t", "\u0085", "\u00A0", "\u2003", "\u2028",
        "1", "22", "4096", "½", "Ⅷ", "٣", "!", "?!", "...", " (", "_", "#", "é", "e\u0301", "ß", "日本", "語", "мир", "שלום", "ǅ", "ʰ", "\u200D", "\uFEFF",
        "\0", "\u180E", "\u200B", "𝒜", "𝟘", "😀", "🇩🇪", "\U0002F800", "<|endoftext|>", "Ġ", "aaaaaaaa", "=====",
    ];

    public static string Next(Random random, int fragmentsMax)
    {
        StringBuilder text = new();
        for (int count = random.Next(fragmentsMax); count > 0; count--)
        {
            if (random.Next(4) > 0)
            {
                text.Append(s_fragments[random.Next(s_fragments.Length)]);
            }
            else
            {
                int value = random.Next(random.Next(2) == 0 ? 0x300 : 0x20000);
                text.Append(Rune.IsValid(value) ? new Rune(value).ToString() : "x");
            }
        }

        return text.ToString();
    }
}
