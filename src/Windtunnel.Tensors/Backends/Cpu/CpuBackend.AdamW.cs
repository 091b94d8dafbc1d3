using System.Runtime.Intrinsics;

namespace Windtunnel.Tensors.Backends.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public override void AdamW(Tensor weights, Tensor grads, Tensor m, Tensor v, in AdamWStep step)
    {
        long n = weights.Shape.Count;
        if (grads.Shape.Count != n || m.Shape.Count != n || v.Shape.Count != n)
        {
            throw new ArgumentException($"AdamW: shapes {weights.Shape}, {grads.Shape}, {m.Shape} and {v.Shape} differ in size");
        }

        _workers.Run(
            new AdamWWork((nint)Pointer(weights), (nint)Pointer(grads), (nint)Pointer(m), (nint)Pointer(v), n, step), Items(n, ElementsAnItem));
    }

    private static double Power(double x, long exponent)
    {
        double result = 1;
        for (; exponent > 0; exponent >>= 1, x *= x)
        {
            result *= (exponent & 1) == 1 ? x : 1;
        }

        return result;
    }

    private readonly struct AdamWWork(nint weights, nint grads, nint m, nint v, long n, in AdamWStep step) : IWork
    {
        private readonly AdamWStep _step = step;
        private readonly float _inverseCorrection1 = (float)(1 / (1 - Power(step.Beta1, step.Step)));
        private readonly float _inverseCorrection2 = (float)(1 / (1 - Power(step.Beta2, step.Step)));

        public void Run(int item, int worker)
        {
            long start = (long)item * ElementsAnItem;
            int count = (int)Math.Min(ElementsAnItem, n - start);
            float* w = (float*)weights + start, g = (float*)grads + start, m1 = (float*)m + start, m2 = (float*)v + start;
            Vector512<float> beta1 = Vector512.Create(_step.Beta1), rest1 = Vector512.Create(1 - _step.Beta1);
            Vector512<float> beta2 = Vector512.Create(_step.Beta2), rest2 = Vector512.Create(1 - _step.Beta2);
            Vector512<float> correction1 = Vector512.Create(_inverseCorrection1), correction2 = Vector512.Create(_inverseCorrection2);
            Vector512<float> epsilon = Vector512.Create(_step.Epsilon), scale = Vector512.Create(_step.GradScale);
            Vector512<float> keep = Vector512.Create(1 - (_step.LearningRate * _step.WeightDecay)), rate = Vector512.Create(-_step.LearningRate);
            for (int i = 0; i < count; i += 16)
            {
                Vector512<float> grad = Row.Load(g, i, count) * scale;
                Vector512<float> first = Vector512.FusedMultiplyAdd(beta1, Row.Load(m1, i, count), rest1 * grad);
                Vector512<float> second = Vector512.FusedMultiplyAdd(beta2, Row.Load(m2, i, count), rest2 * (grad * grad));
                Row.Store(m1, i, count, first);
                Row.Store(m2, i, count, second);
                Vector512<float> update = first * correction1 / (Vector512.Sqrt(second * correction2) + epsilon);
                Row.Store(w, i, count, Vector512.FusedMultiplyAdd(rate, update, Row.Load(w, i, count) * keep));
            }
        }
    }
}
