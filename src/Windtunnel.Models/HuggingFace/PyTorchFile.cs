using System.Text;

namespace Windtunnel.Models.HuggingFace;

/// <summary>
/// A state dictionary that torch.save wrote (pytorch_model.bin, .pt): a zip archive of a pickle, which <see cref="PickleReader"/> reads
/// and nothing executes, and of the elements of each storage. Views of a storage, transposed ones too, are read as the tensors they are.
/// </summary>
public sealed class PyTorchFile : TensorFile
{
    private const string Pickle = "/data.pkl";
    private const int WindowBytes = 1 << 18;

    private readonly PositionedFile _file;
    private readonly Dictionary<string, PickledTensor> _tensors = [];
    private readonly Dictionary<string, long> _beginOfStorage = [];

    private PyTorchFile(PositionedFile file)
        : base(file.Path)
    {
        _file = file;
        if (!Is(file))
        {
            throw Bad("is no zip archive; torch has written one since version 1.6: save it again with a newer torch");
        }

        ZipDirectory zip = new(file);
        string[] pickles = [.. zip.Names.Where(name => name.EndsWith(Pickle, StringComparison.Ordinal))];
        string root = pickles.Length == 1 ? pickles[0][..^Pickle.Length] : throw Bad($"holds {pickles.Length} entries {Pickle[1..]} instead of one");
        if (zip.Find($"{root}/byteorder") is not null && Encoding.ASCII.GetString(Entry(zip, $"{root}/byteorder", 16)) != "little")
        {
            throw Bad("its numbers are not little-endian");
        }

        foreach (PickledTensor tensor in new PickleReader(Path, Entry(zip, pickles[0], PickleReader.MaxBytes)).ReadTensors())
        {
            Check(tensor, zip, $"{root}/data/{tensor.Storage.Key}");
            if (!_tensors.TryAdd(tensor.Name, tensor))
            {
                throw Bad($"{tensor.Name} appears twice");
            }
        }

        Tensors = [.. _tensors.Values];
    }

    /// <inheritdoc/>
    public override IReadOnlyList<TensorInfo> Tensors { get; }

    /// <exception cref="InvalidDataException">The file is damaged, or its pickle holds more than dictionaries of tensors; the message names what.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    public static new PyTorchFile Open(string path) => PositionedFile.Open(path, file => new PyTorchFile(file));

    /// <inheritdoc/>
    public override void Dispose() => _file.Dispose();

    /// <summary>Whether a file is a zip archive.</summary>
    internal static bool Is(PositionedFile file)
    {
        Span<byte> start = stackalloc byte[4];
        if (file.Length < start.Length)
        {
            return false;
        }

        file.Read(0, start);
        return start.SequenceEqual("PK\x03\x04"u8);
    }

    internal override TensorInfo? Find(string name) => _tensors.GetValueOrDefault(name);

    internal override bool IsScattered(TensorInfo info)
    {
        PickledTensor tensor = (PickledTensor)info;
        long dense = 1;
        for (int axis = tensor.Shape.Count - 1; axis >= 0; axis--)
        {
            if (tensor.Shape[axis] > 1 && tensor.Strides[axis] != dense)
            {
                return true;
            }

            dense *= tensor.Shape[axis];
        }

        return false;
    }

    internal override void Read(TensorInfo info, long first, Span<byte> destination)
    {
        PickledTensor tensor = (PickledTensor)info;
        if (destination.IsEmpty)
        {
            return;
        }

        int size = SizeOf(tensor.Type);
        long begin = _beginOfStorage[tensor.Storage.Key] + ((tensor.Offset + first) * size);
        if (IsScattered(info))
        {
            Gather(tensor, size, begin, destination);
        }
        else
        {
            _file.Read(begin, destination);
        }
    }

    /// <summary>Reads the elements in the order in which they lie in the file, so that each part of it is read once.</summary>
    private void Gather(PickledTensor tensor, int size, long begin, Span<byte> destination)
    {
        int rank = tensor.Shape.Count;
        long[] dense = new long[rank];
        long elements = 1;
        for (int axis = rank - 1; axis >= 0; axis--)
        {
            (dense[axis], elements) = (elements, elements * tensor.Shape[axis]);
        }

        int[] axes = [.. Enumerable.Range(0, rank).OrderBy(axis => tensor.Strides[axis])];
        long[] index = new long[rank];
        byte[] window = new byte[WindowBytes];
        long windowBegin = 0, windowEnd = 0, from = 0, to = 0;
        while (true)
        {
            long at = begin + (from * size);
            if (at < windowBegin || at + size > windowEnd)
            {
                (windowBegin, windowEnd) = (at, Math.Min(at + WindowBytes, _file.Length));
                _file.Read(at, window.AsSpan(0, (int)(windowEnd - windowBegin)));
            }

            window.AsSpan((int)(at - windowBegin), size).CopyTo(destination[(int)(to * size)..]);
            int next = 0;
            while (next < rank && ++index[axes[next]] == tensor.Shape[axes[next]])
            {
                int axis = axes[next++];
                index[axis] = 0;
                from -= (tensor.Shape[axis] - 1) * tensor.Strides[axis];
                to -= (tensor.Shape[axis] - 1) * dense[axis];
            }

            if (next == rank)
            {
                return;
            }

            from += tensor.Strides[axes[next]];
            to += dense[axes[next]];
        }
    }

    private void Check(PickledTensor tensor, ZipDirectory zip, string entry)
    {
        PickledStorage storage = tensor.Storage;
        (long begin, long bytes) = zip.Find(entry) ?? throw Bad($"{tensor.Name}: there is no entry {entry}");
        if (storage.Elements < 0 || storage.Elements > bytes / SizeOf(storage.Type))
        {
            throw Bad($"{tensor.Name}: its storage claims {storage.Elements} elements of {storage.Type}, entry {entry} has {bytes} bytes");
        }

        if (tensor.Strides.Count != tensor.Shape.Count || Safetensors.Bytes(tensor.Type, tensor.Shape) is not { } shown)
        {
            throw Bad($"{tensor.Name}: its shape and strides do not fit together");
        }

        if (shown > 0)
        {
            CheckReach(tensor);
        }

        _beginOfStorage[storage.Key] = begin;
    }

    /// <summary>From the shortest stride to the longest, each has to step over what the shorter ones reach: no element is shown twice.</summary>
    private void CheckReach(PickledTensor tensor)
    {
        long reach = 0, elements = tensor.Storage.Elements;
        foreach ((long length, long stride) in tensor.Shape.Zip(tensor.Strides).Where(axis => axis.First > 1).OrderBy(axis => axis.Second))
        {
            if (stride <= reach || length - 1 > (elements - reach) / stride)
            {
                throw Bad($"{tensor.Name}: strides [{string.Join(", ", tensor.Strides)}] show elements twice or leave the storage; save a contiguous copy");
            }

            reach += (length - 1) * stride;
        }

        if (tensor.Offset < 0 || tensor.Offset >= elements - reach)
        {
            throw Bad($"{tensor.Name}: reaches element {reach} after {tensor.Offset} of {elements}");
        }
    }

    private byte[] Entry(ZipDirectory zip, string name, int most)
    {
        (long begin, long bytes) = zip.Find(name)!.Value;
        byte[] content = bytes <= most ? new byte[bytes] : throw Bad($"entry {name} has {bytes} bytes, of at most {most}");
        _file.Read(begin, content);
        return content;
    }

    private static int SizeOf(SafetensorsType type) => (int)(Safetensors.Bytes(type, [])!.Value);
}
