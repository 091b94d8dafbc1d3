using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tensors.Ops;
using Windtunnel.Tests.Reference;

namespace Windtunnel.Tests.Tensors.Ops;

public sealed class EmbeddingOpTests
{
    private const int Batch = 3, Length = 45, Vocabulary = 11, Width = 83;

    private static readonly int[] Tokens = new Random(5).GetItems([.. Enumerable.Range(0, Vocabulary)], Batch * Length);

    [Theory]
    [InlineData(1f)]
    [InlineData(12f)]
    public void Embedding_without_positions_agrees_with_its_twin(float scale) =>
        OpCheck.AgreesWithTwin(
            (tape, x) => tape.Embedding(OpCheck.UploadTokens(tape, new Shape(Batch, Length), Tokens), x[0], scale: scale),
            x => Twin.Embedding(Tokens, x[0], null, Width, Length, scale),
            [new Shape(Vocabulary, Width)]);

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    public void Embedding_with_positions_agrees_with_its_twin_from_any_start(int start) =>
        OpCheck.AgreesWithTwin(
            (tape, x) => tape.Embedding(OpCheck.UploadTokens(tape, new Shape(Batch, Length), Tokens), x[0], x[1], start, 0.5f),
            x => Twin.Embedding(Tokens, x[0], x[1][(start * Width)..], Width, Length, 0.5),
            [new Shape(Vocabulary, Width), new Shape(50, Width)]);

    [Theory]
    [InlineData(Vocabulary)]
    [InlineData(-1)]
    public void A_token_outside_the_table_is_refused(int token)
    {
        using CpuBackend backend = new(2);
        using Tape tape = new(backend);
        Tensor tokens = OpCheck.UploadTokens(tape, new Shape(1, 130), [.. Enumerable.Repeat(0, 129), token]), table = tape.New(new Shape(Vocabulary, Width));

        InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => tape.Embedding(tokens, table));

        Assert.Equal($"token {token} in a vocabulary of {Vocabulary}", error.Message);
    }

    [Fact]
    public void Positions_beyond_the_table_are_refused()
    {
        using CpuBackend backend = new(1);
        using Tape tape = new(backend);
        Tensor tokens = OpCheck.UploadTokens(tape, new Shape(1, 2), [0, 1]);

        Assert.Throws<ArgumentException>(
            () => tape.Embedding(tokens, tape.New(new Shape(2, 4)), tape.New(new Shape(3, 4)), start: 2));
    }
}
