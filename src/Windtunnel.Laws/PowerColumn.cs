namespace Windtunnel.Laws;

/// <summary>The column x^-exponent that most laws are made of, with its derivative by the exponent.</summary>
internal static class PowerColumn
{
    public static double Of(double x, double exponent, out double derivative)
    {
        double log = Math.Log(x), value = Math.Exp(-exponent * log);
        derivative = -log * value;
        return value;
    }
}
