using Windtunnel.Tensors.Memory;

namespace Windtunnel.Tensors.Backends;

/// <summary>
/// What a device can do: memory, and about thirty kernels on whole tensors. Nothing above this class touches raw memory,
/// so a device with its own memory and streams only has to implement it. Kernels may run asynchronously; methods that
/// return numbers to the host wait for them.
/// <para>
/// Letters: B batch, T sequence length, D width, H query heads, G key-value heads, K head width, V vocabulary, N = B T rows.
/// Backward kernels take <c>accumulate</c>: true adds to the destination, false overwrites it.
/// Equal inputs give equal bits on any number of threads (docs/numerics.md).
/// </para>
/// </summary>
public abstract class Backend : IDisposable
{
    /// <summary>What runs here, for a person: device, instruction set, threads.</summary>
    public abstract string Description { get; }

    /// <summary>How many threads or streams work on one kernel.</summary>
    public abstract int Threads { get; }

    /// <summary>fp32 operations a second at best, measured now: the yardstick of model-FLOP utilisation. Takes well under a second.</summary>
    public abstract double MeasurePeakFlopsPerSecond();

    /// <summary>Memory accounting.</summary>
    public Ledger Ledger { get; } = new();

    /// <summary>Memory for <paramref name="elements"/> four-byte elements, with arbitrary content.</summary>
    public abstract DeviceBuffer Allocate(long elements);

    /// <summary>Copies host values to the device.</summary>
    public abstract void Write(Tensor destination, ReadOnlySpan<float> values);

    /// <summary>Copies host integers (tokens, targets) to the device.</summary>
    public abstract void Write(Tensor destination, ReadOnlySpan<int> values);

    /// <summary>Copies a tensor to the host.</summary>
    public abstract void Read(Tensor source, Span<float> values);

    /// <summary>Sets every element.</summary>
    public abstract void Fill(Tensor destination, float value);

    /// <summary>destination = scale source, or += when accumulating.</summary>
    public abstract void Add(Tensor destination, Tensor source, float scale, bool accumulate);

    /// <summary>y = a + scale b (a residual connection).</summary>
    public abstract void AddScaled(Tensor y, Tensor a, Tensor b, float scale);

    /// <summary>y += weight (x - y) (a moving average).</summary>
    public abstract void Lerp(Tensor y, Tensor x, float weight);

    /// <summary>The sum of all elements: fp32 within blocks, double over the blocks.</summary>
    public abstract double Sum(Tensor x);

    /// <summary>The sum of the squares of all elements: fp32 within blocks, double over the blocks.</summary>
    public abstract double SumOfSquares(Tensor x);

    /// <summary>
    /// c = alpha op(a) op(b) [+ bias, one value a column, or + c], with op the transpose where asked.
    /// Tensors of more than two dimensions count as matrices of rows.
    /// </summary>
    public abstract void MatMul(
        Tensor c, Tensor a, bool transposeA, Tensor b, bool transposeB, float alpha = 1, bool accumulate = false, Tensor? bias = null);

    /// <summary>
    /// c = alpha a a^T [+ c], or alpha a^T a where asked: symmetric, so that one triangle is computed and the other one copied, at
    /// about half the cost of the same product by <see cref="MatMul"/> and with its bits. With <paramref name="accumulate"/> c has
    /// to be symmetric before. Tensors of three dimensions are batches: c [B, n, n] of a [B, m, k].
    /// </summary>
    public abstract void Gram(Tensor c, Tensor a, bool transposeA, float alpha = 1, bool accumulate = false);

    /// <summary>c = alpha a b [+ c] of symmetric matrices that commute, at the cost of <see cref="Gram"/>: the product is symmetric, too.</summary>
    public abstract void SymmetricProduct(Tensor c, Tensor a, Tensor b, float alpha = 1, bool accumulate = false);

    /// <summary>
    /// Products as by <see cref="MatMul"/> of batches of matrices, c [B, m, n] = alpha op(a [B, ..]) op(b [B, ..]) [+ c], in one call.
    /// </summary>
    public abstract void BatchedMatMul(
        Tensor c, Tensor a, bool transposeA, Tensor b, bool transposeB, float alpha = 1, bool accumulate = false);

    /// <summary>
    /// x [B, m, n] = op(u)^-1 x (<paramref name="left"/>) or x op(u)^-1, in place, with u [B, ..] upper triangular and op the
    /// transpose where asked. What u holds below its diagonal is not read; a zero on it gives infinities.
    /// </summary>
    public abstract void TriangularSolve(Tensor x, Tensor u, bool left, bool transpose);

