using Windtunnel.Tensors;

namespace Windtunnel.Tests.Tensors;

public sealed class PhiloxTests
{
    // The known-answer vectors of Random123 for philox4x32 with ten rounds.
    [Theory]
    [InlineData(0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8)]
    [InlineData(ulong.MaxValue, ulong.MaxValue, ulong.MaxValue, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd)]
    [InlineData(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88, 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1)]
    public void Blocks_are_the_known_answers(ulong seed, ulong stream, ulong position, uint w0, uint w1, uint w2, uint w3) =>
        Assert.Equal((w0, w1, w2, w3), new Philox(seed, stream).Block(position));

    [Fact]
    public void Normal_numbers_depend_on_their_index_alone()
    {
        Philox random = Philox.Named(3, "weights");
        float[] whole = new float[1003];
        random.FillNormal(whole, 0.02f);

        foreach ((int start, int count) in new[] { (0, 1), (1, 2), (3, 7), (500, 503), (1002, 1) })
        {
            float[] part = new float[count];
            random.FillNormal(part, 0.02f, start);
            Assert.Equal(whole[start..(start + count)], part);
        }
    }

    // Whole stretches are computed eight blocks at a time, single blocks one number after the other.
    [Fact]
    public void Normal_numbers_are_the_same_bits_in_one_call_and_in_many()
    {
        Philox random = Philox.Named(4, "weights");
        float[] whole = new float[100_000], single = new float[whole.Length];
        random.FillNormal(whole, 0.7f);
        for (int i = 0; i < single.Length; i += 4)
        {
            random.FillNormal(single.AsSpan(i, 4), 0.7f, i);
        }

        Assert.True(OpCheck.SameBits(whole, single));
    }

    [Fact]
    public void Normal_numbers_have_the_moments_of_a_normal_distribution()
    {
        const int Count = 400_000;
        float[] values = new float[Count];
        new Philox(1, 2).FillNormal(values, 2);

        double Moment(int power) => values.Average(value => Math.Pow(value / 2.0, power));

        // Four standard errors of each sample moment.
        Assert.Equal(0, Moment(1), 4 * Math.Sqrt(1.0 / Count));
        Assert.Equal(1, Moment(2), 4 * Math.Sqrt(2.0 / Count));
        Assert.Equal(0, Moment(3), 4 * Math.Sqrt(15.0 / Count));
        Assert.Equal(3, Moment(4), 4 * Math.Sqrt(96.0 / Count));
    }

    [Fact]
    public void Uniform_numbers_fill_the_unit_interval_evenly()
    {
        const int Count = 100_000;
        int[] bins = new int[10];
        Philox random = new(1, 2);
        for (ulong i = 0; i < Count; i++)
        {
            bins[(int)(random.Uniform(i) * 10)]++;
        }

        // Five standard deviations of a bin's count.
        Assert.All(bins, count => Assert.InRange(count, 10_000 - 475, 10_000 + 475));
    }

    [Fact]
    public void Names_and_seeds_give_different_streams()
    {
        Assert.Equal(Philox.Named(1, "a"), Philox.Named(1, "a"));
        Assert.NotEqual(Philox.Named(1, "a").Block(0), Philox.Named(1, "b").Block(0));
        Assert.NotEqual(Philox.Named(1, "a").Block(0), Philox.Named(2, "a").Block(0));
    }
}
