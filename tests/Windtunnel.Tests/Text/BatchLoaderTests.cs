using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Windtunnel.Text;

namespace Windtunnel.Tests.Text;

public sealed class BatchLoaderTests : IDisposable
{
    private const int Vocabulary = 100_000;

    private readonly TemporaryFolder _folder = new();
    private readonly List<TokenShard> _shards = [];

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(500)]
    [InlineData(9000)]
    public void Every_token_is_an_input_exactly_once_an_epoch_whatever_is_stopped_and_resumed(int sequenceLength)
    {
        const int Epochs = 5;
        TrainingSource source = Source("a", documents: 40, firstId: 0);
        int tokens = (int)source.TokenCount;
        Random random = new(13);
        List<(int[] Inputs, int[] Targets)> sequences = [];
        BatchLoader loader = new([source], sequenceLength, seed: 5);
        while ((long)sequences.Count * sequenceLength < Epochs * tokens)
        {
            if (random.Next(3) == 0)
            {
                LoaderCursor cursor = JsonSerializer.Deserialize<LoaderCursor>(JsonSerializer.Serialize(loader.Cursor))!;
                loader = new([source], sequenceLength, seed: 5);
                loader.Seek(cursor);
            }

            int count = random.Next(4);
            (int[] inputs, int[] targets) = Next(loader, count);
            sequences.AddRange(inputs.Chunk(sequenceLength).Zip(targets.Chunk(sequenceLength)));
        }

        Assert.Equal(sequences.Count * (double)sequenceLength / tokens, loader.Epoch, 1e-9);

        // The documents end to end, in the source's order: a sequence is as long a stretch of them as it has inputs.
        int[] stream = [.. Enumerable.Range(0, (int)source.DocumentCount).SelectMany(i => Ids(source.Document(i)))];
        int[] placeOf = new int[tokens];
        foreach ((int place, int id) in stream.Index())
        {
            placeOf[id] = place;
        }

        Assert.All(sequences, sequence => Assert.Equal(
            Enumerable.Range(placeOf[sequence.Inputs[0]], sequenceLength + 1).Select(place => stream[place % tokens]), [.. sequence.Inputs, sequence.Targets[^1]]));
        Assert.All(sequences, sequence => Assert.Equal(sequence.Inputs.Skip(1), sequence.Targets.SkipLast(1)));

        // All sequences that start in the first e epochs hold every token e times, and fewer than T tokens of the next epoch.
        List<string> orders = [];
        for (int epoch = 1, before = 0; epoch <= Epochs; epoch++)
        {
            int after = ((epoch * tokens) + sequenceLength - 1) / sequenceLength;
            int[] times = new int[tokens];
            foreach (int id in sequences.Take(after).SelectMany(sequence => sequence.Inputs))
            {
                times[id]++;
            }

            int spilled = (after * sequenceLength) - (epoch * tokens);
            Assert.All(times.Index(), id => Assert.Equal((after * sequenceLength / tokens) + (placeOf[id.Index] < (after * sequenceLength % tokens) ? 1 : 0), id.Item));
            Assert.InRange(spilled, 0, sequenceLength - 1);
            orders.Add(string.Join(',', sequences[before..after].Select(sequence => placeOf[sequence.Inputs[0]] / Math.Max(1, sequenceLength))));
            before = after;
        }

        if (tokens > 4 * sequenceLength)
        {
            Assert.Equal(Epochs, orders.Distinct().Count());
        }
    }

    [Fact]
    public void A_long_document_is_spread_over_the_epoch()
    {
        const int Short = 400, Length = 64, LongTokens = 100 * Length;
        int[][] ids = [.. Enumerable.Range(0, Short).Select(i => Enumerable.Range(i * Length, Length).ToArray()), [.. Enumerable.Range(Short * Length, LongTokens)]];
        _shards.Add(TokenShard.Open(TokenShardTests.Write(_folder.File("long.bin"), ids, Vocabulary)));
        BatchLoader loader = new([new TrainingSource("long", _shards[^1])], Length, seed: 1);

        // A fifth of the sequences is of the long document; in no batch of fifty are they fewer than a few or more than half.
        for (int batch = 0; batch < 10; batch++)
        {
            int fromLong = Next(loader, sequences: 50).Inputs.Chunk(Length).Count(sequence => sequence[Length / 2] >= Short * Length);
            Assert.InRange(fromLong, 2, 25);
        }
    }

    [Fact]
    public void The_order_of_sequences_depends_on_the_seed_but_not_on_the_batch_size()
    {
        TrainingSource[] sources = [Source("a", 30, 0), Source("b", 20, 50_000)];
        int[] one = Read(batch: 1, seed: 1), twelve = Read(batch: 12, seed: 1), other = Read(batch: 12, seed: 2);
        Assert.Equal(one, twelve);
        Assert.NotEqual(one, other);

        int[] Read(int batch, ulong seed)
        {
            BatchLoader loader = new(sources, 16, seed);
            return [.. Enumerable.Range(0, 120 / batch).SelectMany(_ => Next(loader, batch).Inputs)];
        }
    }

    [Fact]
    public void Sources_are_mixed_by_weight_at_every_moment()
    {
        BatchLoader loader = new([Source("a", 30, 0, weight: 5), Source("b", 20, 30_000, weight: 3), Source("c", 20, 60_000, weight: 2)], 8, seed: 1);
        for (int sequences = 1; sequences <= 3000; sequences++)
        {
            Next(loader, sequences: 1);
            double[] shares = [0.5, 0.3, 0.2];
            Assert.All(loader.Cursor.Sources.Zip(shares), pair => Assert.InRange(pair.First.Sequences - (pair.Second * sequences), -1.001, 1.001));
        }

        Assert.Equal(3000, loader.Cursor.Sequences);
    }

    [Fact]
    public void A_smaller_subset_is_part_of_a_larger_one_and_only_its_documents_are_read()
    {
        TokenShard shard = Shard("a", documents: 60, firstId: 0);
        HashSet<long> smaller = [];
        foreach (long tokens in (long[])[1, 50, 200, 1000, shard.TokenCount])
        {
            TrainingSource subset = new("a", shard, subsetTokens: tokens, subsetSeed: 3);
            HashSet<long> documents = [.. Enumerable.Range(0, (int)subset.DocumentCount).Select(i => subset.Document(i).Start)];
            Assert.Equal(subset.DocumentCount, documents.Count);
            Assert.True(documents.IsSupersetOf(smaller));
            Assert.InRange(subset.TokenCount, tokens, tokens + 200);
            smaller = documents;

            int[] inputs = Next(new BatchLoader([subset], 1, seed: 1), (int)subset.TokenCount).Inputs;
            int[] expected = [.. Enumerable.Range(0, (int)subset.DocumentCount).Select(i => subset.Document(i))
                .SelectMany(document => Enumerable.Range((int)document.Start, (int)(document.End - document.Start))).Order()];
            Assert.Equal(expected, inputs.Order());
        }

        Assert.NotEqual(
            new TrainingSource("a", shard, subsetTokens: 200, subsetSeed: 3).Document(0),
            new TrainingSource("a", shard, subsetTokens: 200, subsetSeed: 4).Document(0));
        Assert.Throws<ValidationException>(() => new TrainingSource("a", shard, subsetTokens: shard.TokenCount + 1));
        Assert.Throws<ValidationException>(() => new TrainingSource("a", shard, subsetTokens: 0));
        Assert.Throws<ValidationException>(() => new TrainingSource("a", shard, weight: 0));
        Assert.Throws<ValidationException>(() => new TrainingSource("a", shard, weight: double.NaN));
    }

    [Fact]
    public void Reading_a_batch_allocates_nothing()
    {
        BatchLoader loader = new([Source("a", 30, 0), Source("b", 20, 50_000)], 64, seed: 1);
        int[] inputs = new int[64 * 8], targets = new int[64 * 8];
        loader.Next(inputs, targets);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 200; i++)
        {
            loader.Next(inputs, targets);
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void A_cursor_of_other_data_is_refused()
    {
        BatchLoader loader = new([Source("a", 3, 0)], 8, seed: 1);
        LoaderCursor[] wrong =
        [
            new([]), new([new SourceCursor(), new SourceCursor()]), new([new SourceCursor(-1)]),
        ];
        Assert.All(wrong, cursor => Assert.Throws<InvalidDataException>(() => loader.Seek(cursor)));
        loader.Seek(loader.Cursor);
        Assert.Throws<ArgumentException>(() => loader.Next(new int[9], new int[9]));
        Assert.Throws<ArgumentException>(() => loader.Next(new int[16], new int[8]));
    }

    [Fact]
    public void Validation_windows_make_every_token_a_target_exactly_once()
    {
        TokenShard shard = Shard("v", documents: 20, firstId: 0);
        foreach (int length in (int[])[1, 7, 100, 100_000])
        {
            ValidationWindows windows = new(shard, endOfTextId: 99_999, length);
            List<int> inputs = [], targets = [];
            int[] input = new int[length], target = new int[length];
            for (long i = 0; i < windows.Count; i++)
            {
                int count = windows.Read(i, input, target);
                inputs.AddRange(input[..count]);
                targets.AddRange(target[..count]);
                Assert.All(input[count..], id => Assert.Equal(99_999, id));
                Assert.All(target[count..], id => Assert.Equal(ValidationWindows.Ignored, id));
            }

            Assert.Equal(Enumerable.Range(0, (int)shard.TokenCount), targets);
            Assert.Equal(targets.SkipLast(1).Prepend(99_999), inputs);
        }
    }

    [Fact]
    public void Limited_validation_windows_are_spread_over_the_documents()
    {
        TokenShard shard = Shard("v", documents: 100, firstId: 0);
        ValidationWindows windows = new(shard, 99_999, sequenceLength: 10, tokensMax: 205);
        int[] input = new int[10], target = new int[10];
        List<int> firsts = [];
        for (long i = 0; i < windows.Count; i++)
        {
            windows.Read(i, input, target);
            firsts.Add(target[0]);
        }

        Assert.Equal(20, firsts.Distinct().Count());
        Assert.All(firsts.Zip(firsts.Skip(1)), pair => Assert.InRange(pair.Second - pair.First, (shard.TokenCount / 20) - 20, (shard.TokenCount / 20) + 20));
        Assert.Equal(1, new ValidationWindows(shard, 99_999, 10, tokensMax: 1).Count);
    }

    public void Dispose()
    {
        _shards.ForEach(shard => shard.Dispose());
        _folder.Dispose();
    }

    private static (int[] Inputs, int[] Targets) Next(BatchLoader loader, int sequences)
    {
        int[] inputs = new int[sequences * loader.SequenceLength], targets = new int[inputs.Length];
        loader.Next(inputs, targets);
        return (inputs, targets);
    }

    private static IEnumerable<int> Ids((long Start, long End) document) => Enumerable.Range((int)document.Start, (int)(document.End - document.Start));

    private TrainingSource Source(string name, int documents, int firstId, double weight = 1) => new(name, Shard(name, documents, firstId), weight);

    /// <summary>Documents of random lengths in which every token is another id, in order.</summary>
    private TokenShard Shard(string name, int documents, int firstId)
    {
        Random random = new(documents);
        int[][] ids = new int[documents][];
        for (int i = 0; i < documents; i++)
        {
            ids[i] = [.. Enumerable.Range(firstId, random.Next(1, 200))];
            firstId += ids[i].Length;
        }

        _shards.Add(TokenShard.Open(TokenShardTests.Write(_folder.File($"{name}.bin"), ids, Vocabulary)));
        return _shards[^1];
    }
}
