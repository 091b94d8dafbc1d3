using System.Buffers.Binary;
using Windtunnel.Text.Tokenizers;

namespace Windtunnel.Tests.Text.Tokenizers;

public sealed class SentencePieceTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Text_has_the_pieces_that_scores_choose()
    {
        Random random = new(1);
        for (int seed = 0; seed < 20; seed++)
        {
            ScoredVocabulary vocabulary = ScoredVocabulary.Random(seed);
            Tokenizer tokenizer = Load("tokenizer.model", vocabulary.Model());
            Tokenizer saved = Save(tokenizer);
            for (int i = 0; i < 100; i++)
            {
                string text = string.Concat(Enumerable.Range(0, random.Next(30)).Select(_ => (string[])["a", "b", " ", "é", "😀", "ж"]).Select(letters => letters[random.Next(6)]));
                int[] ids = tokenizer.Encode(text);
                Assert.Equal(vocabulary.Encode(text), ids);
                Assert.Equal(ids, saved.Encode(text));
                Assert.Equal(text, tokenizer.DecodeText(ids));
            }
        }
    }

    [Fact]
    public void Llama2c_holds_the_same_as_SentencePiece()
    {
        ScoredVocabulary vocabulary = ScoredVocabulary.Random(3);
        Tokenizer tokenizer = Load("tokenizer.bin", vocabulary.Bin());
        Assert.Equal(Load("tokenizer.model", vocabulary.Model()).Sha256, tokenizer.Sha256);
        Assert.Equal((1, 2, true), (tokenizer.BeginningOfTextId, tokenizer.EndOfTextId, tokenizer.HasPrefixSpace));
    }

    [Fact]
    public void A_model_may_go_without_the_space_in_front_and_join_spaces()
    {
        ScoredVocabulary vocabulary = new(["▁a", "▁", "a"]);
        Assert.Equal([261], Load("a.model", vocabulary.Model(prefixSpace: false)).Encode("a"));
        Assert.Equal([259], Load("b.model", vocabulary.Model()).Encode("a"));
        Tokenizer joining = Load("c.model", vocabulary.Model(removesExtraSpaces: true));
        Assert.Equal([259, 259], joining.Encode("  a   a "));
        Assert.Equal("a a", Save(joining).DecodeText(Save(joining).Encode("  a   a ")));
        Assert.Empty(joining.Encode("   "));
    }

    [Fact]
    public void Without_byte_fallback_characters_without_a_piece_are_one_unknown_piece()
    {
        Tokenizer tokenizer = Load("tokenizer.model", new ScoredVocabulary(["▁a", "▁", "a"]).Model(byteFallback: false));
        Assert.Equal([259, 0, 261], tokenizer.Encode("ajжa"));
        Assert.Equal("aa", tokenizer.DecodeText([259, 0, 261]));
    }

    [Fact]
    public void User_defined_pieces_are_found_before_any_merge()
    {
        ScoredVocabulary vocabulary = new(["▁a", "▁", "a", "b"]);
        vocabulary.Pieces.Add(("ab▁", 0, 4));
        Tokenizer tokenizer = Load("tokenizer.model", vocabulary.Model(prefixSpace: false));
        Assert.Equal([259, 262, 263, 261, 262], tokenizer.Encode(" abab ab"));
        Assert.Equal(" abab ab", tokenizer.DecodeText(tokenizer.Encode(" abab ab")));
        Assert.Equal(tokenizer.Encode(" abab ab"), Save(tokenizer).Encode(" abab ab"));
    }

    [Fact]
    public void What_cannot_be_done_is_named()
    {
        ScoredVocabulary vocabulary = new(["ab", "▁", "a", "b"]);
        Refused("trainer_spec.model_type unigram", vocabulary.Model(modelType: 1));
        Refused("trainer_spec.model_type word", vocabulary.Model(modelType: 3));
        Refused("precompiled_charsmap", vocabulary.Model(characters: [1, 2]));
        Refused("no pieces", []);
        Refused("ends within", vocabulary.Model()[..^1]);

        Change("'ba', has the score 0", pieces => pieces.Add(("ba", 0, 1)));
        Change("piece 263, 'ax'", pieces => pieces.Add(("ax", 9, 1)));
        Change("'ab', is there twice", pieces => pieces.Add(("ab", 9, 1)));
        Change("the type 5", pieces => pieces.Add(("x", 9, 5)));
        Change("the score NaN", pieces => pieces.Add(("x", float.NaN, 1)));
        Change("add_dummy_prefix", pieces => pieces.Add(("x", 0, 4)));
        Change("eos_id", pieces => pieces[2] = ("</s>", 0, 1));
        Change("no token for the bytes 0a", pieces => pieces[3 + 10] = ("xy", 9, 6));

        void Change(string message, Action<List<(string, float, int)>> change)
        {
            ScoredVocabulary changed = new(["ab", "▁", "a", "b"]);
            change(changed.Pieces);
            Refused(message, changed.Model());
        }
    }

    [Fact]
    public void Damaged_llama2c_files_are_named()
    {
        byte[] file = new ScoredVocabulary(["a"]).Bin();
        Assert.Contains("cut short", Assert.Throws<InvalidDataException>(() => Load("tokenizer.bin", file[..^1])).Message);
        Assert.Contains("piece 1 is not <s>", Assert.Throws<InvalidDataException>(() => Load("tokenizer.bin", [.. file[..8], .. file[8..].Select(b => b == 's' ? (byte)'t' : b)])).Message);
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(8), int.MaxValue);
        Assert.Contains("piece 0 has 2147483647 bytes", Assert.Throws<InvalidDataException>(() => Load("tokenizer.bin", file)).Message);
    }

    public void Dispose() => _folder.Dispose();

    private void Refused(string message, byte[] model)
    {
        string problem = Assert.Throws<InvalidDataException>(() => Load("tokenizer.model", model)).Message;
        Assert.Contains(message, problem);
        Assert.Contains(_folder.File("tokenizer.model"), problem);
    }

    private Tokenizer Load(string name, byte[] file)
    {
        File.WriteAllBytes(_folder.File(name), file);
        return Tokenizer.Load(_folder.File(name));
    }

    private Tokenizer Save(Tokenizer tokenizer)
    {
        tokenizer.Save(_folder.File("saved.json"));
        return Tokenizer.Load(_folder.File("saved.json"));
    }
}
