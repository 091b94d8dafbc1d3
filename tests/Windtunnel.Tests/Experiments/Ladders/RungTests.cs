using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using Windtunnel.Experiments.Ladders;

namespace Windtunnel.Tests.Experiments.Ladders;

public sealed class RungTests
{
    private static readonly LadderOptions s_options = new(Multipliers: [20, 10]);

    [Fact]
    public void A_size_has_the_multiples_of_its_parameters_that_the_ladder_has()
    {
        Rung rung = Rung.Of("20k", s_options);
        Assert.Equal([10, 20], rung.Lengths);
        Assert.Equal(1000, rung.TokensOf(10, parameters: 100));
    }

    [Fact]
    public void Tokens_are_the_same_for_every_size()
    {
        Rung rung = Rung.Of("20k", new LadderOptions(Tokens: [2e6, 1e6]));
        Assert.Equal([1e6, 2e6], rung.Lengths);
        Assert.Equal(1e6, rung.TokensOf(1e6, parameters: 100));
    }

    [Fact]
    public void A_size_may_have_tokens_of_its_own_which_are_no_setting_of_the_model()
    {
        Rung rung = Rung.Of(JsonNode.Parse("""{"layers": 2, "width": 32, "tokens": [4e6, 1e6]}""")!, s_options);
        Assert.Equal([1e6, 4e6], rung.Lengths);
        Assert.Equal("""{"layers":2,"width":32}""", rung.Size!.ToJsonString());
        Assert.Equal(4e6, rung.TokensOf(4e6, parameters: 100));
    }

    [Theory]
    [InlineData("""{"width": 32, "tokens": []}""", "names none")]
    [InlineData("""{"width": 32, "tokens": [1e6, 1e6]}""", "different")]
    [InlineData("""{"width": 32, "tokens": [-1]}""", "positive")]
    [InlineData("""{"width": 32, "tokens": "many"}""", "list of numbers")]
    [InlineData("""{"width": 32, "tokens": ["1m"]}""", "list of numbers")]
    public void Lengths_that_are_none_are_refused(string size, string why) =>
        Assert.Contains(why, Assert.Throws<ValidationException>(() => Rung.Of(JsonNode.Parse(size)!, s_options)).Message, StringComparison.Ordinal);
}
