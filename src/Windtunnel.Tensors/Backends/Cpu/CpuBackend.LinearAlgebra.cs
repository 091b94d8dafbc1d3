namespace Windtunnel.Tensors.Backends.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public override void BatchedMatMul(
        Tensor c, Tensor a, bool transposeA, Tensor b, bool transposeB, float alpha = 1, bool accumulate = false)
    {
        Blocks left = Blocks.Of(a), right = Blocks.Of(b), to = Blocks.Of(c);
        (int m, int k) = transposeA ? (left.Columns, left.Rows) : (left.Rows, left.Columns);
        (int rightRows, int n) = transposeB ? (right.Columns, right.Rows) : (right.Rows, right.Columns);
        if (rightRows != k || to != new Blocks(left.Count, m, n) || right.Count != left.Count)
        {
            throw new ArgumentException(
                $"products of {a.Shape}{(transposeA ? " transposed" : "")} and {b.Shape}{(transposeB ? " transposed" : "")} do not give {c.Shape}");
        }

        GemmCall first = new(m, n, k, left.First(a, transposeA), right.First(b, transposeB), (nint)Pointer(c), n, alpha, accumulate);
        Products(first, left.Count, left.Size, right.Size, to.Size);
    }

    /// <inheritdoc/>
    public override void Gram(Tensor c, Tensor a, bool transposeA, float alpha = 1, bool accumulate = false)
    {
        Blocks from = Blocks.Of(a), to = Blocks.Of(c);
        (int n, int k) = transposeA ? (from.Columns, from.Rows) : (from.Rows, from.Columns);
        if (to != new Blocks(from.Count, n, n))
        {
            throw new ArgumentException($"the Gram matrix of {a.Shape}{(transposeA ? " transposed" : "")} is not {c.Shape}");
        }

        Operand left = from.First(a, transposeA);
        Lower(new GemmCall(n, n, k, left, left.Transposed, (nint)Pointer(c), n, alpha, accumulate, Lower: true), from, from, to);
    }

    /// <inheritdoc/>
    public override void SymmetricProduct(Tensor c, Tensor a, Tensor b, float alpha = 1, bool accumulate = false)
    {
        Blocks left = Blocks.Of(a), right = Blocks.Of(b), to = Blocks.Of(c);
        int n = left.Rows;
        if (left != right || left != to || n != left.Columns)
        {
            throw new ArgumentException($"a symmetric product of {a.Shape} and {b.Shape} does not give {c.Shape}");
        }

        Lower(
            new GemmCall(n, n, n, left.First(a, false), right.First(b, false), (nint)Pointer(c), n, alpha, accumulate, Lower: true), left, right, to);
    }

    // The lower triangles of products, then their mirror images.
    private void Lower(GemmCall first, Blocks left, Blocks right, Blocks to)
    {
        Products(first, left.Count, left.Size, right.Size, to.Size);
        int strips = Items(to.Rows, MirrorWork.RowsAnItem);
        _workers.Run(new MirrorWork(first.C, to.Rows, strips), to.Count * strips);
    }

    /// <inheritdoc/>
    public override void TriangularSolve(Tensor x, Tensor u, bool left, bool transpose)
    {
        Blocks blocks = Blocks.Of(x), triangles = Blocks.Of(u);
        int n = left ? blocks.Rows : blocks.Columns;
        if (triangles != new Blocks(blocks.Count, n, n))
        {
            throw new ArgumentException($"a triangle of {u.Shape} can't be solved from the {(left ? "left" : "right")} for {x.Shape}");
        }

        _workers.Run(new TriangularSolveWork(this, (nint)Pointer(x), (nint)Pointer(u), blocks, n, left, transpose), blocks.Count);
    }

    /// <inheritdoc/>
    public override void Qr(Tensor q, Tensor a)
    {
        Blocks blocks = Blocks.Of(a);
        if (Blocks.Of(q) != blocks || blocks.Rows != blocks.Columns)
        {
            throw new ArgumentException($"{q.Shape} is not the orthogonal factor of square matrices {a.Shape}");
        }

        _workers.Run(new QrWork(this, (nint)Pointer(q), (nint)Pointer(a), blocks.Rows), blocks.Count);
    }

    /// <inheritdoc/>
    public override void SymmetricEigen(Tensor vectors, Tensor values, Tensor a)
    {
        Blocks blocks = Blocks.Of(a);
        if (Blocks.Of(vectors) != blocks || blocks.Rows != blocks.Columns || values.Shape.Count != (long)blocks.Count * blocks.Rows)
        {
            throw new ArgumentException($"{vectors.Shape} and {values.Shape} are not the eigenvectors and eigenvalues of {a.Shape}");
        }

        _workers.Run(
            new SymmetricEigenWork(this, (nint)Pointer(vectors), (nint)Pointer(values), (nint)Pointer(a), blocks.Rows), blocks.Count);
    }

    // One product after the other on all threads where each is large or they are few, else each on one thread, all at once.
    private void Products(GemmCall first, int count, long strideA, long strideB, long strideC)
    {
        if (count >= 2 * _workers.Workers)
        {
            _workers.Run(new ProductWork(this, first, strideA, strideB, strideC), count);
            return;
        }

        for (int i = 0; i < count; i++)
        {
            _gemm.Run(first.At(i, strideA, strideB, strideC));
        }
    }

    /// <summary>A tensor as a batch of matrices: its last two dimensions, as often as the ones before say.</summary>
    private readonly record struct Blocks(int Count, int Rows, int Columns)
    {
        public static Blocks Of(Tensor tensor) => tensor.Shape.Rank switch
        {
            1 => new Blocks(1, 1, tensor.Shape.Columns),
            2 => new Blocks(1, tensor.Shape.Rows, tensor.Shape.Columns),
            _ => new Blocks(tensor.Shape.Rows / tensor.Shape[-2], tensor.Shape[-2], tensor.Shape.Columns),
        };

        public long Size => (long)Rows * Columns;

        public Operand First(Tensor tensor, bool transpose)
        {
            Operand view = new((nint)Pointer(tensor), Columns, 1);
            return transpose ? view.Transposed : view;
        }
    }

    private readonly struct ProductWork(CpuBackend backend, GemmCall first, long strideA, long strideB, long strideC) : IWork
    {
        public void Run(int item, int worker) => backend._workerGemms[worker].Run(first.At(item, strideA, strideB, strideC));
    }

    private readonly struct TriangularSolveWork(CpuBackend backend, nint x, nint u, Blocks blocks, int n, bool left, bool transpose) : IWork
    {
        public void Run(int item, int worker)
        {
            float* scratch = backend._workerScratch[worker].Rent(Cpu.TriangularSolve.ScratchElements(blocks.Rows, blocks.Columns, n));
            Cpu.TriangularSolve.Run(
                backend._workerGemms[worker], (float*)x + (item * blocks.Size), blocks.Rows, blocks.Columns, (float*)u + ((long)item * n * n), n,
                left, transpose, scratch);
        }
    }

    private readonly struct QrWork(CpuBackend backend, nint q, nint a, int n) : IWork
    {
        public void Run(int item, int worker)
        {
            long start = (long)item * n * n;
            float* scratch = backend._workerScratch[worker].Rent(HouseholderQr.ScratchElements(n));
            HouseholderQr.Run((float*)q + start, (float*)a + start, n, scratch);
        }
    }

    private readonly struct SymmetricEigenWork(CpuBackend backend, nint vectors, nint values, nint a, int n) : IWork
    {
        public void Run(int item, int worker)
        {
            long start = (long)item * n * n;
            float* scratch = backend._workerScratch[worker].Rent(Cpu.SymmetricEigen.ScratchElements(n));
            Cpu.SymmetricEigen.Run((float*)vectors + start, (float*)values + ((long)item * n), (float*)a + start, n, scratch);
        }
    }

    // Copies the lower triangle of square matrices to the upper one, in strips of rows whose sources share their cache lines.
    private readonly struct MirrorWork(nint matrices, int n, int strips) : IWork
    {
        public const int RowsAnItem = 16;

        public void Run(int item, int worker)
        {
            float* c = (float*)matrices + ((nint)(item / strips) * n * n);
            int start = item % strips * RowsAnItem, end = Math.Min(n, start + RowsAnItem);
            for (int j = start; j < n; j += 4)
            {
                for (int i = start; i < end && i <= j; i += 4)
                {
                    if (i < j && j + 4 <= n)
                    {
                        Packing.Transpose4x4(c + ((nint)j * n) + i, n, c + ((nint)i * n) + j, n);
                        continue;
                    }

                    for (int row = i; row < Math.Min(end, i + 4); row++)
                    {
                        for (int column = Math.Max(j, row + 1); column < Math.Min(n, j + 4); column++)
                        {
                            c[((nint)row * n) + column] = c[((nint)column * n) + row];
                        }
                    }
                }
            }
        }
    }
}
