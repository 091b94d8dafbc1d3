using System.Text;
using System.Text.Json;

namespace Windtunnel.Text.Tokenizers;

/// <summary>GPT-2's two files: vocab.json or encoder.json with ids by spelling, and merges.txt or vocab.bpe with a merge a line.</summary>
internal static class Gpt2Vocabulary
{
    private static readonly string[] s_mergesNames = ["merges.txt", "vocab.bpe"];

    /// <summary>The file of merges in the same folder, if there is one.</summary>
    public static string? MergesBeside(string path) =>
        s_mergesNames.Select(name => Path.Combine(Path.GetDirectoryName(path) ?? "", name)).FirstOrDefault(File.Exists);

    /// <exception cref="InvalidDataException">The files are damaged, or contradict each other.</exception>
    public static TokenizerDefinition Read(JsonElement vocabulary, string mergesPath)
    {
        Dictionary<string, int> ids = TokenizerJson.ReadIds(vocabulary, "the vocabulary");
        string[] spellings = TokenizerJson.Spellings(ids, "the vocabulary");
        TokenizerJson.Check(ids.TryGetValue(Tokenizer.EndOfText, out int endOfText), $"the vocabulary has no {Tokenizer.EndOfText}");
        return TokenizerDefinition.ByteLevel(
            [.. spellings.Select((spelling, id) => id == endOfText ? [] : ByteAlphabet.Bytes(spelling)
                ?? throw new InvalidDataException($"token {id}, '{spelling}', is not spelled in the byte-level alphabet"))],
            ReadMerges(mergesPath, ids), new Dictionary<string, int> { [Tokenizer.EndOfText] = endOfText }, SplitPattern.Gpt2);
    }

    private static List<(int Left, int Right)> ReadMerges(string path, Dictionary<string, int> ids)
    {
        List<(int Left, int Right)> merges = [];
        HashSet<(int, int)> seen = [];
        string name = Path.GetFileName(path);
        using StreamReader reader = new(new MemoryStream(TokenizerFile.ReadBytes(path, TokenizerJson.FileBytesMax)), Encoding.UTF8);
        for (int number = 1; reader.ReadLine() is { } line; number++)
        {
            if (line.Length == 0 || (number == 1 && line.StartsWith("#version", StringComparison.Ordinal)))
            {
                continue;
            }

            TokenizerJson.Check(merges.Count < TokenizerJson.MergesMax, $"{name} has more than {TokenizerJson.MergesMax} merges");
            TokenizerJson.Check(
                TokenizerJson.Merge(line.Split(' ', 3), ids, out (int, int) merge) && seen.Add(merge), $"{name}:{number} is not a new pair of tokens whose concatenation is a token");
            merges.Add(merge);
        }

        return merges;
    }
}
