using System.Text.Json.Serialization;
using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// Kron: PSGD with a Kronecker product of triangular preconditioners, which whitens the momentum. Each block of a matrix has an
/// upper triangular Q for its rows and one for its columns; vectors and very long dimensions have diagonal ones. The direction is
/// Q_l^T Q_l M Q_r^T Q_r, no larger than 1.1 in root mean square. The preconditioners are fitted by steps against random
/// probes, at every step at first and then less and less often; no step is left to chance.
/// </summary>
/// <param name="LearningRate">The highest rate.</param>
/// <param name="Beta1">Decay of the momentum.</param>
/// <param name="WeightDecay">Decoupled decay.</param>
/// <param name="PreconditionerRate">How far a fitting step goes.</param>
/// <param name="Normalize">Divide the gradient of each parameter by its norm, and don't clip.</param>
/// <param name="FlatStart">Steps with a fit at each.</param>
/// <param name="MinProbability">Fits a step in the end, some thousand steps later.</param>
/// <param name="BalanceEvery">Fits from one balancing of the two sides of a block to the next.</param>
/// <param name="InitialScale">Of the preconditioners.</param>
/// <param name="BlockSize">The largest side of a block; 0 for whole matrices.</param>
/// <param name="MaxDimension">Larger dimensions have a diagonal preconditioner: vocabularies.</param>
/// <param name="MergedDimension">Neighbouring dimensions are merged towards this size first; 0 for no merging. The study's 8192 changes none of its matrices.</param>
/// <param name="PadBlocks">
/// Fill up smaller blocks with zeros, as the study's code does. The probes of a fit are not zero there, which makes it another one, and a width
/// of 64 in blocks of 256 costs 16 times as much.
/// </param>
/// <param name="Form">Whose code is followed where they differ.</param>
public sealed record KronOptions(
    double LearningRate = 1e-3, double Beta1 = 0.95, double WeightDecay = 0.5, double PreconditionerRate = 0.2, bool Normalize = true,
    int FlatStart = 500, double MinProbability = 0.05, int BalanceEvery = 100, double InitialScale = 1, int BlockSize = 256, int MaxDimension = 25_000,
    int MergedDimension = 0, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool PadBlocks = false,
    KronForm Form = KronForm.Study)
    : OptimizerOptions(LearningRate, WeightDecay)
{
    /// <summary>As tuned for 130M parameters in Wen et al. 2025, 80 tokens a parameter.</summary>
    public static KronOptions Study { get; } = new(2e-3, 0.95, 0.5, 0.2, true, 2000, PadBlocks: true) { ClipNorm = 1, DecayOn = DecayScope.Linear };

    /// <summary>The defaults of kron_torch.</summary>
    public static KronOptions Original { get; } = new(3e-4, 0.9, 0, 0.1, false, 500, 0.03, BlockSize: 0, MaxDimension: 8192, Form: KronForm.Original);

    /// <inheritdoc/>
    public override string Source => "Li 2018 and 2022, arXiv 1512.04202 and 2211.04422";

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state) =>
    [
        new Rule("kron", LearningRate, (state, group) => new KronDirection(state, group, this))
        {
            WeightDecay = WeightDecay,
            ClipNorm = Normalize ? 0 : ClipNorm,
        },
    ];

    /// <summary>Fits a step, where n steps have been taken: 1 at first, then e^(-(n - FlatStart) / 1000), down to the smallest.</summary>
    public double UpdateProbability(long n) =>
        n <= FlatStart ? 1 : Math.Max(MinProbability, Bias.Power(0.99900049983337499, n - FlatStart));

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireBeta(Beta1, "beta1");
        Require(PreconditionerRate is > 0 and <= 1, "preconditionerRate", PreconditionerRate, "positive and at most 1");
        Require(MinProbability is > 0 and <= 1, "minProbability", MinProbability, "positive and at most 1");
        Require(BalanceEvery >= 1, "balanceEvery", BalanceEvery, "at least 1");
        Require(InitialScale is >= 1e-30 and <= 1e30, "initialScale", InitialScale, "between 1E-30 and 1E+30");
        Require(BlockSize >= 0, "blockSize", BlockSize, "at least 0");
        Require(MaxDimension >= 1, "maxDimension", MaxDimension, "at least 1");
        Require(MergedDimension >= 0, "mergedDimension", MergedDimension, "at least 0");
    }
}

/// <summary>Two readings of Kron.</summary>
public enum KronForm
{
    /// <summary>Levanter, as the study ran it.</summary>
    Study,

