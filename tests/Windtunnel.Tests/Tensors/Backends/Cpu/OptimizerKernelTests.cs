using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;

namespace Windtunnel.Tests.Tensors.Backends.Cpu;

/// <summary>The optimizers' kernels over several items and a tail, on one, two and three threads; their formulas are tested with the optimizers.</summary>
public sealed class OptimizerKernelTests
{
    private const int Count = 40_001;

    [Fact]
    public void Directions_give_the_same_bits_on_all_threads_and_go_where_they_are_sent()
    {
        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor New(int seed) => OpCheck.Upload(tape, new Shape(Count), OpCheck.Normal(seed, Count));
            Tensor Square(int seed) => OpCheck.Upload(tape, new Shape(Count), [.. OpCheck.Normal(seed, Count).Select(value => value * value)]);
            Tensor g = New(1), blocks = OpCheck.Upload(tape, new Shape(13), [.. OpCheck.Normal(6, 13).Select(Math.Abs)]);
            Destination overwrite = new(0, 1, 0.5f), move = new(0.9f, -0.1f, 0.5f);
            List<Tensor> outputs = [];
            Tensor Copy(Tensor tensor)
            {
                Tensor copy = tape.New(tensor.Shape);
                backend.Add(copy, tensor, 1, accumulate: false);
                return copy;
            }

            void Both(Action<Tensor, Destination> direction)
            {
                Tensor y = tape.New(g.Shape), w = New(2);
                backend.Fill(y, float.NaN);
                direction(y, overwrite);
                direction(w, move);
                outputs.AddRange([y, w]);
            }

            Both((y, to) => backend.Momentum(y, g, New(3), to, new MomentumStep(0.9f, 0.1f, 0.95f, 0.05f, Sign: true)));
            Both((y, to) => backend.Adam(y, g, New(3), Square(4), to, new AdamStep(0.9f, 0.95f, 1.5f, 0.2f, 1.2f, 1e-8f)));
            Both((y, to) => backend.AdEMAMix(y, g, New(3), New(5), Square(4), to, new AdEMAMixStep(0.9f, 0.95f, 0.99f, 1.5f, 2, 1.2f, 1e-8f)));
            Both((y, to) => backend.Sophia(y, g, New(3), New(4), to, new SophiaStep(0.9f, 1.5f, 2, 1e-8f)));
            Both((y, to) => backend.AdamMini(y, g, New(3), Copy(blocks), Count / 13, to, new AdamStep(0.9f, 0.95f, 1.5f, 0, 1.2f, 1e-8f)));
            return [.. outputs.Select(tensor => OpCheck.Read(tensor, backend))];
        });

        double[] w = OpCheck.Normal(2, Count);
        for (int i = 0; i < results.Length; i += 2)
        {
            OpCheck.AssertClose([.. w.Zip(results[i], (old, u) => (0.9f * old) - (0.1f * (double)u))], results[i + 1], 1e-6, $"direction {i / 2}");
        }
    }

    [Fact]
    public void Caution_keeps_what_agrees_in_sign_and_counts_it()
    {
        double[] u = OpCheck.Normal(1, Count), witness = OpCheck.Normal(2, Count);
        u[3] = witness[5] = 0;
        double counted = 0;
        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor update = OpCheck.Upload(tape, new Shape(Count), u);
            counted = backend.Caution(update, OpCheck.Upload(tape, new Shape(Count), witness));
            return [OpCheck.Read(update, backend)];
        });

        Assert.Equal(u.Zip(witness, (a, b) => a * b > 0 ? (float)a : 0), results[0]);
        Assert.Equal(u.Zip(witness).Count(pair => pair.First * pair.Second > 0), counted);
    }

    [Fact]
    public void Rows_are_brought_to_the_root_of_their_mean_square()
    {
        double[] x = OpCheck.Normal(1, 300 * 131);
        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor rows = OpCheck.Upload(tape, new Shape(300, 131), x), v = tape.New(new Shape(300));
            backend.Fill(v, 0);
            backend.NormalizeRows(rows, v, 0.75f, 1e-10f);
            return [OpCheck.Read(rows, backend), OpCheck.Read(v, backend)];
        });

        double[] squares = [.. x.Chunk(131).Select(row => 0.25 * row.Average(value => value * value))];
        OpCheck.AssertClose(squares, results[1], 1e-6, "mean squares");
        OpCheck.AssertClose([.. x.Select((value, i) => value / Math.Sqrt(squares[i / 131]))], results[0], 1e-6, "rows");
    }

    [Fact]
    public void Normal_numbers_are_those_of_the_stream()
    {
        float[] expected = new float[Count];
        new Philox(7, 8).FillNormal(expected, 1, 123);
        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor x = tape.New(new Shape(Count));
            backend.FillNormal(x, new Philox(7, 8), 123);
            return [OpCheck.Read(x, backend)];
        });
        Assert.Equal(expected, results[0]);
    }

    [Fact]
    public void Targets_are_drawn_as_often_as_the_logits_say()
    {
        const int Rows = 4000, Vocabulary = 19;
        double[] logits = OpCheck.Normal(1, Vocabulary);
        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor x = OpCheck.Upload(tape, new Shape(Rows, Vocabulary), [.. Enumerable.Repeat(logits, Rows).SelectMany(row => row)]);
            int[] ignored = new int[Rows];
            ignored[7] = -1;
            Tensor targets = OpCheck.UploadTokens(tape, new Shape(Rows), ignored);
            Tensor losses = tape.New(new Shape(Rows, 1)), penalties = tape.New(new Shape(Rows, 1));
            backend.SampleTargets(targets, x, new Philox(3, 4), 0);
            backend.SoftmaxCrossEntropy(x, targets, losses, penalties, 0, 0);
            return [OpCheck.Read(losses, backend)];
        });

        // The loss of a row tells which token was drawn; an ignored one has none.
        double lse = Math.Log(logits.Sum(Math.Exp));
        double[] frequencies = new double[Vocabulary];
        foreach (float loss in results[0].Where(loss => loss != 0))
        {
            frequencies[Enumerable.Range(0, Vocabulary).MinBy(token => Math.Abs(lse - logits[token] - loss))] += 1.0 / (Rows - 1);
        }

        Assert.Equal(0, results[0][7]);
        Assert.All(Enumerable.Range(0, Vocabulary), token => Assert.Equal(Math.Exp(logits[token] - lse), frequencies[token], 0.03));
    }
}
