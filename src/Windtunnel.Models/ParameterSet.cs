using System.ComponentModel.DataAnnotations;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Memory;

namespace Windtunnel.Models;

/// <summary>
/// All weights of a model in one flat buffer, ordered by role, and their gradients in a second one of the same layout; so
/// that optimizers, clipping and checkpoints are single passes, and stacked projections are views of their neighbours.
/// </summary>
public sealed class ParameterSet : IDisposable
{
    private const int Alignment = 16;

    private readonly List<Weight> _weights = [];
    private readonly List<Parameter> _parameters = [];
    private readonly HashSet<string> _names = [];
    private DeviceBuffer? _values, _grads;

    /// <summary>Every parameter, in the order of the flat buffers.</summary>
    public IReadOnlyList<Parameter> Parameters => _parameters;

    /// <summary>Elements of the flat buffers, padding included.</summary>
    public long Length { get; private set; }

    /// <summary>Parameters of the model, padding excluded.</summary>
    public long Count => _parameters.Sum(parameter => parameter.Shape.Count);

    /// <summary>All weights as one vector. Padding is zero.</summary>
    public Tensor Values { get; private set; } = null!;

    /// <summary>All gradients as one vector. Padding is zero.</summary>
    public Tensor Grads { get; private set; } = null!;

    /// <summary>Declares a matrix [rows, columns] ~ N(0, standardDeviation^2).</summary>
    public Weight Matrix(
        string name, ParameterRole role, int rows, int columns, float standardDeviation, int parts = 1, int headWidth = 0, ScoreRows scores = default,
        double rateScale = 1) =>
        Declare(new Parameter(name, role, new Shape(rows, columns), parts, headWidth, scores, standardDeviation, 0, rateScale));

    /// <summary>
    /// Declares matrices of equal width that are read as one, [sum of rows, columns]: queries, keys and values. ScoreHeadRows is that
    /// of <see cref="ScoreRows"/>, 0 for neither queries nor keys.
    /// </summary>
    public Weight Stacked(
        ParameterRole role, int columns, float standardDeviation, double rateScale, int headWidth,
        params ReadOnlySpan<(string Name, int Rows, int ScoreHeadRows)> matrices)
    {
        List<Parameter> stack = [];
        foreach ((string name, int rows, int scoreHeadRows) in matrices)
        {
            ScoreRows scores = scoreHeadRows > 0 ? new ScoreRows(rows, scoreHeadRows) : default;
            stack.Add(new Parameter(name, role, new Shape(rows, columns), 1, headWidth, scores, standardDeviation, 0, rateScale));
        }

        return Declare([.. stack]);
    }

    /// <summary>Declares a vector of a constant: a norm's gain (1), a bias (0).</summary>
    public Weight Vector(string name, ParameterRole role, int length, float constant) =>
        Declare(new Parameter(name, role, new Shape(length), 1, 0, default, 0, constant));

    /// <summary>Gives every declared weight its memory. Call once, when all are declared.</summary>
    /// <param name="backend">Where the weights live.</param>
    /// <param name="gradients">False for a model that only samples or evaluates.</param>
    public void Allocate(Backend backend, bool gradients)
    {
        if (_values is not null)
        {
            throw new InvalidOperationException("the weights have their memory already");
        }

        // By role: what one optimizer rule updates lies in one run.
        List<Weight> ordered = [.. _weights.OrderBy(weight => weight.Parameters[0].Role)];
        _parameters.Clear();
        foreach (Weight weight in ordered)
        {
            weight.Offset = Length;
            foreach (Parameter parameter in weight.Parameters)
            {
                parameter.Offset = Length;
                Length += parameter.Shape.Count;
                _parameters.Add(parameter);
            }

            Length = (Length + Alignment - 1) / Alignment * Alignment;
        }

        if (Length > int.MaxValue)
        {
            throw new ValidationException($"model: {Count:N0} parameters are more than the {int.MaxValue:N0} that fit into one buffer");
        }

        Shape flat = new((int)Length);
        _values = backend.Allocate(Length);
        Values = new Tensor(_values, 0, flat);
        backend.Fill(Values, 0);
        if (gradients)
        {
            _grads = backend.Allocate(Length);
            Grads = new Tensor(_grads, 0, flat);
            backend.Fill(Grads, 0);
        }

        foreach (Weight weight in ordered)
        {
            weight.Bind(_values, _grads);
        }
    }

