using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using Windtunnel.Text.Tokenizers;

namespace Windtunnel.Tests.Text.Tokenizers;

/// <summary>
/// Damaged and malicious tokenizer files give an InvalidDataException of one line that names the file, soon and without much memory,
/// or a tokenizer that works. WINDTUNNEL_SOAK=1 tries 200,000 of them instead of 3,000, and times each.
/// </summary>
public sealed class HostileTokenizerTests : IDisposable
{
    private const long BytesMax = 256L << 20;
    private const string Text = "The cat's  1234 mats\n\taé😀▁ <s></s> sat. ";

    private static readonly bool s_soak = Environment.GetEnvironmentVariable("WINDTUNNEL_SOAK") == "1";

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> All => ["trained.json", "scored.json", "rich.json", "tokenizer.model", "tokenizer.bin", "vocab.json", "merges.txt"];

    [Theory]
    [MemberData(nameof(All))]
    public void Mutations_give_typed_errors_or_a_tokenizer(string name)
    {
        byte[] valid = Valid(name);
        string path = _folder.File(name), loaded = name == "merges.txt" ? _folder.File("vocab.json") : path;
        Random random = new(11);
        int refused = 0, mutations = (s_soak ? 200_000 : 3000) / All.Count;
        for (int i = 0; i < mutations; i++)
        {
            byte[] mutated = Mutate(valid, random);
            File.WriteAllBytes(path, mutated);
            long allocated = GC.GetAllocatedBytesForCurrentThread(), start = Stopwatch.GetTimestamp();
            try
            {
                Tokenizer tokenizer = Tokenizer.Load(loaded);
                int[] ids = tokenizer.Encode(Text);
                Assert.All(ids, id => Assert.InRange(id, 0, tokenizer.VocabularySize - 1));
                tokenizer.DecodeText(ids);
            }
            catch (InvalidDataException e)
            {
                Assert.Contains(_folder.Path, e.Message);
                Assert.DoesNotContain('\n', e.Message);
                refused++;
            }
            catch (Exception e) when (e is not Xunit.Sdk.IAssertionException)
            {
                File.WriteAllBytes(Path.Combine(Path.GetTempPath(), "mutated-" + name), mutated);
                throw new InvalidOperationException($"{name}, mutation {i}: {e.Message}", e);
            }

            Assert.True(GC.GetAllocatedBytesForCurrentThread() - allocated < BytesMax, $"mutation {i} takes too much memory");
            Assert.True(Stopwatch.GetElapsedTime(start).TotalSeconds < (s_soak ? 1 : 60), $"mutation {i} takes {Stopwatch.GetElapsedTime(start)}");
        }

        Assert.InRange(refused, mutations / 10, mutations);
    }

    [Fact]
    public void Large_and_deep_files_are_refused_before_they_are_read()
    {
        Refused(new string('[', 100_000), "tokenizer.json", "depth");
        Refused($"[{string.Concat(Enumerable.Repeat("0,", 9_000_000))}0]", "tokenizer.json", "more than 8388608 values");
        using (FileStream file = File.Create(_folder.File("tokenizer.json")))
        {
            file.SetLength(1L << 40);
        }

        Assert.Contains("1099511627776 bytes", Assert.Throws<InvalidDataException>(() => Tokenizer.Load(_folder.File("tokenizer.json"))).Message);
        Refused("\n\u00FF\u00FF\u00FF\u00FF\u000F", "tokenizer.model", "ends within a field");
        Refused("\n\u00FF\u00FF\u00FF\u00FF\u00FF\u00FF\u00FF\u00FF\u00FF\u00FF\u00FF", "tokenizer.model", "more than ten bytes");
        Refused("", "tokenizer.bin", "cut short");
        Refused("", "tokenizer.json", "JSON");
        Refused("null", "tokenizer.json", "is not an object");
    }

    [Fact]
    public void A_folder_without_a_tokenizer_says_what_is_looked_for() =>
        Assert.Contains("tokenizer.model", Assert.Throws<InvalidDataException>(() => Tokenizer.Load(_folder.Path)).Message);

