using System.Buffers;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Windtunnel.Models.HuggingFace;

/// <summary>A named tensor in a file, row-major.</summary>
/// <param name="Name">Its name there.</param>
/// <param name="Type">Of its elements.</param>
/// <param name="Shape">Sizes of at most 8 axes; none for a scalar.</param>
public record TensorInfo(string Name, SafetensorsType Type, IReadOnlyList<long> Shape)
{
    /// <summary>How many elements.</summary>
    public long Elements => Shape.Aggregate(1L, (product, size) => product * size);

    /// <summary>How many bytes; the file holds as many.</summary>
    public long Bytes => Safetensors.Bytes(Type, Shape) ?? throw new InvalidOperationException($"{Name} is too large");
}

/// <summary>
/// Named tensors in files, whatever their format: safetensors (<see cref="SafetensorsFile"/>), PyTorch (<see cref="PyTorchFile"/>),
/// llama2.c (<see cref="Llama2CFile"/>), or several of the first two (<see cref="ShardedFile"/>). Opening reads what describes them,
/// and checks all of it; the numbers are read one tensor at a time.
/// </summary>
public abstract class TensorFile : IDisposable
{
    private const int ChunkElements = 1 << 16;

    private protected TensorFile(string path) => Path = path;

    /// <summary>The path that it was opened by.</summary>
    public string Path { get; }

    /// <summary>The files that hold the tensors' numbers.</summary>
    public virtual IEnumerable<string> Files => [Path];

    /// <summary>Every tensor.</summary>
    public abstract IReadOnlyList<TensorInfo> Tensors { get; }

    /// <summary>Opens one file by its format: PyTorch's is a zip archive, any other is taken for safetensors.</summary>
    /// <exception cref="InvalidDataException">The file is damaged or of another format.</exception>
    /// <exception cref="IOException">The file is absent or cannot be read.</exception>
    public static TensorFile Open(string path)
    {
        bool isZip;
        using (PositionedFile file = new(path))
        {
            isZip = PyTorchFile.Is(file);
        }

        return isZip ? PyTorchFile.Open(path) : SafetensorsFile.Open(path);
    }

    /// <summary>Whether there is a tensor of this name.</summary>
    public bool Contains(string name) => Find(name) is not null;

    /// <summary>What is known of a tensor.</summary>
    /// <exception cref="InvalidDataException">There is no such tensor.</exception>
    public TensorInfo Info(string name) => Find(name) ?? throw Bad($"has no tensor {name}");

    /// <summary>Reads the bytes of a tensor as they stand.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="destination">As long as <see cref="TensorInfo.Bytes"/>.</param>
    public void ReadBytes(string name, Span<byte> destination)
    {
        TensorInfo info = Info(name);
        CheckLength(info, destination.Length, info.Bytes, nameof(destination));
        Read(info, 0, destination);
    }

    /// <summary>Reads a tensor of F64, F32, F16 or BF16 as float32.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="destination">As long as <see cref="TensorInfo.Elements"/>.</param>
    /// <exception cref="InvalidDataException">The tensor is of another type.</exception>
    public void ReadSingles(string name, Span<float> destination) => ReadNumbers(name, destination);

    /// <summary>Reads a tensor of F64, F32, F16 or BF16 as float64.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="destination">As long as <see cref="TensorInfo.Elements"/>.</param>
    /// <exception cref="InvalidDataException">The tensor is of another type.</exception>
    public void ReadDoubles(string name, Span<double> destination) => ReadNumbers(name, destination);

    /// <inheritdoc/>
    public abstract void Dispose();

    /// <summary>The tensor of a name; null where there is none.</summary>
    internal abstract TensorInfo? Find(string name);

    /// <summary>Reads the bytes of neighbouring elements of a tensor that <see cref="Find"/> gave.</summary>
    internal abstract void Read(TensorInfo info, long first, Span<byte> destination);

    /// <summary>Whether all elements of a tensor have to be read at once.</summary>
    internal virtual bool IsScattered(TensorInfo info) => false;

    /// <summary>An error of one line, whatever the names in the file.</summary>
    internal InvalidDataException Bad(string problem) => new($"{Path}: {(problem.Length > 300 ? problem[..300] + "..." : problem).ReplaceLineEndings(" ")}");

    private void ReadNumbers<T>(string name, Span<T> destination)
        where T : unmanaged, INumberBase<T>
    {
        TensorInfo info = Info(name);
        CheckLength(info, destination.Length, info.Elements, nameof(destination));
        if (info.Type == (typeof(T) == typeof(float) ? SafetensorsType.F32 : SafetensorsType.F64))
        {
            Read(info, 0, MemoryMarshal.AsBytes(destination));
            return;
        }

        if (info.Type is not (SafetensorsType.F16 or SafetensorsType.BF16 or SafetensorsType.F32 or SafetensorsType.F64))
        {
            throw Bad($"tensor {name} is {info.Type}; expected F32, F64, F16 or BF16");
        }

        int size = (int)(info.Bytes / Math.Max(1, info.Elements));
        int most = IsScattered(info) ? destination.Length : ChunkElements;
        byte[] chunk = ArrayPool<byte>.Shared.Rent(Math.Min(most, destination.Length) * size);
        try
        {
            for (int start = 0; start < destination.Length; start += most)
            {
                Span<T> target = destination.Slice(start, Math.Min(most, destination.Length - start));
                Span<byte> bytes = chunk.AsSpan(0, target.Length * size);
                Read(info, start, bytes);
                Convert(info.Type, bytes, target);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }
    }

    private static void Convert<T>(SafetensorsType type, ReadOnlySpan<byte> bytes, Span<T> target)
        where T : unmanaged, INumberBase<T>
    {
        switch (type)
        {
            case SafetensorsType.BF16:
                ReadOnlySpan<ushort> upperHalves = MemoryMarshal.Cast<byte, ushort>(bytes);
                for (int i = 0; i < target.Length; i++)
                {
                    target[i] = T.CreateTruncating(BitConverter.Int32BitsToSingle(upperHalves[i] << 16));
                }

                break;
            case SafetensorsType.F16:
                Each(MemoryMarshal.Cast<byte, Half>(bytes), target);
                break;
            case SafetensorsType.F32:
                Each(MemoryMarshal.Cast<byte, float>(bytes), target);
                break;
            default:
                Each(MemoryMarshal.Cast<byte, double>(bytes), target);
                break;
        }

        static void Each<TStored>(ReadOnlySpan<TStored> stored, Span<T> target)
            where TStored : unmanaged, INumberBase<TStored>
        {
            for (int i = 0; i < target.Length; i++)
            {
                target[i] = T.CreateTruncating(stored[i]);
            }
        }
    }

    private void CheckLength(TensorInfo info, long length, long expected, string parameter)
    {
        if (length != expected)
        {
            throw new ArgumentException($"{Path}: tensor {info.Name} needs {expected}, the destination holds {length}", parameter);
        }
    }
}
