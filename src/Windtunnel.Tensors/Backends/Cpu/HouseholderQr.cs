using System.Runtime.Intrinsics;

namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>
/// The orthogonal factor of a square matrix by blocked Householder reflections in the compact WY form (Schreiber and Van Loan
/// 1989). Everything is kept transposed, so that reflectors are contiguous rows.
/// </summary>
internal static unsafe class HouseholderQr
{
    private const int Panel = 32;

    // Below it the norm of a column counts as zero: its inverse is hardly a single-precision number.
    private const double LeastNorm = 1e-37;

    /// <summary>How many floats of working memory a call needs.</summary>
    public static long ScratchElements(int n) => (2L * n * n) + (((4L * Panel) + 2) * n) + (2 * Panel * Panel);

    /// <summary>q = Q of a = Q R with R's diagonal not negative; both [n, n], and q may be a.</summary>
    public static void Run(float* q, float* a, int n, float* scratch)
    {
        float* reflectors = scratch, rows = reflectors + ((nint)n * n), triangles = rows + ((nint)n * n);
        float* working = triangles + ((nint)Panel * (n + Panel)), taus = working + (3 * (nint)Panel * n), signs = taus + n, transposed = signs + n;
        Transpose(a, n, n, n, reflectors, n);
        for (int start = 0; start < n; start += Panel)
        {
            int width = Math.Min(Panel, n - start), end = start + width;
            float* triangle = triangles + ((nint)start * Panel);
            Factorize(reflectors, n, start, end, taus, signs);
            Triangle(reflectors, n, start, width, taus, triangle);
            Transpose(triangle, Panel, Panel, Panel, transposed, Panel);
            Reflect(reflectors, n, start, width, transposed, reflectors, end, working);
        }

        // Q = Q_1 Q_2 .. applied to the identity from the last one on, which leaves rows and columns before a panel as they are.
        new Span<float>(rows, n * n).Clear();
        for (int i = 0; i < n; i++)
        {
            rows[(nint)i * (n + 1)] = signs[i];
        }

        for (int start = (n - 1) / Panel * Panel; start >= 0; start -= Panel)
        {
            Reflect(reflectors, n, start, Math.Min(Panel, n - start), triangles + ((nint)start * Panel), rows, start, working);
        }

        Transpose(rows, n, n, n, q, n);
    }

    // Columns start to end of a, one after the other: each becomes its reflector, zero before its diagonal and one on it.
    private static void Factorize(float* reflectors, int n, int start, int end, float* taus, float* signs)
    {
        for (int j = start; j < end; j++)
        {
            float* v = reflectors + ((nint)j * n);
            double alpha = v[j], rest = SumOfSquares(v + j + 1, n - j - 1);
            (taus[j], signs[j]) = (0, alpha < 0 ? -1 : 1);
            if (rest > LeastNorm * LeastNorm)
            {
                double beta = -Math.CopySign(Math.Sqrt((alpha * alpha) + rest), alpha);
                (taus[j], signs[j]) = ((float)((beta - alpha) / beta), beta < 0 ? -1 : 1);
                Row.Scale(v + j + 1, n - j - 1, (float)(1 / (alpha - beta)));
            }

            // From the panel's start, where the zeros change nothing, rows have no tails.
            new Span<float>(v + start, j - start).Clear();
            v[j] = 1;
            for (int later = j + 1; later < end; later++)
            {
                float* column = reflectors + ((nint)later * n) + start;
                Row.AddScaled(column, v + start, n - start, -taus[j] * Row.Dot(column, v + start, n - start));
            }
        }
    }

    // T^T, lower triangular, of H_1 H_2 .. = I - V T V^T, in rows of Panel and zero beyond the width.
    private static void Triangle(float* reflectors, int n, int start, int width, float* taus, float* triangle)
    {
        new Span<float>(triangle, Panel * Panel).Clear();
        for (int j = 0; j < width; j++)
        {
            float* v = reflectors + ((nint)(start + j) * n) + start, row = triangle + (j * Panel);
            float tau = taus[start + j];
            for (int i = 0; i < j; i++)
            {
                Row.AddScaled(row, triangle + (i * Panel), Panel, -tau * Row.Dot(reflectors + ((nint)(start + i) * n) + start, v, n - start));
            }

            row[j] = tau;
        }
    }

    // Rows from firstRow on of a matrix, columns from start on, times I - V T V^T; triangle is T.
    private static void Reflect(float* reflectors, int n, int start, int width, float* triangle, float* matrix, int firstRow, float* working)
    {
        int rows = n - firstRow, length = n - start;
        float* v = reflectors + ((nint)start * n) + start, target = matrix + ((nint)firstRow * n) + start;
        float* columns = working, products = columns + ((nint)Panel * n), scaled = products + ((nint)Panel * n);
        Transpose(v, n, width, length, columns, Panel);
        StridedMatMul.Run(target, n, 1, columns, Panel, products, Panel, rows, Panel, length, accumulate: false);
        StridedMatMul.Run(products, Panel, 1, triangle, Panel, scaled, Panel, rows, Panel, Panel, accumulate: false);
        Row.Scale(scaled, rows * Panel, -1);
        StridedMatMul.Run(scaled, Panel, 1, v, n, target, n, rows, length, width, accumulate: true);
    }

    // Rows of y, stride wide and zero beyond the height of x [height, width].
    private static void Transpose(float* x, int xStride, int height, int width, float* y, int yStride) =>
        Packing.Panel(new Operand((nint)x, xStride, 1), 0, height, 0, width, yStride, y);

    // In double: the squares of small columns would vanish in single precision.
    private static double SumOfSquares(float* x, int n)
    {
        Vector512<double> sum = Vector512<double>.Zero;
        int i = 0;
        for (; i + 8 <= n; i += 8)
        {
            (Vector256<double> low, Vector256<double> high) = Vector256.Widen(Vector256.Load(x + i));
            Vector512<double> wide = Vector512.Create(low, high);
            sum = Vector512.FusedMultiplyAdd(wide, wide, sum);
        }

        double total = VectorMath.Sum(sum);
        for (; i < n; i++)
        {
            total = Math.FusedMultiplyAdd(x[i], x[i], total);
        }

        return total;
    }
}
