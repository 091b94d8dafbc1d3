using System.ComponentModel.DataAnnotations;
using Windtunnel.Text.Tokenizers;

namespace Windtunnel.Text;

/// <summary>The held-out documents of one source.</summary>
public sealed class ValidationSource(string name, TokenShard shard, Tokenizer tokenizer)
{
    public string Name => name;

    public TokenShard Shard => shard;

    /// <summary>The documents as windows of T tokens; see <see cref="ValidationWindows"/>.</summary>
    public ValidationWindows Windows(int sequenceLength, long? tokensMax = null) => new(shard, tokenizer.EndOfTextId, sequenceLength, tokensMax);

    /// <summary>Sequences of T tokens from pseudo-random places of the documents, which may overlap.</summary>
    /// <param name="count">How many.</param>
    /// <param name="sequenceLength">T.</param>
    /// <param name="seed">Another seed gives other places.</param>
    /// <exception cref="ValidationException">The documents have fewer tokens than one sequence.</exception>
    public int[][] Sample(int count, int sequenceLength, ulong seed)
    {
        long places = shard.TokenCount - sequenceLength + 1;
        if (places < 1)
        {
            throw new ValidationException($"source {name}: {shard.TokenCount} held-out tokens are too few for a sequence of {sequenceLength}");
        }

        int[][] sequences = [.. Enumerable.Range(0, count).Select(_ => new int[sequenceLength])];
        foreach ((int index, int[] sequence) in sequences.Index())
        {
            shard.ReadTokens((long)(SplitMix64.Hash(seed, (ulong)index) % (ulong)places), sequence);
        }

        return sequences;
    }

    /// <summary>Writes the documents' text in UTF-8, end to end: what a compressor is compared on. Returns its length in bytes.</summary>
    public long CopyText(Stream destination)
    {
        int[] ids = new int[1 << 14];
        long length = 0;
        for (long start = 0; start < shard.TokenCount; start += ids.Length)
        {
            Span<int> chunk = ids.AsSpan(0, (int)Math.Min(ids.Length, shard.TokenCount - start));
            shard.ReadTokens(start, chunk);
            byte[] text = tokenizer.Decode(chunk);
            destination.Write(text);
            length += text.Length;
        }

        return length;
    }
}
