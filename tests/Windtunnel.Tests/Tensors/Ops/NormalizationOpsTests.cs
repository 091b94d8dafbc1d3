using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Ops;
using Windtunnel.Tests.Reference;

namespace Windtunnel.Tests.Tensors.Ops;

public sealed class NormalizationOpsTests
{
    [Theory]
    [InlineData(37)]
    [InlineData(64)]
    [InlineData(5)]
    public void LayerNorm_agrees_with_its_twin(int width) =>
        OpCheck.AgreesWithTwin(
            (tape, x) => tape.LayerNorm(x[0], x[1], x[2], 1e-5f),
            x => Twin.LayerNorm(x[0], x[1], x[2], width, 1e-5f),
            [new Shape(2, 35, width), new Shape(width), new Shape(width)]);

    [Theory]
    [InlineData(37)]
    [InlineData(64)]
    [InlineData(5)]
    public void RmsNorm_agrees_with_its_twin(int width) =>
        OpCheck.AgreesWithTwin(
            (tape, x) => tape.RmsNorm(x[0], x[1], 1e-5f),
            x => Twin.RmsNorm(x[0], x[1], width, 1e-5f),
            [new Shape(2, 35, width), new Shape(width)]);

    [Theory]
    [InlineData(4, 4, 8)]
    [InlineData(4, 2, 12)]
    [InlineData(3, 1, 32)]
    public void HeadNorm_agrees_with_its_twin(int heads, int keyValueHeads, int width) =>
        OpCheck.AgreesWithTwin(
            (tape, x) => tape.HeadNorm(x[0], x[1], x[2], new HeadLayout(heads, keyValueHeads, width), 1e-5f),
            x => Twin.HeadNorm(x[0], x[1], x[2], heads, keyValueHeads, width, 1e-5f),
            [new Shape(2, 35, (heads + (2 * keyValueHeads)) * width), new Shape(width), new Shape(width)]);
}
