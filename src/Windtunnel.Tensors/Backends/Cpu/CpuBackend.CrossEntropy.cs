using System.Runtime.Intrinsics;

namespace Windtunnel.Tensors.Backends.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public override void SoftmaxCrossEntropy(Tensor logits, Tensor targets, Tensor losses, Tensor penalties, float zLoss, float gradScale) =>
        _workers.Run(
            new CrossEntropyWork(
                (nint)Pointer(logits), (nint)Pointer(targets), (nint)Pointer(losses), (nint)Pointer(penalties),
                logits.Shape.Rows, logits.Shape.Columns, zLoss, gradScale),
            Items(logits.Shape.Rows, CrossEntropyWork.RowsAnItem));

    private readonly struct CrossEntropyWork(
        nint logits, nint targets, nint losses, nint penalties, int rows, int vocabulary, float zLoss, float gradScale) : IWork
    {
        public const int RowsAnItem = 8;

        public void Run(int item, int worker)
        {
            int end = Math.Min(rows, (item + 1) * RowsAnItem);
            for (int row = item * RowsAnItem; row < end; row++)
            {
                float* x = (float*)logits + ((nint)row * vocabulary);
                int target = ((int*)targets)[row];
                if (target >= vocabulary)
                {
                    throw new InvalidOperationException($"target {target} in a vocabulary of {vocabulary}");
                }

                if (target < 0)
                {
                    ((float*)losses)[row] = 0;
                    ((float*)penalties)[row] = 0;
                    new Span<float>(x, gradScale == 0 ? 0 : vocabulary).Clear();
                    continue;
                }

                float chosen = x[target];
                float max = Row.Max(x, vocabulary);
                float sum = Row.ExpSum(x, vocabulary, 1, max);
                float lse = max + (float)VectorMath.Log(sum);
                ((float*)losses)[row] = lse - chosen;
                ((float*)penalties)[row] = zLoss * lse * lse;
                if (gradScale != 0)
                {
                    // d(lse - x_t + z lse^2) / dx = p (1 + 2 z lse) - [t]
                    Row.Scale(x, vocabulary, gradScale * (1 + (2 * zLoss * lse)) / sum);
                    x[target] -= gradScale;
                }
            }
        }
    }
}
