using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Backends.Cpu;

namespace Windtunnel.Tensors.Ops;

/// <summary>Rotary position embedding in the rotate-half layout (Su et al. 2021).</summary>
public static class RotaryOp
{
    /// <summary>Turns the queries and keys of rows [H q | G k | G v] of qkv [B, T, ..] by their positions, from <paramref name="start"/> on.</summary>
    /// <param name="tape">The computation.</param>
    /// <param name="qkv">Rows of queries, keys and values.</param>
    /// <param name="table">What <see cref="Angles"/> gave, on the device: [positions, K].</param>
    /// <param name="heads">The layout of a row.</param>
    /// <param name="start">The position of the first row; not zero when sampling with a cache.</param>
    public static Tensor Rotary(this Tape tape, Tensor qkv, Tensor table, HeadLayout heads, int start = 0)
    {
        int length = qkv.Shape[-2];
        if (start + length > table.Shape.Rows)
        {
            throw new ArgumentException($"positions {start} to {start + length} of a table for {table.Shape.Rows}", nameof(start));
        }

        Tensor y = tape.New(qkv.Shape);
        tape.Backend.Rotary(y, qkv, table, heads, length, start, inverse: false, accumulate: false);
        tape.Record(y, () => tape.Backend.Rotary(tape.GradOf(qkv, out bool add), y.Grad!, table, heads, length, start, inverse: true, add));
        return y;
    }

    /// <summary>For each position the K/2 cosines, then the K/2 sines, of position / theta^(2 i / K).</summary>
    public static float[] Angles(int positions, int headWidth, double theta)
    {
        int half = headWidth / 2;
        float[] table = new float[checked(positions * headWidth)];
        double step = Math.Exp(-2 * Math.Log(theta) / headWidth), frequency = 1;
        for (int i = 0; i < half; i++, frequency *= step)
        {
            for (int position = 0; position < positions; position++)
            {
                (double sine, double cosine) = VectorMath.SinCosTurns(position * frequency / (2 * Math.PI));
                table[(position * headWidth) + i] = (float)cosine;
                table[(position * headWidth) + half + i] = (float)sine;
            }
        }

        return table;
    }
}
