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

    /// <inheritdoc/>
    public override void SampleTargets(Tensor targets, Tensor logits, Philox random, long start) =>
        _workers.Run(
            new SampleTargetsWork((nint)Pointer(targets), (nint)Pointer(logits), logits.Shape.Rows, logits.Shape.Columns, random, start),
            Items(logits.Shape.Rows, CrossEntropyWork.RowsAnItem));

    private readonly struct SampleTargetsWork(nint targets, nint logits, int rows, int vocabulary, Philox random, long start) : IWork
    {
        public void Run(int item, int worker)
        {
            int end = Math.Min(rows, (item + 1) * CrossEntropyWork.RowsAnItem);
            for (int row = item * CrossEntropyWork.RowsAnItem; row < end; row++)
            {
                int* target = (int*)targets + row;
                if (*target >= 0)
                {
                    *target = Draw((float*)logits + ((nint)row * vocabulary), random.Uniform((ulong)(start + row)));
                }
            }
        }

        // The first token at which the running sum of probabilities passes a uniform number, found sixteen tokens at a time.
        private int Draw(float* x, double uniform)
        {
            float max = Row.Max(x, vocabulary);
            double total = 0;
            for (int i = 0; i < vocabulary; i += 16)
            {
                total += VectorMath.Sum(Weights(x, i, max));
            }

            double left = uniform * total;
            for (int i = 0; i < vocabulary; i += 16)
            {
                Vector512<float> weights = Weights(x, i, max);
                double sum = VectorMath.Sum(weights);
                if (left >= sum)
                {
                    left -= sum;
                    continue;
                }

                for (int lane = 0; lane < 16 && i + lane < vocabulary; lane++)
                {
                    left -= weights[lane];
                    if (left < 0)
                    {
                        return i + lane;
                    }
                }
            }

            return vocabulary - 1;
        }

        private Vector512<float> Weights(float* x, int i, float max)
        {
            Vector512<float> values = i + 16 <= vocabulary ? Vector512.Load(x + i) : VectorMath.LoadTail(x + i, vocabulary - i, float.NegativeInfinity);
            return VectorMath.Exp(values - Vector512.Create(max));
        }
    }

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
