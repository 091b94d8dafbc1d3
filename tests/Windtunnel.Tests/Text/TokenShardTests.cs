using System.Buffers.Binary;
using System.Security.Cryptography;
using Windtunnel.Text;

namespace Windtunnel.Tests.Text;

public sealed class TokenShardTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData(300, 2)]
    [InlineData(65_536, 2)]
    [InlineData(65_537, 4)]
    public void Tokens_and_documents_are_read_back(int vocabularySize, int tokenBytes)
    {
        Random random = new(11);
        int[][] documents = [.. Enumerable.Range(0, 50).Select(_ => RandomIds(random, random.Next(1, 3000), vocabularySize))];
        string path = Write(documents, vocabularySize);
        using TokenShard shard = TokenShard.Open(path);
        shard.Verify();
        int[] all = [.. documents.SelectMany(ids => ids)];
        Assert.Equal((vocabularySize, all.Length, documents.Length), (shard.VocabularySize, (int)shard.TokenCount, (int)shard.DocumentCount));
        Assert.InRange(new FileInfo(path).Length - (all.Length * tokenBytes) - (51 * 8) - 128, 0, 7);
        Assert.Equal(SHA256.HashData("tokenizer"u8), shard.TokenizerSha256);

        int[] read = new int[all.Length];
        shard.ReadTokens(0, read);
        Assert.Equal(all, read);
        for (int i = 0; i < 200; i++)
        {
            int start = random.Next(all.Length), length = random.Next(all.Length - start);
            shard.ReadTokens(start, read.AsSpan(0, length));
            Assert.Equal(all.AsSpan(start, length), read.AsSpan(0, length));
        }

        for (int i = 0; i < documents.Length; i++)
        {
            (long start, long end) = shard.Document(i);
            Assert.Equal(documents[i], all[(int)start..(int)end]);
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => shard.ReadTokens(all.Length, new int[1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => shard.ReadTokens(-1, new int[1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => shard.Document(50));
    }

    [Fact]
    public void A_writer_that_does_not_commit_leaves_nothing()
    {
        using (TokenShardWriter writer = new(_folder.File("x.bin"), 300, SHA256.HashData([])))
        {
            writer.Append([1, 2, 3]);
            Assert.Throws<ArgumentException>(() => writer.Append([]));
            Assert.Throws<ArgumentException>(() => writer.Append([300]));
            Assert.Throws<ArgumentException>(() => writer.Append([-1]));
        }

        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    [Fact]
    public void Every_damaged_byte_is_found_or_is_not_part_of_the_data()
    {
        Random random = new(12);
        string path = Write([[1, 2, 299], [5, 299], [7, 8, 9, 10, 299]], 300);
        byte[] valid = File.ReadAllBytes(path);
        for (int i = 0; i < 3000; i++)
        {
            byte[] damaged = random.Next(8) == 0 ? valid[..random.Next(valid.Length)] : [.. valid];
            if (damaged.Length == valid.Length)
            {
                int at = random.Next(damaged.Length);
                damaged[at] ^= (byte)random.Next(1, 256);
                // A dataset compares these two with its tokenizer.
                if (at is (>= 32 and < 36) or (>= 72 and < 104))
                {
                    continue;
                }
            }

            File.WriteAllBytes(path, damaged);
            AssertRefused(path);
        }
    }

    [Fact]
    public void A_consistent_hash_does_not_hide_impossible_content()
    {
        string path = Write([[1, 2, 299], [5, 299]], 300);
        byte[] valid = File.ReadAllBytes(path);
        Refused(bytes => BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(128), 300));
        Refused(bytes => BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(bytes.Length - 8), 6));
        Refused(bytes => BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(bytes.Length - 16), ulong.MaxValue));
        Refused(bytes => BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(bytes.Length - 16), 0));
        Refused(bytes => BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(bytes.Length - 24), 1));
        Refused(bytes => BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(16), ulong.MaxValue));
        Refused(bytes => BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(24), ulong.MaxValue / 8));
        Refused(bytes => BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), 0));

        void Refused(Action<byte[]> change)
        {
            byte[] changed = [.. valid];
            change(changed);
            SHA256.HashData(changed.AsSpan(128)).CopyTo(changed.AsSpan(40));
            File.WriteAllBytes(path, changed);
            AssertRefused(path);
        }
    }

    public void Dispose() => _folder.Dispose();

    private static void AssertRefused(string path)
    {
        string message = Assert.Throws<InvalidDataException>(() =>
        {
            using TokenShard shard = TokenShard.Open(path);
            shard.Verify();
        }).Message;
        Assert.Contains(path, message);
    }

    private string Write(int[][] documents, int vocabularySize) => Write(_folder.File("x.bin"), documents, vocabularySize);

    internal static string Write(string path, int[][] documents, int vocabularySize)
    {
        using TokenShardWriter writer = new(path, vocabularySize, SHA256.HashData("tokenizer"u8));
        foreach (int[] document in documents)
        {
            writer.Append(document);
        }

        writer.Commit();
        return path;
    }

    private static int[] RandomIds(Random random, int length, int vocabularySize) =>
        [.. Enumerable.Range(0, length).Select(_ => random.Next(vocabularySize))];
}
