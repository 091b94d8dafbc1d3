namespace Windtunnel.Tests.Reference;

public sealed class FiniteDifferenceTests
{
    [Fact]
    public void The_gradient_of_a_closed_form_is_exact_to_eleven_digits_and_the_inputs_are_put_back()
    {
        double[][] inputs = [[0.3, -1.2], [0.8]];

        double[][] gradient = FiniteDifference.Gradient(x => Math.Sin(x[0][0]) * Math.Exp(x[0][1]) / x[1][0], inputs);

        Assert.Equal(Math.Cos(0.3) * Math.Exp(-1.2) / 0.8, gradient[0][0], 1e-11);
        Assert.Equal(Math.Sin(0.3) * Math.Exp(-1.2) / 0.8, gradient[0][1], 1e-11);
        Assert.Equal(-Math.Sin(0.3) * Math.Exp(-1.2) / 0.64, gradient[1][0], 1e-11);
        Assert.Equal([[0.3, -1.2], [0.8]], inputs);
    }
}