    public void Dispose() => _folder.Dispose();

    private void Refused(string content, string name, string message)
    {
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        File.WriteAllBytes(_folder.File(name), Encoding.Latin1.GetBytes(content));
        Assert.Contains(message, Assert.Throws<InvalidDataException>(() => Tokenizer.Load(_folder.File(name))).Message);
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - allocated < BytesMax);
    }

    private byte[] Valid(string name)
    {
        string path = _folder.File(name);
        switch (name)
        {
            case "tokenizer.model":
                return ScoredVocabulary.Random(1).Model();
            case "tokenizer.bin":
                return ScoredVocabulary.Random(1).Bin();
            case "scored.json":
                File.WriteAllBytes(_folder.File("scored.model"), ScoredVocabulary.Random(1).Model());
                Tokenizer.Load(_folder.File("scored.model")).Save(path);
                return File.ReadAllBytes(path);
            case "rich.json":
                JsonNode json = Trained(path);
                json["normalizer"] = JsonNode.Parse("""{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Lowercase"},{"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "}]}""");
                json["pre_tokenizer"] = JsonNode.Parse("""
                    {"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},
                    {"type":"Split","pattern":{"Regex":"[^\\s\\p{L}]?\\p{L}+|\\s+(?!\\S)|\\s+"},"behavior":"Isolated","invert":false},
                    {"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}]}
                    """);
                int count = json["model"]!["vocab"]!.AsObject().Count;
                json["added_tokens"]!.AsArray().Add(new JsonObject { ["id"] = count, ["content"] = "mats", ["lstrip"] = true, ["rstrip"] = true, ["single_word"] = true, ["normalized"] = true, ["special"] = false });
                File.WriteAllText(path, json.ToJsonString());
                Tokenizer.Load(path);
                return File.ReadAllBytes(path);
            case "vocab.json" or "merges.txt":
                JsonNode model = Trained(_folder.File("trained.json"))["model"]!;
                File.WriteAllText(_folder.File("vocab.json"), model["vocab"]!.ToJsonString());
                File.WriteAllText(_folder.File("merges.txt"), $"#version: 0.2\n{string.Join('\n', model["merges"]!.AsArray().Select(merge => (string)merge!))}\n");
                Tokenizer.Load(_folder.File("vocab.json"));
                return File.ReadAllBytes(path);
            default:
                Trained(path);
                return File.ReadAllBytes(path);
        }
    }

    private static JsonNode Trained(string path)
    {
        new BpeTokenizerOptions(300, SplitPattern.Gpt2).Train([string.Concat(Enumerable.Repeat("the cat and the hat and the bat that sat on the mat, and others; ", 3))]).Save(path);
        return JsonNode.Parse(File.ReadAllText(path))!;
    }

    private static byte[] Mutate(byte[] valid, Random random)
    {
        List<byte> bytes = [.. valid];
        for (int changes = random.Next(1, 4); changes > 0 && bytes.Count > 0; changes--)
        {
            int at = random.Next(bytes.Count), length = Math.Min(random.Next(1, 20), bytes.Count - at);
            switch (random.Next(8))
            {
                case 0:
                    bytes.RemoveRange(random.Next(3) == 0 ? at : bytes.Count - length, length);
                    break;
                case 1:
                    bytes.InsertRange(at, bytes.GetRange(random.Next(bytes.Count - length + 1), length));
                    break;
                case 2:
                    bytes.InsertRange(at, Encoding.UTF8.GetBytes(((string[])["true", "null", "-1", "99999999999", "{}", "[]", "\"\"", "\\ud800", "Ġ", "<0x41>", "\u0000"])[random.Next(11)]));
                    break;
                case 3:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 4:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                default:
                    bytes[at] = (byte)"\"{}[],:0 9\\^*+?|"[random.Next(16)];
                    break;
            }
        }

        return [.. bytes];
    }
}
