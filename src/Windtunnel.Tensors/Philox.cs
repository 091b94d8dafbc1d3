using System.Runtime.Intrinsics;
using Windtunnel.Tensors.Backends.Cpu;

namespace Windtunnel.Tensors;

/// <summary>
/// Counter-based random numbers, Philox 4x32-10 (Salmon et al. 2011): the n-th value of a stream is a pure function of
/// (seed, stream, n), so nothing has to be saved but a counter, and the order of use does not matter.
/// </summary>
/// <param name="Seed">The run's seed.</param>
/// <param name="Stream">Which of the run's independent streams.</param>
public readonly record struct Philox(ulong Seed, ulong Stream)
{
    private const int Together = 8;

    /// <summary>The stream of a name: weights of a parameter, choices of a component.</summary>
    public static Philox Named(ulong seed, string name)
    {
        // FNV-1a; string.GetHashCode differs from process to process.
        ulong hash = 14695981039346656037;
        foreach (byte b in System.Text.Encoding.UTF8.GetBytes(name))
        {
            hash = (hash ^ b) * 1099511628211;
        }

        return new Philox(seed, hash);
    }

    /// <summary>Four words at a position of the stream.</summary>
    public (uint W0, uint W1, uint W2, uint W3) Block(ulong position)
    {
        (uint c0, uint c1, uint c2, uint c3) = ((uint)position, (uint)(position >> 32), (uint)Stream, (uint)(Stream >> 32));
        (uint k0, uint k1) = ((uint)Seed, (uint)(Seed >> 32));
        for (int round = 0; round < 10; round++)
        {
            ulong p0 = 0xD2511F53UL * c0, p1 = 0xCD9E8D57UL * c2;
            (c0, c1, c2, c3) = ((uint)(p1 >> 32) ^ c1 ^ k0, (uint)p1, (uint)(p0 >> 32) ^ c3 ^ k1, (uint)p0);
            k0 += 0x9E3779B9;
            k1 += 0xBB67AE85;
        }

        return (c0, c1, c2, c3);
    }

    /// <summary>A number in [0, 1) with 53 random bits.</summary>
    public double Uniform(ulong position)
    {
        (uint w0, uint w1, _, _) = Block(position);
        return ((((ulong)w0 << 32) | w1) >> 11) * (1.0 / (1UL << 53));
    }

    /// <summary>Fills with N(0, standardDeviation^2) by Box and Muller (1958); element i depends on nothing but i.</summary>
    public void FillNormal(Span<float> values, float standardDeviation, long start = 0)
    {
        int i = 0;
        while (i < values.Length)
        {
            long at = start + i;
            if (at % 4 == 0 && values.Length - i >= 4 * Together)
            {
                FillTogether(values.Slice(i, 4 * Together), standardDeviation, (ulong)(at / 4));
                i += 4 * Together;
                continue;
            }

            (uint w0, uint w1, uint w2, uint w3) = Block((ulong)(at / 4));
            (double n0, double n1) = Pair(w0, w1);
            (double n2, double n3) = Pair(w2, w3);
            ReadOnlySpan<double> four = [n0, n1, n2, n3];
            for (int lane = (int)(at % 4); lane < 4 && i < values.Length; lane++, i++)
            {
                values[i] = (float)(four[lane] * standardDeviation);
            }
        }
    }

    // The same numbers from eight blocks at once.
    private void FillTogether(Span<float> values, float standardDeviation, ulong position)
    {
        Span<double> uniforms = stackalloc double[2 * Together], turns = stackalloc double[2 * Together];
        for (int i = 0; i < Together; i++)
        {
            (uint w0, uint w1, uint w2, uint w3) = Block(position + (ulong)i);
            (uniforms[i], turns[i]) = ((w0 + 0.5) / 4294967296.0, w1 / 4294967296.0);
            (uniforms[Together + i], turns[Together + i]) = ((w2 + 0.5) / 4294967296.0, w3 / 4294967296.0);
        }

        Span<double> cosines = stackalloc double[Together], sines = stackalloc double[Together];
        for (int pair = 0; pair < 2; pair++)
        {
            Vector512<double> radius = Vector512.Sqrt(-2 * VectorMath.Log(Vector512.Create<double>(uniforms[(pair * Together)..])));
            (Vector512<double> sine, Vector512<double> cosine) = VectorMath.SinCosTurns(Vector512.Create<double>(turns[(pair * Together)..]));
            (radius * cosine * standardDeviation).CopyTo(cosines);
            (radius * sine * standardDeviation).CopyTo(sines);
            for (int i = 0; i < Together; i++)
            {
                (values[(4 * i) + (2 * pair)], values[(4 * i) + (2 * pair) + 1]) = ((float)cosines[i], (float)sines[i]);
            }
        }
    }

    private static (double Cosine, double Sine) Pair(uint a, uint b)
    {
        double radius = Math.Sqrt(-2 * VectorMath.Log((a + 0.5) / 4294967296.0));
        (double sine, double cosine) = VectorMath.SinCosTurns(b / 4294967296.0);
        return (radius * cosine, radius * sine);
    }
}
