namespace Windtunnel.Models.HuggingFace;

/// <summary>The element types of the safetensors format, by their names in it and in its order, which is that of alignment.</summary>
public enum SafetensorsType
{
    BOOL,
    F4,
    F6_E2M3,
    F6_E3M2,
    U8,
    I8,
    F8_E5M2,
    F8_E4M3,
    F8_E8M0,
    F8_E4M3FNUZ,
    F8_E5M2FNUZ,
    I16,
    U16,
    F16,
    BF16,
    I32,
    U32,
    F32,
    C64,
    F64,
    I64,
    U64,
}

/// <summary>One tensor of a safetensors file; little-endian.</summary>
/// <param name="Begin">The offset of the first byte within the data, which starts after the header.</param>
/// <param name="End">The offset after the last byte.</param>
public sealed record SafetensorsInfo(string Name, SafetensorsType Type, IReadOnlyList<long> Shape, long Begin, long End) : TensorInfo(Name, Type, Shape);

/// <summary>What the format leaves to be known of its types, and the limits we set.</summary>
internal static class Safetensors
{
    public const long MaxHeaderBytes = 100_000_000;
    public const int MaxTensors = 1_000_000;
    public const int MaxRank = 8;
    public const int MaxMetadata = 10_000;
    public const int MaxNameLength = 1_000;
    public const string Metadata = "__metadata__";

    private static readonly Dictionary<string, SafetensorsType> s_types = Enum.GetValues<SafetensorsType>().ToDictionary(type => type.ToString());

    public static bool TryParseType(string? name, out SafetensorsType type) => s_types.TryGetValue(name ?? "", out type);

    /// <summary>The bytes of a tensor; null where they overflow, are no whole number, or the shape is negative or too deep.</summary>
    public static long? Bytes(SafetensorsType type, IReadOnlyList<long> shape)
    {
        // One element is at least half a byte, so a count beyond this cannot be a file either.
        UInt128 bits = Bits(type);
        foreach (long size in shape)
        {
            bits *= (UInt128)Math.Max(size, 0);
            if (size < 0 || bits > long.MaxValue)
            {
                return null;
            }
        }

        return bits % 8 == 0 && shape.Count <= MaxRank ? (long)(bits / 8) : null;
    }

    private static uint Bits(SafetensorsType type) => type switch
    {
        SafetensorsType.F4 => 4,
        SafetensorsType.F6_E2M3 or SafetensorsType.F6_E3M2 => 6,
        <= SafetensorsType.F8_E5M2FNUZ => 8,
        <= SafetensorsType.BF16 => 16,
        <= SafetensorsType.F32 => 32,
        _ => 64,
    };
}
