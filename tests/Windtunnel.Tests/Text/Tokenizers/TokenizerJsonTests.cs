using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Windtunnel.Text.Tokenizers;

namespace Windtunnel.Tests.Text.Tokenizers;

public sealed class TokenizerJsonTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> All => TokenizerTests.All;

    [Theory]
    [MemberData(nameof(All))]
    public void Saving_a_loaded_tokenizer_gives_the_same_bytes_and_ids(string kind)
    {
        Tokenizer tokenizer = TokenizerTests.Build(kind);
        string first = _folder.File("first.json"), second = _folder.File("second.json");
        tokenizer.Save(first);
        Tokenizer loaded = Tokenizer.Load(first);
        loaded.Save(second);
        Assert.Equal(File.ReadAllBytes(first), File.ReadAllBytes(second));
        Assert.Equal(tokenizer.Sha256, loaded.Sha256);
        Assert.Equal(tokenizer.SpecialTokens, loaded.SpecialTokens);
        Assert.IsType(tokenizer.GetType(), loaded);

        Random random = new(9);
        for (int i = 0; i < 500; i++)
        {
            string text = RandomText.Next(random, fragmentsMax: 20);
            Assert.Equal(tokenizer.Encode(text), loaded.Encode(text));
        }
    }

    [Fact]
    public void Saving_replaces_the_file_and_leaves_nothing_beside_it()
    {
        string path = _folder.Write("tokenizer.json", new string('x', 1 << 20));
        TokenizerTests.Build("bytes").Save(path);
        Assert.Equal(TokenizerTests.Build("bytes").Sha256, Tokenizer.Load(path).Sha256);
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.Path));
        Assert.ThrowsAny<IOException>(() => TokenizerTests.Build("bytes").Save(_folder.File("absent/tokenizer.json")));
    }

    [Fact]
    public void The_file_has_the_shape_that_Hugging_Face_reads()
    {
        JsonNode json = Saved(TokenizerTests.Build("gpt4"));
        Assert.Equal("BPE", (string?)json["model"]!["type"]);
        Assert.Equal(32, (int)json["model"]!["vocab"]!["Ġ"]!);
        Assert.Contains("t h", json["model"]!["merges"]!.AsArray().Select(merge => (string?)merge));
        Assert.Equal(PreTokenizer.Gpt4Regex, (string?)json["pre_tokenizer"]!["pretokenizers"]![0]!["pattern"]!["Regex"]);
        Assert.Equal("ByteLevel", (string?)json["pre_tokenizer"]!["pretokenizers"]![1]!["type"]);
        Assert.Equal("ByteLevel", (string?)json["decoder"]!["type"]);
        Assert.Equal(TokenizerTests.Build("gpt4").VocabularySize - 1, (int)json["added_tokens"]![0]!["id"]!);
        Assert.Equal(Tokenizer.EndOfText, (string?)json["added_tokens"]![0]!["content"]);
    }

    [Fact]
    public void Contradictions_are_named()
    {
        Refused("model.vocab", json => json["model"]!["vocab"]!["Ġ"] = 33);
        Refused("model.vocab", json => json["model"]!["vocab"]!["Ġ"] = 1e9);
        Refused("model.vocab", json => json["model"]!["vocab"]!["Ġ"] = "32");
        Refused("no token for the bytes ff", json => Rename(json["model"]!["vocab"]!.AsObject(), "ÿ", "zzzz"));
        Refused("byte-level alphabet", json => Rename(json["model"]!["vocab"]!.AsObject(), "ÿ", "日"));
        Refused("there twice", json => Rename(json["model"]!["vocab"]!.AsObject(), Tokenizer.EndOfText, "zzzz"));
        Refused("model.merges[1]", json => json["model"]!["merges"]![1] = "z q");
        Refused("model.merges[1]", json => json["model"]!["merges"]![1] = (string?)json["model"]!["merges"]![0]);
        Refused("model.merges[0]", json => json["model"]!["merges"]![0] = "");
        Refused("pre_tokenizer", json => json["pre_tokenizer"]!["pretokenizers"]![0]!["pattern"]!["Regex"] = "(a+)+$");
        Refused("normalizer.type Nmt", json => json["normalizer"] = JsonNode.Parse("""{"type":"Nmt"}"""));
        Refused("added_tokens", json => json["added_tokens"]![0]!["id"] = 3);
        Refused("no special token that ends a text", json => json["added_tokens"] = new JsonArray());
        Refused("added_tokens[1]", json => json["added_tokens"]!.AsArray().Add(json["added_tokens"]![0]!.DeepClone()));
        Refused("added_tokens[0]", json => json["added_tokens"]![0]!["content"] = "the");
        Refused("there twice", json => json["added_tokens"]![0]!["content"] = "<|absent|>");
        Refused("at most 65536", json => json["added_tokens"] = new JsonArray([.. Enumerable.Range(0, 65537).Select(i => JsonValue.Create(i))]));
        Refused("model.merges[0] makes", json => json["added_tokens"]!.AsArray().Add(new JsonObject { ["id"] = 256, ["content"] = Spelling(json, 256), ["special"] = true }));
        Refused("model.type Unigram", json => json["model"]!["type"] = "Unigram");
        Refused("post_processor.type RobertaProcessing", json => json["post_processor"] = JsonNode.Parse("""{"type":"RobertaProcessing"}"""));
        Refused("decoder.type WordPiece", json => json["decoder"] = JsonNode.Parse("""{"type":"WordPiece"}"""));
        Refused("truncation", json => json["truncation"] = JsonNode.Parse("""{"max_length":512}"""));
        Refused("pre_tokenizer.pretokenizers[1].useRegex", json => json["pre_tokenizer"]!["pretokenizers"]![1]!["useRegex"] = true);
        Refused("dropout", json => json["model"]!["dropout"] = 0.1);
        Refused("extra is not supported", json => json["extra"] = 1);
        Refused("decoder is missing", json => json.AsObject().Remove("decoder"));
    }

    [Fact]
    public void Damaged_files_give_an_InvalidDataException_and_nothing_else()
    {
        string path = _folder.File("tokenizer.json");
        new BpeTokenizerOptions(300).Train(["the cat and the hat and the bat that sat"]).Save(path);
        byte[] valid = File.ReadAllBytes(path);
        Random random = new(10);
        int refused = 0;
        for (int i = 0; i < 1500; i++)
        {
            byte[] damaged = random.Next(10) == 0 ? valid[..random.Next(valid.Length)] : [.. valid];
            for (int flips = random.Next(1, 4); flips > 0 && damaged.Length > 0; flips--)
            {
                damaged[random.Next(damaged.Length)] = random.Next(2) == 0 ? (byte)random.Next(256) : (byte)"\"{}[],:0 \\"[random.Next(10)];
            }

            File.WriteAllBytes(path, damaged);
            try
            {
                Tokenizer tokenizer = Tokenizer.Load(path);
                Assert.Equal("the cat sat", tokenizer.DecodeText(tokenizer.Encode("the cat sat")));
            }
            catch (InvalidDataException e)
            {
                Assert.Contains(path, e.Message);
                Assert.DoesNotContain('\n', e.Message);
                refused++;
            }
        }

        Assert.InRange(refused, 500, 1500);
        File.WriteAllText(path, new string('[', 100_000));
        Assert.Throws<InvalidDataException>(() => Tokenizer.Load(path));
    }

    public void Dispose() => _folder.Dispose();

    private void Refused(string message, Action<JsonNode> change)
    {
        JsonNode json = Saved(TokenizerTests.Build("gpt4"));
        change(json);
        string path = _folder.Write("changed.json", json.ToJsonString());
        Assert.Contains(message, Assert.Throws<InvalidDataException>(() => Tokenizer.Load(path)).Message);
    }

    private static string Spelling(JsonNode json, int id) => json["model"]!["vocab"]!.AsObject().First(token => (int)token.Value! == id).Key;

    private JsonNode Saved(Tokenizer tokenizer)
    {
        string path = _folder.File("saved.json");
        tokenizer.Save(path);
        return JsonNode.Parse(File.ReadAllText(path))!;
    }

    private static void Rename(JsonObject vocab, string from, string to)
    {
        int id = (int)vocab[from]!;
        vocab.Remove(from);
        vocab[to] = id;
    }
}
