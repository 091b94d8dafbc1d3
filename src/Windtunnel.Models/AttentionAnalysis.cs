using System.ComponentModel.DataAnnotations;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Ops;

namespace Windtunnel.Models;

/// <summary>
/// How much of their matrices a model's attention heads use: approximate ranks and column masses, and the layers that have become lazy
/// (Sanyal et al., arXiv 2404.08634, section 2 and definition G.1).
/// </summary>
/// <param name="Heads">Every head, layer by layer.</param>
/// <param name="Length">Tokens of a sequence, T: the highest rank and mass there can be.</param>
/// <param name="Sequences">How many were looked at.</param>
public sealed record AttentionAnalysis(IReadOnlyList<HeadAttention> Heads, int Length, int Sequences)
{
    /// <summary>The layers, each by the highest rank of its heads.</summary>
    public IReadOnlyList<LayerAttention> Layers { get; } =
        [.. Heads.GroupBy(head => head.Layer).Select(layer => new LayerAttention(layer.Key, layer.Max(head => head.Rank), layer.Average(head => head.Mass)))];

    /// <summary>Looks at a model as it reads.</summary>
    /// <param name="model">The model.</param>
    /// <param name="sequences">Token ids, equally many each, no more than the context.</param>
    /// <param name="tau">The share of a matrix's squared singular values that its rank accounts for.</param>
    /// <param name="eta">The share of a matrix's squares that the columns of its mass account for.</param>
    /// <exception cref="ValidationException">A share is not above 0 and at most 1, or the sequences don't fit the model.</exception>
    public static AttentionAnalysis Of(Model model, IReadOnlyList<int[]> sequences, double tau = 0.9, double eta = 0.9)
    {
        ModelDimensions d = model.Dimensions;
        int length = sequences.Count > 0 ? sequences[0].Length : 0;
        if (tau is not (> 0 and <= 1) || eta is not (> 0 and <= 1) || length < 1 || length > d.Context || sequences.Any(sequence => sequence.Length != length))
        {
            throw new ValidationException(tau is > 0 and <= 1 && eta is > 0 and <= 1
                ? $"analyze attention: sequences of {length} tokens; they must have equally many, from 1 to the model's context of {d.Context}"
                : $"analyze attention: tau {tau} and eta {eta} must be above 0 and at most 1");
        }

        Measured[] heads = [.. Enumerable.Range(0, d.Layers * d.Heads).Select(_ => new Measured([], [], []))];
        using Tape tape = new(model.Backend, recording: false);
        Action<int, Tensor, float>? before = model.AttentionObserver;
        try
        {
            model.AttentionObserver = Measure;
            foreach (int[] sequence in sequences)
            {
                Tensor tokens = tape.New(new Shape(1, length), DType.I32);
                model.Backend.Write(tokens, sequence);
                model.Hidden(tape, tokens);
                tape.Reset();
            }
        }
        finally
        {
            model.AttentionObserver = before;
        }

        return new AttentionAnalysis(
            [.. heads.Select((head, i) => new HeadAttention(i / d.Heads, i % d.Heads, head.Ranks, head.Masses, head.Sinks.Average()))], length, sequences.Count);

        void Measure(int layer, Tensor qkv, float scale)
        {
            Backend backend = model.Backend;
            float[] rows = new float[qkv.Shape.Count];
            backend.Read(qkv, rows);
            float[] matrices = Probabilities(rows, new HeadLayout(d.Heads, d.KeyValueHeads, d.HeadWidth), length, scale);

            // The squares of the singular values of A are the eigenvalues of A^T A.
            Shape batch = new(d.Heads, length, length);
            Tensor a = tape.New(batch), gram = tape.New(batch), vectors = tape.New(batch), values = tape.New(new Shape(d.Heads, length));
            backend.Write(a, matrices);
            backend.Gram(gram, a, transposeA: true);
            backend.SymmetricEigen(vectors, values, gram);
            float[] squares = new float[values.Shape.Count];
            backend.Read(values, squares);
            for (int head = 0; head < d.Heads; head++)
            {
                ReadOnlySpan<float> matrix = matrices.AsSpan(head * length * length, length * length);
                Measured measured = heads[(layer * d.Heads) + head];
                measured.Ranks.Add(Fewest([.. squares.AsSpan(head * length, length).ToArray().Select(square => Math.Max(0.0, square))], tau));
                measured.Masses.Add(Fewest(ColumnSquares(matrix, length), eta));
                measured.Sinks.Add(FirstColumn(matrix, length));
            }
        }
    }