    /// <summary>
    /// kron_torch: the probe's noise stays in the momentum of the steps that fit, and the first step counts as zero. (It balances at
    /// random, 1 % of the time; here it is every <see cref="KronOptions.BalanceEvery"/>.)
    /// </summary>
    Original,
}

/// <summary>Fills blocks of a batch, from the first one given on, with N(0, 1).</summary>
internal delegate void KronProbe(Tensor destination, BlockBatch batch, int first, in DirectionStep step);

internal sealed class KronDirection : Direction
{
    // The root of the smallest e with 1 + e > 1 in single precision: the share of noise that is mixed into what is whitened.
    private const double Damping = 3.4526698e-4;
    private const double LargestRms = 1.1;

    // Where gradients are zero the noise alone holds the preconditioners: without any they would grow without bound.
    private const double LeastNoise = 1e-20;

    private readonly OptimizerState _state;
    private readonly Backend _backend;
    private readonly KronOptions _options;
    private readonly ParameterGroup _group;
    private readonly BlockPartition _partition;
    private readonly List<(BlockBatch Batch, Tensor Momentum, List<Side> Sides)> _batches = [];
    private readonly Dictionary<Parameter, double> _scales = [];
    private readonly HostScalars _counters;
    private readonly KronProbe _probe;

    public KronDirection(OptimizerState state, ParameterGroup group, KronOptions options, KronProbe? probe = null)
    {
        (_state, _backend, _group, _options, _probe) = (state, state.Backend, group, options, probe ?? Normal);
        _partition = new BlockPartition(
            _backend, group, options.BlockSize, options.MergedDimension,
            (parameter, size) => parameter.IsMatrix && size > 1 && size <= options.MaxDimension, options.PadBlocks);
        foreach (BlockBatch batch in _partition.Batches)
        {
            string name = $"{batch.Name}.{group.Parameters[0].Name}";
            double scale = batch.IsVector ? options.InitialScale : Math.Sqrt(options.InitialScale);
            List<Side> sides = [NewSide(batch.Count, batch.Rows, batch.Left, isRight: false, scale, name)];
            if (!batch.IsVector)
            {
                sides.Add(NewSide(batch.Count, batch.Columns, batch.Right, isRight: true, scale, name));
            }

            _batches.Add((batch, state.New(new Shape(batch.Count, batch.Rows, batch.Columns), $"kron.momentum.{name}"), sides));
        }

        _counters = state.NewScalars(2, $"kron.counters.{group.Parameters[0].Name}");
    }

    public override void Write(Tensor y, in Destination to, in DirectionStep step)
    {
        (float gradScale, float scale) = (to.GradScale, to.Scale);
        long working = _batches.Max(entry =>
            entry.Batch.ChunkBlocks * ((3 * entry.Batch.BlockElements) + (2 * entry.Batch.LargestElements) + (2 * entry.Batch.Rows) + (2 * entry.Batch.Columns)));
        long most = _batches.Max(entry => entry.Batch.Count);
        long flat = _options.PadBlocks ? _group.Grads.Shape.Count : 0;
        Tensor blocks = _state.Workspace(new Shape(checked((int)(_partition.Elements + Math.Max(flat, most + working)))));
        Tensor ofBlocks = new(blocks.Buffer, blocks.Offset + _partition.Elements, new Shape((int)most));

        _partition.Gather(blocks, _group.Grads, parameter =>
            _options.Normalize ? gradScale / ((gradScale * Math.Sqrt(_backend.SumOfSquares(parameter.Grad))) + 1e-16) : gradScale);
        foreach ((BlockBatch batch, Tensor momentum, _) in _batches)
        {
            Tensor grads = batch.Of(blocks, 0, batch.Count);
            _backend.Lerp(momentum, grads, (float)(1 - _options.Beta1));
            _backend.Add(grads, momentum, (float)Bias.Correction(_options.Beta1, step.Number), accumulate: false);
        }

        bool fits = Count(step.Number, out bool balances);
        if (fits)
        {
            Measure(blocks, _backend.SumOfMagnitudes, (sum, parameter) => Math.Max(Damping * sum / _partition.ElementsOf(parameter), LeastNoise));
        }

        foreach ((BlockBatch batch, _, List<Side> sides) in _batches)
        {
            if (balances && sides.Count == 2)
            {
                Balance(sides, ofBlocks);
            }

            if (fits)
            {
                float[] noise = new float[batch.Count];
                foreach (BlockPiece piece in batch.Pieces)
                {
                    noise.AsSpan(piece.First, piece.GridRows * piece.GridColumns).Fill((float)_scales[piece.Parameter]);
                }

                _backend.Write(View(ofBlocks, 0, new Shape(batch.Count)), noise);
            }

            foreach ((int first, int count) in batch.Chunks())
            {
                Chunk chunk = new(_backend, batch, sides, blocks, ofBlocks.Offset + most, first, count);
                if (fits)
                {
                    _probe(chunk.Probe, batch, first, step);
                    chunk.Fit(View(ofBlocks, first, new Shape(count)), (float)_options.PreconditionerRate, _options.Form == KronForm.Original);
                }

                chunk.Precondition();
            }
        }

        ClearPadding(blocks);
        Measure(blocks, _backend.SumOfSquares, (sum, parameter) => scale / Math.Max(1, Math.Sqrt(sum / parameter.Shape.Count) / LargestRms));
        _partition.Scatter(y, blocks, to.Keep, parameter => _scales[parameter]);
    }

