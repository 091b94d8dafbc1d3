using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tensors.Ops;
using Windtunnel.Tests.Reference;

namespace Windtunnel.Tests.Tensors.Ops;

public sealed class CrossEntropyOpTests
{
    [Theory]
    [InlineData(0, 1)]
    [InlineData(0.01, 1)]
    [InlineData(0.001, 0.25)]
    public void Loss_and_gradients_agree_with_the_twin_and_ignored_targets_count_for_nothing(double zLoss, double logitScale)
    {
        const int Rows = 37, Vocabulary = 53, Width = 19;
        double[][] inputs = [OpCheck.Normal(1, Rows * Width), OpCheck.Normal(2, Vocabulary * Width)];
        int[] targets = new Random(3).GetItems([.. Enumerable.Range(0, Vocabulary)], Rows);
        targets[0] = targets[17] = targets[Rows - 1] = -1;
        float zLossNarrow = (float)zLoss;

        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor hidden = OpCheck.Upload(tape, new Shape(1, Rows, Width), inputs[0]), head = OpCheck.Upload(tape, new Shape(Vocabulary, Width), inputs[1]);
            (Tensor losses, Tensor penalties) = tape.CrossEntropy(
                hidden, head, OpCheck.UploadTokens(tape, new Shape(1, Rows), targets), 1f / (Rows - 3), zLossNarrow, (float)logitScale);
            tape.Backward(losses);
            return [OpCheck.Read(losses, backend), OpCheck.Read(penalties, backend), OpCheck.Read(hidden.Grad!, backend), OpCheck.Read(head.Grad!, backend)];
        });

        double mean = (results[0].Sum(loss => (double)loss) + results[1].Sum(penalty => (double)penalty)) / (Rows - 3);
        double Loss(double[][] x) => Twin.CrossEntropy(x[0], x[1], targets, Width, logitScale, zLossNarrow);
        Assert.Equal(1, mean / Loss(inputs), 1e-6);
        Assert.Equal([0, 0, 0], new[] { results[0][0], results[0][17], results[0][Rows - 1] });
        Assert.Equal(zLoss != 0, results[1].Any(penalty => penalty != 0));
        OpCheck.AssertGradient(Loss, inputs, 0, results[2], 2e-6);
        OpCheck.AssertGradient(Loss, inputs, 1, results[3], 2e-6);
    }

    [Fact]
    public void Losses_alone_are_the_same_bits_as_losses_with_gradients()
    {
        double[] hidden = OpCheck.Normal(1, 20 * 8), head = OpCheck.Normal(2, 30 * 8);
        using CpuBackend backend = new(2);
        float[][] losses = [.. new[] { false, true }.Select(recording =>
        {
            using Tape tape = new(backend, recording);
            return OpCheck.Read(
                tape.CrossEntropy(
                    OpCheck.Upload(tape, new Shape(20, 8), hidden), OpCheck.Upload(tape, new Shape(30, 8), head),
                    OpCheck.UploadTokens(tape, new Shape(20), [.. Enumerable.Range(0, 20)]), 0.05f).Losses,
                backend);
        })];

        Assert.True(OpCheck.SameBits(losses[0], losses[1]));
    }

    [Fact]
    public void A_vocabulary_too_large_for_one_block_of_logits_gives_what_its_rows_give_one_block_at_a_time()
    {
        // 28 Mi logits are one block, so that of 128 rows; the last block is ragged.
        const int Rows = 130, Vocabulary = 230_003, Width = 2;
        double[] hidden = OpCheck.Normal(1, Rows * Width), head = OpCheck.Normal(2, Vocabulary * Width);
        int[] targets = new Random(3).GetItems([.. Enumerable.Range(0, Vocabulary)], Rows);
        targets[5] = -1;
        using CpuBackend backend = new(1);
        using Tape tape = new(backend);
        Tensor headTensor = OpCheck.Upload(tape, new Shape(Vocabulary, Width), head);

        (float[] losses, float[] dHidden, float[] dHead) = Run(0, Rows);
        (float[] firstLosses, float[] firstHidden, float[] firstHead) = Run(0, 128);
        (float[] lastLosses, float[] lastHidden, float[] lastHead) = Run(128, 2);

        Assert.True(OpCheck.SameBits([.. firstLosses, .. lastLosses], losses));
        Assert.True(OpCheck.SameBits([.. firstHidden, .. lastHidden], dHidden));
        OpCheck.AssertClose([.. firstHead.Zip(lastHead, (a, b) => (double)a + b)], dHead, 1e-7, "gradient of the head");
        for (int row = 127; row < Rows; row++)
        {
            double expected = Twin.CrossEntropy(hidden[(row * Width)..((row + 1) * Width)], head, [targets[row]], Width);
            Assert.Equal(expected, losses[row], 5e-6);
        }

        (float[] Losses, float[] Hidden, float[] Head) Run(int start, int count)
        {
            Tensor x = OpCheck.Upload(tape, new Shape(count, Width), hidden[(start * Width)..((start + count) * Width)]);
            Tensor target = OpCheck.UploadTokens(tape, new Shape(count), targets[start..(start + count)]);
            headTensor.ClearGrad();
            Tensor loss = tape.CrossEntropy(x, headTensor, target, 1f / Rows).Losses;
            tape.Backward(loss);
            return (OpCheck.Read(loss, backend), OpCheck.Read(x.Grad!, backend), OpCheck.Read(headTensor.Grad!, backend));
        }
    }

    [Fact]
    public void A_single_bad_logit_makes_the_loss_of_its_row_not_a_number()
    {
        using CpuBackend backend = new(1);
        using Tape tape = new(backend);
        double[] head = OpCheck.Normal(1, 30);
        head[20] = double.NaN;
        Tensor hidden = OpCheck.Upload(tape, new Shape(1, 1), [1.0]);

        Tensor losses = tape.CrossEntropy(hidden, OpCheck.Upload(tape, new Shape(30, 1), head), OpCheck.UploadTokens(tape, new Shape(1), [3]), 1).Losses;

        Assert.True(float.IsNaN(OpCheck.Read(losses, backend)[0]));
    }

    [Fact]
    public void A_target_outside_the_vocabulary_is_refused()
    {
        using CpuBackend backend = new(1);
        using Tape tape = new(backend);
        Tensor hidden = OpCheck.Upload(tape, new Shape(1, 1), [1.0]), head = OpCheck.Upload(tape, new Shape(3, 1), [1.0, 2, 3]);

        Assert.Throws<InvalidOperationException>(() => tape.CrossEntropy(hidden, head, OpCheck.UploadTokens(tape, new Shape(1), [3]), 1));
        Assert.Throws<ArgumentException>(() => tape.CrossEntropy(hidden, head, OpCheck.UploadTokens(tape, new Shape(2), [0, 1]), 1));
    }
}
