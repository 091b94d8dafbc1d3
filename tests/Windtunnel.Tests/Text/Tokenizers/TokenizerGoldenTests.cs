using System.Text.Json;
using Windtunnel.Text.Tokenizers;

namespace Windtunnel.Tests.Text.Tokenizers;

/// <summary>Published tokenizers, from every format that holds them, against what their own encoders give.</summary>
public sealed class TokenizerGoldenTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData("encoder.json", "vocab.bpe")]
    [InlineData("vocab.json", "merges.txt")]
    public void GPT_2_has_the_ids_of_its_own_encoder(string vocabulary, string merges)
    {
        string folder = SharedData.Require("data/tokenizers/gpt2");
        File.Copy(Path.Combine(folder, "encoder.json"), _folder.File(vocabulary));
        File.Copy(Path.Combine(folder, "vocab.bpe"), _folder.File(merges));
        Tokenizer tokenizer = Tokenizer.Load(_folder.Path);
        Assert.Equal((50257, 50256, null), (tokenizer.VocabularySize, tokenizer.EndOfTextId, tokenizer.BeginningOfTextId));
        Assert.Equal(tokenizer.Sha256, Tokenizer.Load(_folder.File(vocabulary)).Sha256);
        AreGolden(tokenizer, Path.Combine(folder, "golden.json"), "text");
        AreGolden(SavedAndRead(tokenizer), Path.Combine(folder, "golden.json"), "text");
    }

    [Theory]
    [InlineData("hf/tokenizer.json")]
    [InlineData("hf/tokenizer.model")]
    [InlineData("hf")]
    [InlineData("tok512.bin")]
    public void Tok512_has_the_ids_and_the_text_of_SentencePiece(string file)
    {
        Tokenizer tokenizer = Tokenizer.Load(SharedData.Require($"data/fixtures/stories260K/{file}"));
        string golden = Path.Combine(SharedData.Require("data/tokenizers/tok512"), "golden.json");
        Assert.Equal((512, 2, 1), (tokenizer.VocabularySize, tokenizer.EndOfTextId, tokenizer.BeginningOfTextId));
        AreGolden(tokenizer, golden, "decoded");
        AreGolden(SavedAndRead(tokenizer), golden, "decoded");
    }

    [Fact]
    public void SentencePiece_and_llama2c_hold_one_tokenizer()
    {
        string folder = SharedData.Require("data/fixtures/stories260K");
        Assert.Equal(Tokenizer.Load(Path.Combine(folder, "hf/tokenizer.model")).Sha256, Tokenizer.Load(Path.Combine(folder, "tok512.bin")).Sha256);
    }

    public void Dispose() => _folder.Dispose();

    private Tokenizer SavedAndRead(Tokenizer tokenizer)
    {
        string path = _folder.File("saved.json");
        tokenizer.Save(path);
        Tokenizer read = Tokenizer.Load(path);
        Assert.Equal(tokenizer.Sha256, read.Sha256);
        Assert.Equal((tokenizer.BeginningOfTextId, tokenizer.EndOfTextId, tokenizer.HasPrefixSpace), (read.BeginningOfTextId, read.EndOfTextId, read.HasPrefixSpace));
        Assert.Equal(tokenizer.SpecialTokens, read.SpecialTokens);
        return read;
    }

    private static void AreGolden(Tokenizer tokenizer, string path, string decoded)
    {
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllText(path));
        JsonElement cases = golden.RootElement.GetProperty("cases");
        Assert.True(cases.GetArrayLength() >= 48);
        foreach (JsonElement test in cases.EnumerateArray())
        {
            int[] ids = [.. test.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
            string text = test.GetProperty("text").GetString()!;
            Assert.Equal(ids, tokenizer.Encode(text));
            Assert.Equal(test.GetProperty(decoded).GetString(), tokenizer.DecodeText(ids));
            TokenDecoder decoder = new(tokenizer);
            Assert.Equal(tokenizer.DecodeText(ids), string.Concat(ids.Select(decoder.Append)) + decoder.Finish());
        }
    }
}
