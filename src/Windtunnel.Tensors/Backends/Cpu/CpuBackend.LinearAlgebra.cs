namespace Windtunnel.Tensors.Backends.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public override void Gram(Tensor c, Tensor a, bool transposeA, float alpha = 1, bool accumulate = false)
    {
        Blocks from = Blocks.Of(a), to = Blocks.Of(c);
        (int n, int k) = transposeA ? (from.Columns, from.Rows) : (from.Rows, from.Columns);
        if (to != new Blocks(from.Count, n, n))
        {
            throw new ArgumentException($"the Gram matrix of {a.Shape}{(transposeA ? " transposed" : "")} is not {c.Shape}");
        }

        Operand left = transposeA ? new Operand((nint)Pointer(a), 1, from.Columns) : new Operand((nint)Pointer(a), from.Columns, 1);
        Products(
            new GemmCall(n, n, k, left, left.Transposed, (nint)Pointer(c), n, alpha, accumulate, Lower: true), from.Count, from.Size, from.Size, to.Size);
        int strips = Items(n, MirrorWork.RowsAnItem);
        _workers.Run(new MirrorWork((nint)Pointer(c), n, strips), to.Count * strips);
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
    }

    private readonly struct ProductWork(CpuBackend backend, GemmCall first, long strideA, long strideB, long strideC) : IWork
    {
        public void Run(int item, int worker) => backend._workerGemms[worker].Run(first.At(item, strideA, strideB, strideC));
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
