namespace Windtunnel.Text;

/// <summary>The SplitMix64 generator (Steele, Lea and Flood, 2014), and its finaliser as a keyed hash.</summary>
internal struct SplitMix64(ulong seed)
{
    private const ulong Increment = 0x9E3779B97F4A7C15;

    private ulong _state = seed;

    public ulong Next() => Finalise(_state += Increment);

    /// <summary>Uniform in [0, 1), with 53 random bits.</summary>
    public double NextDouble() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>A hash of two words; nest it to hash more.</summary>
    public static ulong Hash(ulong key, ulong value) => Finalise(Finalise(key + Increment) ^ value);

    private static ulong Finalise(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
