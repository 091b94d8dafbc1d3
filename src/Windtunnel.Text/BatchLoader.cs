using System.Security.Cryptography;
using System.Text;

namespace Windtunnel.Text;

/// <summary>Where a <see cref="BatchLoader"/> is in one source.</summary>
/// <param name="Epoch">Passes completed.</param>
/// <param name="Document">Position in this pass's permuted order of documents.</param>
/// <param name="Offset">Tokens of that document already used as inputs.</param>
/// <param name="Sequences">Sequences drawn from this source so far.</param>
public sealed record SourceCursor(long Epoch = 0, long Document = 0, long Offset = 0, long Sequences = 0);

/// <summary>Where a <see cref="BatchLoader"/> is: all that is needed to go on from there.</summary>
/// <param name="Sources">One cursor a source, in the dataset's order.</param>
public sealed record LoaderCursor(IReadOnlyList<SourceCursor> Sources)
{
    /// <summary>Sequences drawn so far.</summary>
    public long Sequences => Sources.Sum(source => source.Sequences);
}

/// <summary>
/// Endless training batches. A source is read as one stream: all its documents in a pseudo-random order keyed by seed,
/// source and epoch, then all again in another order, and so on. A sequence takes its T inputs where the last one stopped,
/// with the token after each input as its target, so every token is an input exactly once an epoch.
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
    public LoaderCursor Cursor => new([.. _sources.Select(source => source.Cursor)]);

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
        if (cursor.Sources.Count != _sources.Length || !_sources.Zip(cursor.Sources, (source, at) => source.Contains(at)).All(fits => fits))
        {
            throw new InvalidDataException("the loader's cursor does not fit the dataset: resume with the data the run started with");
        }

        for (int i = 0; i < _sources.Length; i++)
        {
            _sources[i].Cursor = cursor.Sources[i];
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

    private sealed class SourceStream
    {
        private readonly TrainingSource _source;
        private readonly ulong _key;
        private Permutation _order;
        private long _epoch;
        private long _document;
        private long _offset;

        public SourceStream(TrainingSource source, ulong seed)
        {
            _source = source;
            _key = SplitMix64.Hash(seed, BitConverter.ToUInt64(SHA256.HashData(Encoding.UTF8.GetBytes(source.Name))));
            Cursor = new SourceCursor();
        }

        public long Sequences { get; private set; }

        public SourceCursor Cursor
        {
            get => new(_epoch, _document, _offset, Sequences);
            set
            {
                (_epoch, _document, _offset, Sequences) = value;
                _order = OrderOf(_epoch);
            }
        }

        public bool Contains(SourceCursor at)
        {
            if (at.Epoch < 0 || at.Sequences < 0 || at.Offset < 0 || at.Document < 0 || at.Document >= _source.DocumentCount)
            {
                return false;
            }

            (long start, long end) = _source.Document(OrderOf(at.Epoch)[at.Document]);
            return at.Offset < end - start;
        }

        /// <summary>Reads T + 1 tokens and moves on by T.</summary>
        public void Next(Span<int> window)
        {
            for (int filled = 0; ;)
            {
                (long start, long end) = _source.Document(_order[_document]);
                int taken = (int)Math.Min(end - start - _offset, window.Length - filled);
                _source.Shard.ReadTokens(start + _offset, window.Slice(filled, taken));
                filled += taken;
                if (filled == window.Length)
                {
                    _offset += taken - 1;
                    break;
                }

                _offset = 0;
                if (++_document == _source.DocumentCount)
                {
                    _document = 0;
                    _order = OrderOf(++_epoch);
                }
            }

            Sequences++;
        }

        private Permutation OrderOf(long epoch) => new(_source.DocumentCount, SplitMix64.Hash(_key, (ulong)epoch));
    }
}