    // softmax(scale q k^T) of each head, causal, in double precision: [H, T, T].
    private static float[] Probabilities(float[] qkv, HeadLayout heads, int length, float scale)
    {
        float[] matrices = new float[heads.Heads * length * length];
        Parallel.For(0, heads.Heads, head =>
        {
            int query = head * heads.Width, key = (heads.Heads + (head / (heads.Heads / heads.KeyValueHeads))) * heads.Width;
            double[] scores = new double[length];
            for (int i = 0; i < length; i++)
            {
                double sum = 0, most = double.NegativeInfinity;
                for (int j = 0; j <= i; j++)
                {
                    double product = 0;
                    for (int k = 0; k < heads.Width; k++)
                    {
                        product += (double)qkv[(i * heads.RowWidth) + query + k] * qkv[(j * heads.RowWidth) + key + k];
                    }

                    most = Math.Max(most, scores[j] = product * scale);
                }

                for (int j = 0; j <= i; j++)
                {
                    sum += scores[j] = Math.Exp(scores[j] - most);
                }

                for (int j = 0; j <= i; j++)
                {
                    matrices[(((head * length) + i) * length) + j] = (float)(scores[j] / sum);
                }
            }
        });
        return matrices;
    }

    private static double[] ColumnSquares(ReadOnlySpan<float> matrix, int length)
    {
        double[] squares = new double[length];
        for (int i = 0; i < matrix.Length; i++)
        {
            squares[i % length] += (double)matrix[i] * matrix[i];
        }

        return squares;
    }

    private static double FirstColumn(ReadOnlySpan<float> matrix, int length)
    {
        double sum = 0;
        for (int i = 0; i < length; i++)
        {
            sum += matrix[i * length];
        }

        return sum / length;
    }

    // How many of the largest it takes to have a share of the sum.
    private static int Fewest(double[] squares, double share)
    {
        double wanted = share * squares.Sum(), sum = 0;
        int count = 0;
        foreach (double square in squares.OrderDescending())
        {
            sum += square;
            count++;
            if (sum >= wanted)
            {
                break;
            }
        }

        return count;
    }

    private sealed record Measured(List<int> Ranks, List<int> Masses, List<double> Sinks);
}

/// <summary>What was seen of a head.</summary>
/// <param name="Layer">From 0.</param>
/// <param name="Head">From 0.</param>
/// <param name="Ranks">The approximate rank k* in each sequence: the fewest singular values whose squares make up tau of the sum of all squares.</param>
/// <param name="Masses">The column mass m* in each sequence: the fewest columns whose squares make up eta of the sum of all squares.</param>
/// <param name="FirstToken">The mean share of attention that goes to the first token, 0 to 1: near 1 the head is a sink.</param>
public sealed record HeadAttention(int Layer, int Head, IReadOnlyList<int> Ranks, IReadOnlyList<int> Masses, double FirstToken)
{
    /// <summary>The mean of the ranks.</summary>
    public double Rank { get; } = Ranks.Average();

    /// <summary>The mean of the masses.</summary>
    public double Mass { get; } = Masses.Average();
}

/// <summary>What was seen of a layer.</summary>
/// <param name="Layer">From 0.</param>
/// <param name="MaxRank">The highest rank of its heads.</param>
/// <param name="AverageMass">The mean mass of its heads.</param>
public sealed record LayerAttention(int Layer, double MaxRank, double AverageMass)
{
    /// <summary>A layer is lazy whose heads all have rank 1, but for a sequence now and then.</summary>
    public const double LazyRank = 1.5;

    /// <summary>Whether the layer does next to nothing that one vector could not.</summary>
    public bool IsLazy => MaxRank < LazyRank;
}