    /// <summary>
    /// q [B, n, n] = the orthogonal factors of a [B, n, n] = Q R by Householder reflections, with the sign that leaves no negative
    /// value on R's diagonal; so for a of full rank there is only one Q. q may be a.
    /// </summary>
    public abstract void Qr(Tensor q, Tensor a);

    /// <summary>
    /// a [B, n, n] = V diag(values) V^T for symmetric a: values [B, n] descending, eigenvectors in the columns of vectors [B, n, n], of
    /// either sign. In double precision inside; where eigenvalues coincide any basis of their space is right.
    /// </summary>
    /// <exception cref="ArithmeticException">A matrix holds values that are not finite.</exception>
    public abstract void SymmetricEigen(Tensor vectors, Tensor values, Tensor a);

    /// <summary>destination [D] = column sums of rows [N, D].</summary>
    public abstract void ColumnSum(Tensor destination, Tensor rows, bool accumulate);

    /// <summary>y [N, D] = scale table[tokens[N]] + positions[start + n mod T], positions [.., D] optional.</summary>
    public abstract void Embedding(Tensor y, Tensor tokens, Tensor table, Tensor? positions, int sequenceLength, int start, float scale);

    /// <summary>dTable [V, D] (+)= scale dy scattered by token, in token order.</summary>
    public abstract void EmbeddingGrad(Tensor dTable, Tensor dy, Tensor tokens, float scale, bool accumulate);

    /// <summary>dPositions [.., D] (+)= dy summed over the batch, in batch order, from row <paramref name="start"/> on.</summary>
    public abstract void PositionGrad(Tensor dPositions, Tensor dy, int sequenceLength, int start, bool accumulate);

    /// <summary>y = (x - mean) rstd gain + bias over the last dimension; keeps mean and rstd, one a row (Ba et al. 2016).</summary>
    public abstract void LayerNorm(Tensor y, Tensor mean, Tensor rstd, Tensor x, Tensor gain, Tensor bias, float epsilon);

    /// <summary>Backward of <see cref="LayerNorm"/>; the gradients of gain and bias go together.</summary>
    public abstract void LayerNormGrad(
        Tensor dx, bool accumulate, Tensor dGain, Tensor dBias, bool accumulateWeights, Tensor dy, Tensor x, Tensor mean, Tensor rstd, Tensor gain);

    /// <summary>y = x rstd gain with rstd = 1 / sqrt(mean(x^2) + epsilon) over the last dimension (Zhang and Sennrich 2019).</summary>
    public abstract void RmsNorm(Tensor y, Tensor rstd, Tensor x, Tensor gain, float epsilon);

    /// <summary>Backward of <see cref="RmsNorm"/>.</summary>
    public abstract void RmsNormGrad(
        Tensor dx, bool accumulate, Tensor dGain, bool accumulateWeights, Tensor dy, Tensor x, Tensor rstd, Tensor gain);

    /// <summary>QK-norm: RMSNorm with gain [K] on each query head and each key head of rows [H q | G k | G v]; values are copied. rstd [N, H + G].</summary>
    public abstract void HeadNorm(Tensor y, Tensor rstd, Tensor x, Tensor queryGain, Tensor keyGain, HeadLayout heads, float epsilon);

    /// <summary>Backward of <see cref="HeadNorm"/>.</summary>
    public abstract void HeadNormGrad(
        Tensor dx, bool accumulate, Tensor dQueryGain, Tensor dKeyGain, bool accumulateWeights,
        Tensor dy, Tensor x, Tensor rstd, Tensor queryGain, Tensor keyGain, HeadLayout heads);

    /// <summary>
    /// Rotary position embedding in the rotate-half layout (Su et al. 2021) on the query and key heads of rows [H q | G k | G v];
    /// values are copied. table [positions, K] holds K/2 cosines, then K/2 sines. Row n has position start + n mod T.
    /// The inverse rotation is the backward pass.
    /// </summary>
    public abstract void Rotary(Tensor y, Tensor x, Tensor table, HeadLayout heads, int sequenceLength, int start, bool inverse, bool accumulate);

    /// <summary>
    /// Causal attention y [N, H K] of rows [H q | G k | G v]; query head h reads key-value head h / (H / G).
    /// Tiled with an online softmax; keeps the log-sum-exp of each query, lse [B, H, T] (Dao et al. 2022).
    /// </summary>
    public abstract void Attention(Tensor y, Tensor lse, Tensor qkv, HeadLayout heads, int sequenceLength, float scale);

