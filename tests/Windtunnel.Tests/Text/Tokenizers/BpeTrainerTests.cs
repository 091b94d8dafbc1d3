using System.ComponentModel.DataAnnotations;
using System.Text;
using System.Text.Json;
using Windtunnel.Text.Tokenizers;

namespace Windtunnel.Tests.Text.Tokenizers;

public sealed class BpeTrainerTests
{
    [Fact]
    public void Merges_are_those_of_a_naive_trainer()
    {
        Random random = new(7);
        for (int i = 0; i < 30; i++)
        {
            // Few letters give long runs, overlaps, ties and tokens that can be made in two ways.
            string[] documents = [.. Enumerable.Range(0, 5).Select(_ => new string([.. Enumerable.Range(0, 120).Select(_ => "aab- "[random.Next(5)])]))];
            (List<byte[]> tokens, List<(int, int)> merges) = BpeTrainer.Train(documents, 256 + 60);
            (List<byte[]> expectedTokens, List<(int, int)> expectedMerges) = Naive(documents, 256 + 60);
            Assert.Equal(expectedMerges, merges);
            Assert.Equal(expectedTokens, tokens);
            Assert.True(merges.Count > 10);
        }
    }

    [Fact]
    public void Neither_threads_nor_the_order_of_documents_matter()
    {
        Random random = new(8);
        string[] documents = [.. Enumerable.Range(0, 500).Select(_ => RandomText.Next(random, fragmentsMax: 100))];
        List<(int, int)> expected = BpeTrainer.Train(documents, 1000, threads: 1).Merges;
        foreach (int threads in (int[])[2, 3, 8])
        {
            random.Shuffle(documents);
            Assert.Equal(expected, BpeTrainer.Train(documents, 1000, threads: threads).Merges);
        }
    }

    [Fact]
    public void The_published_reference_trainer_is_reproduced()
    {
        string folder = SharedData.Require("data/tokenizers/bpe_train_ref");
        (List<byte[]> tokens, List<(int Left, int Right)> merges) =
            BpeTrainer.Train([File.ReadAllText(Path.Combine(folder, "corpus.en"))], vocabularySize: 499, SplitPattern.Gpt2);
        string[] expected = [.. File.ReadLines(Path.Combine(folder, "train-bpe-reference-merges.txt")).Where(line => line.Length > 0)];
        Assert.Equal(expected, merges.Select(merge => $"{Spell(tokens[merge.Left])} {Spell(tokens[merge.Right])}"));

        static string Spell(byte[] token) => Encoding.UTF8.GetString(token).Replace(' ', 'Ġ').Replace('\n', 'Ċ');
    }

    [Fact]
    public void A_small_text_gives_a_smaller_vocabulary_and_a_bad_size_is_refused()
    {
        Assert.Equal(257 + 2, new BpeTokenizerOptions(4096).Train(["abc abc"]).VocabularySize);
        Assert.Equal(257, new BpeTokenizerOptions(257).Train(["abc abc"]).VocabularySize);
        Assert.Throws<ValidationException>(() => new BpeTokenizerOptions(256).Train(["abc"]));
        Assert.Throws<ValidationException>(() => new BpeTokenizerOptions(int.MaxValue).Train(["abc"]));
    }

    private static (List<byte[]> Tokens, List<(int Left, int Right)> Merges) Naive(string[] documents, int vocabularySize)
    {
        List<List<int>> pieces = [];
        foreach (string document in documents)
        {
            for (ReadOnlySpan<byte> rest = Encoding.UTF8.GetBytes(document); !rest.IsEmpty;)
            {
                int length = PreTokenizer.FirstLength(SplitPattern.Gpt4, rest);
                pieces.Add([.. rest[..length].ToArray().Select(b => (int)b)]);
                rest = rest[length..];
            }
        }

        List<byte[]> tokens = [.. Enumerable.Range(0, 256).Select(b => new[] { (byte)b })];
        List<(int, int)> merges = [];
        while (tokens.Count < vocabularySize)
        {
            ((int Left, int Right) Pair, int Count)[] counts = [.. pieces.SelectMany(piece => piece.Zip(piece.Skip(1))).GroupBy(pair => pair)
                .Select(pairs => (pairs.Key, pairs.Count()))];
            if (counts.Length == 0 || counts.Max(pair => pair.Count) < 2)
            {
                break;
            }

            (int left, int right) = counts.OrderByDescending(pair => pair.Count)
                .ThenByDescending(pair => Convert.ToHexString(tokens[pair.Pair.Left]), StringComparer.Ordinal)
                .ThenByDescending(pair => Convert.ToHexString(tokens[pair.Pair.Right]), StringComparer.Ordinal).First().Pair;
            byte[] bytes = [.. tokens[left], .. tokens[right]];
            int merged = tokens.FindIndex(token => token.SequenceEqual(bytes));
            if (merged < 0)
            {
                merged = tokens.Count;
                tokens.Add(bytes);
            }

            merges.Add((left, right));
            foreach (List<int> piece in pieces)
            {
                for (int i = 0; i + 1 < piece.Count; i++)
                {
                    if (piece[i] == left && piece[i + 1] == right)
                    {
                        piece[i] = merged;
                        piece.RemoveAt(i + 1);
                    }
                }
            }
        }

        return (tokens, merges);
    }
}
