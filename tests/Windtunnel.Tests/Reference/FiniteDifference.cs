namespace Windtunnel.Tests.Reference;

/// <summary>Derivatives of scalar functions by central differences of fourth order, to compare analytic gradients with.</summary>
public static class FiniteDifference
{
    /// <summary>The gradient of f by every element of every input. With the default step the error is near 1e-11 of f's scale.</summary>
    public static double[][] Gradient(Func<double[][], double> f, double[][] inputs, double eps = 1e-3) =>
        [.. inputs.Select((input, i) => input.Select((_, j) => Derivative(f, inputs, i, j, eps)).ToArray())];

    /// <summary>The derivative of f by <c>inputs[input][element]</c>, which is moved by up to 2 eps and put back.</summary>
    public static double Derivative(Func<double[][], double> f, double[][] inputs, int input, int element, double eps = 1e-3)
    {
        double centre = inputs[input][element];
        double derivative = (8 * (At(eps) - At(-eps)) - (At(2 * eps) - At(-2 * eps))) / (12 * eps);
        inputs[input][element] = centre;
        return derivative;

        double At(double shift)
        {
            inputs[input][element] = centre + shift;
            return f(inputs);
        }
    }
}
