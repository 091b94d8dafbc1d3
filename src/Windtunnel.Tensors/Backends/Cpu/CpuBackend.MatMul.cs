namespace Windtunnel.Tensors.Backends.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public override void MatMul(
        Tensor c, Tensor a, bool transposeA, Tensor b, bool transposeB, float alpha = 1, bool accumulate = false, Tensor? bias = null)
    {
        Operand left = View(a, transposeA, out int m, out int k);
        Operand right = View(b, transposeB, out int rightRows, out int n);
        if (rightRows != k || c.Shape.Rows != m || c.Shape.Columns != n || (bias is not null && bias.Shape.Count != n))
        {
            throw new ArgumentException(
                $"a product of {a.Shape}{(transposeA ? " transposed" : "")} and {b.Shape}{(transposeB ? " transposed" : "")} does not give {c.Shape}");
        }

        if (accumulate && bias is not null)
        {
            throw new ArgumentException("a product either accumulates or starts from a bias", nameof(bias));
        }

        if (m == 1 && transposeB)
        {
            MatVec(c, a, b, alpha, accumulate, bias);
            return;
        }

        _gemm.Run(new GemmCall(m, n, k, left, right, (nint)Pointer(c), n, alpha, accumulate, bias is null ? 0 : (nint)Pointer(bias)));
    }

    private static Operand View(Tensor tensor, bool transpose, out int rows, out int columns)
    {
        (rows, columns) = (tensor.Shape.Rows, tensor.Shape.Columns);
        Operand view = new((nint)Pointer(tensor), columns, 1);
        if (!transpose)
        {
            return view;
        }

        (rows, columns) = (columns, rows);
        return view.Transposed;
    }

    // One token at a time (sampling) is bound by reading the weights once; packing them would double that.
    private void MatVec(Tensor c, Tensor a, Tensor b, float alpha, bool accumulate, Tensor? bias)
    {
        int n = b.Shape.Rows;
        _workers.Run(
            new MatVecWork((nint)Pointer(c), (nint)Pointer(a), (nint)Pointer(b), n, b.Shape.Columns, alpha, accumulate, bias is null ? 0 : (nint)Pointer(bias)),
            Items(n, MatVecWork.RowsAnItem));
    }

    private readonly struct MatVecWork(nint c, nint a, nint b, int n, int k, float alpha, bool accumulate, nint bias) : IWork
    {
        public const int RowsAnItem = 64;

        public void Run(int item, int worker)
        {
            float* y = (float*)c;
            int end = Math.Min(n, (item + 1) * RowsAnItem);
            for (int row = item * RowsAnItem; row < end; row++)
            {
                float start = accumulate ? y[row] : bias != 0 ? ((float*)bias)[row] : 0;
                y[row] = start + (alpha * Row.Dot((float*)a, (float*)b + ((nint)row * k), k));
            }
        }
    }
}
