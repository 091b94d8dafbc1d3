namespace Windtunnel.Laws.IsoFlop;

/// <summary>
/// Akima's interpolation (1970): a cubic between neighbours whose slope at a point leans to the straighter side, so that one stray
/// point bends the curve only near itself. Slopes beyond the ends are extrapolated as in the paper; MathNet.Numerics takes parabolas there.
/// </summary>
internal sealed class Akima
{
    private readonly double[] _x, _y, _slopes;

    /// <summary>Through points with x ascending, two or more.</summary>
    public Akima(double[] x, double[] y)
    {
        int count = x.Length;

        // Slopes of the segments, with two more on either side.
        double[] segments = new double[count + 3];
        for (int i = 0; i + 1 < count; i++)
        {
            segments[i + 2] = (y[i + 1] - y[i]) / (x[i + 1] - x[i]);
        }

        if (count == 2)
        {
            segments[3] = segments[2];
        }

        segments[1] = (2 * segments[2]) - segments[3];
        segments[0] = (2 * segments[1]) - segments[2];
        segments[count + 1] = (2 * segments[count]) - segments[count - 1];
        segments[count + 2] = (2 * segments[count + 1]) - segments[count];

        double[] bends = [.. Enumerable.Range(0, count + 2).Select(i => Math.Abs(segments[i + 1] - segments[i]))];
        double straight = 1e-9 * Enumerable.Range(0, count).Max(i => bends[i] + bends[i + 2]);
        _slopes = [.. Enumerable.Range(0, count).Select(i => bends[i] + bends[i + 2] > straight
            ? ((bends[i + 2] * segments[i + 1]) + (bends[i] * segments[i + 2])) / (bends[i] + bends[i + 2])
            : (segments[i] + segments[i + 3]) / 2)];
        (_x, _y) = (x, y);
    }

    /// <summary>The value at a point of the range.</summary>
    public double At(double x)
    {
        int after = Array.BinarySearch(_x, x);
        int left = Math.Clamp(after >= 0 ? after : ~after - 1, 0, _x.Length - 2);
        double width = _x[left + 1] - _x[left], s = (x - _x[left]) / width, t = 1 - s;
        return (t * t * ((_y[left] * (1 + (2 * s))) + (width * s * _slopes[left])))
            + (s * s * ((_y[left + 1] * (1 + (2 * t))) - (width * t * _slopes[left + 1])));
    }
}
