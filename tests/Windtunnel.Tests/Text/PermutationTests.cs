using Windtunnel.Text;

namespace Windtunnel.Tests.Text;

public sealed class PermutationTests
{
    [Fact]
    public void Every_element_comes_exactly_once()
    {
        for (int length = 1; length <= 600; length++)
        {
            Permutation permutation = new(length, key: (ulong)length);
            Assert.Equal(Enumerable.Range(0, length).Select(i => (long)i), Enumerable.Range(0, length).Select(i => permutation[i]).Order());
        }
    }

    [Fact]
    public void Neighbouring_keys_give_unrelated_orders()
    {
        const int Length = 1000;
        double fixedPoints = Enumerable.Range(0, 200).Average(key =>
        {
            Permutation one = new(Length, (ulong)key), other = new(Length, (ulong)key + 1);
            return Enumerable.Range(0, Length).Count(i => one[i] == other[i]);
        });
        // Two independent permutations agree in one place on average, whatever the length; standard error 1 / sqrt(200).
        Assert.InRange(fixedPoints, 0.7, 1.3);
    }

    [Fact]
    public void Positions_outside_the_range_are_refused()
    {
        Permutation permutation = new(10, key: 1);
        Assert.Throws<ArgumentOutOfRangeException>(() => permutation[10]);
        Assert.Throws<ArgumentOutOfRangeException>(() => permutation[-1]);
        Assert.Throws<ArgumentOutOfRangeException>(() => new Permutation(0, key: 1));
    }
}