    private void Normal(Tensor destination, BlockBatch batch, int first, in DirectionStep step) => _backend.FillNormal(
        destination, Philox.Named(step.Seed, $"kron.{batch.Name}.{_group.Parameters[0].Name}"),
        ((step.Number * batch.Count) + first) * batch.BlockElements);

    // Whether this step fits the preconditioners, and whether it balances them first.
    private bool Count(long number, out bool balances)
    {
        Span<double> counters = stackalloc double[2];
        _counters.Read(counters);
        bool fits = ++counters[0] >= 1 / _options.UpdateProbability(_options.Form == KronForm.Original ? number - 1 : number);
        balances = fits && ++counters[1] >= _options.BalanceEvery;
        counters[0] = fits ? 0 : counters[0];
        counters[1] = balances ? 0 : counters[1];
        _counters.Write(counters);
        return fits;
    }

    // A number for each parameter from a sum over its blocks.
    private void Measure(Tensor blocks, Func<Tensor, double> sum, Func<double, Parameter, double> scale)
    {
        _scales.Clear();
        foreach ((BlockBatch batch, _, _) in _batches)
        {
            foreach (BlockPiece piece in batch.Pieces)
            {
                _scales[piece.Parameter] = _scales.GetValueOrDefault(piece.Parameter) + sum(batch.Of(blocks, piece));
            }
        }

        foreach (Parameter parameter in _group.Parameters)
        {
            _scales[parameter] = scale(_scales[parameter], parameter);
        }
    }

    // A direction is not zero beyond the matrix, where nothing moves.
    private void ClearPadding(Tensor blocks)
    {
        if (_options.PadBlocks)
        {
            Tensor flat = View(blocks, _partition.Elements, _group.Grads.Shape);
            _partition.Scatter(flat, blocks, 0, _ => 1);
            _partition.Gather(blocks, flat, _ => 1);
        }
    }

    // Gives both sides of each block the same largest magnitude; their product stays.
    private void Balance(List<Side> sides, Tensor ofBlocks)
    {
        int count = sides[0].Q.Shape[0];
        Tensor values = View(ofBlocks, 0, new Shape(count));
        float[] left = new float[count], right = new float[count];
        _backend.LargestMagnitudes(values, sides[0].Q);
        _backend.Read(values, left);
        _backend.LargestMagnitudes(values, sides[1].Q);
        _backend.Read(values, right);
        float[] scales = [.. left.Zip(right, (l, r) => (float)Math.Sqrt((double)r / l))];
        _backend.Write(values, scales);
        foreach (Side side in sides)
        {
            Tensor rows = View(side.Q, 0, new Shape(count, (int)(side.Q.Shape.Count / count)));
            _backend.ScaleLines(rows, values, columns: false, inverse: side.IsRight);
        }
    }

    private Side NewSide(int count, int size, bool isFull, bool isRight, double scale, string name)
    {
        Tensor q = _state.New(isFull ? new Shape(count, size, size) : new Shape(count, 1, size), $"kron.q.{(isRight ? "right" : "left")}.{name}");
        float[] one = new float[isFull ? size * size : size];
        for (int i = 0; i < size; i++)
        {
            one[isFull ? i * (size + 1) : i] = (float)scale;
        }

        for (int block = 0; block < count; block++)
        {
            _backend.Write(View(q, (long)block * one.Length, new Shape(one.Length)), one);
        }

        return new Side(q, isRight, isFull);
    }

    private static Tensor View(Tensor tensor, long offset, Shape shape) => new(tensor.Buffer, tensor.Offset + offset, shape);

