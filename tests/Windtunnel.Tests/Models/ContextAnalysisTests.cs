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
        int[][] sequences = [.. Enumerable.Range(0, 6).Select(_ => Enumerable.Range(0, Length + 1).Select(_ => random.Next(3)).ToArray())];
        double[][] losses = [.. sequences.Select(sequence => Losses(model, sequence))];

        ContextAnalysis analysis = ContextAnalysis.Of(model, sequences);

        Assert.Equal([(1, 1), (2, 2), (3, 4), (5, 8), (9, Length)], analysis.Positions.Select(band => (band.From, band.To)));
        Assert.All(analysis.Positions, band => Assert.Equal(losses.SelectMany(row => row[(band.From - 1)..band.To]).Average(), band.Loss, 1e-5));
        double[] repeats = [.. sequences.Zip(losses).SelectMany(pair => pair.Second.Where((_, i) => IsRepeat(pair.First, i)))];
        Assert.Equal((repeats.Length, (sequences.Length * Length) - repeats.Length), (analysis.Repeats.Targets, analysis.Others.Targets));
        Assert.Equal(repeats.Average(), analysis.Repeats.Mean, 1e-5);
        Assert.Equal(losses.SelectMany(row => row).Average(), analysis.All.Mean, 1e-5);
    }

    [Fact]
    public void A_sequence_that_repeats_nothing_has_no_loss_of_repeats()
    {
        using CpuBackend backend = new(1);
        using Model model = Build(backend);

        ContextAnalysis analysis = ContextAnalysis.Of(model, [[0, 1, 2, 3, 4]]);

        Assert.Equal((0, 4), (analysis.Repeats.Targets, analysis.Others.Targets));
        Assert.True(double.IsNaN(analysis.Repeats.Mean));
        Assert.Equal(analysis.Others.Mean, analysis.All.Mean);
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
        Tensor tokens = tape.New(new Shape(1, Length), DType.I32);
        model.Backend.Write(tokens, sequence.AsSpan(0, Length));
        float[] logits = new float[Length * Vocabulary];
        model.Backend.Read(model.Logits(tape, tokens), logits);
        return [.. Enumerable.Range(0, Length).Select(i =>
        {
            ReadOnlySpan<float> row = logits.AsSpan(i * Vocabulary, Vocabulary);
            double sum = 0;
            foreach (float logit in row)
            {
                sum += Math.Exp(logit);
            }

            return Math.Log(sum) - row[sequence[i + 1]];
        })];
    }

    private static bool IsRepeat(int[] sequence, int target) =>
        target > 0 && Enumerable.Range(1, target - 1).Any(earlier => sequence.AsSpan(earlier - 1, 3).SequenceEqual(sequence.AsSpan(target - 1, 3)));
}
