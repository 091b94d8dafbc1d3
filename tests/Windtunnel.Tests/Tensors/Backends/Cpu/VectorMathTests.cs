using System.Runtime.Intrinsics;
using Windtunnel.Tensors.Backends.Cpu;

namespace Windtunnel.Tests.Tensors.Backends.Cpu;

public sealed class VectorMathTests
{
    [Fact]
    public void Exp_is_within_two_ulp_over_its_range()
    {
        const int Steps = 400_000;
        double worst = 0;
        for (int i = 0; i <= Steps; i++)
        {
            float x = (float)(-87.3 + (i * (88.3 + 87.3) / Steps));
            float exact = (float)Math.Exp(x);
            double ulp = MathF.BitIncrement(exact) - exact;
            worst = Math.Max(worst, Math.Abs(Exp(x) - Math.Exp(x)) / ulp);
        }

        Assert.InRange(worst, 0.5, 2);
    }

    [Fact]
    public void Exp_of_zero_is_one_and_far_arguments_are_clamped()
    {
        Assert.Equal(1, Exp(0));
        Assert.Equal(Exp(88.3f), Exp(float.PositiveInfinity));
        Assert.Equal(Exp(-87.3f), Exp(float.NegativeInfinity));
        Assert.Equal(Exp(-87.3f), Exp(-1e30f));
    }

    [Theory]
    [InlineData(0x7FC00000)]
    [InlineData(0x7FC00001)]
    [InlineData(0x7FFFFFFF)]
    [InlineData(0x7F800001)]
    public void Not_a_number_stays_not_a_number_whatever_its_payload(int bits)
    {
        float value = BitConverter.Int32BitsToSingle(bits), negative = BitConverter.Int32BitsToSingle(bits | int.MinValue);

        Assert.True(float.IsNaN(Exp(value)));
        Assert.True(float.IsNaN(Exp(negative)));
        Assert.True(float.IsNaN(VectorMath.Sigmoid(Vector512.Create(value)).ToScalar()));
        Assert.True(double.IsNaN(VectorMath.Log(value)));
    }

    [Fact]
    public void Log_is_right_to_a_few_units_of_1e16()
    {
        Random random = new(1);
        for (int i = 0; i < 100_000; i++)
        {
            double x = Math.Exp((random.NextDouble() * 200) - 100), exact = Math.Log(x);
            Assert.Equal(exact, VectorMath.Log(x), 1e-15 * Math.Max(1, Math.Abs(exact)));
        }
    }

    [Fact]
    public void Sine_and_cosine_of_turns_are_right_to_1e15()
    {
        for (int i = -4000; i <= 4000; i++)
        {
            double turns = i / 1000.0;
            (double sine, double cosine) = VectorMath.SinCosTurns(turns);
            double angle = 2 * Math.PI * (turns - Math.Floor(turns));
            Assert.Equal(Math.Sin(angle), sine, 2e-15);
            Assert.Equal(Math.Cos(angle), cosine, 2e-15);
        }
    }

    private static float Exp(float x) => VectorMath.Exp(Vector512.Create(x)).ToScalar();
}
