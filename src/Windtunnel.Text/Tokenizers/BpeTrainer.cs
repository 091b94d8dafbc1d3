using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text;

namespace Windtunnel.Text.Tokenizers;

/// <summary>
/// Learns byte-pair merges: the most frequent adjacent pair, over all occurrences of all pieces, is merged again and
/// again; of equally frequent pairs, the one whose bytes come last in lexicographic order, left token first. The result
/// depends on the documents only, not on their order nor the number of threads. After the count, each merge costs time
/// in proportion to the occurrences of its pair.
/// </summary>
public static class BpeTrainer
{
    /// <summary>
    /// Tokens by id, the 256 bytes first, and the merges that made them, as pairs of ids. Two merges may make one token, so
    /// there may be more merges than tokens. Stops at the vocabulary size, or where no pair occurs twice.
    /// </summary>
    public static (List<byte[]> Tokens, List<(int Left, int Right)> Merges) Train(
        IEnumerable<string> documents, int vocabularySize, SplitPattern pattern = SplitPattern.Gpt4, int? threads = null) =>
        new Learner(Count(documents, pattern, threads ?? Environment.ProcessorCount)).Learn(vocabularySize);

    /// <summary>The distinct pieces with their counts, in ordinal order.</summary>
    private static List<(byte[] Piece, long Count)> Count(IEnumerable<string> documents, SplitPattern pattern, int threads)
    {
        ConcurrentBag<PieceCounts> partial = [];
        foreach (List<string> batch in DocumentBatches.Of(documents))
        {
            Parallel.ForEach(
                batch,
                new ParallelOptions { MaxDegreeOfParallelism = threads },
                () => partial.TryTake(out PieceCounts? counts) ? counts : new PieceCounts(),
                (document, _, counts) =>
                {
                    counts.AddAll(Encoding.UTF8.GetBytes(document), pattern);
                    return counts;
                },
                partial.Add);
        }

        PieceCounts total = new();
        foreach (PieceCounts counts in partial)
        {
            foreach ((byte[] piece, long count) in counts.All())
            {
                total.Add(piece, count);
            }
        }

        List<(byte[] Piece, long Count)> all = [.. total.All()];
        all.Sort((a, b) => a.Piece.AsSpan().SequenceCompareTo(b.Piece));
        return all;
    }

    private sealed class PieceCounts
    {
        private readonly ByteStringTable _pieces = new();
        private readonly List<long> _counts = [];

        public void AddAll(ReadOnlySpan<byte> text, SplitPattern pattern)
        {
            while (!text.IsEmpty)
            {
                int length = PreTokenizer.FirstLength(pattern, text);
                Add(text[..length], 1);
                text = text[length..];
            }
        }

        public void Add(ReadOnlySpan<byte> piece, long count)
        {
            int index = _pieces.GetOrAdd(piece, out bool added);
            if (added)
            {
                _counts.Add(0);
            }

            CollectionsMarshal.AsSpan(_counts)[index] += count;
        }

        public IEnumerable<(byte[] Piece, long Count)> All() => _counts.Select((count, index) => (_pieces[index].ToArray(), count));
    }

    /// <summary>All pieces end to end as doubly linked lists of symbols, and for each pair its count and places.</summary>
    private sealed class Learner : IComparer<(long Count, int Left, int Right)>
    {
        private readonly int[] _symbols;
        private readonly int[] _next;
        private readonly int[] _previous;
        private readonly int[] _pieceOf;
        private readonly List<(byte[] Piece, long Count)> _pieces;
        private readonly ByteStringTable _ids = new();
        private readonly List<byte[]> _tokens = [];
        private readonly Dictionary<long, PairPlaces> _pairs = [];
        private readonly PriorityQueue<(long Count, int Left, int Right), (long Count, int Left, int Right)> _queue;