    /// <summary>The parameters that satisfy a condition, each as a group of its own: for rules that look at one tensor at a time.</summary>
    public IReadOnlyList<ParameterGroup> Singles(Func<Parameter, bool> condition) =>
        [.. _parameters.Where(condition).Select(parameter => new ParameterGroup(this, [parameter]))];

    /// <summary>The longest runs of neighbouring parameters that satisfy a condition and share a rate: one fused update each.</summary>
    public IReadOnlyList<ParameterGroup> Groups(Func<Parameter, bool> condition)
    {
        List<ParameterGroup> groups = [];
        List<Parameter> run = [];
        foreach (Parameter parameter in _parameters)
        {
            bool taken = condition(parameter);
            if (run.Count > 0 && !(taken && parameter.RateScale == run[0].RateScale))
            {
                groups.Add(new ParameterGroup(this, run));
                run = [];
            }

            if (taken)
            {
                run.Add(parameter);
            }
        }

        if (run.Count > 0)
        {
            groups.Add(new ParameterGroup(this, run));
        }

        return groups;
    }

    /// <summary>Forgets the gradients' values; the next backward pass overwrites them.</summary>
    public void ClearGrads()
    {
        foreach (Weight weight in _weights)
        {
            weight.Tensor.ClearGrad();
        }
    }

    /// <summary>Zeroes the gradients that no backward op has written since <see cref="ClearGrads"/>.</summary>
    public void ZeroUnusedGrads(Backend backend)
    {
        foreach (Weight weight in _weights)
        {
            if (!weight.Tensor.HasGrad)
            {
                backend.Fill(weight.Tensor.Grad!, 0);
            }
        }
    }

    /// <summary>Draws every weight's initial value; each parameter has its own random stream, so its value depends on nothing but seed and name.</summary>
    public void Initialize(Backend backend, ulong seed)
    {
        const int Block = 1 << 20, Chunk = 1 << 15;
        float[] values = new float[(int)Math.Min(Block, Length)];
        foreach (Parameter parameter in _parameters)
        {
            if (parameter.StandardDeviation == 0)
            {
                backend.Fill(parameter.Value, parameter.Constant);
                continue;
            }

            Philox random = Philox.Named(seed, parameter.Name);
            for (long start = 0; start < parameter.Shape.Count; start += Block)
            {
                int count = (int)Math.Min(Block, parameter.Shape.Count - start);
                Parallel.For(0, (count + Chunk - 1) / Chunk, chunk =>
                {
                    int at = chunk * Chunk;
                    random.FillNormal(values.AsSpan(at, Math.Min(Chunk, count - at)), parameter.StandardDeviation, start + at);
                });
                backend.Write(new Tensor(parameter.Value.Buffer, parameter.Value.Offset + start, new Shape(count)), values.AsSpan(0, count));
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _values?.Free();
        _grads?.Free();
    }

    private Weight Declare(params Parameter[] parameters)
    {
        foreach (Parameter parameter in parameters)
        {
            if (!_names.Add(parameter.Name))
            {
                throw new ArgumentException($"two parameters are named {parameter.Name}");
            }

            _parameters.Add(parameter);
        }

        Weight weight = new(parameters);
        _weights.Add(weight);
        return weight;
    }
}

/// <summary>A tensor that a model reads: one parameter, or several stacked ones.</summary>
public sealed class Weight
{
    internal Weight(Parameter[] parameters) => Parameters = parameters;

    /// <summary>The parameters in it, top to bottom.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>The values, with their gradient attached when training.</summary>
    public Tensor Tensor { get; private set; } = null!;

    internal long Offset { get; set; }

    /// <summary>The values.</summary>
    public static implicit operator Tensor(Weight weight) => weight.Tensor;

    internal void Bind(DeviceBuffer values, DeviceBuffer? grads)
    {
        Shape shape = Parameters.Count == 1
            ? Parameters[0].Shape
            : new Shape(Parameters.Sum(parameter => parameter.Shape.Rows), Parameters[0].Shape.Columns);
        Tensor = new Tensor(values, Offset, shape);
        if (grads is not null)
        {
            Tensor.AttachGrad(new Tensor(grads, Offset, shape));
        }

        foreach (Parameter parameter in Parameters)
        {
            parameter.Value = new Tensor(values, parameter.Offset, parameter.Shape);
            parameter.Grad = grads is null ? null! : new Tensor(grads, parameter.Offset, parameter.Shape);
        }
    }
}
