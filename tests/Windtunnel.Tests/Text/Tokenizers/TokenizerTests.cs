using System.ComponentModel.DataAnnotations;
using System.Text;
using Windtunnel.Text.Tokenizers;

namespace Windtunnel.Tests.Text.Tokenizers;

public sealed class TokenizerTests
{
    private static readonly string s_text = TrainingText();

    public static TheoryData<string> All => ["bytes", "gpt4", "gpt2", "special"];

    [Theory]
    [MemberData(nameof(All))]
    public void Text_decodes_to_itself(string kind)
    {
        Tokenizer tokenizer = Build(kind);
        Random random = new(3);
        for (int i = 0; i < 5000; i++)
        {
            string text = RandomText.Next(random, fragmentsMax: 20);
            Assert.Equal(text, tokenizer.DecodeText(tokenizer.Encode(text)));
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Bytes_decode_to_themselves_and_lengths_add_up(string kind)
    {
        Tokenizer tokenizer = Build(kind);
        Random random = new(4);
        List<int> ids = [];
        for (int i = 0; i < 3000; i++)
        {
            byte[] bytes = new byte[random.Next(100)];
            random.NextBytes(bytes);
            ids.Clear();
            tokenizer.Encode(bytes, ids);
            Assert.Equal(bytes, tokenizer.Decode([.. ids]));
            Assert.Equal(bytes.Length, ids.Sum(id => tokenizer.TokenByteLengths[id]));
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void The_literal_of_the_special_token_is_text(string kind)
    {
        Tokenizer tokenizer = Build(kind);
        int[] ids = tokenizer.Encode($"a{Tokenizer.EndOfText}b");
        Assert.DoesNotContain(tokenizer.EndOfTextId, ids);
        Assert.Equal($"a{Tokenizer.EndOfText}b", tokenizer.DecodeText(ids));
        Assert.Equal(tokenizer.VocabularySize - 1, tokenizer.EndOfTextId);
        Assert.Equal(0, tokenizer.TokenByteLengths[tokenizer.EndOfTextId]);
        Assert.Empty(tokenizer.Decode([tokenizer.EndOfTextId]));
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Decode([tokenizer.VocabularySize]));
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Decode([-1]));
    }

    [Fact]
    public void Further_special_tokens_have_ids_of_their_own_that_no_text_gives()
    {
        string[] names = ["<|user|>", "[INST]", "</s>"];
        string text = string.Concat(Enumerable.Repeat("<|user|> [INST]</s> the mouse ", 50));
        Tokenizer plain = new BpeTokenizerOptions(400).Train([text]);
        Tokenizer tokenizer = new BpeTokenizerOptions(400, SpecialTokens: names).Train([text]);
        int first = tokenizer.VocabularySize - 4;
        Assert.Equal([.. names, Tokenizer.EndOfText], tokenizer.SpecialTokens.OrderBy(token => token.Value).Select(token => token.Key));
        Assert.Equal(Enumerable.Range(first, 4), tokenizer.SpecialTokens.Values.Order());
        Assert.Equal(plain.VocabularySize + 3, tokenizer.VocabularySize);
        Assert.Equal(plain.Encode(text), tokenizer.Encode(text));
        Assert.All(tokenizer.Encode(text), id => Assert.InRange(id, 0, first - 1));
        Assert.Empty(tokenizer.Decode([.. tokenizer.SpecialTokens.Values]));
        Assert.Equal(Tokenizer.EndOfText, Assert.Single(plain.SpecialTokens).Key);
    }

    [Theory]
    [InlineData("specialTokens[0]", "user")]
    [InlineData("specialTokens[0]", "<|>")]
    [InlineData("specialTokens[0]", "<user >")]
    [InlineData("specialTokens[0]", "<|\u00E9|>")]
    [InlineData("specialTokens[0]", "<|endoftext|>")]
    [InlineData("specialTokens[1]", "<s>", "<s>")]
    [InlineData("vocabularySize", "<1>", "<2>", "<3>", "<4>")]
    public void Special_tokens_that_could_be_mistaken_are_refused(string named, params string[] names) =>
        Assert.Contains(named, Assert.Throws<ValidationException>(() => new BpeTokenizerOptions(260, SpecialTokens: names).Train([])).Message);

    [Fact]
    public void There_are_at_most_256_special_tokens_and_all_have_names()
    {
        string[] names = [.. Enumerable.Range(0, 256).Select(i => $"<{i}>")];
        Assert.Equal(257 + 255, new BpeTokenizerOptions(1000, SpecialTokens: names[1..]).Train([]).VocabularySize);
        Assert.Throws<ValidationException>(() => new BpeTokenizerOptions(SpecialTokens: [null!]).Validate());
        Assert.Contains("256 names", Assert.Throws<ValidationException>(() => new BpeTokenizerOptions(1000, SpecialTokens: names).Validate()).Message);
    }

    [Fact]
    public void A_piece_of_a_million_letters_is_encoded_whole()
    {
        Tokenizer tokenizer = Build("gpt4");
        string text = string.Concat(Enumerable.Repeat("themouse", 125_000));
        int[] ids = tokenizer.Encode(text);
        Assert.Equal(text, tokenizer.DecodeText(ids));
        Assert.True(ids.Length < text.Length / 2);
    }

    [Fact]
    public void Threads_that_share_a_tokenizer_do_not_disturb_each_other()
    {
        Tokenizer tokenizer = Build("gpt4");
        Random random = new(5);
        string[] texts = [.. Enumerable.Range(0, 2000).Select(_ => RandomText.Next(random, fragmentsMax: 40))];
        int[][] expected = [.. texts.Select(tokenizer.Encode)];
        int[][] actual = new int[texts.Length][];
        Parallel.For(0, texts.Length, i => actual[i] = tokenizer.Encode(texts[i]));
        Assert.Equal(expected, actual);
    }

    [Fact]
    public void A_lone_surrogate_reads_as_the_replacement_character() =>
        Assert.Equal("a\uFFFDb", Build("bytes").DecodeText(Build("bytes").Encode("a\uD800b")));

    internal static Tokenizer Build(string kind) => kind switch
    {
        "bytes" => new BytesTokenizerOptions().Train([]),
        "gpt4" => new BpeTokenizerOptions(600).Train([s_text]),
        "special" => new BpeTokenizerOptions(600, SpecialTokens: ["<|user|>", "[INST]"]).Train([s_text]),
        _ => new BpeTokenizerOptions(600, SplitPattern.Gpt2).Train([s_text]),
    };

    private static string TrainingText()
    {
        Random random = new(6);
        StringBuilder text = new("the mouse, the house and the 1234 thermometers aren't there. ");
        for (int i = 0; i < 2000; i++)
        {
            text.Append(random.Next(3) == 0 ? RandomText.Next(random, fragmentsMax: 3) : " the mouse");
        }

        return text.ToString();
    }
}
