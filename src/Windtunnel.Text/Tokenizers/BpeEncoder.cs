using System.Runtime.InteropServices;
using System.Text;

namespace Windtunnel.Text.Tokenizers;

/// <summary>
/// Merges one piece at a time, remembering the pieces it has seen. Time is O(n log n) in a piece's length. One a thread.
/// </summary>
/// <param name="symbols">What pieces begin as.</param>
/// <param name="merges">Rank and result by pair.</param>
/// <param name="wholes">Pieces that are a token whatever the merges say, by their bytes in Latin-1; null where there are none.</param>
internal sealed class BpeEncoder(SymbolTable symbols, Dictionary<long, (int Rank, int Id)> merges, Dictionary<string, int>? wholes)
{
    private const int CachedPieces = 1 << 17;
    private const int CachedPieceBytesMax = 64;

    private readonly ByteStringTable _pieces = new();
    private readonly List<(int Start, int Length)> _encodings = [];
    private readonly List<int> _cachedIds = [];
    private readonly PriorityQueue<int, long> _queue = new();
    private int[] _symbols = [];
    private int[] _next = [];
    private int[] _previous = [];

    public void Encode(ReadOnlySpan<byte> piece, List<int> ids)
    {
        if (piece.Length > CachedPieceBytesMax)
        {
            Merge(piece, ids);
            return;
        }

        int index = _pieces.GetOrAdd(piece, out bool added);
        if (added)
        {
            int start = _cachedIds.Count;
            Merge(piece, _cachedIds);
            _encodings.Add((start, _cachedIds.Count - start));
        }

        (int at, int length) = _encodings[index];
        ids.AddRange(CollectionsMarshal.AsSpan(_cachedIds).Slice(at, length));
        if (_pieces.Count == CachedPieces)
        {
            _pieces.Clear();
            _encodings.Clear();
            _cachedIds.Clear();
        }
    }

    private void Merge(ReadOnlySpan<byte> piece, List<int> ids)
    {
        if (wholes is not null && wholes.TryGetValue(Encoding.Latin1.GetString(piece), out int whole))
        {
            ids.Add(whole);
            return;
        }

        if (_symbols.Length < piece.Length)
        {
            int capacity = Math.Max(CachedPieceBytesMax, piece.Length);
            (_symbols, _next, _previous) = (new int[capacity], new int[capacity], new int[capacity]);
        }

        int count = symbols.Read(piece, _symbols);
        for (int i = 0; i < count; i++)
        {
            _previous[i] = i - 1;
            _next[i] = i + 1 < count ? i + 1 : -1;
        }

        for (int i = 0; i < count; i++)
        {
            Queue(i);
        }

        while (_queue.TryDequeue(out int at, out long priority))
        {
            // An entry is stale when a merge has since changed either symbol of the pair.
            int right = _next[at];
            if (_symbols[at] < 0 || right < 0
                || !merges.TryGetValue(BpeTokenizer.Pair(_symbols[at], _symbols[right]), out (int Rank, int Id) merge)
                || merge.Rank != priority >> 32)
            {
                continue;
            }

            _symbols[at] = merge.Id;
            _symbols[right] = -1;
            _next[at] = _next[right];
            if (_next[at] >= 0)
            {
                _previous[_next[at]] = at;
            }

            Queue(at);
            if (_previous[at] >= 0)
            {
                Queue(_previous[at]);
            }
        }

        for (int i = 0; i >= 0; i = _next[i])
        {
            ids.Add(_symbols[i]);
        }
    }

    private void Queue(int at)
    {
        if (_next[at] >= 0 && merges.TryGetValue(BpeTokenizer.Pair(_symbols[at], _symbols[_next[at]]), out (int Rank, int Id) merge))
        {
            _queue.Enqueue(at, ((long)merge.Rank << 32) | (uint)at);
        }
    }
}
