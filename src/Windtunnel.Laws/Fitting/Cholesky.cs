namespace Windtunnel.Laws.Fitting;

/// <summary>Positive definite systems of a few unknowns, in place and without allocation: too small and too many for a library's matrices.</summary>
internal static class Cholesky
{
    /// <summary>Factors a matrix and solves; false, with both arguments spoilt, where it is not positive definite.</summary>
    /// <param name="matrix">[n, n], symmetric; takes the factor L in its lower half.</param>
    /// <param name="right">[n]; takes the solution.</param>
    public static bool TrySolve(Span<double> matrix, Span<double> right)
    {
        int n = right.Length;
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                double sum = matrix[(i * n) + j];
                for (int k = 0; k < j; k++)
                {
                    sum -= matrix[(i * n) + k] * matrix[(j * n) + k];
                }

                if (i > j)
                {
                    matrix[(i * n) + j] = sum / matrix[(j * n) + j];
                }
                else if (sum > 0 && double.IsFinite(sum))
                {
                    matrix[(i * n) + i] = Math.Sqrt(sum);
                }
                else
                {
                    return false;
                }
            }
        }

        for (int i = 0; i < n; i++)
        {
            for (int k = 0; k < i; k++)
            {
                right[i] -= matrix[(i * n) + k] * right[k];
            }

            right[i] /= matrix[(i * n) + i];
        }

        for (int i = n - 1; i >= 0; i--)
        {
            for (int k = i + 1; k < n; k++)
            {
                right[i] -= matrix[(k * n) + i] * right[k];
            }

            right[i] /= matrix[(i * n) + i];
        }

        return true;
    }
}
