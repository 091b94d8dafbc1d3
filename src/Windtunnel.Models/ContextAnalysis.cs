using System.ComponentModel.DataAnnotations;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;

namespace Windtunnel.Models;

/// <summary>
/// What a model makes of its context: its loss by how many tokens it has read, and the loss of what it need only copy. A target is a repeat where
/// the two tokens before it, and it, stood together earlier in the sequence: induction heads predict those (Olsson et al., arXiv 2209.11895).
/// </summary>
/// <param name="Positions">The mean loss by the number of tokens read: 1, 2, 3 to 4, 5 to 8, and so on to T.</param>
/// <param name="Repeats">That of repeats.</param>
/// <param name="Others">That of all other targets.</param>
public sealed record ContextAnalysis(IReadOnlyList<PositionLoss> Positions, MeanLoss Repeats, MeanLoss Others)
{
    /// <summary>The mean of all targets.</summary>
    public MeanLoss All => Repeats + Others;

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
                $"analyze context: sequences of {length} tokens and their targets; they must have equally many, from 1 to the model's context of {model.Dimensions.Context}");
        }

        MeanLoss[] positions = new MeanLoss[length];
        MeanLoss repeats = default, others = default;
        float[] losses = new float[length];
        HashSet<(int, int, int)> seen = [];
        using Tape tape = new(model.Backend, recording: false);
        foreach (int[] sequence in sequences)
        {
            Tensor tokens = tape.New(new Shape(1, length), DType.I32), targets = tape.New(new Shape(1, length), DType.I32);
            model.Backend.Write(tokens, sequence.AsSpan(0, length));
            model.Backend.Write(targets, sequence.AsSpan(1));
            model.Backend.Read(model.Loss(tape, tokens, targets, lossScale: 0).Losses, losses);
            tape.Reset();

            seen.Clear();
            for (int i = 0; i < length; i++)
            {
                MeanLoss loss = new(losses[i], 1);
                positions[i] += loss;
                if (i > 0 && !seen.Add((sequence[i - 1], sequence[i], sequence[i + 1])))
                {
                    repeats += loss;
                }
                else
                {
                    others += loss;
                }
            }
        }

        return new ContextAnalysis([.. Doublings(positions)], repeats, others);
    }

    private static IEnumerable<PositionLoss> Doublings(MeanLoss[] positions)
    {
        for (int from = 1, to = 1; from <= positions.Length; from = to + 1, to *= 2)
        {
            int last = Math.Min(to, positions.Length);
            yield return new PositionLoss(from, last, positions[(from - 1)..last].Aggregate((sum, loss) => sum + loss).Mean);
        }
    }
}

/// <summary>Losses of targets, added up.</summary>
/// <param name="Sum">In nats.</param>
/// <param name="Targets">How many.</param>
public readonly record struct MeanLoss(double Sum, long Targets)
{
    /// <summary>In nats a target; not a number without targets.</summary>
    public double Mean => Sum / Targets;

    /// <summary>The losses of both.</summary>
    public static MeanLoss operator +(MeanLoss a, MeanLoss b) => new(a.Sum + b.Sum, a.Targets + b.Targets);
}

/// <summary>The loss of targets after <paramref name="From"/> to <paramref name="To"/> tokens.</summary>
/// <param name="From">Fewest tokens read.</param>
/// <param name="To">Most tokens read.</param>
/// <param name="Loss">Mean, in nats.</param>
public readonly record struct PositionLoss(int From, int To, double Loss);