    /// <summary>Backward of <see cref="Attention"/>; recomputes the probabilities from lse.</summary>
    public abstract void AttentionGrad(
        Tensor dQkv, bool accumulate, Tensor dy, Tensor qkv, Tensor y, Tensor lse, HeadLayout heads, int sequenceLength, float scale);

    /// <summary>
    /// Attention of rows that continue a cached sequence (batch 1): appends keys and values of qkv [n, ..] at row
    /// <paramref name="length"/> of keys and values [capacity, G K], then lets query i see rows 0 to length + i.
    /// </summary>
    public abstract void CachedAttention(Tensor y, Tensor qkv, Tensor keys, Tensor values, int length, HeadLayout heads, float scale);

    /// <summary>The tanh form of GELU (Hendrycks and Gimpel 2016).</summary>
    public abstract void Gelu(Tensor y, Tensor x);

    /// <summary>Backward of <see cref="Gelu"/>.</summary>
    public abstract void GeluGrad(Tensor dx, Tensor dy, Tensor x, bool accumulate);

    /// <summary>y [N, F] = silu(gate) up for rows [gate | up] of width 2 F (Shazeer 2020).</summary>
    public abstract void SwiGlu(Tensor y, Tensor gateUp);

    /// <summary>Backward of <see cref="SwiGlu"/>.</summary>
    public abstract void SwiGluGrad(Tensor dGateUp, Tensor dy, Tensor gateUp, bool accumulate);

    /// <summary>
    /// Per row of logits [N, V]: loss = lse - logit[target], penalty = zLoss lse^2, both zero where the target is negative (ignored).
    /// With <paramref name="gradScale"/> not zero the logits are replaced by gradScale times the gradient of loss + penalty.
    /// </summary>
    public abstract void SoftmaxCrossEntropy(Tensor logits, Tensor targets, Tensor losses, Tensor penalties, float zLoss, float gradScale);

    /// <summary>
    /// Per row of logits [N, V] and a teacher's [N, V]: loss = lse - logit[target], divergence = T^2 KL(softmax(teacher / T) || softmax(logits / T)),
    /// both zero where the target is negative (ignored). The logits are replaced by gradScale times the gradient of
    /// (1 - weight) loss + weight divergence, the teacher's by anything.
    /// </summary>
    public abstract void SoftmaxDistillation(
        Tensor logits, Tensor teacher, Tensor targets, Tensor losses, Tensor divergences, float weight, float temperature, float gradScale);

    /// <summary>
    /// targets [N] drawn from softmax(logits [N, V]) where they are not negative (ignored): row n by the uniform number at
    /// <paramref name="start"/> + n of <paramref name="random"/>.
    /// </summary>
    public abstract void SampleTargets(Tensor targets, Tensor logits, Philox random, long start);

    /// <summary>Fills with N(0, 1); element i depends on nothing but the stream and <paramref name="start"/> + i.</summary>
    public abstract void FillNormal(Tensor destination, Philox random, long start);

    /// <summary>y += weight (scale a b - y): a moving average of products.</summary>
    public abstract void LerpProduct(Tensor y, Tensor a, Tensor b, float weight, float scale);

    /// <summary>The direction of a rule with one momentum (SGD, Signum, Lion), in one pass.</summary>
    public abstract void Momentum(Tensor y, Tensor grads, Tensor m, in Destination to, in MomentumStep step);

    /// <summary>The direction of Adam (Kingma and Ba 2015), with Nesterov's look-ahead where asked (Dozat 2016), in one pass.</summary>
    public abstract void Adam(Tensor y, Tensor grads, Tensor m, Tensor v, in Destination to, in AdamStep step);

    /// <summary>Adam with one second moment, v [blocks], for each block of <paramref name="blockSize"/> neighbours (Zhang et al. 2024).</summary>
    public abstract void AdamMini(Tensor y, Tensor grads, Tensor m, Tensor v, int blockSize, in Destination to, in AdamStep step);

    /// <summary>The direction of AdEMAMix: Adam with a second, slow mean (Pagliardini et al. 2024).</summary>
    public abstract void AdEMAMix(Tensor y, Tensor grads, Tensor fast, Tensor slow, Tensor v, in Destination to, in AdEMAMixStep step);

    /// <summary>The direction of Sophia: momentum over the diagonal of the Hessian, clipped (Liu et al. 2023).</summary>
    public abstract void Sophia(Tensor y, Tensor grads, Tensor m, Tensor hessian, in Destination to, in SophiaStep step);

