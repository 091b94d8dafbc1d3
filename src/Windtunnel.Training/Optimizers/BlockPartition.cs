using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Training.Optimizers;

/// <summary>
/// The matrices of a group of parameters, cut into blocks small enough for a preconditioner on each side. Blocks of one shape
/// are one batch, whichever parameter they are of. Blocks at the edges keep the size that is left, or are padded with zeros to the
/// size of the others; what that changes is in docs/numerics.md.
/// </summary>
internal sealed class BlockPartition
{
    private readonly Backend _backend;
    private readonly List<BlockBatch> _batches = [];
    private readonly Dictionary<Parameter, long> _elements = [];

    /// <summary>Cuts a group. A vector counts as a matrix of one column, stacked matrices as one each.</summary>
    /// <param name="backend">Where the group is.</param>
    /// <param name="group">What is cut.</param>
    /// <param name="blockSize">The largest side of a block; 0 for whole matrices.</param>
    /// <param name="mergedDimension">Neighbouring dimensions are merged towards this size; 0 for no merging.</param>
    /// <param name="isFull">Whether a dimension of this size of the parameter gets a full preconditioner; dimensions that don't are not cut.</param>
    /// <param name="pad">Whether both sides of a block, but for the one column of a vector, are multiples of the block size, with zeros beyond the matrix.</param>
    public BlockPartition(
        Backend backend, ParameterGroup group, int blockSize, int mergedDimension, Func<Parameter, int, bool> isFull, bool pad = false)
    {
        _backend = backend;
        foreach (Parameter parameter in group.Parameters)
        {
            int rows = parameter.IsMatrix ? parameter.Shape.Rows / parameter.Parts : (int)parameter.Shape.Count;
            int[] shape = parameter.IsMatrix ? [rows, parameter.Shape.Columns] : [rows];
            shape = mergedDimension > 0 ? Merge(shape, mergedDimension) : shape;
            Shape matrix = new(shape[0], shape.Length == 1 ? 1 : shape[1]);
            bool left = isFull(parameter, matrix.Rows), right = shape.Length > 1 && isFull(parameter, matrix.Columns);
            for (int part = 0; part < parameter.Parts; part++)
            {
                long offset = parameter.Offset - group.Offset + (part * matrix.Count);
                foreach ((int row, int gridRows, int blockRows) in Cuts(matrix.Rows, blockSize, left, pad))
                {
                    foreach ((int column, int gridColumns, int blockColumns) in Cuts(matrix.Columns, blockSize, right, pad && shape.Length > 1))
                    {
                        BlockBatch batch = Batch(blockRows, blockColumns, left, right);
                        batch.Pieces.Add(new BlockPiece(parameter, offset, matrix, row, column, gridRows, gridColumns, batch.Count));
                        batch.Count += gridRows * gridColumns;
                        _elements[parameter] = _elements.GetValueOrDefault(parameter) + (gridRows * gridColumns * batch.BlockElements);
                    }
                }
            }
        }

        foreach (BlockBatch batch in _batches)
        {
            batch.Offset = Elements;
            Elements += (int)(batch.Count * batch.BlockElements);
        }
    }

    /// <summary>Blocks of equal shape and treatment.</summary>
    public IReadOnlyList<BlockBatch> Batches => _batches;

    /// <summary>Elements of all blocks together.</summary>
    public int Elements { get; }

    /// <summary>Elements of a parameter's blocks, padding included.</summary>
    public long ElementsOf(Parameter parameter) => _elements[parameter];

    /// <summary>Copies what lies in the group's order into blocks, each parameter scaled.</summary>
    public void Gather(Tensor blocks, Tensor flat, Func<Parameter, double> scale)
    {
        foreach (BlockBatch batch in _batches)
        {
            foreach (BlockPiece piece in batch.Pieces)
            {
                _backend.GatherBlocks(batch.Of(blocks, piece), piece.Matrix(flat), piece.Row, piece.Column, (float)scale(piece.Parameter));
            }
        }
    }

    /// <summary>flat = keep flat + scale blocks, in the group's order.</summary>
    public void Scatter(Tensor flat, Tensor blocks, float keep, Func<Parameter, double> scale)
    {
        foreach (BlockBatch batch in _batches)
        {
            foreach (BlockPiece piece in batch.Pieces)
            {
                _backend.ScatterBlocks(piece.Matrix(flat), batch.Of(blocks, piece), piece.Row, piece.Column, keep, (float)scale(piece.Parameter));
            }
        }
    }

    /// <summary>
    /// The shape in which neighbouring dimensions are multiplied together so as to come close to a target: a factor of two off costs
    /// 1 below it and 10 above, and 100 or 1000 more beyond a factor of eight (as in levanter).
    /// </summary>
    public static int[] Merge(ReadOnlySpan<int> shape, int target)
    {
        int[] best = [];
        double lowest = double.PositiveInfinity;
        for (int joins = 0; joins < 1 << (shape.Length - 1); joins++)
        {
            List<int> merged = [shape[0]];
            for (int i = 1; i < shape.Length; i++)
            {
                if (((joins >> (i - 1)) & 1) == 1)
                {
                    merged[^1] = (int)Math.Min(int.MaxValue, (long)merged[^1] * shape[i]);
                }
                else
                {
                    merged.Add(shape[i]);
                }
            }

            double cost = merged.Sum(size => Cost((double)size / target));
            if (cost < lowest)
            {
                (lowest, best) = (cost, [.. merged]);
            }
        }

        return best;

        static double Cost(double ratio)
        {
            double octaves = Math.Abs(Math.Log2(ratio)), beyond = Math.Max(0, octaves - 3);
            return ratio < 1 ? octaves + (100 * beyond) : (10 * octaves) + (1000 * beyond);
        }
    }

