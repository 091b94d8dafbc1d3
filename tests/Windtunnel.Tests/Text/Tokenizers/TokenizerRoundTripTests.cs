using System.Text;
using Windtunnel.Text.Tokenizers;

namespace Windtunnel.Tests.Text.Tokenizers;

/// <summary>
/// Any text and any bytes come back from their ids, in every kind of tokenizer. WINDTUNNEL_SOAK=1 tries 1,000,000 of each instead of 3,000.
/// A vocabulary of SentencePiece reads U+2581 as a space, which is all that it changes.
/// </summary>
public sealed class TokenizerRoundTripTests : IDisposable
{
    private static readonly int s_strings = Environment.GetEnvironmentVariable("WINDTUNNEL_SOAK") == "1" ? 1_000_000 : 3000;

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> All => ["trained", "scored", "gpt2", "tok512"];

    [Theory]
    [MemberData(nameof(All))]
    public void Text_comes_back(string kind)
    {
        Tokenizer tokenizer = Load(kind);
        Parallel.For(0, 100, part =>
        {
            Random random = new(part);
            StringBuilder text = new();
            for (int i = 0; i < s_strings / 100; i++)
            {
                text.Clear();
                if (i % 2 == 0)
                {
                    text.Append(RandomText.Next(random, fragmentsMax: 20));
                }

                for (int runes = random.Next(20); runes > 0; runes--)
                {
                    int value = random.Next(0x110000 >> random.Next(14));
                    text.Append(new Rune(Rune.IsValid(value) ? value : 0xFFFD).ToString());
                }

                string expected = tokenizer.HasPrefixSpace ? text.ToString().Replace('▁', ' ') : text.ToString();
                Assert.Equal(expected, tokenizer.DecodeText(tokenizer.Encode(text.ToString())));
            }
        });
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Bytes_come_back(string kind)
    {
        Tokenizer tokenizer = Load(kind);
        Parallel.For(0, 100, part =>
        {
            Random random = new(part);
            List<int> ids = [];
            for (int i = 0; i < s_strings / 100; i++)
            {
                byte[] bytes = new byte[random.Next(60)];
                random.NextBytes(bytes);
                if (i % 2 == 0)
                {
                    for (int at = 0; at < bytes.Length; at++)
                    {
                        bytes[at] = (byte)" a\u00E2\u0096\u0081\n\u00FFz"[bytes[at] % 8];
                    }
                }

                ids.Clear();
                tokenizer.Encode(bytes, ids);
                string expected = Encoding.Latin1.GetString(bytes);
                Assert.Equal(tokenizer.HasPrefixSpace ? expected.Replace("\u00E2\u0096\u0081", " ") : expected, Encoding.Latin1.GetString(tokenizer.Decode([.. ids])));
            }
        });
    }

    public void Dispose() => _folder.Dispose();

    private Tokenizer Load(string kind)
    {
        switch (kind)
        {
            case "trained":
                return TokenizerTests.Build("gpt4");
            case "scored":
                File.WriteAllBytes(_folder.File("tokenizer.model"), ScoredVocabulary.Random(1).Model());
                return Tokenizer.Load(_folder.Path);
            case "gpt2":
                return Tokenizer.Load(SharedData.Require("data/tokenizers/gpt2"));
            default:
                return Tokenizer.Load(SharedData.Require("data/fixtures/stories260K/hf/tokenizer.json"));
        }
    }
}
