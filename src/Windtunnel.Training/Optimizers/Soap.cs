using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// SOAP: Adam in the eigenbasis of Shampoo's preconditioners. Each block of a matrix keeps averages of G G^T and G^T G; gradients
/// are rotated into their eigenbases, Adam runs there, and its direction is rotated back. Every few steps the bases take one
/// power iteration towards the averages' eigenvectors. The first step only sets up the bases.
/// </summary>
/// <param name="LearningRate">The highest rate.</param>
/// <param name="Beta1">Decay of the mean of gradients.</param>
/// <param name="Beta2">Decay of the mean of squared rotated gradients.</param>
/// <param name="ShampooBeta">Decay of the averages that the bases follow.</param>
/// <param name="Epsilon">Added to the root of the mean square.</param>
/// <param name="WeightDecay">Decoupled decay.</param>
/// <param name="Frequency">Steps from one refresh of the bases to the next.</param>
/// <param name="BlockSize">The largest side of a block; 0 for whole matrices.</param>
/// <param name="MaxDimension">Larger dimensions of matrices have no basis: vocabularies.</param>
/// <param name="MergedDimension">Neighbouring dimensions are merged towards this size first; 0 for no merging. The study's 2048 changes none of its matrices.</param>
/// <param name="Form">Whose code is followed where they differ.</param>
public sealed record SoapOptions(
    double LearningRate = 4e-3, double Beta1 = 0.95, double Beta2 = 0.99, double ShampooBeta = 0.95, double Epsilon = 1e-8, double WeightDecay = 0.1,
    int Frequency = 10, int BlockSize = 256, int MaxDimension = 10_000, int MergedDimension = 0, SoapForm Form = SoapForm.Study)
    : OptimizerOptions(LearningRate, WeightDecay)
{
    /// <summary>As tuned for 130M parameters in Wen et al. 2025, 80 tokens a parameter.</summary>
    public static SoapOptions Study { get; } = new(8e-3, 0.95, 0.99, 0.98, 1e-15, 0.1) { ClipNorm = 1, DecayOn = DecayScope.Linear };

    /// <summary>The authors' code.</summary>
    public static SoapOptions Original { get; } = new(3e-3, 0.95, 0.95, 0.95, 1e-8, 0.01, 10, 0, Form: SoapForm.Original) { DecayOn = DecayScope.All };

    /// <inheritdoc/>
    public override string Source => "Vyas et al. 2024, arXiv 2409.11321";

    /// <inheritdoc/>
    public override IEnumerable<Rule> Rules(OptimizerState state) =>
    [
        new Rule("soap", LearningRate, (state, group) => new SoapDirection(state, group, this)) { WeightDecay = WeightDecay, ClipNorm = ClipNorm },
    ];

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        RequireBeta(Beta1, "beta1");
        RequireBeta(Beta2, "beta2");
        RequireBeta(ShampooBeta, "shampooBeta");
        RequireEpsilon(Epsilon);
        Require(Frequency >= 1, "frequency", Frequency, "at least 1");
        Require(BlockSize >= 0, "blockSize", BlockSize, "at least 0");
        Require(MaxDimension >= 1, "maxDimension", MaxDimension, "at least 1");
        Require(Form != SoapForm.Original || !Caution, "caution", Caution, "false with form: original, whose decay follows the step");
        Require(Form != SoapForm.Original || !CautiousDecay, "cautiousDecay", CautiousDecay, "false with form: original, whose decay follows the step");
        Require(MergedDimension >= 0, "mergedDimension", MergedDimension, "at least 0");
    }
}

/// <summary>Two readings of SOAP.</summary>
public enum SoapForm
{
    /// <summary>
    /// Levanter, as the study ran it: on the first step weights decay but don't move, and bias corrections count it; bases are refreshed
    /// before the step's gradient enters the averages; vectors have a basis.
    /// </summary>
    Study,

    /// <summary>
    /// The authors' code: the first step does nothing and does not count; decay follows the step; the step's gradient enters the
    /// averages before bases are refreshed; vectors are Adam's.
    /// </summary>
    Original,
}

