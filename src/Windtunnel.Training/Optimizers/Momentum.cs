using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>A direction from one momentum: <see cref="Backend.Momentum"/>.</summary>
internal sealed class MomentumDirection(OptimizerState state, ParameterGroup group, MomentumStep numbers, string name) : Direction
{
    private readonly Tensor _momentum = state.New(group, $"{name}.momentum");

    public override void Write(Tensor y, in Destination to, in DirectionStep step) =>
        state.Backend.Momentum(y, group.Grads, _momentum, to, numbers);
}