    /// <summary>The sizes that a dimension is cut into.</summary>
    public static IEnumerable<int> Sizes(int dimension, int blockSize) =>
        Cuts(dimension, blockSize, isCut: true, pad: false).SelectMany(cut => Enumerable.Repeat(cut.Size, cut.Count));

    // The whole blocks, and what is left.
    private static IEnumerable<(int Start, int Count, int Size)> Cuts(int dimension, int blockSize, bool isCut, bool pad)
    {
        if (pad && blockSize > 0)
        {
            int blocks = (dimension + blockSize - 1) / blockSize;
            yield return isCut ? (0, blocks, blockSize) : (0, 1, blocks * blockSize);
            yield break;
        }

        int size = isCut && blockSize > 0 ? Math.Min(dimension, blockSize) : dimension, whole = dimension / size, rest = dimension - (whole * size);
        yield return (0, whole, size);
        if (rest > 0)
        {
            yield return (dimension - rest, 1, rest);
        }
    }

    private BlockBatch Batch(int rows, int columns, bool left, bool right)
    {
        BlockBatch? batch = _batches.Find(batch => (batch.Rows, batch.Columns, batch.Left, batch.Right) == (rows, columns, left, right));
        if (batch is null)
        {
            _batches.Add(batch = new BlockBatch(rows, columns, left, right));
        }

        return batch;
    }
}

/// <summary>Blocks [Count, rows, columns] of equal shape and treatment.</summary>
internal sealed class BlockBatch(int rows, int columns, bool left, bool right)
{
    // Worked on at a time: enough for all threads, few enough for the cache.
    private const long ChunkElements = 1 << 22;

    public int Rows => rows;

    public int Columns => columns;

    /// <summary>Whether the rows have a full preconditioner.</summary>
    public bool Left => left;

    /// <summary>Whether the columns have one.</summary>
    public bool Right => right;

    /// <summary>Whether it is cut from vectors.</summary>
    public bool IsVector => columns == 1 && !right;

    public List<BlockPiece> Pieces { get; } = [];

    public int Count { get; set; }

    /// <summary>Where the batch starts among all blocks of its group, in elements.</summary>
    public long Offset { get; set; }

    public long BlockElements => (long)rows * columns;

    /// <summary>The largest of a block and its preconditioners, in elements.</summary>
    public long LargestElements => Math.Max(BlockElements, Math.Max(left ? (long)rows * rows : 0, right ? (long)columns * columns : 0));

    /// <summary>A name that no other batch of the group has.</summary>
    public string Name => $"{rows}x{columns}{(left ? "l" : "")}{(right ? "r" : "")}";

    /// <summary>How many blocks are worked on at a time.</summary>
    public int ChunkBlocks => (int)Math.Clamp(ChunkElements / LargestElements, 1, Count);

    /// <summary>The chunks, in order.</summary>
    public IEnumerable<(int First, int Count)> Chunks()
    {
        for (int first = 0; first < Count; first += ChunkBlocks)
        {
            yield return (first, Math.Min(ChunkBlocks, Count - first));
        }
    }

    /// <summary>Some of the batch's blocks [count, rows, columns] among all of its group's.</summary>
    public Tensor Of(Tensor blocks, int first, int count) =>
        new(blocks.Buffer, blocks.Offset + Offset + (first * BlockElements), new Shape(count, rows, columns));

    /// <summary>A piece's blocks, as a grid.</summary>
    public Tensor Of(Tensor blocks, BlockPiece piece) =>
        new(blocks.Buffer, blocks.Offset + Offset + (piece.First * BlockElements), new Shape(piece.GridRows, piece.GridColumns, rows, columns));
}

/// <summary>A grid of equal blocks of one matrix.</summary>
/// <param name="Parameter">Whose matrix it is.</param>
/// <param name="Offset">Where the matrix starts in its group, in elements.</param>
/// <param name="Shape">The matrix.</param>
/// <param name="Row">The first block's first row.</param>
/// <param name="Column">The first block's first column.</param>
/// <param name="GridRows">Blocks from top to bottom.</param>
/// <param name="GridColumns">Blocks from left to right.</param>
/// <param name="First">The first block's place in its batch.</param>
internal sealed record BlockPiece(
    Parameter Parameter, long Offset, Shape Shape, int Row, int Column, int GridRows, int GridColumns, int First)
{
    /// <summary>The matrix within a tensor in the group's order.</summary>
    public Tensor Matrix(Tensor flat) => new(flat.Buffer, flat.Offset + Offset, Shape);
}