internal sealed class SoapDirection : Direction
{
    private readonly OptimizerState _state;
    private readonly Backend _backend;
    private readonly SoapOptions _options;
    private readonly ParameterGroup _group;
    private readonly List<(BlockBatch Batch, Tensor M, Tensor V, List<Side> Sides)> _batches = [];

    public SoapDirection(OptimizerState state, ParameterGroup group, SoapOptions options)
    {
        (_state, _backend, _group, _options) = (state, state.Backend, group, options);
        Partition = new BlockPartition(
            _backend, group, options.BlockSize, options.MergedDimension,
            (parameter, size) => parameter.IsMatrix ? size <= options.MaxDimension : options.Form == SoapForm.Study);
        foreach (BlockBatch batch in Partition.Batches)
        {
            string name = $"{batch.Name}.{group.Parameters[0].Name}";
            Shape shape = new(batch.Count, batch.Rows, batch.Columns);
            List<Side> sides = [];
            if (batch.Left)
            {
                sides.Add(NewSide(batch.Count, batch.Rows, isRight: false, name));
            }

            if (batch.Right)
            {
                sides.Add(NewSide(batch.Count, batch.Columns, isRight: true, name));
            }

            _batches.Add((batch, state.New(shape, $"soap.m.{name}"), state.New(shape, $"soap.v.{name}"), sides));
        }
    }

    /// <summary>The blocks, each with its own bases.</summary>
    public BlockPartition Partition { get; }

    public override void Write(Tensor y, in Destination to, in DirectionStep step)
    {
        (float gradScale, float scale, float keep) = (to.GradScale, to.Scale, to.Keep);
        if (_options.Form == SoapForm.Original && keep > 0)
        {
            (keep, scale) = step.Number == 1 ? (1, 0) : (keep, scale * keep);
        }

        long working = _batches.Max(entry => entry.Batch.ChunkBlocks * ((3 * entry.Batch.BlockElements) + (2 * entry.Batch.LargestElements) + entry.Batch.Rows + entry.Batch.Columns));
        Tensor blocks = _state.Workspace(new Shape(checked((int)(Partition.Elements + working))));
        Partition.Gather(blocks, _group.Grads, _ => gradScale);
        foreach ((BlockBatch batch, Tensor m, Tensor v, List<Side> sides) in _batches)
        {
            foreach ((int first, int count) in batch.Chunks())
            {
                new Chunk(this, batch, sides, m, v, blocks, first, count).Step(step.Number);
            }
        }

        Partition.Scatter(y, blocks, keep, _ => scale);
    }

    private Side NewSide(int count, int size, bool isRight, string name)
    {
        string side = isRight ? "right" : "left";
        Shape shape = new(count, size, size);
        return new Side(_state.New(shape, $"soap.average.{side}.{name}"), _state.New(shape, $"soap.basis.{side}.{name}"), isRight);
    }

    /// <summary>The rows' or the columns' average of G G^T or G^T G, and the basis that follows its eigenvectors.</summary>
    private sealed record Side(Tensor Average, Tensor Basis, bool IsRight);

