using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>The tensors of an optimizer: those that checkpoints keep, by name, and working memory.</summary>
/// <param name="backend">Where they are.</param>
public sealed class OptimizerState(Backend backend) : IDisposable
{
    private readonly Stack<IDisposable> _owned = [];
    private readonly List<Tensor> _allocated = [];
    private readonly List<(string Name, Tensor Tensor)> _tensors = [];
    private Tensor? _workspace;

    /// <summary>Where the optimizer works.</summary>
    public Backend Backend { get; } = backend;

    /// <summary>What has to survive between steps.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Tensors => _tensors;

    /// <summary>State of one value a weight, zero at first, saved and restored parameter by parameter as <c>name.parameter</c>.</summary>
    public Tensor New(ParameterGroup group, string name) => New(group.Parameters, group.Offset, group.Values.Shape, name);

    /// <summary>State of one value a weight of the whole model.</summary>
    public Tensor New(ParameterSet parameters, string name) => New(parameters.Parameters, 0, parameters.Values.Shape, name);

    /// <summary>State of any other shape, zero at first: a preconditioner, a mean a row.</summary>
    public Tensor New(Shape shape, string name)
    {
        Tensor tensor = Scratch(shape);
        _tensors.Add((name, tensor));
        return tensor;
    }

    /// <summary>A few numbers that the host keeps, to 48 bits: two singles each hold the upper and the lower half of a double.</summary>
    public HostScalars NewScalars(int count, string name) => new(Backend, New(new Shape(2 * count), name));

    /// <summary>Working memory, zero at first, which no checkpoint keeps.</summary>
    public Tensor Scratch(Shape shape)
    {
        Tensor tensor = new(Backend.Allocate(shape.Count), 0, shape);
        Backend.Fill(tensor, 0);
        _allocated.Add(tensor);
        return tensor;
    }

    /// <summary>Working memory that all directions share, with arbitrary content: it lasts until the next direction asks.</summary>
    public Tensor Workspace(Shape shape)
    {
        if (_workspace is null || _workspace.Shape.Count < shape.Count)
        {
            _workspace?.Buffer.Free();
            _workspace = new Tensor(Backend.Allocate(shape.Count), 0, shape);
        }

        return new Tensor(_workspace.Buffer, 0, shape);
    }

    /// <summary>Something to dispose of with the state.</summary>
    public T Own<T>(T resource)
        where T : IDisposable
    {
        _owned.Push(resource);
        return resource;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        while (_owned.TryPop(out IDisposable? last))
        {
            last.Dispose();
        }

        _workspace?.Buffer.Free();
        foreach (Tensor tensor in _allocated)
        {
            tensor.Buffer.Free();
        }
    }

    private Tensor New(IEnumerable<Parameter> parameters, long offset, Shape shape, string name)
    {
        Tensor tensor = Scratch(shape);
        _tensors.AddRange(parameters.Select(parameter => ($"{name}.{parameter.Name}", new Tensor(tensor.Buffer, parameter.Offset - offset, parameter.Shape))));
        return tensor;
    }
}

/// <summary>Numbers of the host that are saved as a tensor.</summary>
public sealed class HostScalars
{
    private readonly Backend _backend;
    private readonly Tensor _tensor;
    private readonly float[] _halves;

    internal HostScalars(Backend backend, Tensor tensor)
    {
        (_backend, _tensor) = (backend, tensor);
        _halves = new float[tensor.Shape.Count];
    }

    /// <summary>Reads them all: about 48 bits of each.</summary>
    public void Read(Span<double> values)
    {
        _backend.Read(_tensor, _halves);
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (double)_halves[2 * i] + _halves[(2 * i) + 1];
        }
    }

    /// <summary>Writes them all.</summary>
    public void Write(ReadOnlySpan<double> values)
    {
        for (int i = 0; i < values.Length; i++)
        {
            _halves[2 * i] = (float)values[i];
            _halves[(2 * i) + 1] = (float)(values[i] - _halves[2 * i]);
        }

        _backend.Write(_tensor, _halves);
    }
}
