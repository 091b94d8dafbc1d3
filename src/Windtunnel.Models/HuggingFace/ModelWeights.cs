using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Models.HuggingFace;

/// <summary>A model's weights, and tensors like them, from files and to safetensors, with Hugging Face's names and layouts.</summary>
public static class ModelWeights
{
    private const int ChunkElements = 1 << 20;

    /// <summary>Writes parameters of a model.</summary>
    /// <param name="stream">Where to.</param>
    /// <param name="model">The model.</param>
    /// <param name="values">Other values of the same layout, such as a moving average; the model's own when null.</param>
    /// <param name="type">F32, or F16 or BF16, to which they are rounded.</param>
    /// <param name="parameters">Which; all when null.</param>
    public static void Write(
        Stream stream, Model model, Tensor? values = null, SafetensorsType type = SafetensorsType.F32, IEnumerable<Parameter>? parameters = null)
    {
        values ??= model.Parameters.Values;
        Dictionary<string, Parameter> byName = (parameters ?? model.Parameters.Parameters).ToDictionary(parameter => parameter.Name);
        SafetensorsWriter.Write(
            stream,
            byName.Values.Select(parameter => new TensorInfo(parameter.Name, type, StoredShape(model, parameter))),
            (tensor, data) =>
            {
                Parameter parameter = byName[tensor.Name];
                Tensor source = new(values.Buffer, values.Offset + parameter.Offset, parameter.Shape);
                if (model.IsStoredTransposed(parameter))
                {
                    float[] matrix = new float[source.Shape.Count];
                    model.Backend.Read(source, matrix);
                    SafetensorsWriter.WriteSingles(data, Transpose(matrix, source.Shape.Rows, source.Shape.Columns), type);
                }
                else
                {
                    Write(data, model.Backend, source, type);
                }
            },
            new Dictionary<string, string> { ["format"] = "pt" });
    }

    /// <summary>A model with the weights of a file.</summary>
    /// <param name="file">Where they are, by the model's names.</param>
    /// <param name="options">The model, resolved.</param>
    /// <param name="backend">Where it is to live.</param>
    /// <param name="gradients">True for a model that is to be trained.</param>
    /// <param name="isLinear">As <see cref="Read(TensorFile, Model, Tensor?, bool)"/> takes it.</param>
    /// <exception cref="InvalidDataException">A parameter is missing or has another shape.</exception>
    public static Model Load(TensorFile file, ModelOptions options, Backend backend, bool gradients = false, bool isLinear = false)
    {
        Model model = options.Build(backend, gradients);
        try
        {
            Read(file, model, isLinear: isLinear);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Fills every parameter of a model, or other values of the same layout.</summary>
    /// <param name="file">Where they are, by the model's names.</param>
    /// <param name="model">The model.</param>
    /// <param name="values">Other values of the same layout; the model's own when null.</param>
    /// <param name="isLinear">Whether all matrices are [out, in], also those that Hugging Face stores as [in, out].</param>
    /// <exception cref="InvalidDataException">A parameter is missing or has another shape.</exception>
    public static void Read(TensorFile file, Model model, Tensor? values = null, bool isLinear = false)
    {
        values ??= model.Parameters.Values;
        foreach (Parameter parameter in model.Parameters.Parameters)
        {
            Tensor destination = new(values.Buffer, values.Offset + parameter.Offset, parameter.Shape);
            bool isTransposed = model.IsStoredTransposed(parameter) && !isLinear;
            Read(file, parameter.Name, model.Backend, destination, StoredShape(model, parameter, isLinear), isTransposed);
        }
    }

    /// <summary>Writes named tensors as they are: optimizer state.</summary>
    public static void Write(Stream stream, Backend backend, IEnumerable<(string Name, Tensor Tensor)> tensors)
    {
        Dictionary<string, Tensor> byName = tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.Tensor);
        SafetensorsWriter.Write(
            stream, byName.Select(pair => new TensorInfo(pair.Key, SafetensorsType.F32, Sizes(pair.Value.Shape))),
            (tensor, data) => Write(data, backend, byName[tensor.Name], SafetensorsType.F32));
    }

    /// <summary>Fills named tensors that <see cref="Write(Stream, Backend, IEnumerable{ValueTuple{string, Tensor}})"/> wrote.</summary>
    /// <exception cref="InvalidDataException">A tensor is missing or has another shape.</exception>
    public static void Read(TensorFile file, Backend backend, IEnumerable<(string Name, Tensor Tensor)> tensors)
    {
        foreach ((string name, Tensor tensor) in tensors)
        {
            Read(file, name, backend, tensor, Sizes(tensor.Shape), isTransposed: false);
        }
    }

    private static void Write(Stream stream, Backend backend, Tensor source, SafetensorsType type)
    {
        int rowsAChunk = Math.Max(1, ChunkElements / source.Shape.Columns);
        float[] chunk = new float[(long)Math.Min(rowsAChunk, source.Shape.Rows) * source.Shape.Columns];
        for (int row = 0; row < source.Shape.Rows; row += rowsAChunk)
        {
            Tensor rows = source.SliceRows(row, Math.Min(rowsAChunk, source.Shape.Rows - row));
            Span<float> values = chunk.AsSpan(0, (int)rows.Shape.Count);
            backend.Read(rows, values);
            SafetensorsWriter.WriteSingles(stream, values, type);
        }
    }

    /// <summary>Throws unless a tensor has the shape that a model needs.</summary>
    internal static void CheckShape(TensorFile file, string name, long[] shape)
    {
        TensorInfo info = file.Info(name);
        if (!info.Shape.SequenceEqual(shape))
        {
            throw file.Bad($"{info.Name} has shape [{string.Join(", ", info.Shape)}]; the model needs [{string.Join(", ", shape)}]");
        }
    }

    /// <summary>The shape of a parameter in a file.</summary>
    internal static long[] StoredShape(Model model, Parameter parameter, bool isLinear = false) =>
        model.IsStoredTransposed(parameter) && !isLinear ? [parameter.Shape.Columns, parameter.Shape.Rows] : Sizes(parameter.Shape);

    private static void Read(TensorFile file, string name, Backend backend, Tensor destination, long[] shape, bool isTransposed) =>
        backend.Write(destination, ReadValues(file, name, shape, isTransposed));

    /// <summary>The values of one tensor.</summary>
    /// <param name="shape">What it has to have in the file.</param>
    /// <param name="isTransposed">Whether the matrix that is wanted is the transpose.</param>
    internal static float[] ReadValues(TensorFile file, string name, long[] shape, bool isTransposed)
    {
        CheckShape(file, name, shape);
        float[] values = new float[shape.Aggregate(1L, (count, size) => count * size)];
        file.ReadSingles(name, values);
        return isTransposed ? Transpose(values, (int)shape[0], (int)shape[1]) : values;
    }

    private static long[] Sizes(Shape shape) => [.. Enumerable.Range(0, shape.Rank).Select(axis => (long)shape[axis])];

    private static float[] Transpose(float[] matrix, int rows, int columns)
    {
        float[] transposed = new float[matrix.Length];
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                transposed[(j * rows) + i] = matrix[(i * columns) + j];
            }
        }

        return transposed;
    }
}
