namespace Windtunnel.Laws.Fitting;

/// <summary>
/// min |F c - y| with c_j at least zero where asked (Lawson and Hanson 1974, chapter 23), on the Gram matrix: the problems here
/// have at most a handful of columns.
/// </summary>
internal static class NonNegativeLeastSquares
{
    /// <summary>Solves.</summary>
    /// <param name="gram">[n, n]: F'F.</param>
    /// <param name="moment">[n]: F'y.</param>
    /// <param name="free">[n]: whether a coefficient may have any sign.</param>
    /// <param name="solution">[n]: takes c.</param>
    public static void Solve(ReadOnlySpan<double> gram, ReadOnlySpan<double> moment, ReadOnlySpan<bool> free, Span<double> solution)
    {
        int n = moment.Length;
        Span<bool> active = stackalloc bool[n];
        Span<double> trial = stackalloc double[n];
        solution.Clear();
        free.CopyTo(active);
        Settle(gram, moment, free, active, trial, solution);
        for (int round = 0; round < 3 * n; round++)
        {
            int entering = -1;
            double steepest = 0;
            for (int j = 0; j < n; j++)
            {
                double slope = moment[j];
                for (int k = 0; k < n; k++)
                {
                    slope -= gram[(j * n) + k] * solution[k];
                }

                double relative = slope / Math.Sqrt(gram[(j * n) + j] + double.Epsilon);
                if (!active[j] && relative > steepest + (1e-12 * Math.Abs(moment[j])))
                {
                    (entering, steepest) = (j, relative);
                }
            }

            if (entering < 0)
            {
                return;
            }

            active[entering] = true;
            Settle(gram, moment, free, active, trial, solution);
        }
    }

    // Least squares over the active columns; walks back to the first bound that is crossed and drops that column, until none is.
    private static void Settle(
        ReadOnlySpan<double> gram, ReadOnlySpan<double> moment, ReadOnlySpan<bool> free, Span<bool> active, Span<double> trial, Span<double> solution)
    {
        int n = moment.Length;
        for (int round = 0; round <= n; round++)
        {
            int blocking = -1;
            double share = 1;
            SolveActive(gram, moment, active, trial);
            for (int j = 0; j < n; j++)
            {
                if (active[j] && !free[j] && trial[j] <= 0)
                {
                    double reach = solution[j] / (solution[j] - trial[j] + double.Epsilon);
                    if (reach < share || blocking < 0)
                    {
                        (blocking, share) = (j, Math.Min(reach, share));
                    }
                }
            }

            for (int j = 0; j < n; j++)
            {
                solution[j] = active[j] ? solution[j] + (share * (trial[j] - solution[j])) : 0;
            }

            if (blocking < 0)
            {
                return;
            }

            active[blocking] = false;
            solution[blocking] = 0;
        }
    }

    private static void SolveActive(ReadOnlySpan<double> gram, ReadOnlySpan<double> moment, ReadOnlySpan<bool> active, Span<double> solution)
    {
        int n = moment.Length, count = 0;
        Span<int> index = stackalloc int[n];
        for (int j = 0; j < n; j++)
        {
            if (active[j])
            {
                index[count++] = j;
            }
        }

        // Scaled to a unit diagonal, with a ridge at rounding level: two columns may coincide at some exponents.
        Span<double> matrix = stackalloc double[count * count], right = stackalloc double[count], scale = stackalloc double[count];
        for (int a = 0; a < count; a++)
        {
            scale[a] = 1 / Math.Sqrt(gram[(index[a] * n) + index[a]] + double.Epsilon);
        }

        for (int a = 0; a < count; a++)
        {
            right[a] = moment[index[a]] * scale[a];
            for (int b = 0; b < count; b++)
            {
                matrix[(a * count) + b] = (gram[(index[a] * n) + index[b]] * scale[a] * scale[b]) + (a == b ? 1e-14 : 0);
            }
        }

        solution.Clear();
        if (Cholesky.TrySolve(matrix, right))
        {
            for (int a = 0; a < count; a++)
            {
                solution[index[a]] = right[a] * scale[a];
            }
        }
    }
}