    /// <summary>
    /// One step of Schedule-Free AdamW (Defazio et al. 2024): with d = g / (sqrt(SquareScale v) + Epsilon) + WeightDecay y,
    /// y = y + AverageWeight (z - y) - Rate (1 - Interpolation (1 - AverageWeight)) d and z = z - Rate d.
    /// </summary>
    public abstract void ScheduleFree(Tensor weights, Tensor grads, Tensor z, Tensor v, in ScheduleFreeStep step);

    /// <summary>Corrects the variance of gradients in place: g = g + factor (g - previous), and previous becomes the old g (Yuan et al. 2024).</summary>
    public abstract void CorrectVariance(Tensor grads, Tensor previous, float factor);

    /// <summary>Zeroes the elements of an update whose sign is not that of the witness; returns how many remain (Liang et al. 2024).</summary>
    public abstract double Caution(Tensor update, Tensor witness);

    /// <summary>y = Keep y + Scale u of a direction u that is known.</summary>
    public abstract void Descend(Tensor y, Tensor u, in Destination to);

    /// <summary>weights = weights - rate update - decay weights, the decay only where the update makes weights no larger (Chen et al. 2025).</summary>
    public abstract void DescendCautiously(Tensor weights, Tensor update, float rate, float decay);

    /// <summary>v [rows] = beta v + (1 - beta) mean of the squares of a row of x, then x = x / (sqrt(v) + epsilon) (Li et al. 2025).</summary>
    public abstract void NormalizeRows(Tensor x, Tensor v, float beta, float epsilon);

    /// <summary>
    /// blocks [I, J, r, c] = scale times the blocks of a matrix from <paramref name="row"/> and <paramref name="column"/> on: block (i, j) has
    /// rows row + i r to row + (i + 1) r and columns column + j c to column + (j + 1) c, zero where the last ones reach beyond the matrix.
    /// </summary>
    public abstract void GatherBlocks(Tensor blocks, Tensor matrix, int row, int column, float scale);

    /// <summary>The way back of <see cref="GatherBlocks"/>: matrix = keep matrix + scale blocks, where the blocks are within it.</summary>
    public abstract void ScatterBlocks(Tensor matrix, Tensor blocks, int row, int column, float keep, float scale);

    /// <summary>order [B, n] = the columns j of a and b [B, m, n] by their scalar products a_j b_j, the largest first.</summary>
    public abstract void RankColumns(Tensor order, Tensor a, Tensor b);

    /// <summary>y = x [B, m, n] with its columns, or else its rows, in the order given.</summary>
    public abstract void Permute(Tensor y, Tensor x, Tensor order, bool columns);

    /// <summary>Multiplies, or divides, each row of x [B, m, n] by its value of scales [B, m]; or each column by that of scales [B, n].</summary>
    public abstract void ScaleLines(Tensor x, Tensor scales, bool columns, bool inverse);

    /// <summary>squares = the sum of squares of each row [B, m] or each column [B, n] of x [B, m, n].</summary>
    public abstract void LineSquares(Tensor squares, Tensor x, bool columns);

    /// <summary>largest [B] = the largest magnitude in each matrix of x [B, m, n].</summary>
    public abstract void LargestMagnitudes(Tensor largest, Tensor x);

    /// <summary>The sum of the magnitudes of all elements: fp32 within blocks, double over the blocks.</summary>
    public abstract double SumOfMagnitudes(Tensor x);

    /// <summary>
    /// What PSGD's triangular preconditioners move by (Li 2022): first = rate / |first + second| times the upper triangle of
    /// first - second, for symmetric matrices [B, n, n] and a lower bound of the spectral norm.
    /// </summary>
    public abstract void KronTriangles(Tensor first, Tensor second, float rate);

    /// <summary>A step of PSGD's diagonal preconditioners q [B, n]: q = q - rate / max|first + second| (first - second) q.</summary>
    public abstract void KronDiagonals(Tensor q, Tensor first, Tensor second, float rate);

    /// <summary>Frees what the backend itself holds.</summary>
    public abstract void Dispose();
}

/// <summary>How a row of queries, keys and values is divided: [H q | G k | G v], each head K wide.</summary>
/// <param name="Heads">H, query heads.</param>
/// <param name="KeyValueHeads">G, key-value heads; divides H.</param>
/// <param name="Width">K, the width of a head.</param>
public readonly record struct HeadLayout(int Heads, int KeyValueHeads, int Width)
{
    /// <summary>The width of a row: (H + 2 G) K.</summary>
    public int RowWidth => (Heads + (2 * KeyValueHeads)) * Width;
}
