using System.Runtime.Intrinsics;

namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>
/// Eigenvalues and eigenvectors of a symmetric matrix in double precision: Householder tridiagonalisation from the last row
/// up, then implicit QL (Golub and Van Loan 2013, sections 8.3.1 and 8.3.3). Eigenvectors are kept as rows until the end.
/// </summary>
internal static unsafe class SymmetricEigen
{
    private const int IterationsAnEigenvalue = 60;
    private const double Epsilon = 1.0 / (1L << 52);

    /// <summary>How many floats of working memory a call needs.</summary>
    public static long ScratchElements(int n) => sizeof(double) / sizeof(float) * ((2L * n * n) + (6L * n));

    /// <summary>
    /// a [n, n] = V diag(values) V^T, values descending, eigenvectors in the columns of vectors; of a only the lower triangle is read.
    /// </summary>
    /// <exception cref="ArithmeticException">The iteration does not converge: a holds values that are not finite.</exception>
    public static void Run(float* vectors, float* values, float* a, int n, float* scratch)
    {
        double* matrix = (double*)scratch, rows = matrix + ((nint)n * n), diagonal = rows + ((nint)n * n);
        double* offDiagonal = diagonal + n, taus = offDiagonal + n, work = taus + n, cosines = work + n, sines = cosines + n;
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                matrix[((nint)i * n) + j] = a[((nint)i * n) + j];
            }
        }

        Tridiagonalize(matrix, n, diagonal, offDiagonal, taus, work);
        Accumulate(matrix, n, taus, rows);
        Diagonalize(diagonal, offDiagonal, n, rows, cosines, sines);

        // From here on work holds the order.
        int* order = (int*)work;
        for (int i = 0; i < n; i++)
        {
            int at = i;
            for (; at > 0 && diagonal[order[at - 1]] < diagonal[i]; at--)
            {
                order[at] = order[at - 1];
            }

            order[at] = i;
        }

        for (int j = 0; j < n; j++)
        {
            values[j] = (float)diagonal[order[j]];
            double* vector = rows + ((nint)order[j] * n);
            for (int i = 0; i < n; i++)
            {
                vectors[((nint)i * n) + j] = (float)vector[i];
            }
        }
    }

    // Row i of the lower triangle becomes the reflector that clears it but for its last element, which is offDiagonal[i - 1].
    private static void Tridiagonalize(double* matrix, int n, double* diagonal, double* offDiagonal, double* taus, double* work)
    {
        for (int i = n - 1; i > 0; i--)
        {
            double* v = matrix + ((nint)i * n);
            double alpha = v[i - 1], rest = Dot(v, v, i - 1);
            diagonal[i] = v[i];
            (taus[i], offDiagonal[i - 1]) = (0, alpha);
            if (rest <= 0)
            {
                continue;
            }

            double beta = -Math.CopySign(Math.Sqrt((alpha * alpha) + rest), alpha), tau = (beta - alpha) / beta;
            (taus[i], offDiagonal[i - 1]) = (tau, beta);
            Scale(v, i - 1, 1 / (alpha - beta));
            v[i - 1] = 1;

            // w = tau A v - (tau^2 v^T A v / 2) v, and A -= v w^T + w v^T.
            new Span<double>(work, i).Clear();
            for (int row = 0; row < i; row++)
            {
                double* from = matrix + ((nint)row * n);
                work[row] += DotAndAdd(from, v, work, row, v[row]) + (from[row] * v[row]);
            }

            Scale(work, i, tau);
            AddScaled(work, v, i, -0.5 * tau * Dot(work, v, i));
            for (int row = 0; row < i; row++)
            {
                AddTwoScaled(matrix + ((nint)row * n), v, work, row + 1, -work[row], -v[row]);
            }
        }

        (diagonal[0], taus[0]) = (matrix[0], 0);
    }

    // rows = H_1 H_2 .. H_(n-1): the transpose of the matrix that makes a tridiagonal.
    private static void Accumulate(double* matrix, int n, double* taus, double* rows)
    {
        new Span<double>(rows, n * n).Clear();
        for (int i = 0; i < n; i++)
        {
            rows[(nint)i * (n + 1)] = 1;
        }

        for (int i = 1; i < n; i++)
        {
            double* v = matrix + ((nint)i * n);
            for (int row = 0; row < i && taus[i] != 0; row++)
            {
                double* target = rows + ((nint)row * n);
                AddScaled(target, v, i, -taus[i] * Dot(target, v, i));
            }
        }
    }

    private static void Diagonalize(double* d, double* e, int n, double* rows, double* cosines, double* sines)
    {
        double norm = 0;
        for (int i = 0; i < n; i++)
        {
            norm = Math.Max(norm, Math.Abs(d[i]) + (i < n - 1 ? Math.Abs(e[i]) : 0));
        }

        // What is negligible beside the norm is nothing: the input is known to single precision.
        double negligible = norm * Epsilon;
        for (int first = 0; first < n; first++)
        {
            for (int iteration = 0; ; iteration++)
            {
                int last = first;
                while (last < n - 1 && !(Math.Abs(e[last]) <= negligible))
                {
                    last++;
                }

                if (last == first)
                {
                    break;
                }

                if (iteration == IterationsAnEigenvalue)
                {
                    throw new ArithmeticException("the eigenvalues of a matrix do not converge: it holds values that are not finite");
                }

                int reached = Sweep(d, e, first, last, cosines, sines);
                Rotate(rows, n, reached, last, cosines, sines);
            }
        }
    }

    // One implicit QL step with Wilkinson's shift on d, e from first to last; returns the first row that it changes.
    private static int Sweep(double* d, double* e, int first, int last, double* cosines, double* sines)
    {
        double g = (d[first + 1] - d[first]) / (2 * e[first]);
        g = d[last] - d[first] + (e[first] / (g + Math.CopySign(Math.Sqrt((g * g) + 1), g)));
        double sine = 1, cosine = 1, shift = 0;
        for (int i = last - 1; i >= first; i--)
        {
            double f = sine * e[i], b = cosine * e[i], radius = Math.Sqrt((f * f) + (g * g));
            if (radius == 0)
            {
                // The matrix falls apart here; what is left is another step's.
                (d[i + 1], e[i + 1], e[last]) = (d[i + 1] - shift, 0, 0);
                return i + 1;
            }

            if (i < last - 1)
            {
                e[i + 1] = radius;
            }

            (sine, cosine) = (f / radius, g / radius);
            g = d[i + 1] - shift;
            double r = ((d[i] - g) * sine) + (2 * cosine * b);
            shift = sine * r;
            d[i + 1] = g + shift;
            g = (cosine * r) - b;
            (cosines[i], sines[i]) = (cosine, sine);
        }

        d[first] -= shift;
        e[first] = g;
        return first;
    }

    // Rotates rows i + 1 and i for i = last - 1 down to first. A few columns at a time: each row is read and written once.
    private static void Rotate(double* rows, int n, int first, int last, double* cosines, double* sines)
    {
        int column = 0;
        for (; column + 16 <= n; column += 16)
        {
            double* row = rows + ((nint)last * n) + column;
            Vector512<double> a = Vector512.Load(row), b = Vector512.Load(row + 8);
            for (int i = last - 1; i >= first; i--, row -= n)
            {
                Vector512<double> c = Vector512.Create(cosines[i]), s = Vector512.Create(sines[i]);
                Vector512<double> x = Vector512.Load(row - n), y = Vector512.Load(row - n + 8);
                Vector512.FusedMultiplyAdd(s, x, c * a).Store(row);
                Vector512.FusedMultiplyAdd(s, y, c * b).Store(row + 8);
                a = (c * x) - (s * a);
                b = (c * y) - (s * b);
            }

            a.Store(row);
            b.Store(row + 8);
        }

        for (; column < n; column++)
        {
            double* row = rows + ((nint)last * n) + column;
            double a = *row;
            for (int i = last - 1; i >= first; i--, row -= n)
            {
                double x = row[-n];
                *row = Math.FusedMultiplyAdd(sines[i], x, cosines[i] * a);
                a = (cosines[i] * x) - (sines[i] * a);
            }

            *row = a;
        }
    }

    private static double Dot(double* x, double* y, int n)
    {
        Vector512<double> sum = Vector512<double>.Zero, other = Vector512<double>.Zero;
        int i = 0;
        for (; i + 16 <= n; i += 16)
        {
            sum = Vector512.FusedMultiplyAdd(Vector512.Load(x + i), Vector512.Load(y + i), sum);
            other = Vector512.FusedMultiplyAdd(Vector512.Load(x + i + 8), Vector512.Load(y + i + 8), other);
        }

        double total = VectorMath.Sum(sum + other);
        for (; i < n; i++)
        {
            total = Math.FusedMultiplyAdd(x[i], y[i], total);
        }

        return total;
    }

    // The sum of x y, and z += scale x: both halves of a symmetric product from one reading of a row.
    private static double DotAndAdd(double* x, double* y, double* z, int n, double scale)
    {
        Vector512<double> sum = Vector512<double>.Zero, factor = Vector512.Create(scale);
        int i = 0;
        for (; i + 8 <= n; i += 8)
        {
            Vector512<double> value = Vector512.Load(x + i);
            sum = Vector512.FusedMultiplyAdd(value, Vector512.Load(y + i), sum);
            Vector512.FusedMultiplyAdd(factor, value, Vector512.Load(z + i)).Store(z + i);
        }

        double total = VectorMath.Sum(sum);
        for (; i < n; i++)
        {
            total = Math.FusedMultiplyAdd(x[i], y[i], total);
            z[i] = Math.FusedMultiplyAdd(scale, x[i], z[i]);
        }

        return total;
    }

    private static void AddScaled(double* y, double* x, int n, double scale)
    {
        Vector512<double> factor = Vector512.Create(scale);
        int i = 0;
        for (; i + 8 <= n; i += 8)
        {
            Vector512.FusedMultiplyAdd(factor, Vector512.Load(x + i), Vector512.Load(y + i)).Store(y + i);
        }

        for (; i < n; i++)
        {
            y[i] = Math.FusedMultiplyAdd(scale, x[i], y[i]);
        }
    }

    private static void AddTwoScaled(double* y, double* a, double* b, int n, double scaleA, double scaleB)
    {
        Vector512<double> factorA = Vector512.Create(scaleA), factorB = Vector512.Create(scaleB);
        int i = 0;
        for (; i + 8 <= n; i += 8)
        {
            Vector512<double> sum = Vector512.FusedMultiplyAdd(factorA, Vector512.Load(a + i), Vector512.Load(y + i));
            Vector512.FusedMultiplyAdd(factorB, Vector512.Load(b + i), sum).Store(y + i);
        }

        for (; i < n; i++)
        {
            y[i] = Math.FusedMultiplyAdd(scaleB, b[i], Math.FusedMultiplyAdd(scaleA, a[i], y[i]));
        }
    }

    private static void Scale(double* x, int n, double scale)
    {
        for (int i = 0; i < n; i++)
        {
            x[i] *= scale;
        }
    }
}
