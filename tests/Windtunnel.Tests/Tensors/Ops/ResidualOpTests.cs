using Windtunnel.Tensors;
using Windtunnel.Tensors.Ops;
using Windtunnel.Tests.Reference;

namespace Windtunnel.Tests.Tensors.Ops;

public sealed class ResidualOpTests
{
    [Theory]
    [InlineData(1f)]
    [InlineData(0.25f)]
    public void Residual_agrees_with_its_twin(float scale) =>
        OpCheck.AgreesWithTwin(
            (tape, x) => tape.Residual(x[0], x[1], scale),
            x => Twin.AddScaled(x[0], x[1], scale),
            [new Shape(2, 260, 37), new Shape(2, 260, 37)]);

    [Fact]
    public void A_tensor_that_is_its_own_branch_gets_both_gradients() =>
        OpCheck.AgreesWithTwin(
            (tape, x) => tape.Residual(x[0], x[0], 0.25f), x => Twin.AddScaled(x[0], x[0], 0.25), [new Shape(3, 37)]);
}
