using Windtunnel.Tensors.Memory;

namespace Windtunnel.Tensors.Backends;

/// <summary>
/// Computes nothing and holds nothing: it only counts the memory that a computation would take. Running a training step on it
/// gives the step's exact memory, for any model and optimizer, without having that memory.
/// </summary>
public sealed class CountingBackend : Backend
{
    /// <inheritdoc/>
    public override string Description => "counts memory";

    /// <inheritdoc/>
    public override int Threads => 1;

    /// <inheritdoc/>
    public override double MeasurePeakFlopsPerSecond() => 0;

    /// <inheritdoc/>
    public override DeviceBuffer Allocate(long elements) => new CountedBuffer(elements, Ledger);

    /// <inheritdoc/>
    public override void Write(Tensor destination, ReadOnlySpan<float> values)
    {
    }

    /// <inheritdoc/>
    public override void Write(Tensor destination, ReadOnlySpan<int> values)
    {
    }

    /// <inheritdoc/>
    public override void Read(Tensor source, Span<float> values)
    {
    }

    /// <inheritdoc/>
    public override void Fill(Tensor destination, float value)
    {
    }

    /// <inheritdoc/>
    public override void Add(Tensor destination, Tensor source, float scale, bool accumulate)
    {
    }

    /// <inheritdoc/>
    public override void AddScaled(Tensor y, Tensor a, Tensor b, float scale)
    {
    }

    /// <inheritdoc/>
    public override void Lerp(Tensor y, Tensor x, float weight)
    {
    }

    /// <inheritdoc/>
    public override double Sum(Tensor x) => 0;

    /// <inheritdoc/>
    public override double SumOfSquares(Tensor x) => 0;

    /// <inheritdoc/>
    public override void MatMul(
        Tensor c, Tensor a, bool transposeA, Tensor b, bool transposeB, float alpha = 1, bool accumulate = false, Tensor? bias = null)
    {
    }

    /// <inheritdoc/>
    public override void Gram(Tensor c, Tensor a, bool transposeA, float alpha = 1, bool accumulate = false)
    {
    }

    /// <inheritdoc/>
    public override void SymmetricProduct(Tensor c, Tensor a, Tensor b, float alpha = 1, bool accumulate = false)
    {
    }

    /// <inheritdoc/>
    public override void BatchedMatMul(
        Tensor c, Tensor a, bool transposeA, Tensor b, bool transposeB, float alpha = 1, bool accumulate = false)
    {
    }

    /// <inheritdoc/>
    public override void TriangularSolve(Tensor x, Tensor u, bool left, bool transpose)
    {
    }

    /// <inheritdoc/>
    public override void Qr(Tensor q, Tensor a)
    {
    }

    /// <inheritdoc/>
    public override void SymmetricEigen(Tensor vectors, Tensor values, Tensor a)
    {
    }

    /// <inheritdoc/>
    public override void ColumnSum(Tensor destination, Tensor rows, bool accumulate)
    {
    }

    /// <inheritdoc/>
    public override void Embedding(Tensor y, Tensor tokens, Tensor table, Tensor? positions, int sequenceLength, int start, float scale)
    {
    }

    /// <inheritdoc/>
    public override void EmbeddingGrad(Tensor dTable, Tensor dy, Tensor tokens, float scale, bool accumulate)
    {
    }

    /// <inheritdoc/>
    public override void PositionGrad(Tensor dPositions, Tensor dy, int sequenceLength, int start, bool accumulate)
    {
    }

    /// <inheritdoc/>
    public override void LayerNorm(Tensor y, Tensor mean, Tensor rstd, Tensor x, Tensor gain, Tensor bias, float epsilon)
    {
    }

    /// <inheritdoc/>
    public override void LayerNormGrad(
        Tensor dx, bool accumulate, Tensor dGain, Tensor dBias, bool accumulateWeights, Tensor dy, Tensor x, Tensor mean, Tensor rstd,
        Tensor gain)
    {
    }

    /// <inheritdoc/>
    public override void RmsNorm(Tensor y, Tensor rstd, Tensor x, Tensor gain, float epsilon)
    {
    }

    /// <inheritdoc/>
    public override void RmsNormGrad(Tensor dx, bool accumulate, Tensor dGain, bool accumulateWeights, Tensor dy, Tensor x, Tensor rstd, Tensor gain)
    {
    }

    /// <inheritdoc/>
    public override void HeadNorm(Tensor y, Tensor rstd, Tensor x, Tensor queryGain, Tensor keyGain, HeadLayout heads, float epsilon)
    {
    }

    /// <inheritdoc/>
    public override void HeadNormGrad(
        Tensor dx, bool accumulate, Tensor dQueryGain, Tensor dKeyGain, bool accumulateWeights, Tensor dy, Tensor x, Tensor rstd,
        Tensor queryGain, Tensor keyGain, HeadLayout heads)
    {
    }

    /// <inheritdoc/>
    public override void Rotary(Tensor y, Tensor x, Tensor table, HeadLayout heads, int sequenceLength, int start, bool inverse, bool accumulate)
    {
    }

    /// <inheritdoc/>
    public override void Attention(Tensor y, Tensor lse, Tensor qkv, HeadLayout heads, int sequenceLength, float scale)
    {
    }

