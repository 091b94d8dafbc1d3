using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Windtunnel.Text.Tokenizers;

namespace Windtunnel.Tests.Text.Tokenizers;

/// <summary>The parts of a tokenizer.json, one by one: what each does to text, and what is refused.</summary>
public sealed class TokenizerPipelineTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData("Removed", "the|final|countdown")]
    [InlineData("Isolated", "the|-|final|-|-|countdown")]
    [InlineData("MergedWithPrevious", "the-|final-|-|countdown")]
    [InlineData("MergedWithNext", "the|-final|-|-countdown")]
    [InlineData("Contiguous", "the|-|final|--|countdown")]
    public void Split_puts_matches_where_its_behavior_says(string behavior, string pieces)
    {
        Assert.Equal(pieces, Pieces($$"""{"type":"Split","pattern":{"String":"-"},"behavior":"{{behavior}}","invert":false}""", "the-final--countdown"));
    }

    [Theory]
    [InlineData("""{"type":"Digits","individual_digits":true}""", "a12 b½", "a|1|2| b|½")]
    [InlineData("""{"type":"Digits","individual_digits":false}""", "a12 b½", "a|12| b|½")]
    [InlineData("""{"type":"Punctuation","behavior":"Isolated"}""", "a,b$c«", "a|,|b|$|c|«")]
    [InlineData("""{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}""", "Hey  you", "▁Hey|▁|▁you")]
    [InlineData("""{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}""", "Hey you", "▁Hey▁you")]
    [InlineData("""{"type":"Metaspace","replacement":"▁","prepend_scheme":"never"}""", "Hey you", "Hey|▁you")]
    [InlineData("""{"type":"Metaspace","replacement":"▁","add_prefix_space":true}""", " Hey", "▁Hey")]
    [InlineData("""{"type":"ByteLevel","add_prefix_space":true,"use_regex":true}""", "Hey you", " Hey| you")]
    [InlineData("""{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}""", "Hey you", "Hey you")]
    [InlineData("""{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"ByteLevel","add_prefix_space":false}]}""", "it's 10 am", "it|'s| |1|0| am")]
    public void Text_is_cut(string preTokenizer, string text, string pieces) => Assert.Equal(pieces, Pieces(preTokenizer, text));

    [Fact]
    public void A_metaspace_in_front_is_for_the_first_part_of_the_text_only() =>
        Assert.Equal("Hey", Pieces("""{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"}""", "Hey", atStart: false));

    [Theory]
    [InlineData(SplitPattern.Gpt2, PreTokenizer.Gpt2Regex)]
    [InlineData(SplitPattern.Gpt4, @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")]
    public void Any_expression_cuts_as_the_scanners_do(SplitPattern pattern, string regex)
    {
        TextPattern expression = new(regex);
        Random random = new(1);
        for (int i = 0; i < 3000; i++)
        {
            string text = RandomText.Next(random, fragmentsMax: 15);
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            List<(int, int)> expected = [];
            for (int at = 0; at < bytes.Length;)
            {
                int length = PreTokenizer.FirstLength(pattern, bytes.AsSpan(at));
                expected.Add((at, at + length));
                at += length;
            }

            Assert.Equal(expected, expression.Matches(bytes));
        }
    }

    [Theory]
    [InlineData("(a+)+$")]
    [InlineData("(?=a)b")]
    [InlineData(@"\w+")]
    [InlineData("[a[b]]")]
    [InlineData("[[:alpha:]]+")]
    [InlineData("[a-z&&[^b]]")]
    [InlineData("(?:a{100}){100}")]
    [InlineData("a{,3}")]
    [InlineData("x*")]
    [InlineData("")]
    [InlineData("(")]
    [InlineData(@"\p{Han}")]
    [InlineData(@"(a)\1")]
    public void Expressions_that_could_mean_something_else_or_take_long_are_refused(string regex) =>
        Assert.Contains(regex, Assert.Throws<InvalidDataException>(() => new TextPattern(regex)).Message);

    [Theory]
    [InlineData("""{"type":"Prepend","prepend":"▁"}""", "a b", "▁a b")]
    [InlineData("""{"type":"Prepend","prepend":"▁"}""", "", "")]
    [InlineData("""{"type":"Replace","pattern":{"String":"ab"},"content":"x"}""", "ababa b", "xxa b")]
    [InlineData("""{"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "}""", "a  b    c d", "a b c d")]
    [InlineData("""{"type":"Lowercase"}""", "ÄBİΣ", "äbi\u0307σ")]
    [InlineData("""{"type":"NFC"}""", "e\u0301\uFB01", "é\uFB01")]
    [InlineData("""{"type":"NFKC"}""", "e\u0301\uFB01", "éfi")]
    [InlineData("""{"type":"NFD"}""", "é", "e\u0301")]
    [InlineData("""{"type":"Strip","strip_left":true,"strip_right":false}""", " \n a ", "a ")]
    [InlineData("""{"type":"Sequence","normalizers":[{"type":"Lowercase"},{"type":"Replace","pattern":{"String":"a"},"content":"b"}]}""", "AB", "bb")]
    public void Text_is_normalized(string normalizer, string text, string expected)
    {
        using JsonDocument json = JsonDocument.Parse(normalizer);
        ReadOnlySpan<byte> bytes = Encoding.UTF8.GetBytes(text);
        foreach (TextNormalizer step in TextNormalizer.Parse(json.RootElement))
        {
            bytes = step.Normalize(bytes);
        }

        Assert.Equal(expected, Encoding.UTF8.GetString(bytes));
    }

    [Fact]
    public void Bytes_that_are_no_text_survive_normalization()
    {
        using JsonDocument json = JsonDocument.Parse("""{"type":"NFC"}""");
        Assert.Equal([0xFF, 0xC3, 0xA9, 0x80, .. "x"u8, 0xE2], TextNormalizer.Parse(json.RootElement).Single().Normalize([0xFF, .. "e\u0301"u8, 0x80, .. "x"u8, 0xE2]).ToArray());
    }

    [Fact]
    public void A_normalizer_that_makes_text_explode_is_refused()
    {
        string grow = $$"""{"type":"Replace","pattern":{"String":"a"},"content":"{{new string('a', 200)}}"}""";
        using JsonDocument json = JsonDocument.Parse($$"""{"type":"Sequence","normalizers":[{{grow}},{{grow}}]}""");
        Assert.Contains("grow", Assert.Throws<InvalidDataException>(() => TextNormalizer.Parse(json.RootElement)).Message);
    }

    [Fact]
    public void Added_tokens_are_found_by_their_rules()
    {
        Tokenizer tokenizer = Load(json =>
        {
            Add(json, "<a>");
            Add(json, "<a><b>");
            Add(json, "[l]", ("lstrip", true));
            Add(json, "[r]", ("rstrip", true));
            Add(json, "word", ("single_word", true));
            Add(json, "<|s|>", ("special", true));
        });
        Assert.Equal("x|<a>|y|<a><b>|z", Show(tokenizer, "x<a>y<a><b>z"));
        Assert.Equal("x|[l]| |y", Show(tokenizer, "x  [l] y"));
        Assert.Equal("x| |[r]|y", Show(tokenizer, "x [r]  y"));
        Assert.Equal("word| |w|o|r|d|s| |word", Show(tokenizer, "word words word"));
        Assert.Equal("<|||s|||>", Show(tokenizer, "<|s|>"));
        Assert.Equal("x<a>y[l]", tokenizer.DecodeText(tokenizer.Encode("x<a>y [l]")));
    }

    [Fact]
    public void Added_tokens_may_be_looked_for_in_normalized_text()
    {
        Tokenizer tokenizer = Load(json =>
        {
            json["normalizer"] = JsonNode.Parse("""{"type":"Lowercase"}""");
            Add(json, "<Y>", ("normalized", true));
            Add(json, "<Z>", ("normalized", false));
        });
        Assert.Equal("<Y>|<Y>|a|<Z>|<|z|>", Show(tokenizer, "<Y><y>A<Z><z>"));
    }

    [Theory]
    [InlineData("<b> text", 0, null)]
    [InlineData("text <e>", null, 1)]
    [InlineData("<b> text <e>", 0, 1)]
    public void A_template_says_what_begins_and_ends_a_text(string template, int? begin, int? end)
    {
        Tokenizer tokenizer = Load(json =>
        {
            Add(json, "<b>", ("special", true));
            Add(json, "<e>", ("special", true));
            JsonObject tokens = new(json["added_tokens"]!.AsArray().Skip(1).Select(token => KeyValuePair.Create(
                (string)token!["content"]!, (JsonNode?)new JsonObject { ["id"] = (string)token["content"]!, ["ids"] = new JsonArray((int)token["id"]!) })));
            JsonArray single = [.. template.Split(' ').Select(part => new JsonObject { [part == "text" ? "Sequence" : "SpecialToken"] = new JsonObject { ["id"] = part } })];
            json["post_processor"] = new JsonObject { ["type"] = "TemplateProcessing", ["single"] = single, ["special_tokens"] = tokens };
        });
        int first = tokenizer.VocabularySize - 2;
        Assert.Equal(first + begin, tokenizer.BeginningOfTextId);
        Assert.Equal(first + (end ?? -1), tokenizer.EndOfTextId);
    }

    [Theory]
    [InlineData("<b> <b> text")]
    [InlineData("<b>")]
    [InlineData("<x> text")]
    public void A_template_with_more_or_other_tokens_is_refused(string template) =>
        Assert.Contains("post_processor", Assert.Throws<InvalidDataException>(() => Load(json =>
        {
            Add(json, "<b>", ("special", true));
            JsonArray single = [.. template.Split(' ').Select(part => new JsonObject { [part == "text" ? "Sequence" : "SpecialToken"] = new JsonObject { ["id"] = part } })];
            json["post_processor"] = new JsonObject
            {
                ["type"] = "TemplateProcessing",
                ["single"] = single,
                ["special_tokens"] = new JsonObject { ["<b>"] = new JsonObject { ["ids"] = new JsonArray(json["added_tokens"]![1]!["id"]!.DeepClone()) } },
            };
        })).Message);

    [Fact]
    public void Pieces_that_are_tokens_may_stay_whole_whatever_the_merges_say()
    {
        Tokenizer merged = Load(json => Vocabulary(json, "zq")), whole = Load(json =>
        {
            Vocabulary(json, "zq");
            json["model"]!["ignore_merges"] = true;
        });
        Assert.Equal("z|q", Show(merged, "zq"));
        Assert.Equal("zq", Show(whole, "zq"));
    }

    [Fact]
    public void Merges_may_be_written_in_pairs()
    {
        Tokenizer words = Load(_ => { });
        Tokenizer pairs = Load(json => json["model"]!["merges"] = new JsonArray(
            [.. json["model"]!["merges"]!.AsArray().Select(merge => new JsonArray([.. ((string)merge!).Split(' ').Select(part => JsonValue.Create(part))]))]));
        Assert.Equal(words.Sha256, pairs.Sha256);
        Assert.True(((BpeTokenizer)pairs).Merges.Count > 0);
    }

    [Fact]
    public void A_word_of_a_million_letters_or_spaces_is_encoded_at_once()
    {
        string path = _folder.File("tokenizer.model");
        File.WriteAllBytes(path, new ScoredVocabulary(["▁▁▁▁", "▁▁", "aaaa", "aa", "▁a", "▁", "a"]).Model());
        Tokenizer tokenizer = Tokenizer.Load(path);
        foreach (string text in (string[])[new('a', 1 << 20), new(' ', 1 << 20), new('ж', 1 << 18)])
        {
            Assert.Equal(text, tokenizer.DecodeText(tokenizer.Encode(text)));
        }

        Assert.Equal(1 << 18, tokenizer.Encode(new string(' ', (1 << 20) - 1)).Length);
    }

    public void Dispose() => _folder.Dispose();

    private static string Pieces(string preTokenizer, string text, bool atStart = true)
    {
        using JsonDocument json = JsonDocument.Parse(preTokenizer);
        TextSplitter[] steps = TextSplitter.Parse(json.RootElement).Steps;
        List<string> pieces = [text];
        foreach (TextSplitter step in steps)
        {
            List<string> next = [];
            foreach (string piece in pieces)
            {
                step.Split(Encoding.UTF8.GetBytes(piece), atStart, part => next.Add(Encoding.UTF8.GetString(part)));
            }

            pieces = next;
        }

        return string.Join('|', pieces);
    }

    private static void Add(JsonNode json, string content, params (string Name, bool Value)[] flags)
    {
        JsonObject token = new() { ["id"] = json["model"]!["vocab"]!.AsObject().Count + json["added_tokens"]!.AsArray().Count - 1, ["content"] = content, ["special"] = false, ["normalized"] = false };
        foreach ((string name, bool value) in flags)
        {
            token[name] = value;
        }

        json["added_tokens"]!.AsArray().Add(token);
    }

    private static void Vocabulary(JsonNode json, string token) => json["model"]!["vocab"]!.AsObject().Add(token, json["model"]!["vocab"]!.AsObject().Count);

    private static string Show(Tokenizer tokenizer, string text)
    {
        Dictionary<int, string> special = tokenizer.SpecialTokens.ToDictionary(token => token.Value, token => token.Key);
        return string.Join('|', tokenizer.Encode(text).Select(id => special.TryGetValue(id, out string? name) ? name : tokenizer.DecodeText([id])));
    }

    /// <summary>A small byte-level tokenizer, with changes in its file.</summary>
    private Tokenizer Load(Action<JsonNode> change)
    {
        string path = _folder.File("tokenizer.json");
        new BpeTokenizerOptions(260, SplitPattern.Gpt2).Train(["qrqrqr qrs"]).Save(path);
        JsonNode json = JsonNode.Parse(File.ReadAllText(path))!;
        change(json);
        File.WriteAllText(path, json.ToJsonString());
        return Tokenizer.Load(path);
    }
}
