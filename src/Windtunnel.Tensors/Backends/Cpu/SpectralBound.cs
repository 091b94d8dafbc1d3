namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>
/// A lower bound of the largest magnitude of an eigenvalue, within a factor of sqrt(2) in practice and mostly within a percent
/// (Li 2022, psgd_torch): one step of the power iteration from the column of the largest norm.
/// </summary>
internal static unsafe class SpectralBound
{
    /// <summary>The bound for a symmetric a [n, n], which is overwritten; <paramref name="work"/> holds 2 n floats.</summary>
    public static float Run(float* a, int n, float* work)
    {
        float largest = Row.LargestMagnitude(a, n * n);
        if (!(largest > 0))
        {
            return largest;
        }

        Row.Scale(a, n * n, 1 / largest);
        int start = 0;
        float most = 0;
        for (int i = 0; i < n; i++)
        {
            float squares = Row.SumOfSquares(a + ((nint)i * n), n, 0);
            (start, most) = squares > most ? (i, squares) : (start, most);
        }

        float* x = work, y = work + n;
        Multiply(a, n, a + ((nint)start * n), x);
        Row.Scale(x, n, 1 / MathF.Sqrt(Row.SumOfSquares(x, n, 0)));
        Multiply(a, n, x, y);
        return largest * MathF.Sqrt(Row.SumOfSquares(y, n, 0));
    }

    private static void Multiply(float* a, int n, float* x, float* y)
    {
        for (int i = 0; i < n; i++)
        {
            y[i] = Row.Dot(a + ((nint)i * n), x, n);
        }
    }
}
