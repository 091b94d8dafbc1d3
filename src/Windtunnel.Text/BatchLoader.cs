using System.Security.Cryptography;
using System.Text;

namespace Windtunnel.Text;

/// <summary>Where a <see cref="BatchLoader"/> is in one source.</summary>
/// <param name="Sequences">Sequences drawn from this source so far.</param>
public sealed record SourceCursor(long Sequences = 0);

/// <summary>Where a <see cref="BatchLoader"/> is: all that is needed to go on from there.</summary>
/// <param name="Sources">One cursor a source, in the dataset's order.</param>
public sealed record LoaderCursor(IReadOnlyList<SourceCursor> Sources)
{
    /// <summary>Sequences drawn so far.</summary>
    public long Sequences => Sources.Sum(source => source.Sequences);
}

/// <summary>
/// Endless training batches. A source is one stream: its documents end to end, again and again. A sequence is T inputs of the
/// stream, with the token after each as its target, and the next one starts where it stops; so every token is an input exactly
/// once an epoch. Those that start in the same epoch are drawn in a pseudo-random order keyed by seed, source and epoch: a long
/// document is spread over the epoch, not fed batch after batch.
/// Which source a sequence comes from is decided by the weights, without randomness: always the one furthest behind its
/// share. A batch is the next B sequences, so their order does not depend on the batch size.
/// </summary>
public sealed class BatchLoader
{
    private readonly SourceStream[] _sources;
    private readonly double[] _shares;
    private readonly long _tokenCount;
    private readonly int[] _window;
    private long _sequences;

    /// <param name="sources">What to read; weights need not sum to 1.</param>
    /// <param name="sequenceLength">Tokens a sequence, T.</param>
    /// <param name="seed">Another seed gives another order.</param>
    public BatchLoader(IReadOnlyList<TrainingSource> sources, int sequenceLength, ulong seed)
    {
        ArgumentOutOfRangeException.ThrowIfZero(sources.Count, nameof(sources));
        ArgumentOutOfRangeException.ThrowIfLessThan(sequenceLength, 1);
        double total = sources.Sum(source => source.Weight);
        _sources = [.. sources.Select(source => new SourceStream(source, seed))];
        _shares = [.. sources.Select(source => source.Weight / total)];
        _tokenCount = sources.Sum(source => source.TokenCount);
        _window = new int[sequenceLength + 1];
        SequenceLength = sequenceLength;
    }

    public int SequenceLength { get; }

    /// <summary>Tokens drawn over the tokens there are: for one source, the number of passes over it.</summary>
    public double Epoch => _sequences * (double)SequenceLength / _tokenCount;

    /// <summary>The place of the next sequence.</summary>
    public LoaderCursor Cursor => new([.. _sources.Select(source => new SourceCursor(source.Sequences))]);

    /// <summary>Fills a batch.</summary>
    /// <param name="inputs">[B, T] row-major.</param>
    /// <param name="targets">[B, T]: the token after each input.</param>
    public void Next(Span<int> inputs, Span<int> targets)
    {
        if (inputs.Length % SequenceLength != 0 || inputs.Length != targets.Length)
        {
            throw new ArgumentException($"inputs and targets must be equally long, a multiple of {SequenceLength} tokens", nameof(inputs));
        }

        for (int start = 0; start < inputs.Length; start += SequenceLength)
        {
            _sources[NextSource()].Next(_window);
            _sequences++;
            _window.AsSpan(0, SequenceLength).CopyTo(inputs[start..]);
            _window.AsSpan(1, SequenceLength).CopyTo(targets[start..]);
        }
    }

    /// <summary>Goes to a place that <see cref="Cursor"/> gave.</summary>
    /// <exception cref="InvalidDataException">The cursor does not fit these sources.</exception>
    public void Seek(LoaderCursor cursor)
    {
        if (cursor.Sources.Count != _sources.Length || cursor.Sources.Any(source => source.Sequences < 0))
        {
            throw new InvalidDataException("the loader's cursor does not fit the dataset: resume with the data the run started with");
        }

        for (int i = 0; i < _sources.Length; i++)
        {
            _sources[i].Sequences = cursor.Sources[i].Sequences;
        }

        _sequences = cursor.Sequences;
    }

    private int NextSource()
    {
        int best = 0;
        double bestDeficit = double.NegativeInfinity;
        for (int i = 0; i < _sources.Length; i++)
        {
            double deficit = (_shares[i] * (_sequences + 1)) - _sources[i].Sequences;
            if (deficit > bestDeficit)
            {
                (best, bestDeficit) = (i, deficit);
            }
        }

        return best;
    }

    private sealed class SourceStream(TrainingSource source, ulong seed)
    {
        private readonly ulong _key = SplitMix64.Hash(seed, BitConverter.ToUInt64(SHA256.HashData(Encoding.UTF8.GetBytes(source.Name))));

        public long Sequences { get; set; }

        /// <summary>Reads the T + 1 tokens of the next sequence.</summary>
        public void Next(Span<int> window)
        {
            long length = window.Length - 1, tokens = source.TokenCount, epoch = Sequences * length / tokens;
            long first = FirstOf(epoch), count = FirstOf(epoch + 1) - first;
            long sequence = first + new Permutation(count, SplitMix64.Hash(_key, (ulong)epoch))[Sequences - first];
            source.Read(sequence * length % tokens, window);
            Sequences++;

            // The first sequence that starts in an epoch; one that starts in the epoch before may reach into it.
            long FirstOf(long epoch) => ((epoch * tokens) + length - 1) / length;
        }
    }
}
