using Windtunnel.Tensors;
using Windtunnel.Tensors.Ops;
using Windtunnel.Tests.Reference;

namespace Windtunnel.Tests.Tensors.Ops;

public sealed class LinearOpTests
{
    [Theory]
    [InlineData(2, 5, 37, 23)]
    [InlineData(1, 1, 70, 130)]
    [InlineData(1, 40, 1, 1)]
    public void Linear_with_a_bias_agrees_with_its_twin(int batch, int length, int inputs, int outputs) =>
        OpCheck.AgreesWithTwin(
            (tape, x) => tape.Linear(x[0], x[1], x[2]),
            x => Twin.Linear(x[0], x[1], x[2], inputs),
            [new Shape(batch, length, inputs), new Shape(outputs, inputs), new Shape(outputs)]);

    [Fact]
    public void Linear_without_a_bias_agrees_with_its_twin() =>
        OpCheck.AgreesWithTwin(
            (tape, x) => tape.Linear(x[0], x[1]),
            x => Twin.Linear(x[0], x[1], null, 37),
            [new Shape(2, 5, 37), new Shape(23, 37)]);
}