    /// <inheritdoc/>
    public override void AttentionGrad(
        Tensor dQkv, bool accumulate, Tensor dy, Tensor qkv, Tensor y, Tensor lse, HeadLayout heads, int sequenceLength, float scale)
    {
    }

    /// <inheritdoc/>
    public override void CachedAttention(Tensor y, Tensor qkv, Tensor keys, Tensor values, int length, HeadLayout heads, float scale)
    {
    }

    /// <inheritdoc/>
    public override void Gelu(Tensor y, Tensor x)
    {
    }

    /// <inheritdoc/>
    public override void GeluGrad(Tensor dx, Tensor dy, Tensor x, bool accumulate)
    {
    }

    /// <inheritdoc/>
    public override void SwiGlu(Tensor y, Tensor gateUp)
    {
    }

    /// <inheritdoc/>
    public override void SwiGluGrad(Tensor dGateUp, Tensor dy, Tensor gateUp, bool accumulate)
    {
    }

    /// <inheritdoc/>
    public override void SoftmaxCrossEntropy(Tensor logits, Tensor targets, Tensor losses, Tensor penalties, float zLoss, float gradScale)
    {
    }

    /// <inheritdoc/>
    public override void SoftmaxDistillation(
        Tensor logits, Tensor teacher, Tensor targets, Tensor losses, Tensor divergences, float weight, float temperature, float gradScale)
    {
    }

    /// <inheritdoc/>
    public override void SampleTargets(Tensor targets, Tensor logits, Philox random, long start)
    {
    }

    /// <inheritdoc/>
    public override void FillNormal(Tensor destination, Philox random, long start)
    {
    }

    /// <inheritdoc/>
    public override void LerpProduct(Tensor y, Tensor a, Tensor b, float weight, float scale)
    {
    }

    /// <inheritdoc/>
    public override void Momentum(Tensor y, Tensor grads, Tensor m, in Destination to, in MomentumStep step)
    {
    }

    /// <inheritdoc/>
    public override void Adam(Tensor y, Tensor grads, Tensor m, Tensor v, in Destination to, in AdamStep step)
    {
    }

    /// <inheritdoc/>
    public override void AdamMini(Tensor y, Tensor grads, Tensor m, Tensor v, int blockSize, in Destination to, in AdamStep step)
    {
    }

    /// <inheritdoc/>
    public override void AdEMAMix(Tensor y, Tensor grads, Tensor fast, Tensor slow, Tensor v, in Destination to, in AdEMAMixStep step)
    {
    }

    /// <inheritdoc/>
    public override void Sophia(Tensor y, Tensor grads, Tensor m, Tensor hessian, in Destination to, in SophiaStep step)
    {
    }

    /// <inheritdoc/>
    public override void ScheduleFree(Tensor weights, Tensor grads, Tensor z, Tensor v, in ScheduleFreeStep step)
    {
    }

    /// <inheritdoc/>
    public override void CorrectVariance(Tensor grads, Tensor previous, float factor)
    {
    }

    /// <inheritdoc/>
    public override double Caution(Tensor update, Tensor witness) => 0;

    /// <inheritdoc/>
    public override void Descend(Tensor y, Tensor u, in Destination to)
    {
    }

    /// <inheritdoc/>
    public override void DescendCautiously(Tensor weights, Tensor update, float rate, float decay)
    {
    }

    /// <inheritdoc/>
    public override void NormalizeRows(Tensor x, Tensor v, float beta, float epsilon)
    {
    }

    /// <inheritdoc/>
    public override void GatherBlocks(Tensor blocks, Tensor matrix, int row, int column, float scale)
    {
    }

    /// <inheritdoc/>
    public override void ScatterBlocks(Tensor matrix, Tensor blocks, int row, int column, float keep, float scale)
    {
    }

    /// <inheritdoc/>
    public override void RankColumns(Tensor order, Tensor a, Tensor b)
    {
    }

    /// <inheritdoc/>
    public override void Permute(Tensor y, Tensor x, Tensor order, bool columns)
    {
    }

    /// <inheritdoc/>
    public override void ScaleLines(Tensor x, Tensor scales, bool columns, bool inverse)
    {
    }

    /// <inheritdoc/>
    public override void LineSquares(Tensor squares, Tensor x, bool columns)
    {
    }

    /// <inheritdoc/>
    public override void LargestMagnitudes(Tensor largest, Tensor x)
    {
    }

    /// <inheritdoc/>
    public override double SumOfMagnitudes(Tensor x) => 0;

    /// <inheritdoc/>
    public override void KronTriangles(Tensor first, Tensor second, float rate)
    {
    }

    /// <inheritdoc/>
    public override void KronDiagonals(Tensor q, Tensor first, Tensor second, float rate)
    {
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
    }

    private sealed class CountedBuffer : DeviceBuffer
    {
        private readonly Ledger _ledger;
        private bool _freed;

        public CountedBuffer(long elements, Ledger ledger)
            : base(elements)
        {
            _ledger = ledger;
            _ledger.Allocated(elements * sizeof(float));
        }

        public override void Free()
        {
            if (!_freed)
            {
                _freed = true;
                _ledger.Freed(Elements * sizeof(float));
            }
        }
    }
}
