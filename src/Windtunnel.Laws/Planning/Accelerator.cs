using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Laws.Planning;

/// <summary>The format that matrix products are computed in.</summary>
public enum Precision
{
    /// <summary>bfloat16, sums in fp32.</summary>
    Bf16,

    /// <summary>IEEE half precision, sums in fp32.</summary>
    Fp16,

    /// <summary>IEEE single precision, without the shortened formats that some devices put in its place.</summary>
    Fp32,
}

/// <summary>What a device can do at best, as its vendor says: dense products, without structured sparsity.</summary>
/// <param name="Name">As command lines take it.</param>
/// <param name="Title">As the vendor calls it.</param>
/// <param name="Memory">In bytes.</param>
/// <param name="Bf16">Operations a second; null where it has no such units.</param>
/// <param name="Fp16">Operations a second; null where it has no such units.</param>
/// <param name="Fp32">Operations a second; null where the vendor gives no figure.</param>
public sealed record Accelerator(string Name, string Title, double Memory, double? Bf16, double? Fp16, double? Fp32)
{
    /// <summary>Every device of the table.</summary>
    public static IReadOnlyList<Accelerator> All { get; } =
    [
        // NVIDIA data sheets of each product, most of which print tensor figures with sparsity: half of those.
        Of("t4", "NVIDIA T4", 16, null, 65, 8.1),
        Of("v100", "NVIDIA V100 SXM2 32 GB", 32, null, 125, 15.7),
        Of("a10", "NVIDIA A10", 24, 125, 125, 31.2),
        Of("a100-40gb", "NVIDIA A100 SXM 40 GB", 40, 312, 312, 19.5),
        Of("a100", "NVIDIA A100 SXM 80 GB", 80, 312, 312, 19.5),
        Of("l4", "NVIDIA L4", 24, 121, 121, 30.3),
        Of("l40s", "NVIDIA L40S", 48, 362, 362, 91.6),
        Of("h100-pcie", "NVIDIA H100 PCIe", 80, 756, 756, 51),
        Of("h100", "NVIDIA H100 SXM", 80, 989, 989, 67),
        Of("h200", "NVIDIA H200 SXM", 141, 989, 989, 67),
        Of("b200", "NVIDIA B200 SXM", 180, 2250, 2250, 75),

        // NVIDIA white papers on GA102, Ada and RTX Blackwell: tensor figures with sums in fp32.
        Of("rtx3090", "NVIDIA GeForce RTX 3090", 24, 71, 71, 35.6),
        Of("rtx4090", "NVIDIA GeForce RTX 4090", 24, 165.2, 165.2, 82.6),
        Of("rtx5090", "NVIDIA GeForce RTX 5090", 32, 209.5, 209.5, 104.8),

        // AMD Instinct data sheets; fp32 in matrix units.
        Of("mi250x", "AMD Instinct MI250X", 128, 383, 383, 95.7),
        Of("mi300x", "AMD Instinct MI300X", 192, 1307.4, 1307.4, 163.4),
        Of("mi325x", "AMD Instinct MI325X", 256, 1307.4, 1307.4, 163.4),

        // Google Cloud's pages on each TPU, per chip.
        Of("tpu-v4", "Google TPU v4", 32, 275, null, null),
        Of("tpu-v5e", "Google TPU v5e", 16, 197, null, null),
        Of("tpu-v5p", "Google TPU v5p", 95, 459, null, null),
        Of("tpu-v6e", "Google TPU v6e", 32, 918, null, null),
    ];

    /// <summary>The best format it has for training: bf16, else fp16, else fp32.</summary>
    public Precision Best => Bf16 is not null ? Precision.Bf16 : Fp16 is not null ? Precision.Fp16 : Precision.Fp32;

    /// <summary>Finds a device by name.</summary>
    /// <exception cref="ValidationException">There is none.</exception>
    public static Accelerator Find(string name) => All.FirstOrDefault(each => each.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
        ?? throw new ValidationException($"'{name}' is not an accelerator of the table; there are {string.Join(", ", All.Select(each => each.Name))}");

    /// <summary>Operations a second at best.</summary>
    /// <exception cref="ValidationException">It has no units for that.</exception>
    public double Peak(Precision precision) => precision switch
    {
        Precision.Bf16 => Bf16,
        Precision.Fp16 => Fp16,
        _ => Fp32,
    } ?? throw new ValidationException($"{Title} has no published peak for {precision.ToString().ToLowerInvariant()}; its best is {Best.ToString().ToLowerInvariant()}");

    // Gigabytes and teraflops, as data sheets count.
    private static Accelerator Of(string name, string title, double memory, double? bf16, double? fp16, double? fp32) =>
        new(name, title, memory * 1e9, bf16 * 1e12, fp16 * 1e12, fp32 * 1e12);
}
