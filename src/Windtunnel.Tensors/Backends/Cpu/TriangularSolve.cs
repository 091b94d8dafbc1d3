namespace Windtunnel.Tensors.Backends.Cpu;

/// <summary>
/// x = op(U)^-1 x or x op(U)^-1 for an upper triangular U, by recursive halving: the halves are solved one after the other and
/// a product in between carries the first one's result over. Diagonal blocks are inverted once and applied as products.
/// </summary>
internal static unsafe class TriangularSolve
{
    private const int Leaf = 32;

    /// <summary>How many floats of working memory a call needs.</summary>
    public static long ScratchElements(int rows, int columns, int n) => (long)Leaf * (RoundUp(n) + Math.Max(rows, columns));

    /// <summary>Solves in place for x [rows, columns]; what U [n, n] holds below its diagonal is not read.</summary>
    public static void Run(IGemm gemm, float* x, int rows, int columns, float* u, int n, bool left, bool transpose, float* scratch)
    {
        float* copy = scratch + ((long)Leaf * RoundUp(n));
        for (int start = 0; start < n; start += Leaf)
        {
            Invert(u + ((nint)start * (n + 1)), n, Math.Min(Leaf, n - start), scratch + ((nint)start * Leaf));
        }

        Solve(new Problem(gemm, x, rows, columns, u, n, left, transpose, scratch, copy), 0, n);
    }

    private static int RoundUp(int n) => (n + Leaf - 1) / Leaf * Leaf;

    private static void Solve(in Problem problem, int start, int count)
    {
        if (count <= Leaf)
        {
            problem.Apply(start, count);
            return;
        }

        int half = RoundUp(count / 2), middle = start + half;

        // x depends on what comes before it when op(U) is applied from the left and lower, or from the right and upper.
        if (problem.Left == problem.Transpose)
        {
            Solve(problem, start, half);
            problem.Subtract(start, half, middle, count - half);
            Solve(problem, middle, count - half);
        }
        else
        {
            Solve(problem, middle, count - half);
            problem.Subtract(middle, count - half, start, half);
            Solve(problem, start, half);
        }
    }

    // Row by row from the last one: u_ii v_i = e_i - sum over k > i of u_ik v_k.
    private static void Invert(float* u, nint stride, int n, float* inverse)
    {
        new Span<float>(inverse, Leaf * n).Clear();
        for (int i = n - 1; i >= 0; i--)
        {
            float* row = inverse + (i * Leaf);
            for (int k = i + 1; k < n; k++)
            {
                Row.AddScaled(row, inverse + (k * Leaf), Leaf, -u[(i * stride) + k]);
            }

            float pivot = 1 / u[(i * stride) + i];
            Row.Scale(row, Leaf, pivot);
            row[i] = pivot;
        }
    }

    private readonly struct Problem(
        IGemm gemm, float* x, int rows, int columns, float* u, int n, bool left, bool transpose, float* inverses, float* copy)
    {
        public bool Left => left;

        public bool Transpose => transpose;

        // Carries the solved part of x over to another one: x_to -= op(U)_to,from x_from, or x_from op(U)_from,to.
        public void Subtract(int from, int fromCount, int to, int toCount)
        {
            (int row, int column) = left != transpose ? (to, from) : (from, to);
            Operand block = new((nint)(u + ((nint)row * n) + column), n, 1);
            block = transpose ? block.Transposed : block;
            if (left)
            {
                gemm.Run(new GemmCall(
                    toCount, columns, fromCount, block, new Operand((nint)(x + ((nint)from * columns)), columns, 1),
                    (nint)(x + ((nint)to * columns)), columns, -1, Accumulate: true));
            }
            else
            {
                gemm.Run(new GemmCall(
                    rows, toCount, fromCount, new Operand((nint)(x + from), columns, 1), block, (nint)(x + to), columns, -1, Accumulate: true));
            }
        }

        // Solves for one diagonal block by its inverse.
        public void Apply(int start, int count)
        {
            Operand inverse = new((nint)(inverses + ((nint)start * Leaf)), Leaf, 1);
            inverse = transpose ? inverse.Transposed : inverse;
            if (left)
            {
                float* part = x + ((nint)start * columns);
                new ReadOnlySpan<float>(part, count * columns).CopyTo(new Span<float>(copy, count * columns));
                gemm.Run(new GemmCall(count, columns, count, inverse, new Operand((nint)copy, columns, 1), (nint)part, columns));
                return;
            }

            for (int row = 0; row < rows; row++)
            {
                new ReadOnlySpan<float>(x + ((nint)row * columns) + start, count).CopyTo(new Span<float>(copy + ((nint)row * Leaf), count));
            }

            gemm.Run(new GemmCall(rows, count, count, new Operand((nint)copy, Leaf, 1), inverse, (nint)(x + start), columns));
        }
    }
}
