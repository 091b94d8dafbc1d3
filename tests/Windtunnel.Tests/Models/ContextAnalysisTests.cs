using System.ComponentModel.DataAnnotations;
using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;

namespace Windtunnel.Tests.Models;

public sealed class ContextAnalysisTests
{
    private const int Length = 11, Vocabulary = 5;

    [Fact]
    public void Losses_are_split_by_what_was_read_and_by_whether_it_is_repeated()
    {
        using CpuBackend backend = new(1);
        using Model model = Build(backend);
        Random random = new(1);
        int[][] sequences = [.. Enumerable.Range(0, 6).Select(_ => Enumerable.Range(0, Length + 1).Select(_ => random.Next(2)).ToArray())];
        double[][] losses = [.. sequences.Select(sequence => Losses(model, sequence))];

        ContextAnalysis analysis = ContextAnalysis.Of(model, sequences);

        Assert.Equal([(1, 4), (5, Length)], analysis.Positions.Select(band => (band.From, band.To)));
        Assert.All(analysis.Positions, band => Assert.Equal(losses.SelectMany(row => row[(band.From - 1)..band.To]).Average(), band.Loss.Mean, 1e-5));
        (int[] Sequence, int Target, double Loss)[] repeats =
            [.. sequences.Zip(losses).SelectMany(pair => Enumerable.Range(0, Length).Where(i => IsRepeat(pair.First, i)).Select(i => (pair.First, i, pair.Second[i])))];
        double[] alone = [.. repeats.Select(repeat => Losses(model, repeat.Sequence[(repeat.Target - 1)..(repeat.Target + 2)])[1])];
        Assert.True(repeats.Length > 10);
        Assert.Equal(repeats.Length, analysis.Repeats.Targets);
        Assert.Equal(repeats.Average(repeat => repeat.Loss), analysis.Repeats.Mean, 1e-5);
        Assert.Equal(alone.Average(), analysis.Pairs.Mean, 1e-5);
        double[] gains = [.. repeats.Zip(alone, (repeat, pair) => pair - repeat.Loss)];
        Assert.Equal(gains.Average(), analysis.Gain.Mean, 1e-5);
        Assert.Equal(Math.Sqrt(gains.Sum(gain => Math.Pow(gain - gains.Average(), 2)) / (gains.Length - 1) / gains.Length), analysis.Gain.Error, 1e-5);
        Assert.Equal(losses.SelectMany(row => row).Average(), analysis.All.Mean, 1e-5);
    }

    [Fact]
    public void A_sequence_that_repeats_nothing_has_no_loss_of_repeats()
    {
        using CpuBackend backend = new(1);
        using Model model = Build(backend);

        ContextAnalysis analysis = ContextAnalysis.Of(model, [[0, 1, 2, 3, 4]]);

        Assert.Equal((0, 4), (analysis.Repeats.Targets, analysis.All.Targets));
        Assert.True(double.IsNaN(analysis.Repeats.Mean));
        Assert.True(double.IsNaN(analysis.Gain.Error));
    }

    [Fact]
    public void Sequences_that_do_not_fit_are_refused()
    {
        using CpuBackend backend = new(1);
        using Model model = Build(backend);

        Assert.Throws<ValidationException>(() => ContextAnalysis.Of(model, []));
        Assert.Throws<ValidationException>(() => ContextAnalysis.Of(model, [[1]]));
        Assert.Throws<ValidationException>(() => ContextAnalysis.Of(model, [[1, 2], [1, 2, 3]]));
        Assert.Throws<ValidationException>(() => ContextAnalysis.Of(model, [new int[Length + 2]]));
    }

    private static Model Build(CpuBackend backend)
    {
        Model model = new LlamaOptions(Layers: 1, Width: 8, Heads: 2, FeedForward: 16, Vocabulary: Vocabulary, Context: Length).Resolve(1, 1).Build(backend);
        model.Parameters.Initialize(backend, 1);
        backend.Add(model.Parameters.Values, model.Parameters.Values, 20, accumulate: false);
        return model;
    }

    // -log softmax of the logits, in double precision.
    private static double[] Losses(Model model, int[] sequence)
    {
        using Tape tape = new(model.Backend, recording: false);
        int length = sequence.Length - 1;
        Tensor tokens = tape.New(new Shape(1, length), DType.I32);
        model.Backend.Write(tokens, sequence.AsSpan(0, length));
        float[] logits = new float[length * Vocabulary];
        model.Backend.Read(model.Logits(tape, tokens), logits);
        return [.. logits.Chunk(Vocabulary).Select((row, i) => Math.Log(row.Sum(logit => Math.Exp(logit))) - row[sequence[i + 1]])];
    }

    private static bool IsRepeat(int[] sequence, int target) =>
        target > 0 && Enumerable.Range(1, target - 1).Any(earlier => sequence.AsSpan(earlier - 1, 3).SequenceEqual(sequence.AsSpan(target - 1, 3)));
}
