using Windtunnel.Laws.Planning;

namespace Windtunnel.Tests.Laws.Planning;

public sealed class TrainingMemoryTests
{
    private static readonly ModelShape s_billion = new("1b", 1_000_000_000, 900_000_000, 6e9, 20, 2000, 32_000, 2048);

    [Theory]
    [InlineData(Precision.Bf16)]
    [InlineData(Precision.Fp16)]
    [InlineData(Precision.Fp32)]
    public void A_parameter_takes_sixteen_bytes(Precision precision)
    {
        TrainingMemory memory = TrainingMemory.For(s_billion, precision, 1);

        Assert.Equal(16e9, memory.Weights + memory.Gradients + memory.Optimizer);
    }

    [Fact]
    public void Activations_follow_the_stated_formula()
    {
        Assert.Equal(3 * 2048 * ((34.0 * 2000 * 20) + (6.0 * 32_000)), TrainingMemory.For(s_billion, Precision.Bf16, 3).Activations);
    }

    [Fact]
    public void The_micro_batch_is_the_largest_that_fits_and_divides_the_batch()
    {
        Cluster cluster = new(Accelerator.Find("a100"), Precision.Bf16, Count: 4);

        TrainingMemory memory = TrainingMemory.Of(s_billion, cluster, batch: 4 * 48);

        Assert.Equal(16, memory.MicroBatch);
        Assert.True(memory.Fits && !memory.Sharded);
        Assert.True(memory.Total + memory.Activations > 0.9 * 80e9 || 48 % 32 != 0);
    }

    [Fact]
    public void State_that_is_too_large_for_one_is_spread_and_what_still_does_not_fit_says_so()
    {
        ModelShape large = s_billion with { Parameters = 7_000_000_000 };
        TrainingMemory spread = TrainingMemory.Of(large, new Cluster(Accelerator.Find("a100"), Precision.Bf16, Count: 8), 64);

        Assert.True(spread.Sharded && spread.Fits);
        Assert.Equal(16.0 * 7e9 / 8, spread.Weights + spread.Gradients + spread.Optimizer, 1e-3);
        Assert.False(TrainingMemory.Of(large, new Cluster(Accelerator.Find("t4"), Precision.Fp16), 64).Fits);
    }
}
