namespace Windtunnel.Laws.Planning;

/// <summary>
/// An estimate of the memory of one accelerator in data-parallel training with AdamW, in bytes. In mixed precision a parameter takes 16: 2 of weights, 2 of
/// gradients, and 12 for a master copy and two moments in fp32 (Rajbhandari et al. 2020); in fp32 it takes 4, 4 and 8. Activations take 34 bytes
/// for each token, unit of width and layer in 16 bits, twice that in fp32 (Korthikanti et al. 2023, equation 1, without the attention matrix, which
/// fused kernels do not keep), and logits 6 or 8 for each token and vocabulary entry.
/// </summary>
/// <param name="Sharded">Whether weights, gradients and optimizer state are spread over all accelerators, because one cannot hold them.</param>
/// <param name="MicroBatch">Sequences at a time on one accelerator.</param>
/// <param name="Fits">Whether it does; where not, this is what a single sequence would take.</param>
public sealed record TrainingMemory(double Weights, double Gradients, double Optimizer, double Activations, bool Sharded, int MicroBatch, bool Fits)
{
    // The rest is for buffers, communication and fragmentation.
    private const double Usable = 0.9;

    /// <summary>All of it.</summary>
    public double Total => Weights + Gradients + Optimizer + Activations;

    /// <summary>Chooses the largest micro-batch that fits, and shards the state where one accelerator cannot hold it.</summary>
    /// <param name="batch">Sequences of an optimizer step on all accelerators.</param>
    public static TrainingMemory Of(ModelShape shape, Cluster cluster, int batch)
    {
        int each = Math.Max(1, batch / cluster.Count);
        TrainingMemory whole = For(shape, cluster.Precision, 1), sharded = whole.Spread(cluster.Count);
        double room = Usable * cluster.Accelerator.Memory;
        TrainingMemory chosen = whole.Total <= room ? whole : sharded;
        int micro = 1;
        while (2 * micro <= each && each % (2 * micro) == 0 && chosen.Total + (((2 * micro) - 1) * chosen.Activations) <= room)
        {
            micro *= 2;
        }

        return chosen with { Activations = micro * chosen.Activations, MicroBatch = micro, Fits = chosen.Total <= room };
    }

    /// <summary>The memory of one accelerator that holds everything, for a micro-batch of so many sequences.</summary>
    public static TrainingMemory For(ModelShape shape, Precision precision, int microBatch)
    {
        double n = shape.Parameters, tokens = (double)microBatch * shape.SequenceLength, inner = 34.0 * shape.Width * shape.Layers;
        return precision == Precision.Fp32
            ? new TrainingMemory(4 * n, 4 * n, 8 * n, tokens * ((2 * inner) + (8.0 * shape.Vocabulary)), false, microBatch, true)
            : new TrainingMemory(2 * n, 2 * n, 12 * n, tokens * (inner + (6.0 * shape.Vocabulary)), false, microBatch, true);
    }

    private TrainingMemory Spread(int count) =>
        this with { Weights = Weights / count, Gradients = Gradients / count, Optimizer = Optimizer / count, Sharded = count > 1 };
}
