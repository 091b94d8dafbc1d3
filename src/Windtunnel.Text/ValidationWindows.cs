namespace Windtunnel.Text;

/// <summary>
/// Held-out documents as windows of T tokens, in a fixed order, in which every token is a target exactly once: window k
/// predicts tokens kT to kT + T - 1 from the token before each; the end-of-text token stands before the first.
/// With a limit, the windows taken are spread evenly over the documents.
/// </summary>
public sealed class ValidationWindows
{
    /// <summary>The target at padded positions, to be left out of the loss.</summary>
    public const int Ignored = -1;

    private readonly TokenShard _shard;
    private readonly int _endOfTextId;
    private readonly long _all;

    /// <param name="shard">The held-out documents.</param>
    /// <param name="endOfTextId">What stands before the first token, and pads.</param>
    /// <param name="sequenceLength">Tokens a window, T.</param>
    /// <param name="tokensMax">At most this many targets, but at least one window; null: all.</param>
    public ValidationWindows(TokenShard shard, int endOfTextId, int sequenceLength, long? tokensMax = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(sequenceLength, 1);
        (_shard, _endOfTextId, SequenceLength) = (shard, endOfTextId, sequenceLength);
        _all = (shard.TokenCount + sequenceLength - 1) / sequenceLength;
        Count = tokensMax is { } limit ? Math.Min(_all, Math.Max(1, limit / sequenceLength)) : _all;
    }

    public int SequenceLength { get; }

    /// <summary>Number of windows.</summary>
    public long Count { get; }

    /// <summary>Fills one window, padded with end-of-text inputs and <see cref="Ignored"/> targets.</summary>
    /// <param name="window">0 to <see cref="Count"/> - 1.</param>
    /// <param name="inputs">[T].</param>
    /// <param name="targets">[T].</param>
    /// <returns>The number of targets that are not padding: T, but for the last window of the documents.</returns>
    public int Read(long window, Span<int> inputs, Span<int> targets)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((ulong)window, (ulong)Count, nameof(window));
        ArgumentOutOfRangeException.ThrowIfNotEqual(inputs.Length, SequenceLength, nameof(inputs));
        ArgumentOutOfRangeException.ThrowIfNotEqual(targets.Length, SequenceLength, nameof(targets));
        long start = (long)((Int128)window * _all / Count) * SequenceLength;
        int count = (int)Math.Min(SequenceLength, _shard.TokenCount - start);
        inputs.Fill(_endOfTextId);
        targets.Fill(Ignored);
        _shard.ReadTokens(start, targets[..count]);
        targets[..(count - 1)].CopyTo(inputs[1..]);
        if (start > 0)
        {
            _shard.ReadTokens(start - 1, inputs[..1]);
        }

        return count;
    }
}
