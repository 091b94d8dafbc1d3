using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Tensors.Ops;

/// <summary>A teacher's distributions as they are stored: its last hidden states [.., D'] and its output projection [V, D'].</summary>
/// <param name="Hidden">As many rows as the student has.</param>
/// <param name="Head">Over the same vocabulary.</param>
/// <param name="LogitScale">Multiplies its logits.</param>
/// <param name="Weight">Of the divergence from it, 0 to 1; the cross-entropy has the rest.</param>
/// <param name="Temperature">Divides the logits of both.</param>
public readonly record struct SoftTargets(Tensor Hidden, Tensor Head, float LogitScale, float Weight, float Temperature);

/// <summary>The output projection and the loss of a student as one op, a block of rows at a time, as <see cref="CrossEntropyOp"/> does.</summary>
public static class DistillationOp
{
    /// <summary>
    /// Per row of hidden [.., D]: the cross-entropy of softmax(logitScale hidden head^T) against targets, head [V, D], and
    /// T^2 KL(teacher || student) of both distributions at the teacher's temperature T (Hinton et al. 2015); negative targets are ignored. The
    /// gradient is that of lossScale times the sum of (1 - weight) loss + weight divergence, and nothing goes to the teacher.
    /// </summary>
    /// <param name="tape">The computation.</param>
    /// <param name="hidden">The student's last hidden states.</param>
    /// <param name="head">Its output projection.</param>
    /// <param name="targets">As many integers as there are rows.</param>
    /// <param name="lossScale">Usually 1 / (targets of the whole step).</param>
    /// <param name="logitScale">Multiplies the student's logits.</param>
    /// <param name="teacher">Whom it learns from.</param>
    public static (Tensor Losses, Tensor Divergences) Distillation(
        this Tape tape, Tensor hidden, Tensor head, Tensor targets, float lossScale, float logitScale, in SoftTargets teacher)
    {
        (int rows, int vocabulary, int width) = (hidden.Shape.Rows, head.Shape.Rows, hidden.Shape.Columns);
        if (targets.Shape.Count != rows || teacher.Hidden.Shape.Rows != rows || teacher.Head.Shape.Rows != vocabulary)
        {
            throw new ArgumentException($"{targets.Shape.Count} targets and a teacher of {teacher.Hidden.Shape} and {teacher.Head.Shape} for {rows} rows and {vocabulary} tokens", nameof(targets));
        }

        int blockRows = CrossEntropyOp.BlockRows(rows, vocabulary);
        Backend backend = tape.Backend;
        Tensor flatTargets = targets.Reshape(new Shape(rows, 1)), flatHidden = hidden.Reshape(new Shape(rows, width));
        Tensor taught = teacher.Hidden.Reshape(new Shape(rows, teacher.Hidden.Shape.Columns));
        Tensor losses = tape.New(new Shape(rows, 1)), divergences = tape.New(new Shape(rows, 1)), dHidden = tape.New(new Shape(rows, width));
        Tensor block = tape.New(new Shape(blockRows, vocabulary)), teacherBlock = tape.New(block.Shape);
        for (int start = 0; start < rows; start += blockRows)
        {
            int count = Math.Min(blockRows, rows - start);
            Tensor x = flatHidden.SliceRows(start, count), logits = block.SliceRows(0, count), teacherLogits = teacherBlock.SliceRows(0, count);
            backend.MatMul(logits, x, false, head, true, logitScale);
            backend.MatMul(teacherLogits, taught.SliceRows(start, count), false, teacher.Head, true, teacher.LogitScale);
            backend.SoftmaxDistillation(
                logits, teacherLogits, flatTargets.SliceRows(start, count), losses.SliceRows(start, count), divergences.SliceRows(start, count),
                teacher.Weight, teacher.Temperature, lossScale);
            backend.MatMul(dHidden.SliceRows(start, count), logits, false, head, false, logitScale);
            backend.MatMul(tape.GradOf(head, out bool add), logits, true, x, false, logitScale, add);
        }

        tape.Free(teacherBlock);
        tape.Free(block);
        tape.Record(losses, () => backend.Add(tape.GradOf(hidden, out bool add), dHidden, 1, add));
        return (losses, divergences);
    }
}