    /// <summary>Some blocks of a batch, and the memory to work on them.</summary>
    private readonly ref struct Chunk
    {
        private readonly SoapDirection _owner;
        private readonly Backend _backend;
        private readonly Tensor _grads, _m, _v, _u, _a, _b, _square, _sorted, _order;
        private readonly List<Side> _sides;

        public Chunk(SoapDirection owner, BlockBatch batch, List<Side> sides, Tensor m, Tensor v, Tensor blocks, int first, int count)
        {
            (_owner, _backend) = (owner, owner._backend);
            _sides = [.. sides.Select(side => new Side(Part(side.Average, first, count), Part(side.Basis, first, count), side.IsRight))];
            (_m, _v, _grads) = (Part(m, first, count), Part(v, first, count), batch.Of(blocks, first, count));
            long at = blocks.Offset + owner.Partition.Elements;
            Tensor next(Shape shape, DType type = DType.F32)
            {
                Tensor tensor = new(blocks.Buffer, at, shape, type);
                at += shape.Count;
                return tensor;
            }

            (_u, _a, _b) = (next(_m.Shape), next(_m.Shape), next(_m.Shape));
            (_square, _sorted, _order) = (
                next(new Shape(count, (int)batch.LargestElements)), next(new Shape(count, (int)batch.LargestElements)),
                next(new Shape(count, Math.Max(batch.Rows, batch.Columns)), DType.I32));
        }

        // Replaces the gradients by the direction.
        public void Step(long number)
        {
            SoapOptions options = _owner._options;
            float weight = (float)(1 - options.ShampooBeta);
            if (number == 1)
            {
                foreach (Side side in _sides)
                {
                    int size = side.Basis.Shape.Columns;
                    _backend.Gram(side.Average, _grads, side.IsRight, weight);
                    _backend.SymmetricEigen(side.Basis, View(_square, new Shape(side.Basis.Shape[0], size)), side.Average);
                }

                _backend.Fill(_grads, 0);
                return;
            }

            bool isOriginal = options.Form == SoapForm.Original;
            long n = isOriginal ? number - 1 : number;
            bool refresh = n % options.Frequency == 0;
            float correction = (float)(Bias.Correction(options.Beta1, n) / Math.Sqrt(Bias.Correction(options.Beta2, n)));
            Rotate(_a, _grads, back: false);
            _backend.Adam(_u, _a, _m, _v, new Destination(0, correction, 1), new AdamStep((float)options.Beta1, (float)options.Beta2, 1, 0, 1, (float)options.Epsilon));
            Rotate(_a, _u, back: true);
            if (refresh && !isOriginal)
            {
                Refresh();
            }

            foreach (Side side in _sides)
            {
                _backend.Add(side.Average, side.Average, (float)options.ShampooBeta, accumulate: false);
                _backend.Gram(side.Average, _grads, side.IsRight, weight, accumulate: true);
            }

            if (refresh && isOriginal)
            {
                Refresh();
            }

            _backend.Add(_grads, _a, 1, accumulate: false);
        }

        // One power iteration: the basis Q becomes that of the QR factorisation of the average times Q, by descending q^T average q.
        private void Refresh()
        {
            Rotate(_u, _m, back: true);
            foreach (Side side in _sides)
            {
                Tensor product = View(_square, side.Basis.Shape), sorted = View(_sorted, side.Basis.Shape);
                Tensor order = View(_order, new Shape(side.Basis.Shape[0], side.Basis.Shape.Columns));
                _backend.BatchedMatMul(product, side.Average, false, side.Basis, false);
                _backend.RankColumns(order, side.Basis, product);
                _backend.Permute(sorted, product, order, columns: true);
                _backend.Qr(side.Basis, sorted);
                _backend.Permute(_b, _v, order, columns: side.IsRight);
                _backend.Add(_v, _b, 1, accumulate: false);
            }

            Rotate(_m, _u, back: false);
        }

        // y = Q_left^T x Q_right, or the way back Q_left x Q_right^T, of the sides that there are.
        private void Rotate(Tensor y, Tensor x, bool back)
        {
            for (int i = 0; i < _sides.Count; i++)
            {
                Tensor into = i == _sides.Count - 1 ? y : _b;
                if (_sides[i].IsRight)
                {
                    _backend.BatchedMatMul(into, x, false, _sides[i].Basis, back);
                }
                else
                {
                    _backend.BatchedMatMul(into, _sides[i].Basis, !back, x, false);
                }

                x = into;
            }

            if (_sides.Count == 0)
            {
                _backend.Add(y, x, 1, accumulate: false);
            }
        }

        private static Tensor Part(Tensor tensor, int first, int count)
        {
            Shape shape = tensor.Shape;
            return new Tensor(tensor.Buffer, tensor.Offset + ((long)first * shape[1] * shape[2]), new Shape(count, shape[1], shape[2]));
        }

        private static Tensor View(Tensor tensor, Shape shape) => new(tensor.Buffer, tensor.Offset, shape, tensor.DType);
    }
}
