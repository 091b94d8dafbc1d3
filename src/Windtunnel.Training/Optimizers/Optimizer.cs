using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Memory;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// Turns gradients into new weights. A rule reads the roles of the parameters, keeps its state in tensors that it asks for by
/// name (so that checkpoints need to know nothing of the rule), and updates whole groups at a time.
/// </summary>
public abstract class Optimizer(ParameterSet parameters, Backend backend) : IDisposable
{
    private readonly List<Tensor> _owned = [];
    private readonly List<(string Name, Tensor Tensor)> _state = [];

    /// <summary>What is trained.</summary>
    protected ParameterSet Parameters { get; } = parameters;

    /// <summary>Where it is trained.</summary>
    protected Backend Backend { get; } = backend;

    /// <summary>Updates every weight once.</summary>
    public abstract void Step(in OptimizerStep step);

    /// <summary>Everything that has to survive between steps: one tensor for each kind of state and parameter.</summary>
    public virtual IEnumerable<(string Name, Tensor Tensor)> State => _state;

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the state.</summary>
    protected virtual void Dispose(bool disposing)
    {
        foreach (Tensor tensor in _owned)
        {
            tensor.Buffer.Free();
        }
    }

    /// <summary>State of one value a weight, zero at first, saved and restored parameter by parameter as <c>name.parameter</c>.</summary>
    protected Tensor NewState(ParameterGroup group, string name)
    {
        Tensor tensor = Allocate(group.Values.Shape);
        _state.AddRange(group.Parameters.Select(parameter =>
            ($"{name}.{parameter.Name}", new Tensor(tensor.Buffer, parameter.Offset - group.Offset, parameter.Shape))));
        return tensor;
    }

    /// <summary>State of any other shape, zero at first: a preconditioner, a mean a row.</summary>
    protected Tensor NewState(Shape shape, string name)
    {
        Tensor tensor = Allocate(shape);
        _state.Add((name, tensor));
        return tensor;
    }

    private Tensor Allocate(Shape shape)
    {
        Tensor tensor = new(Backend.Allocate(shape.Count), 0, shape);
        Backend.Fill(tensor, 0);
        _owned.Add(tensor);
        return tensor;
    }
}

/// <summary>What an optimizer is told about a step; gradients and weights are in its <see cref="ParameterSet"/>.</summary>
/// <param name="Number">1 for the first update; steps that were skipped for not being finite don't count.</param>
/// <param name="RateFactor">What the schedule multiplies every learning rate by, 0 to 1.</param>
/// <param name="GradScale">Multiplies every gradient as it is read: below 1 where the global norm was clipped.</param>
public readonly record struct OptimizerStep(long Number, double RateFactor, float GradScale);

/// <summary>What an optimizer is built from.</summary>
/// <param name="LearningRate">The highest rate; the schedule scales it.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(AdamWOptions), "adamw")]
[JsonDerivedType(typeof(MuonOptions), "muon")]
public abstract record OptimizerOptions(double LearningRate)
{
    /// <summary>The optimizer for a model's parameters; its state is zero.</summary>
    public abstract Optimizer Build(ParameterSet parameters, Backend backend);

    /// <summary>Throws unless every hyperparameter makes sense.</summary>
    /// <exception cref="ValidationException">Names the setting, its value and its range.</exception>
    public virtual void Validate() => Require(LearningRate > 0, "learningRate", LearningRate, "positive");

    /// <summary>Throws a one-line error unless <paramref name="holds"/>.</summary>
    protected static void Require(bool holds, string name, double value, string expected)
    {
        if (!holds)
        {
            throw new ValidationException($"optimizer.{name}: {value} must be {expected}");
        }
    }
}
