using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Text;

/// <summary>
/// The training documents of one source, or a pseudo-random subset of them: the first documents of a keyed permutation,
/// so that of two subsets with one seed the smaller is part of the larger.
/// </summary>
public sealed class TrainingSource
{
    private readonly Permutation _subset;
    private readonly long[] _ends;

    /// <param name="name">The source's name; it keys the order of documents.</param>
    /// <param name="shard">The documents; at least one.</param>
    /// <param name="weight">Share of the sequences, relative to the other sources.</param>
    /// <param name="subsetTokens">Take just enough documents to hold this many tokens; null: all.</param>
    /// <param name="subsetSeed">Another seed gives another subset.</param>
    /// <exception cref="ValidationException">The weight is not positive, or the source holds fewer tokens than asked for.</exception>
    public TrainingSource(string name, TokenShard shard, double weight = 1, long? subsetTokens = null, ulong subsetSeed = 0)
    {
        if (!(weight > 0 && double.IsFinite(weight)))
        {
            throw new ValidationException($"source {name}: weight {weight} must be a positive number");
        }

        if (shard.DocumentCount == 0 || subsetTokens < 1 || subsetTokens > shard.TokenCount)
        {
            throw new ValidationException($"source {name}: subsetTokens {subsetTokens} is out of range: the source has {shard.TokenCount} training tokens");
        }

        (Name, Shard, Weight) = (name, shard, weight);
        (DocumentCount, TokenCount) = (shard.DocumentCount, shard.TokenCount);
        _subset = new Permutation(shard.DocumentCount, subsetSeed);
        if (subsetTokens is { } enough)
        {
            (DocumentCount, TokenCount) = (0, 0);
            while (TokenCount < enough)
            {
                (long start, long end) = Document(DocumentCount++);
                TokenCount += end - start;
            }
        }

        _ends = new long[DocumentCount];
        long tokens = 0;
        for (long i = 0; i < DocumentCount; i++)
        {
            (long start, long end) = Document(i);
            _ends[i] = tokens += end - start;
        }
    }

    public string Name { get; }

    public TokenShard Shard { get; }

    public double Weight { get; }

    /// <summary>Documents in the subset.</summary>
    public long DocumentCount { get; }

    /// <summary>Tokens in the subset.</summary>
    public long TokenCount { get; }

    /// <summary>The place in the shard of a document of the subset, from 0: its first token, and the first after it.</summary>
    public (long Start, long End) Document(long index) => Shard.Document(_subset[index]);

    /// <summary>Reads tokens of the subset's documents end to end; after the last comes the first again.</summary>
    /// <param name="start">Tokens of the subset before the first that is read.</param>
    /// <param name="tokens">Is filled.</param>
    internal void Read(long start, Span<int> tokens)
    {
        int found = Array.BinarySearch(_ends, start);
        long document = found < 0 ? ~found : found + 1;
        long skipped = start - (document == 0 ? 0 : _ends[document - 1]);
        while (!tokens.IsEmpty)
        {
            (long from, long end) = Document(document);
            int taken = (int)Math.Min(end - from - skipped, tokens.Length);
            Shard.ReadTokens(from + skipped, tokens[..taken]);
            tokens = tokens[taken..];
            (document, skipped) = ((document + 1) % DocumentCount, 0);
        }
    }
}