        public Learner(List<(byte[] Piece, long Count)> pieces)
        {
            _queue = new(this);
            _pieces = pieces;
            for (int b = 0; b < 256; b++)
            {
                _ids.GetOrAdd([(byte)b], out _);
                _tokens.Add([(byte)b]);
            }

            int length = checked((int)pieces.Sum(piece => (long)piece.Piece.Length));
            _symbols = new int[length];
            _next = new int[length];
            _previous = new int[length];
            _pieceOf = new int[length];
            int at = 0;
            for (int piece = 0; piece < pieces.Count; piece++)
            {
                byte[] bytes = pieces[piece].Piece;
                for (int i = 0; i < bytes.Length; i++, at++)
                {
                    _symbols[at] = bytes[i];
                    _previous[at] = i > 0 ? at - 1 : -1;
                    _next[at] = i + 1 < bytes.Length ? at + 1 : -1;
                    _pieceOf[at] = piece;
                    if (i > 0)
                    {
                        Occurs(at - 1);
                    }
                }
            }

            foreach (long pair in _pairs.Keys)
            {
                Enqueue(pair);
            }
        }

        public (List<byte[]> Tokens, List<(int Left, int Right)> Merges) Learn(int vocabularySize)
        {
            List<(int Left, int Right)> merges = [];
            HashSet<long> grown = [];
            while (_tokens.Count < vocabularySize && _queue.TryDequeue(out (long Count, int Left, int Right) best, out _))
            {
                long pair = BpeTokenizer.Pair(best.Left, best.Right);
                long count = _pairs[pair].Count;
                if (count != best.Count)
                {
                    // The pair has become rarer since it was queued; counts only grow through Enqueue below.
                    if (count > 1)
                    {
                        Enqueue(pair);
                    }

                    continue;
                }

                if (count < 2)
                {
                    break;
                }

                merges.Add((best.Left, best.Right));
                int merged = _ids.GetOrAdd([.. _tokens[best.Left], .. _tokens[best.Right]], out bool added);
                if (added)
                {
                    _tokens.Add(_ids[merged].ToArray());
                }

                grown.Clear();
                Merge(best.Left, best.Right, merged, grown);
                foreach (long changed in grown)
                {
                    Enqueue(changed);
                }
            }

            return (_tokens, merges);
        }

        /// <summary>Greater count first; of equal counts, the greater bytes.</summary>
        public int Compare((long Count, int Left, int Right) x, (long Count, int Left, int Right) y)
        {
            int order = y.Count.CompareTo(x.Count);
            order = order != 0 ? order : _tokens[y.Left].AsSpan().SequenceCompareTo(_tokens[x.Left]);
            return order != 0 ? order : _tokens[y.Right].AsSpan().SequenceCompareTo(_tokens[x.Right]);
        }

        private void Merge(int left, int right, int merged, HashSet<long> grown)
        {
            PairPlaces pair = _pairs[BpeTokenizer.Pair(left, right)];
            // Leftmost first, so that aaa merges as (aa)a; places are recorded in the order they came to be.
            pair.Places.Sort();
            foreach (int at in pair.Places)
            {
                int second = _next[at];
                if (_symbols[at] != left || second < 0 || _symbols[second] != right)
                {
                    continue;
                }

                int before = _previous[at], after = _next[second];
                if (before >= 0)
                {
                    Vanishes(before);
                }

                if (after >= 0)
                {
                    Vanishes(second);
                }

                Vanishes(at);
                _symbols[at] = merged;
                _symbols[second] = -1;
                _next[at] = after;
                if (after >= 0)
                {
                    _previous[after] = at;
                    grown.Add(Occurs(at));
                }

                if (before >= 0)
                {
                    grown.Add(Occurs(before));
                }
            }

            pair.Places.Clear();
        }

        private void Enqueue(long pair)
        {
            (long Count, int Left, int Right) entry = (_pairs[pair].Count, (int)(pair >> 32), (int)pair);
            _queue.Enqueue(entry, entry);
        }

        private long PairAt(int at) => BpeTokenizer.Pair(_symbols[at], _symbols[_next[at]]);

        private long Occurs(int at)
        {
            long pair = PairAt(at);
            ref PairPlaces? places = ref CollectionsMarshal.GetValueRefOrAddDefault(_pairs, pair, out _);
            places ??= new PairPlaces();
            places.Places.Add(at);
            places.Count += _pieces[_pieceOf[at]].Count;
            return pair;
        }

        private void Vanishes(int at) => _pairs[PairAt(at)].Count -= _pieces[_pieceOf[at]].Count;
    }

    private sealed class PairPlaces
    {
        public List<int> Places { get; } = [];

        public long Count { get; set; }
    }
}
