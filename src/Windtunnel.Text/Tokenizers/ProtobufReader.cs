using System.Buffers.Binary;

namespace Windtunnel.Text.Tokenizers;

/// <summary>Reads the fields of a protocol buffers message, one after the other.</summary>
internal ref struct ProtobufReader(ReadOnlySpan<byte> message)
{
    private ReadOnlySpan<byte> _rest = message;

    /// <summary>The number of the field.</summary>
    public int Field { get; private set; }

    /// <summary>Its value, where it is a number: the bits of a float, a varint otherwise.</summary>
    public ulong Value { get; private set; }

    /// <summary>Its bytes, where it is a text, bytes or a message.</summary>
    public ReadOnlySpan<byte> Bytes { get; private set; }

    private int _wireType;

    /// <summary>Moves to the next field; false at the end.</summary>
    /// <exception cref="InvalidDataException">The message is damaged.</exception>
    public bool Read()
    {
        if (_rest.IsEmpty)
        {
            return false;
        }

        ulong key = Varint();
        (Field, _wireType) = ((int)Math.Min(key >> 3, int.MaxValue), (int)(key & 7));
        Value = 0;
        Bytes = default;
        switch (_wireType)
        {
            case 0:
                Value = Varint();
                break;
            case 1:
                Value = BinaryPrimitives.ReadUInt64LittleEndian(Take(8));
                break;
            case 2:
                Bytes = Take(Varint());
                break;
            case 5:
                Value = BinaryPrimitives.ReadUInt32LittleEndian(Take(4));
                break;
            default:
                throw new InvalidDataException($"field {Field} has the wire type {_wireType}, which is none: the file is damaged");
        }

        return true;
    }

    /// <summary>The value as a whole number.</summary>
    public readonly int Int() => _wireType == 0 ? (int)Value : throw Mismatch();

    /// <summary>The value as a flag.</summary>
    public readonly bool Flag() => Int() != 0;

    /// <summary>The value as a float.</summary>
    public readonly float Float() => _wireType == 5 ? BitConverter.UInt32BitsToSingle((uint)Value) : throw Mismatch();

    /// <summary>The value as a message or text.</summary>
    public readonly ReadOnlySpan<byte> Message() => _wireType == 2 ? Bytes : throw Mismatch();

    private readonly InvalidDataException Mismatch() => new($"field {Field} has the wire type {_wireType}: the file is damaged");

    private ulong Varint()
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            byte next = Take(1)[0];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }

        throw new InvalidDataException("a number has more than ten bytes: the file is damaged");
    }

    private ReadOnlySpan<byte> Take(ulong length)
    {
        if (length > (ulong)_rest.Length)
        {
            throw new InvalidDataException("ends within a field: the file is cut short or damaged");
        }

        ReadOnlySpan<byte> taken = _rest[..(int)length];
        _rest = _rest[(int)length..];
        return taken;
    }
}
