using System.Runtime.Intrinsics;

namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>
/// The orthogonal factor of a square matrix by blocked Householder reflections in the compact WY form (Schreiber and Van Loan
/// 1989). Everything is kept transposed, so that reflectors are contiguous rows.
/// </summary>
internal static unsafe class HouseholderQr
{
    private const int Panel = 32;

    /// <summary>How many floats of working memory a call needs.</summary>
    public static long ScratchElements(int n) => (2L * n * n) + (((3L * Panel) + 2) * n) + (Panel * Panel);

    /// <summary>q = Q of a = Q R with R's diagonal not negative; both [n, n], and q may be a.</summary>
    public static void Run(IGemm gemm, float* q, float* a, int n, float* scratch)
    {
        float* reflectors = scratch, rows = reflectors + ((nint)n * n), triangles = rows + ((nint)n * n);
        float* products = triangles + ((nint)Panel * (n + Panel)), scaled = products + ((nint)Panel * n);
        float* taus = scaled + ((nint)Panel * n), signs = taus + n;
        Packing.Panel(new Operand((nint)a, n, 1), 0, n, 0, n, n, reflectors);
        for (int start = 0; start < n; start += Panel)
        {
            int width = Math.Min(Panel, n - start), end = start + width;
            float* triangle = triangles + ((nint)start * Panel);
            Factorize(reflectors, n, start, end, taus, signs);
            Triangle(reflectors, n, start, width, taus, triangle);
            Reflect(gemm, reflectors, n, start, width, new Operand((nint)triangle, Panel, 1), reflectors, end, products, scaled);
        }

        // Q = Q_1 Q_2 .. applied to the identity from the last one on, which leaves rows and columns before a panel as they are.
        new Span<float>(rows, n * n).Clear();
        for (int i = 0; i < n; i++)
        {
            rows[(nint)i * (n + 1)] = signs[i];
        }

        for (int start = (n - 1) / Panel * Panel; start >= 0; start -= Panel)
        {
            Operand triangle = new((nint)(triangles + ((nint)start * Panel)), 1, Panel);
            Reflect(gemm, reflectors, n, start, Math.Min(Panel, n - start), triangle, rows, start, products, scaled);
        }

        Packing.Panel(new Operand((nint)rows, n, 1), 0, n, 0, n, n, q);
    }

    // Columns start to end of a, one after the other: each becomes its reflector, zero before its diagonal and one on it.
    private static void Factorize(float* reflectors, int n, int start, int end, float* taus, float* signs)
    {
        for (int j = start; j < end; j++)
        {
            float* v = reflectors + ((nint)j * n);
            double alpha = v[j], rest = SumOfSquares(v + j + 1, n - j - 1);
            (taus[j], signs[j]) = (0, alpha < 0 ? -1 : 1);
            if (rest > 0)
            {
                double beta = -Math.CopySign(Math.Sqrt((alpha * alpha) + rest), alpha);
                (taus[j], signs[j]) = ((float)((beta - alpha) / beta), beta < 0 ? -1 : 1);
                double scale = 1 / (alpha - beta);
                for (int i = j + 1; i < n; i++)
                {
                    v[i] = (float)(v[i] * scale);
                }
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

    // The upper triangular T of H_1 H_2 .. = I - V T V^T, row-major with rows of Panel.
    private static void Triangle(float* reflectors, int n, int start, int width, float* taus, float* triangle)
    {
        float* dots = stackalloc float[Panel];
        new Span<float>(triangle, Panel * width).Clear();
        for (int j = 0; j < width; j++)
        {
            float* v = reflectors + ((nint)(start + j) * n) + start;
            for (int i = 0; i < j; i++)
            {
                dots[i] = Row.Dot(reflectors + ((nint)(start + i) * n) + start, v, n - start);
            }

            for (int i = 0; i < j; i++)
            {
                float sum = 0;
                for (int k = i; k < j; k++)
                {
                    sum = MathF.FusedMultiplyAdd(triangle[(i * Panel) + k], dots[k], sum);
                }

                triangle[(i * Panel) + j] = -taus[start + j] * sum;
            }

            triangle[(j * Panel) + j] = taus[start + j];
        }
    }

    // Rows from firstRow on of a matrix, columns from start on, times I - V T V^T.
    private static void Reflect(
        IGemm gemm, float* reflectors, int n, int start, int width, Operand triangle, float* matrix, int firstRow, float* products, float* scaled)
    {
        int rows = n - firstRow, length = n - start;
        if (rows == 0)
        {
            return;
        }

        Operand v = new((nint)(reflectors + ((nint)start * n) + start), n, 1);
        float* target = matrix + ((nint)firstRow * n) + start;
        gemm.Run(new GemmCall(rows, width, length, new Operand((nint)target, n, 1), v.Transposed, (nint)products, Panel));
        gemm.Run(new GemmCall(rows, width, width, new Operand((nint)products, Panel, 1), triangle, (nint)scaled, Panel));
        gemm.Run(new GemmCall(rows, length, width, new Operand((nint)scaled, Panel, 1), v, (nint)target, n, -1, Accumulate: true));
    }

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
