using Windtunnel.Tensors;

namespace Windtunnel.Models;

/// <summary>Neighbouring parameters of a set with one <see cref="Parameter.RateScale"/>, which one pass can update together.</summary>
public sealed class ParameterGroup
{
    internal ParameterGroup(ParameterSet set, IReadOnlyList<Parameter> parameters)
    {
        Parameter last = parameters[^1];
        (Parameters, Offset) = (parameters, parameters[0].Offset);
        Shape shape = new(checked((int)(last.Offset + last.Shape.Count - Offset)));
        Values = new Tensor(set.Values.Buffer, Offset, shape);
        Grads = set.Grads is null ? null! : new Tensor(set.Grads.Buffer, Offset, shape);
    }

    /// <summary>The parameters, in memory order.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>What the learning rate of all of them is multiplied by.</summary>
    public double RateScale => Parameters[0].RateScale;

    /// <summary>Where the group starts in the set's flat buffers, in elements.</summary>
    public long Offset { get; }

    /// <summary>The group's weights as one vector.</summary>
    public Tensor Values { get; }

    /// <summary>The group's gradients as one vector.</summary>
    public Tensor Grads { get; }
}
