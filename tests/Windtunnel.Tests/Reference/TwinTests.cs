namespace Windtunnel.Tests.Reference;

public sealed class TwinTests
{
    [Fact]
    public void Matmul_gives_the_product_by_hand_in_each_orientation()
    {
        double[] a = [1, 2, 3, 4, 5, 6], b = [7, 8, 9, 10, 11, 12], product = [58, 64, 139, 154];

        Assert.Equal(product, Twin.MatmulNN(a, b, 2, 2, 3));
        Assert.Equal(product, Twin.MatmulNT(a, [7, 9, 11, 8, 10, 12], 2, 2, 3));
        Assert.Equal(product, Twin.MatmulTN([1, 4, 2, 5, 3, 6], b, 2, 2, 3));
    }

    [Fact]
    public void Rotary_with_an_offset_equals_the_later_rows_of_a_longer_sequence()
    {
        const int heads = 4, kvHeads = 2, headDim = 6, width = (heads + 2 * kvHeads) * headDim;
        double[] qkv = Normal(new Random(1), 5 * width);

        double[] whole = Twin.Rotary(qkv, 5, heads, kvHeads, headDim, 10000);

        Assert.Equal(whole[(3 * width)..], Twin.Rotary(qkv[(3 * width)..], 2, heads, kvHeads, headDim, 10000, offset: 3));
        Assert.Equal(qkv[..width], whole[..width]);
        Assert.NotEqual(qkv[width..(2 * width)], whole[width..(2 * width)]);
    }

    [Fact]
    public void Attention_of_equal_keys_averages_the_values_up_to_each_row_of_its_own_sequence()
    {
        double[] qkv = [0.3, 1, 10, 0.7, 1, 20, -0.2, 1, 60, 0.1, 1, 7, 0.9, 1, 9, 0.4, 1, 2];

        double[] mixed = Twin.Attention(qkv, length: 3, heads: 1, kvHeads: 1, headDim: 1);

        double[] expected = [10, 15, 30, 7, 8, 6];
        Assert.All(expected.Zip(mixed), pair => Assert.Equal(pair.First, pair.Second, 1e-12));
    }

    [Fact]
    public void Cross_entropy_of_zero_hidden_states_is_the_log_of_the_vocabulary_plus_z_loss()
    {
        double uniform = Math.Log(5);

        double loss = Twin.CrossEntropy(new double[3 * 2], Normal(new Random(2), 5 * 2), [4, -1, 0], width: 2, zLoss: 0.5);

        Assert.Equal(uniform + 0.5 * uniform * uniform, loss, 1e-14);
    }

    internal static double[] Normal(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()))];
}
