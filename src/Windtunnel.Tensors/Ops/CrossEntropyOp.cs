using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Tensors.Ops;

/// <summary>The output projection and the loss as one op, a block of rows at a time, so that the logits never exist all at once.</summary>
public static class CrossEntropyOp
{
    private const long LogitsABlock = 28L << 20;

    /// <summary>
    /// Per row of hidden [.., D]: the cross-entropy of softmax(logitScale hidden head^T) against targets, head [V, D]; negative
    /// targets are ignored. Returns the losses in nats and the z-loss penalties, zLoss lse^2, one a row each.
    /// The gradient is that of lossScale times the sum of both, and is made here, in the forward pass, while a block's
    /// logits are at hand: the losses are the root of the tape.
    /// </summary>
    /// <param name="tape">The computation.</param>
    /// <param name="hidden">The model's last hidden states.</param>
    /// <param name="head">The output projection.</param>
    /// <param name="targets">As many integers as there are rows.</param>
    /// <param name="lossScale">Usually 1 / (targets of the whole step), so that gradient accumulation changes nothing but rounding.</param>
    /// <param name="zLoss">Coefficient of the penalty on the log-normaliser (Chowdhery et al. 2022); 0 for none.</param>
    /// <param name="logitScale">Multiplies the logits.</param>
    /// <param name="labels">Overwrites the targets that count by tokens drawn from the logits themselves; null for those given.</param>
    public static (Tensor Losses, Tensor Penalties) CrossEntropy(
        this Tape tape, Tensor hidden, Tensor head, Tensor targets, float lossScale, float zLoss = 0, float logitScale = 1,
        SampledLabels? labels = null)
    {
        (int rows, int vocabulary, int width) = (hidden.Shape.Rows, head.Shape.Rows, hidden.Shape.Columns);
        if (targets.Shape.Count != rows)
        {
            throw new ArgumentException($"{targets.Shape.Count} targets for {rows} rows", nameof(targets));
        }

        int blockRows = BlockRows(rows, vocabulary);
        Backend backend = tape.Backend;
        Tensor flatTargets = targets.Reshape(new Shape(rows, 1)), flatHidden = hidden.Reshape(new Shape(rows, width));
        Tensor losses = tape.New(new Shape(rows, 1)), penalties = tape.New(new Shape(rows, 1));
        Tensor? dHidden = tape.Recording ? tape.New(new Shape(rows, width)) : null;
        Tensor block = tape.New(new Shape(blockRows, vocabulary));
        for (int start = 0; start < rows; start += blockRows)
        {
            int count = Math.Min(blockRows, rows - start);
            Tensor x = flatHidden.SliceRows(start, count), logits = block.SliceRows(0, count);
            backend.MatMul(logits, x, false, head, true, logitScale);
            if (labels is { } draw)
            {
                backend.SampleTargets(flatTargets.SliceRows(start, count), logits, draw.Random, draw.Start + start);
            }

            backend.SoftmaxCrossEntropy(
                logits, flatTargets.SliceRows(start, count), losses.SliceRows(start, count), penalties.SliceRows(start, count), zLoss,
                tape.Recording ? lossScale : 0);
            if (dHidden is not null)
            {
                backend.MatMul(dHidden.SliceRows(start, count), logits, false, head, false, logitScale);
                backend.MatMul(tape.GradOf(head, out bool add), logits, true, x, false, logitScale, add);
            }
        }

        tape.Free(block);
        tape.Record(losses, () => backend.Add(tape.GradOf(hidden, out bool add), dHidden!, 1, add));
        return (losses, penalties);
    }

    // A multiple of 128 rows, split evenly, so that every block keeps the matrix products busy.
    internal static int BlockRows(int rows, int vocabulary)
    {
        long most = Math.Max(128, LogitsABlock / vocabulary / 128 * 128);
        if (rows <= most)
        {
            return rows;
        }

        long blocks = (rows + most - 1) / most;
        return (int)((((rows + blocks - 1) / blocks) + 127) / 128 * 128);
    }
}

/// <summary>Labels drawn from a model's own distribution.</summary>
/// <param name="Random">Where the draws come from.</param>
/// <param name="Start">The position of the first row's draw.</param>
public readonly record struct SampledLabels(Philox Random, long Start);
