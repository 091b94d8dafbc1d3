namespace Windtunnel.Tensors.Backends.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public override void SoftmaxDistillation(
        Tensor logits, Tensor teacher, Tensor targets, Tensor losses, Tensor divergences, float weight, float temperature, float gradScale) =>
        _workers.Run(
            new DistillationWork(
                this, (nint)Pointer(logits), (nint)Pointer(teacher), (nint)Pointer(targets), (nint)Pointer(losses), (nint)Pointer(divergences),
                logits.Shape.Rows, logits.Shape.Columns, weight, temperature, gradScale),
            Items(logits.Shape.Rows, CrossEntropyWork.RowsAnItem));

    private readonly struct DistillationWork(
        CpuBackend backend, nint logits, nint teacher, nint targets, nint losses, nint divergences, int rows, int vocabulary, float weight,
        float temperature, float gradScale) : IWork
    {
        public void Run(int item, int worker)
        {
            int end = Math.Min(rows, (item + 1) * CrossEntropyWork.RowsAnItem);
            float* soft = backend._workerScratch[worker].Rent(2L * vocabulary), gap = soft + vocabulary;
            for (int row = item * CrossEntropyWork.RowsAnItem; row < end; row++)
            {
                float* x = (float*)logits + ((nint)row * vocabulary), t = (float*)teacher + ((nint)row * vocabulary);
                int target = ((int*)targets)[row];
                if (target >= vocabulary)
                {
                    throw new InvalidOperationException($"target {target} in a vocabulary of {vocabulary}");
                }

                if (target < 0)
                {
                    ((float*)losses)[row] = ((float*)divergences)[row] = 0;
                    new Span<float>(x, vocabulary).Clear();
                    continue;
                }

                // The mean of teacher - student under the teacher's distribution is what the two log-normalisers differ from.
                ReadOnlySpan<float> student = new(x, vocabulary), taught = new(t, vocabulary);
                student.CopyTo(new Span<float>(soft, vocabulary));
                taught.CopyTo(new Span<float>(gap, vocabulary));
                Row.AddScaled(gap, x, vocabulary, -1);
                float chosen = x[target], max = Row.Max(x, vocabulary), cold = 1 / temperature;
                float softMax = max * cold, teacherMax = Row.Max(t, vocabulary) * cold;
                float sum = Row.ExpSum(x, vocabulary, 1, max), softSum = Row.ExpSum(soft, vocabulary, cold, softMax), teacherSum = Row.ExpSum(t, vocabulary, cold, teacherMax);
                float normalisers = softMax - teacherMax + (float)(VectorMath.Log(softSum) - VectorMath.Log(teacherSum));
                float divergence = (Row.Dot(t, gap, vocabulary) / teacherSum * cold) + normalisers;
                ((float*)losses)[row] = max + (float)VectorMath.Log(sum) - chosen;
                ((float*)divergences)[row] = temperature * temperature * divergence;

                // d(loss) / dx = p - [t]; d(T^2 KL) / dx = T (student - teacher), both at temperature T.
                float hard = gradScale * (1 - weight), softly = gradScale * weight * temperature;
                Row.Scale(x, vocabulary, hard / sum);
                Row.AddScaled(x, soft, vocabulary, softly / softSum);
                Row.AddScaled(x, t, vocabulary, -softly / teacherSum);
                x[target] -= hard;
            }
        }
    }
}
