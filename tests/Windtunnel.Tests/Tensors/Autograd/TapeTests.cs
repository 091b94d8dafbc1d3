using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tensors.Ops;

namespace Windtunnel.Tests.Tensors.Autograd;

public sealed class TapeTests
{
    [Fact]
    public void The_gradient_of_a_tensor_with_three_consumers_is_the_sum_of_all_paths()
    {
        using CpuBackend backend = new(1);
        using Tape tape = new(backend);
        Tensor x = OpCheck.Upload(tape, new Shape(2), [3.0, -1]);

        // y = (x + 2 x) + 4 (x + 2 x)
        Tensor sum = tape.Residual(x, x, 2);
        Tensor y = tape.Residual(sum, sum, 4);
        tape.Backward(y, OpCheck.Upload(tape, new Shape(2), [1.0, 10]));

        Assert.Equal([45f, -15f], OpCheck.Read(y, backend));
        Assert.Equal([15f, 150f], OpCheck.Read(x.Grad!, backend));
    }

    [Fact]
    public void An_output_that_the_root_does_not_depend_on_gets_no_gradient()
    {
        using CpuBackend backend = new(1);
        using Tape tape = new(backend);
        Tensor x = OpCheck.Upload(tape, new Shape(1), [1.0]), unused = OpCheck.Upload(tape, new Shape(1), [2.0]);

        _ = tape.Gelu(unused);
        Tensor y = tape.Residual(x, x);
        tape.Backward(y, OpCheck.Upload(tape, new Shape(1), [1.0]));

        Assert.Null(unused.Grad);
        Assert.Equal([2f], OpCheck.Read(x.Grad!, backend));
    }

    [Fact]
    public void Attached_gradients_are_overwritten_after_ClearGrad_and_added_to_without_it()
    {
        using CpuBackend backend = new(1);
        using Tape tape = new(backend), keeper = new(backend);
        Tensor x = OpCheck.Upload(keeper, new Shape(1), [1.0]), grad = OpCheck.Upload(keeper, new Shape(1), [double.NaN]);
        x.AttachGrad(grad);

        Assert.Equal(3, Step());
        Assert.Equal(6, Step());
        x.ClearGrad();
        Assert.Equal(3, Step());

        float Step()
        {
            tape.Reset();
            Tensor y = tape.Residual(x, x, 2);
            tape.Backward(y, OpCheck.Upload(tape, new Shape(1), [1.0]));
            return OpCheck.Read(grad, backend)[0];
        }
    }

    [Fact]
    public void The_values_of_the_root_can_be_read_after_the_backward_pass()
    {
        using CpuBackend backend = new(1);
        using Tape tape = new(backend);
        Tensor x = OpCheck.Upload(tape, new Shape(1, 64), OpCheck.Normal(1, 64)), gain = OpCheck.Upload(tape, new Shape(64), OpCheck.Normal(2, 64));

        Tensor y = tape.RmsNorm(tape.RmsNorm(x, gain, 1e-5f), gain, 1e-5f);
        float[] before = OpCheck.Read(y, backend);
        tape.Backward(y, OpCheck.Upload(tape, new Shape(1, 64), OpCheck.Normal(3, 64)));

        Assert.Equal(before, OpCheck.Read(y, backend));
    }

    [Fact]
    public void A_tape_that_does_not_record_has_nothing_to_go_back_over()
    {
        using CpuBackend backend = new(1);
        using Tape tape = new(backend, recording: false);
        Tensor x = OpCheck.Upload(tape, new Shape(1), [1.0]);

        Tensor y = tape.Gelu(x);
        tape.Backward(y, OpCheck.Upload(tape, new Shape(1), [1.0]));

        Assert.Null(x.Grad);
    }

    [Fact]
    public void Disposing_the_tape_frees_its_memory()
    {
        using CpuBackend backend = new(1);
        Tape tape = new(backend);
        Tensor x = OpCheck.Upload(tape, new Shape(3, 5), OpCheck.Normal(1, 15));
        Tensor y = tape.Gelu(tape.Gelu(x));
        tape.Backward(y, tape.New(y.Shape));
        _ = tape.Gelu(x);
        Assert.True(backend.Ledger.LiveBuffers > 0);

        tape.Dispose();

        Assert.Equal((0, 0), (backend.Ledger.LiveBuffers, backend.Ledger.LiveBytes));
        Assert.True(backend.Ledger.PeakBytes >= 3 * 15 * sizeof(float));
    }
}
