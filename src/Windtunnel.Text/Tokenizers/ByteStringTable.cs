using System.Buffers.Binary;
using System.Numerics;
using System.Security.Cryptography;

namespace Windtunnel.Text.Tokenizers;

/// <summary>Numbers distinct byte strings 0, 1, 2, ... in order of arrival: a hash table that owns copies of its keys.</summary>
internal sealed class ByteStringTable
{
    // Random for each process, so that no text can be made to collide; results never depend on the hash.
    private static readonly ulong s_seed = BinaryPrimitives.ReadUInt64LittleEndian(RandomNumberGenerator.GetBytes(8)) | 1;

    private int[] _slots = new int[1024]; // index + 1; 0: free
    private (int Start, int Length, uint Hash)[] _keys = new (int, int, uint)[512];
    private byte[] _bytes = new byte[4096];
    private int _bytesUsed;

    public int Count { get; private set; }

    public ReadOnlySpan<byte> this[int index] => _bytes.AsSpan(_keys[index].Start, _keys[index].Length);

    public int GetOrAdd(ReadOnlySpan<byte> key, out bool added)
    {
        uint hash = Hash(key);
        int slot = (int)(hash & (uint)(_slots.Length - 1));
        for (; _slots[slot] != 0; slot = (slot + 1) & (_slots.Length - 1))
        {
            int found = _slots[slot] - 1;
            if (_keys[found].Hash == hash && this[found].SequenceEqual(key))
            {
                added = false;
                return found;
            }
        }

        added = true;
        if (Count == _keys.Length)
        {
            Grow();
            slot = FreeSlot(hash);
        }

        if (_bytesUsed + key.Length > _bytes.Length)
        {
            Array.Resize(ref _bytes, Math.Max(checked(_bytesUsed + key.Length), (int)Math.Min(2L * _bytes.Length, Array.MaxLength)));
        }

        key.CopyTo(_bytes.AsSpan(_bytesUsed));
        _keys[Count] = (_bytesUsed, key.Length, hash);
        _bytesUsed += key.Length;
        _slots[slot] = Count + 1;
        return Count++;
    }

    public void Clear()
    {
        Array.Clear(_slots);
        _bytesUsed = 0;
        Count = 0;
    }

    private void Grow()
    {
        Array.Resize(ref _keys, 2 * _keys.Length);
        _slots = new int[2 * _slots.Length];
        for (int i = 0; i < Count; i++)
        {
            _slots[FreeSlot(_keys[i].Hash)] = i + 1;
        }
    }

    private int FreeSlot(uint hash)
    {
        int slot = (int)(hash & (uint)(_slots.Length - 1));
        while (_slots[slot] != 0)
        {
            slot = (slot + 1) & (_slots.Length - 1);
        }

        return slot;
    }

    private static uint Hash(ReadOnlySpan<byte> key)
    {
        ulong hash = s_seed ^ (uint)key.Length;
        for (; key.Length >= 8; key = key[8..])
        {
            hash = Mix(hash ^ BinaryPrimitives.ReadUInt64LittleEndian(key));
        }

        ulong tail = 0;
        foreach (byte b in key)
        {
            tail = (tail << 8) | b;
        }

        return (uint)(Mix(hash ^ tail) >> 32);
    }

    private static ulong Mix(ulong hash) => BitOperations.RotateLeft(hash * 0x9E3779B97F4A7C15, 31) * s_seed;
}
