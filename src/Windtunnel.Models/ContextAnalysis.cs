using System.ComponentModel.DataAnnotations;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;

namespace Windtunnel.Models;

/// <summary>
/// What a model makes of its context: its loss by how many tokens it has read, and of repeats: targets that stood, with the two tokens before
/// them, earlier in the sequence. Who has learned to copy (induction heads: Olsson et al., arXiv 2209.11895) predicts those much better with
/// the sequence than after the two tokens alone, which tell what usually follows them.
/// </summary>
/// <param name="Positions">The loss by the number of tokens read: 1 to 4, 5 to 16, 17 to 64, and so on to T.</param>
/// <param name="Repeats">The loss of repeats.</param>
/// <param name="Pairs">That of the same targets where the model reads only the two tokens before each.</param>
/// <param name="Gain">What it loses thereby: <paramref name="Pairs"/> less <paramref name="Repeats"/>, target by target.</param>
public sealed record ContextAnalysis(IReadOnlyList<PositionLoss> Positions, MeanLoss Repeats, MeanLoss Pairs, MeanLoss Gain)
{
    /// <summary>The loss of all targets.</summary>
    public MeanLoss All { get; } = Positions.Aggregate(default(MeanLoss), (sum, band) => sum + band.Loss);

    /// <summary>Looks at a model as it reads.</summary>
    /// <param name="model">The model.</param>
    /// <param name="sequences">Token ids, T + 1 each, where T is no more than the context: the last T are targets.</param>
    /// <exception cref="ValidationException">The sequences don't fit the model.</exception>
    public static ContextAnalysis Of(Model model, IReadOnlyList<int[]> sequences)
    {
        int length = sequences.Count > 0 ? sequences[0].Length - 1 : 0;
        if (length < 1 || length > model.Dimensions.Context || sequences.Any(sequence => sequence.Length != length + 1))
        {
            throw new ValidationException(
                $"analyze context: sequences of {length} tokens; they must have equally many, from 1 to the model's context of {model.Dimensions.Context}");
        }

        MeanLoss[] positions = new MeanLoss[length];
        MeanLoss repeats = default, pairs = default, gain = default;
        int[] two = new int[2 * length], next = new int[2 * length];
        HashSet<(int, int, int)> seen = [];
        using Tape tape = new(model.Backend, recording: false);
        foreach (int[] sequence in sequences)
        {
            float[] losses = Losses(new Shape(1, length), sequence.AsSpan(0, length), sequence.AsSpan(1));
            seen.Clear();
            List<int> repeated = [];
            for (int i = 0; i < length; i++)
            {
                positions[i] += MeanLoss.Of(losses[i]);
                if (i > 0 && !seen.Add((sequence[i - 1], sequence[i], sequence[i + 1])))
                {
                    repeated.Add(i);
                }
            }

            if (repeated.Count == 0)
            {
                continue;
            }

            // Always as many rows: another shape would need memory of its own.
            next.AsSpan().Fill(-1);
            foreach ((int row, int i) in repeated.Index())
            {
                (two[2 * row], two[(2 * row) + 1], next[(2 * row) + 1]) = (sequence[i - 1], sequence[i], sequence[i + 1]);
            }

            float[] alone = Losses(new Shape(length, 2), two, next);
            foreach ((int row, int i) in repeated.Index())
            {
                float pair = alone[(2 * row) + 1];
                repeats += MeanLoss.Of(losses[i]);
                pairs += MeanLoss.Of(pair);
                gain += MeanLoss.Of(pair - losses[i]);
            }
        }

        return new ContextAnalysis([.. Bands(positions)], repeats, pairs, gain);

        float[] Losses(Shape shape, ReadOnlySpan<int> inputs, ReadOnlySpan<int> targets)
        {
            float[] losses = new float[shape.Count];
            Tensor x = tape.New(shape, DType.I32), y = tape.New(shape, DType.I32);
            model.Backend.Write(x, inputs);
            model.Backend.Write(y, targets);
            model.Backend.Read(model.Loss(tape, x, y, lossScale: 0).Losses, losses);
            tape.Reset();
            return losses;
        }
    }

    private static IEnumerable<PositionLoss> Bands(MeanLoss[] positions)
    {
        for (int from = 1, to = 4; from <= positions.Length; from = to + 1, to *= 4)
        {
            int last = Math.Min(to, positions.Length);
            yield return new PositionLoss(from, last, positions[(from - 1)..last].Aggregate((sum, loss) => sum + loss));
        }
    }
}

/// <summary>Losses of targets, in nats, added up.</summary>
/// <param name="Sum">Of the losses.</param>
/// <param name="Squares">Of their squares.</param>
/// <param name="Targets">How many.</param>
public readonly record struct MeanLoss(double Sum, double Squares, long Targets)
{
    /// <summary>Not a number without targets.</summary>
    public double Mean => Sum / Targets;

    /// <summary>Standard error of the mean, targets taken as independent; not a number with fewer than two.</summary>
    public double Error => Targets < 2 ? double.NaN : Math.Sqrt(Math.Max(0, (Squares / Targets) - (Mean * Mean)) / (Targets - 1));

    /// <summary>One target's.</summary>
    public static MeanLoss Of(double loss) => new(loss, loss * loss, 1);

    /// <summary>The losses of both.</summary>
    public static MeanLoss operator +(MeanLoss a, MeanLoss b) => new(a.Sum + b.Sum, a.Squares + b.Squares, a.Targets + b.Targets);
}

/// <summary>The loss of targets after <paramref name="From"/> to <paramref name="To"/> tokens.</summary>
/// <param name="From">Fewest tokens read.</param>
/// <param name="To">Most tokens read.</param>
/// <param name="Loss">Of these targets.</param>
public readonly record struct PositionLoss(int From, int To, MeanLoss Loss);
