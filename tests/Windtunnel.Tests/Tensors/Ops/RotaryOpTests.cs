using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tensors.Ops;
using Windtunnel.Tests.Reference;

namespace Windtunnel.Tests.Tensors.Ops;

public sealed class RotaryOpTests
{
    [Theory]
    [InlineData(4, 4, 8, 0)]
    [InlineData(4, 2, 12, 5)]
    [InlineData(2, 1, 64, 3)]
    public void Rotary_agrees_with_its_twin_from_any_start(int heads, int keyValueHeads, int width, int start)
    {
        const int Length = 35;
        float[] angles = RotaryOp.Angles(start + Length, width, 10_000);
        OpCheck.AgreesWithTwin(
            (tape, x) =>
            {
                Tensor table = OpCheck.Upload(tape, new Shape(start + Length, width), Array.ConvertAll(angles, value => (double)value));
                return tape.Rotary(x[0], table, new HeadLayout(heads, keyValueHeads, width), start);
            },
            x => Twin.Rotary(x[0], Length, heads, keyValueHeads, width, 10_000, start),
            [new Shape(2, Length, (heads + (2 * keyValueHeads)) * width)]);
    }

    [Fact]
    public void Angles_are_right_to_the_last_bit_or_two_at_far_positions()
    {
        const int Positions = 8192, Width = 64;
        float[] table = RotaryOp.Angles(Positions, Width, 500_000);

        for (int i = 0; i < Width / 2; i++)
        {
            double angle = (Positions - 1) * Math.Pow(500_000, -2.0 * i / Width);
            Assert.Equal(Math.Cos(angle), table[((Positions - 1) * Width) + i], 6.1e-8);
            Assert.Equal(Math.Sin(angle), table[((Positions - 1) * Width) + (Width / 2) + i], 6.1e-8);
        }
    }

    [Fact]
    public void Positions_beyond_the_table_are_refused()
    {
        using CpuBackend backend = new(1);
        using Tape tape = new(backend);
        Tensor qkv = tape.New(new Shape(1, 3, 24)), table = tape.New(new Shape(4, 8));

        Assert.Throws<ArgumentException>(() => tape.Rotary(qkv, table, new HeadLayout(1, 1, 8), start: 2));
    }
}
