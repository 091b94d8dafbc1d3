using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tensors.Ops;
using Windtunnel.Tests.Reference;

namespace Windtunnel.Tests.Tensors.Ops;

public sealed class ActivationOpsTests
{
    [Fact]
    public void Gelu_agrees_with_its_twin() =>
        OpCheck.AgreesWithTwin((tape, x) => tape.Gelu(x[0]), x => Twin.Gelu(x[0]), [new Shape(3, 41, 37)], deviation: 2);

    [Fact]
    public void Gelu_agrees_with_its_twin_across_several_items_of_work() =>
        OpCheck.AgreesWithTwin((tape, x) => tape.Gelu(x[0]), x => Twin.Gelu(x[0]), [new Shape(40_003)]);

    [Fact]
    public void SwiGlu_agrees_with_its_twin() =>
        OpCheck.AgreesWithTwin((tape, x) => tape.SwiGlu(x[0]), x => Twin.SwiGlu(x[0], 37), [new Shape(2, 20, 74)], deviation: 2);

    [Fact]
    public void Activations_of_huge_inputs_and_their_gradients_are_finite()
    {
        using CpuBackend backend = new(1);
        using Tape tape = new(backend);
        double[] extremes = [-1e9, -1e4, -100, -20, 0, 20, 100, 1e4, 1e9, 1];
        Tensor x = OpCheck.Upload(tape, new Shape(1, 10), extremes), seed = OpCheck.Upload(tape, new Shape(1, 10), [.. Enumerable.Repeat(1.0, 10)]);

        Tensor y = tape.Gelu(x);
        OpCheck.AssertClose([0, 0, 0, 0, 0, 20, 100, 1e4, 1e9, 0.8411919906], OpCheck.Read(y, backend), 1e-7, "gelu");
        tape.Backward(y, seed);

        OpCheck.AssertClose([0, 0, 0, 0, 0.5, 1, 1, 1, 1, 1.0829640838], OpCheck.Read(x.Grad!, backend), 1e-6, "gradient");
    }
}
