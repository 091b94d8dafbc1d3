using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;

namespace Windtunnel.Tests.Tensors;

public sealed class ShapeTests
{
    [Fact]
    public void A_shape_reads_as_a_matrix_of_rows()
    {
        Shape shape = new(2, 3, 5);

        Assert.Equal((3, 30, 6, 5), (shape.Rank, shape.Count, shape.Rows, shape.Columns));
        Assert.Equal((2, 3, 5, 3), (shape[0], shape[1], shape[-1], shape[-2]));
        Assert.Equal(new Shape(2, 3, 7), shape.WithColumns(7));
        Assert.NotEqual(new Shape(6, 5), shape);
        Assert.Equal("[2, 3, 5]", shape.ToString());
        Assert.Throws<ArgumentOutOfRangeException>(() => shape[3]);
        Assert.Throws<ArgumentOutOfRangeException>(() => new Shape(2, 0));
    }

    [Fact]
    public void Slices_and_reshapes_share_memory_and_stay_inside_it()
    {
        using CpuBackend backend = new(1);
        using Tape tape = new(backend);
        Tensor x = OpCheck.Upload(tape, new Shape(3, 2), [1.0, 2, 3, 4, 5, 6]);

        Assert.Equal([3f, 4, 5, 6], OpCheck.Read(x.SliceRows(1, 2), backend));
        backend.Fill(x.SliceRows(1, 1), 9);
        Assert.Equal([1f, 2, 9, 9, 5, 6], OpCheck.Read(x.Reshape(new Shape(6)), backend));
        Assert.Throws<ArgumentOutOfRangeException>(() => x.SliceRows(2, 2));
        Assert.Throws<ArgumentException>(() => x.Reshape(new Shape(5)));
        Assert.Throws<ArgumentException>(() => new Tensor(x.Buffer, x.Buffer.Elements, new Shape(1)));
    }
}
