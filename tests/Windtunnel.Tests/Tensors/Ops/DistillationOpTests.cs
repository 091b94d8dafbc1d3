using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tensors.Ops;

namespace Windtunnel.Tests.Tensors.Ops;

public sealed class DistillationOpTests
{
    private const int Rows = 21, Vocabulary = 37, Width = 11, TeacherWidth = 7;

    [Theory]
    [InlineData(0.4, 1, 1)]
    [InlineData(1, 1, 0.5)]
    [InlineData(0.7, 3, 1)]
    [InlineData(0, 2, 1)]
    public void Losses_divergences_and_gradients_agree_with_their_definition_in_double_precision(double weight, double temperature, double logitScale)
    {
        double[][] inputs = [OpCheck.Normal(1, Rows * Width), OpCheck.Normal(2, Vocabulary * Width)];
        double[] teacherHidden = OpCheck.Normal(3, Rows * TeacherWidth), teacherHead = OpCheck.Normal(4, Vocabulary * TeacherWidth);
        int[] targets = new Random(3).GetItems([.. Enumerable.Range(0, Vocabulary)], Rows);
        targets[0] = targets[Rows - 1] = -1;
        float w = (float)weight;

        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor hidden = OpCheck.Upload(tape, new Shape(1, Rows, Width), inputs[0]), head = OpCheck.Upload(tape, new Shape(Vocabulary, Width), inputs[1]);
            SoftTargets teacher = new(
                OpCheck.Upload(tape, new Shape(1, Rows, TeacherWidth), teacherHidden), OpCheck.Upload(tape, new Shape(Vocabulary, TeacherWidth), teacherHead), 0.5f, w,
                (float)temperature);
            (Tensor losses, Tensor divergences) = tape.Distillation(
                hidden, head, OpCheck.UploadTokens(tape, new Shape(1, Rows), targets), 1f / (Rows - 2), (float)logitScale, teacher);
            tape.Backward(losses);
            return [OpCheck.Read(losses, backend), OpCheck.Read(divergences, backend), OpCheck.Read(hidden.Grad!, backend), OpCheck.Read(head.Grad!, backend)];
        });

        (double loss, double divergence) = Twin(inputs);
        Assert.Equal(1, results[0].Sum(value => (double)value) / (Rows - 2) / loss, 1e-6);
        Assert.Equal(1, results[1].Sum(value => (double)value) / (Rows - 2) / divergence, 1e-5);
        Assert.Equal([0, 0], new[] { results[1][0], results[1][Rows - 1] });
        OpCheck.AssertGradient(Objective, inputs, 0, results[2], 3e-6);
        OpCheck.AssertGradient(Objective, inputs, 1, results[3], 3e-6);

        double Objective(double[][] x)
        {
            (double hard, double soft) = Twin(x);
            return ((1 - w) * hard) + (w * soft);
        }

        (double Loss, double Divergence) Twin(double[][] x)
        {
            (double hard, double soft) = (0, 0);
            for (int row = 0; row < Rows; row++)
            {
                if (targets[row] < 0)
                {
                    continue;
                }

                double[] student = Logits(x[0], x[1], Width, row, logitScale), teacher = Logits(teacherHidden, teacherHead, TeacherWidth, row, 0.5);
                hard -= LogSoftmax(student, 1)[targets[row]];
                double[] q = LogSoftmax(teacher, temperature), p = LogSoftmax(student, temperature);
                soft += temperature * temperature * q.Zip(p, (taught, own) => Math.Exp(taught) * (taught - own)).Sum();
            }

            return (hard / (Rows - 2), soft / (Rows - 2));
        }

        static double[] Logits(double[] hidden, double[] head, int width, int row, double scale) =>
            [.. Enumerable.Range(0, Vocabulary).Select(token => scale * Enumerable.Range(0, width).Sum(k => hidden[(row * width) + k] * head[(token * width) + k]))];

        static double[] LogSoftmax(double[] logits, double temperature)
        {
            double[] cold = [.. logits.Select(logit => logit / temperature)];
            double normaliser = Math.Log(cold.Sum(Math.Exp));
            return [.. cold.Select(logit => logit - normaliser)];
        }
    }

    [Fact]
    public void A_teacher_that_counts_for_nothing_leaves_the_bits_of_the_cross_entropy()
    {
        double[] hiddenValues = OpCheck.Normal(1, Rows * Width), headValues = OpCheck.Normal(2, Vocabulary * Width);
        int[] targets = [.. Enumerable.Range(0, Rows)];
        using CpuBackend backend = new(2);

        float[][] Run(bool taught)
        {
            using Tape tape = new(backend);
            Tensor hidden = OpCheck.Upload(tape, new Shape(Rows, Width), hiddenValues), head = OpCheck.Upload(tape, new Shape(Vocabulary, Width), headValues);
            Tensor ids = OpCheck.UploadTokens(tape, new Shape(Rows), targets);
            Tensor losses = taught
                ? tape.Distillation(hidden, head, ids, 0.1f, 1, new SoftTargets(hidden, head, 0.1f, 0, 1)).Losses
                : tape.CrossEntropy(hidden, head, ids, 0.1f).Losses;
            tape.Backward(losses);
            return [OpCheck.Read(losses, backend), OpCheck.Read(hidden.Grad!, backend), OpCheck.Read(head.Grad!, backend)];
        }

        Assert.All(Run(true).Zip(Run(false)), pair => Assert.True(OpCheck.SameBits(pair.First, pair.Second)));
    }
}