    /// <summary>The rows' or the columns' preconditioners: triangular [count, n, n], or diagonal [count, 1, n].</summary>
    private sealed record Side(Tensor Q, bool IsRight, bool IsFull);

    /// <summary>Some blocks of a batch, and the memory to work on them.</summary>
    private sealed class Chunk
    {
        private readonly Backend _backend;
        private readonly Tensor _momentum, _a, _other, _first, _second;
        private readonly List<Side> _sides;

        public Chunk(Backend backend, BlockBatch batch, List<Side> sides, Tensor blocks, long working, int first, int count)
        {
            _backend = backend;
            _sides = [.. sides.Select(side => side with
            {
                Q = View(side.Q, first * (side.Q.Shape.Count / batch.Count), new Shape(count, side.Q.Shape[1], side.Q.Shape[2])),
            })];
            _momentum = batch.Of(blocks, first, count);
            Shape shape = _momentum.Shape, square = new(count, (int)batch.LargestElements + batch.Rows + batch.Columns);
            long at = working - blocks.Offset;
            (Probe, _a, _other) = (View(blocks, at, shape), View(blocks, at + shape.Count, shape), View(blocks, at + (2 * shape.Count), shape));
            at += 3 * shape.Count;
            (_first, _second) = (View(blocks, at, square), View(blocks, at + square.Count, square));
        }

        public Tensor Probe { get; }

        /// <summary>
        /// One step on each Q by the difference of A A^T and B B^T (Li 2022): A = Q_l G Q_r^T with a little of the probe V in G, and
        /// B = Q_l^-T V Q_r^-1.
        /// </summary>
        public void Fit(Tensor noise, float rate, bool keepsNoise)
        {
            Tensor flat = View(_a, 0, new Shape(_a.Shape[0], _a.Shape[1] * _a.Shape[2]));
            _backend.Add(_a, Probe, 1, accumulate: false);
            _backend.ScaleLines(flat, noise, columns: false, inverse: false);
            _backend.Add(_a, _momentum, 1, accumulate: true);
            if (keepsNoise)
            {
                _backend.Add(_momentum, _a, 1, accumulate: false);
            }

            Tensor a = _a, other = _other;
            foreach (Side side in _sides)
            {
                if (!side.IsFull)
                {
                    _backend.ScaleLines(a, side.Q, side.IsRight, inverse: false);
                    _backend.ScaleLines(Probe, side.Q, side.IsRight, inverse: true);
                    continue;
                }

                Multiply(other, side, side.Q, a);
                (a, other) = (other, a);
                _backend.TriangularSolve(Probe, side.Q, left: !side.IsRight, transpose: !side.IsRight);
            }

            foreach (Side side in _sides)
            {
                Tensor first = View(_first, 0, side.Q.Shape), second = View(_second, 0, side.Q.Shape);
                if (side.IsFull)
                {
                    _backend.Gram(first, a, side.IsRight);
                    _backend.Gram(second, Probe, side.IsRight);
                    _backend.KronTriangles(first, second, rate);
                    _backend.BatchedMatMul(second, first, false, side.Q, false);
                    _backend.Add(side.Q, second, -1, accumulate: true);
                }
                else
                {
                    _backend.LineSquares(first, a, side.IsRight);
                    _backend.LineSquares(second, Probe, side.IsRight);
                    _backend.KronDiagonals(side.Q, first, second, rate);
                }
            }
        }

        /// <summary>Replaces the momentum M by Q_l^T Q_l M Q_r^T Q_r.</summary>
        public void Precondition()
        {
            Tensor x = _momentum;
            foreach (Side side in _sides)
            {
                if (side.IsFull)
                {
                    Tensor whitening = View(_first, 0, side.Q.Shape), into = x == _a ? _other : _a;
                    _backend.Gram(whitening, side.Q, transposeA: true);
                    Multiply(into, side, whitening, x);
                    x = into;
                }
                else
                {
                    _backend.ScaleLines(x, side.Q, side.IsRight, inverse: false);
                    _backend.ScaleLines(x, side.Q, side.IsRight, inverse: false);
                }
            }

            if (x != _momentum)
            {
                _backend.Add(_momentum, x, 1, accumulate: false);
            }
        }

        // y = q x, or x q^T on the right.
        private void Multiply(Tensor y, Side side, Tensor q, Tensor x)
        {
            if (side.IsRight)
            {
                _backend.BatchedMatMul(y, x, false, q, true);
            }
            else
            {
                _backend.BatchedMatMul(y, q, false, x, false);
            }
        }
    }
}
