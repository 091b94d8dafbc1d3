using System.Numerics;

namespace Windtunnel.Text;

/// <summary>
/// A keyed pseudo-random permutation of 0..length-1 that stores nothing: a balanced Feistel network over the smallest
/// even number of bits that covers the range, walking each cycle until it is back inside (Black and Rogaway, 2002).
/// </summary>
public readonly struct Permutation
{
    private const int Rounds = 8;

    private readonly ulong _key;
    private readonly int _halfBits;

    /// <param name="length">Number of elements, at least 1.</param>
    /// <param name="key">Equal keys give equal permutations.</param>
    public Permutation(long length, ulong key)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        Length = length;
        _key = SplitMix64.Hash(key, (ulong)length);
        _halfBits = Math.Max(1, (BitOperations.Log2((ulong)length) + 2) / 2);
    }

    public long Length { get; }

    /// <summary>The element at a position; positions and elements are both 0..Length-1.</summary>
    public long this[long position]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((ulong)position, (ulong)Length, nameof(position));
            ulong value = (ulong)position;
            do
            {
                value = Encrypt(value);
            }
            while (value >= (ulong)Length);

            return (long)value;
        }
    }

    private ulong Encrypt(ulong value)
    {
        ulong mask = (1UL << _halfBits) - 1;
        ulong left = value >> _halfBits, right = value & mask;
        for (ulong round = 0; round < Rounds; round++)
        {
            (left, right) = (right, left ^ (SplitMix64.Hash(_key + round, right) & mask));
        }

        return (left << _halfBits) | right;
    }
}
