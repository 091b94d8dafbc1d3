using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Ops;
using Windtunnel.Tests.Reference;

namespace Windtunnel.Tests.Tensors.Ops;

public sealed class AttentionOpTests
{
    [Theory]
    [InlineData(2, 13, 4, 4, 8)]
    [InlineData(1, 1, 2, 1, 16)]
    [InlineData(2, 45, 4, 2, 16)]
    [InlineData(1, 64, 3, 1, 32)]
    [InlineData(1, 37, 2, 1, 12)]
    [InlineData(3, 33, 2, 2, 64)]
    public void Attention_agrees_with_its_twin(int batch, int length, int heads, int keyValueHeads, int width) =>
        OpCheck.AgreesWithTwin(
            (tape, x) => tape.Attention(x[0], new HeadLayout(heads, keyValueHeads, width)),
            x => Twin.Attention(x[0], length, heads, keyValueHeads, width),
            [new Shape(batch, length, (heads + (2 * keyValueHeads)) * width)]);

    // Steep scores: the largest of a later tile of keys often exceeds what came before, so that sums are rescaled.
    [Fact]
    public void Attention_over_more_than_one_tile_of_keys_agrees_with_its_twin() =>
        OpCheck.AgreesWithTwin(
            (tape, x) => tape.Attention(x[0], new HeadLayout(1, 1, 8)),
            x => Twin.Attention(x[0], 290, 1, 1, 8),
            [new Shape(1, 290, 24)], valueTolerance: 5e-6, gradientTolerance: 1e-5, deviation: 2.5, samples: 12);

    [Fact]
    public void Attention_over_three_tiles_of_keys_has_the_values_of_its_twin()
    {
        const int Length = 600;
        double[] qkv = OpCheck.Normal(1, Length * 64, 2);

        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            Tensor x = OpCheck.Upload(tape, new Shape(1, Length, 64), qkv);
            return [OpCheck.Read(tape.Attention(x, new HeadLayout(2, 1, 16)), backend)];
        });

        OpCheck.AssertClose(Twin.Attention(qkv, Length, 2, 1, 16), results[0], 5e-6, "attention");
    }

    [Fact]
    public void Later_tokens_do_not_change_a_bit_of_earlier_rows()
    {
        const int Length = 40, Row = 4 * 16;
        double[] qkv = OpCheck.Normal(1, Length * Row), changed = [.. qkv[..(30 * Row)], .. OpCheck.Normal(2, 10 * Row)];

        float[][] rows = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend);
            HeadLayout heads = new(2, 1, 16);
            return [.. new[] { qkv, changed }.Select(x => OpCheck.Read(tape.Attention(OpCheck.Upload(tape, new Shape(1, Length, Row), x), heads), backend))];
        });

        Assert.True(OpCheck.SameBits(rows[0][..(30 * 32)], rows[1][..(30 * 32)]));
        Assert.False(OpCheck.SameBits(rows[0], rows[1]));
    }

    [Theory]
    [InlineData(4, 4, 8)]
    [InlineData(4, 2, 16)]
    [InlineData(3, 1, 12)]
    [InlineData(2, 1, 64)]
    public void Cached_attention_in_any_portions_equals_attention_at_once(int heads, int keyValueHeads, int width)
    {
        const int Length = 41;
        HeadLayout layout = new(heads, keyValueHeads, width);
        double[] qkv = OpCheck.Normal(1, Length * layout.RowWidth);
        int[] portions = [5, 1, 1, 20, 1, 13];

        float[][] results = OpCheck.OnAllThreadCounts(backend =>
        {
            using Tape tape = new(backend, recording: false);
            Tensor whole = OpCheck.Upload(tape, new Shape(1, Length, layout.RowWidth), qkv);
            Tensor keys = tape.New(new Shape(Length, keyValueHeads * width)), values = tape.New(new Shape(Length, keyValueHeads * width));
            List<float> rows = [];
            foreach (int portion in portions)
            {
                int seen = rows.Count / (heads * width);
                Tensor part = whole.SliceRows(seen, portion).Reshape(new Shape(1, portion, layout.RowWidth));
                rows.AddRange(OpCheck.Read(tape.CachedAttention(part, keys, values, seen, layout), backend));
            }

            return [[.. rows], OpCheck.Read(tape.Attention(whole, layout), backend)];
        });

        double[] expected = Twin.Attention(qkv, Length, heads, keyValueHeads, width);
        OpCheck.AssertClose(expected, results[0], 2e-6, "cached");
        OpCheck.AssertClose(expected, results[1], 2e-6, "at once");
    }

    [Fact]
    public void A_full_cache_refuses_another_row()
    {
        using Windtunnel.Tensors.Backends.Cpu.CpuBackend backend = new(1);
        using Tape tape = new(backend, recording: false);
        Tensor qkv = tape.New(new Shape(1, 2, 24)), keys = tape.New(new Shape(4, 8)), values = tape.New(new Shape(4, 8));

        Assert.Throws<ArgumentOutOfRangeException>(() => tape.CachedAttention(qkv, keys, values, 3, new HeadLayout(1, 1, 8)));
    }
}
