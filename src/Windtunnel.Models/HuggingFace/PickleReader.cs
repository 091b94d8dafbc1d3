using System.Buffers.Binary;
using System.Text;

namespace Windtunnel.Models.HuggingFace;

/// <summary>
/// Reads the pickle of a state dictionary and executes nothing. It knows the opcodes that build dictionaries, lists, tuples, strings and
/// numbers, and a handful of names: dictionaries and tensors of PyTorch. Anything else is refused by its name.
/// </summary>
/// <remarks>
/// Source: CPython's Lib/pickletools.py; torch/_weights_only_unpickler.py does the same for PyTorch.
/// Time and memory are bounded by the numbers of bytes and of opcodes.
/// </remarks>
internal ref struct PickleReader(string path, ReadOnlySpan<byte> pickle)
{
    public const int MaxBytes = 1 << 24;
    private const int MaxOpcodes = 2_000_000;

    private static readonly Dictionary<string, SafetensorsType> s_storages = new()
    {
        ["torch.FloatStorage"] = SafetensorsType.F32,
        ["torch.DoubleStorage"] = SafetensorsType.F64,
        ["torch.HalfStorage"] = SafetensorsType.F16,
        ["torch.BFloat16Storage"] = SafetensorsType.BF16,
        ["torch.LongStorage"] = SafetensorsType.I64,
        ["torch.IntStorage"] = SafetensorsType.I32,
        ["torch.ShortStorage"] = SafetensorsType.I16,
        ["torch.CharStorage"] = SafetensorsType.I8,
        ["torch.ByteStorage"] = SafetensorsType.U8,
        ["torch.BoolStorage"] = SafetensorsType.BOOL,
    };

    private static readonly HashSet<string> s_known =
        ["collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter", .. s_storages.Keys];

    private readonly ReadOnlySpan<byte> _pickle = pickle;
    private readonly Stack<object?> _stack = [];
    private readonly Stack<int> _marks = [];
    private readonly Dictionary<int, object?> _memo = [];
    private int _at;

    /// <summary>The tensors of the dictionary, or of the one in it, beside an optimizer and other things, that has the most.</summary>
    public List<PickledTensor> ReadTensors()
    {
        Map root = Run() as Map ?? throw Bad("is no dictionary of tensors");
        (Map tensors, int count) = root.Items.Select(item => item.Value).OfType<Map>().Prepend(root).Distinct()
            .Select(map => (map, map.Items.Count(item => item.Value is PickledTensor))).MaxBy(candidate => candidate.Item2);
        if (count == 0)
        {
            throw Bad("holds no dictionary of tensors");
        }

        List<PickledTensor> named = [];
        foreach ((object? key, object? value) in tensors.Items)
        {
            if (value is PickledTensor tensor)
            {
                named.Add(tensor with { Name = key as string ?? throw Bad("a tensor's key is no string") });
            }
        }

        return named;
    }

    private object? Run()
    {
        for (int executed = 0; executed < MaxOpcodes; executed++)
        {
            byte opcode = Take(1)[0];
            switch ((char)opcode)
            {
                case '\x80': // PROTO
                    Take(1);
                    break;
                case '\x95': // FRAME
                    Take(8);
                    break;
                case '}': // EMPTY_DICT
                    _stack.Push(new Map());
                    break;
                case ']': // EMPTY_LIST
                    _stack.Push(new Sequence([]));
                    break;
                case ')': // EMPTY_TUPLE
                    _stack.Push(new Sequence([]));
                    break;
                case '(': // MARK
                    _marks.Push(_stack.Count);
                    break;
                case 'N': // NONE
                    _stack.Push(null);
                    break;
                case '\x88': // NEWTRUE
                    _stack.Push(true);
                    break;
                case '\x89': // NEWFALSE
                    _stack.Push(false);
                    break;
                case 'J': // BININT
                    _stack.Push((long)BinaryPrimitives.ReadInt32LittleEndian(Take(4)));
                    break;
                case 'K': // BININT1
                    _stack.Push((long)Take(1)[0]);
                    break;
                case 'M': // BININT2
                    _stack.Push((long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2)));
                    break;
                case '\x8a': // LONG1
                    _stack.Push(SignedInteger(Take(Take(1)[0])));
                    break;
                case 'G': // BINFLOAT
                    _stack.Push(BinaryPrimitives.ReadDoubleBigEndian(Take(8)));
                    break;
                case 'X': // BINUNICODE
                    _stack.Push(Text(Take(BinaryPrimitives.ReadUInt32LittleEndian(Take(4)))));
                    break;
                case '\x8c': // SHORT_BINUNICODE
                    _stack.Push(Text(Take(Take(1)[0])));
                    break;
                case 'q': // BINPUT
                    _memo[Take(1)[0]] = Peek();
                    break;
                case 'r': // LONG_BINPUT
                    _memo[BinaryPrimitives.ReadInt32LittleEndian(Take(4))] = Peek();
                    break;
                case '\x94': // MEMOIZE
                    _memo[_memo.Count] = Peek();
                    break;
                case 'h': // BINGET
                    _stack.Push(Remembered(Take(1)[0]));
                    break;
                case 'j': // LONG_BINGET
                    _stack.Push(Remembered(BinaryPrimitives.ReadInt32LittleEndian(Take(4))));
                    break;
                case 'c': // GLOBAL
                    _stack.Push(Known($"{Line()}.{Line()}"));
                    break;
                case '\x93': // STACK_GLOBAL
                    (string name, string module) = (Pop<string>(), Pop<string>());
                    _stack.Push(Known($"{module}.{name}"));
                    break;
                case '\x85': // TUPLE1
                    _stack.Push(new Sequence(PopMany(1)));
                    break;
                case '\x86': // TUPLE2
                    _stack.Push(new Sequence(PopMany(2)));
                    break;
                case '\x87': // TUPLE3
                    _stack.Push(new Sequence(PopMany(3)));
                    break;
                case 't': // TUPLE
                    _stack.Push(new Sequence(PopMarked()));
                    break;
                case 'a': // APPEND
                    Append(PopMany(1));
                    break;
                case 'e': // APPENDS
                    Append(PopMarked());
                    break;
                case 's': // SETITEM
                    SetItems(PopMany(2));
                    break;
                case 'u': // SETITEMS
                    SetItems(PopMarked());
                    break;
                case 'Q': // BINPERSID
                    _stack.Push(StorageOf(Pop<Sequence>()));
                    break;
                case 'R': // REDUCE
                    Sequence arguments = Pop<Sequence>();
                    _stack.Push(Call(Pop<Global>().Name, arguments));
                    break;
                case 'b': // BUILD
                    // The versions of its modules, which a state dictionary carries as an attribute, say nothing of the tensors.
                    Pop<Map>();
                    if (Peek() is not Map)
                    {
                        throw Bad("sets the state of an object that is no dictionary");
                    }

                    break;
                case '.': // STOP
                    return Pop<object?>();
                default:
                    throw Bad($"opcode 0x{opcode:x2} at byte {_at - 1} is not allowed");
            }
        }

        throw Bad($"more than {MaxOpcodes} opcodes");
    }

    private readonly object? Call(string name, Sequence arguments) => (name, arguments.Items) switch
    {
        ("collections.OrderedDict", []) => new Map(),
        ("torch._utils._rebuild_tensor_v2", [PickledStorage storage, long offset, Sequence shape, Sequence strides, bool, Map, ..]) =>
            new PickledTensor("", storage.Type, Sizes(shape), storage, offset, Sizes(strides)),
        ("torch._utils._rebuild_parameter", [PickledTensor tensor, bool, Map]) => tensor,
        _ => throw Bad($"calls {name} with arguments that are not allowed"),
    };

    private readonly PickledStorage StorageOf(Sequence reference) =>
        reference.Items is ["storage", Global type, string key, string, long elements] && s_storages.TryGetValue(type.Name, out SafetensorsType known)
            ? new PickledStorage(known, key, elements)
            : throw Bad("refers to something that is no storage of a tensor");

    private readonly long[] Sizes(Sequence sequence)
    {
        if (sequence.Items.Count > Safetensors.MaxRank)
        {
            throw Bad($"a tensor has more than {Safetensors.MaxRank} axes");
        }

        long[] sizes = new long[sequence.Items.Count];
        for (int i = 0; i < sizes.Length; i++)
        {
            sizes[i] = sequence.Items[i] is long size && size >= 0 ? size : throw Bad("a tensor's shape or stride is no list of sizes");
        }

        return sizes;
    }

    private readonly void Append(List<object?> items)
    {
        if (Peek() is not Sequence list)
        {
            throw Bad("appends to something that is no list");
        }

        list.Items.AddRange(items);
    }

    private readonly void SetItems(List<object?> items)
    {
        if (Peek() is not Map map || items.Count % 2 != 0)
        {
            throw Bad("sets items of something that is no dictionary");
        }

        for (int i = 0; i < items.Count; i += 2)
        {
            map.Items.Add((items[i], items[i + 1]));
        }
    }

    private readonly Global Known(string name) => s_known.Contains(name)
        ? new Global(name)
        : throw Bad($"refers to {name}, which is not allowed: only tensors and dictionaries are read; save a state_dict, or safetensors");

    private readonly object? Remembered(int key) => _memo.TryGetValue(key, out object? value) ? value : throw Bad($"has no memo {key}");

    private readonly object? Peek() => _stack.TryPeek(out object? top) ? top : throw Bad("the stack is empty");

    private readonly T Pop<T>() =>
        _stack.Count > Floor && _stack.Pop() is var top && (top is T || (top is null && default(T) is null && typeof(T) == typeof(object)))
            ? (T)top!
            : throw Bad($"a {typeof(T).Name} was expected on the stack");

    private readonly List<object?> PopMany(int count)
    {
        if (_stack.Count - Floor < count)
        {
            throw Bad("the stack is too short");
        }

        List<object?> items = [];
        for (int i = 0; i < count; i++)
        {
            items.Add(_stack.Pop());
        }

        items.Reverse();
        return items;
    }

    private readonly List<object?> PopMarked()
    {
        List<object?> items = _marks.Count > 0 ? PopMany(_stack.Count - Floor) : throw Bad("there is no mark on the stack");
        _marks.Pop();
        return items;
    }

    /// <summary>Below the newest mark nothing is taken.</summary>
    private readonly int Floor => _marks.TryPeek(out int mark) ? mark : 0;

    private string Line()
    {
        int length = _pickle[_at..].IndexOf((byte)'\n');
        string line = Text(Take(length < 0 ? uint.MaxValue : (uint)length));
        Take(1);
        return line;
    }

    private readonly string Text(ReadOnlySpan<byte> utf8) => utf8.Length <= Safetensors.MaxNameLength
        ? Encoding.UTF8.GetString(utf8)
        : throw Bad($"a string is longer than {Safetensors.MaxNameLength} bytes");

    private readonly long SignedInteger(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > sizeof(long))
        {
            throw Bad("an integer is too large");
        }

        long value = bytes.Length > 0 && bytes[^1] >= 0x80 ? -1 : 0;
        for (int i = bytes.Length - 1; i >= 0; i--)
        {
            value = (value << 8) | bytes[i];
        }

        return value;
    }

    private ReadOnlySpan<byte> Take(uint bytes)
    {
        if (bytes > _pickle.Length - _at)
        {
            throw Bad("is cut off");
        }

        _at += (int)bytes;
        return _pickle.Slice(_at - (int)bytes, (int)bytes);
    }

    private readonly InvalidDataException Bad(string problem) => new($"{path}: the pickle in it {(problem.Length > 300 ? problem[..300] + "..." : problem).ReplaceLineEndings(" ")}");

    private sealed record Global(string Name);

    /// <summary>A list or a tuple.</summary>
    private sealed record Sequence(List<object?> Items);

    private sealed class Map
    {
        public List<(object? Key, object? Value)> Items { get; } = [];
    }
}

/// <summary>Elements that tensors of a PyTorch file are views of.</summary>
internal sealed record PickledStorage(SafetensorsType Type, string Key, long Elements);

/// <summary>A tensor of a PyTorch file as its pickle describes it.</summary>
/// <param name="Storage">Whose elements it shows.</param>
/// <param name="Offset">Of its first element there.</param>
/// <param name="Strides">Elements from one index to the next, for each axis.</param>
internal sealed record PickledTensor(
    string Name, SafetensorsType Type, IReadOnlyList<long> Shape, PickledStorage Storage, long Offset, IReadOnlyList<long> Strides)
    : TensorInfo(Name, Type, Shape);
