using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Tensors;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training.Optimizers;

public sealed class BlockPartitionTests
{
    // Shapes, targets and results of levanter's _merge_small_dims.
    [Theory]
    [InlineData(new[] { 8, 1, 64, 512 }, 2048, new[] { 512, 512 })]
    [InlineData(new[] { 8, 64, 512 }, 2048, new[] { 512, 512 })]
    [InlineData(new[] { 512, 8, 64 }, 2048, new[] { 512, 512 })]
    [InlineData(new[] { 2048, 512 }, 2048, new[] { 2048, 512 })]
    [InlineData(new[] { 512 }, 2048, new[] { 512 })]
    [InlineData(new[] { 128256, 512 }, 2048, new[] { 128256, 512 })]
    [InlineData(new[] { 8, 1, 64, 512 }, 8192, new[] { 512, 512 })]
    [InlineData(new[] { 2048, 512 }, 8192, new[] { 2048, 512 })]
    [InlineData(new[] { 4, 6 }, 2048, new[] { 24 })]
    [InlineData(new[] { 3, 3, 64, 128 }, 2048, new[] { 576, 128 })]
    public void Small_dimensions_are_merged_as_in_the_study(int[] shape, int target, int[] expected) =>
        Assert.Equal(expected, BlockPartition.Merge(shape, target));

    // The sizes of levanter's BlockPartitioner.
    [Theory]
    [InlineData(512, 256, new[] { 256, 256 })]
    [InlineData(600, 256, new[] { 256, 256, 88 })]
    [InlineData(256, 256, new[] { 256 })]
    [InlineData(5, 3, new[] { 3, 2 })]
    [InlineData(5, 0, new[] { 5 })]
    public void A_dimension_is_cut_into_whole_blocks_and_a_rest(int dimension, int blockSize, int[] expected) =>
        Assert.Equal(expected, BlockPartition.Sizes(dimension, blockSize));

    [Fact]
    public void Blocks_of_a_group_are_batched_by_shape_and_come_back_where_they_were()
    {
        using CpuBackend backend = new(2);
        using ParameterSet parameters = new();
        parameters.Matrix("qkv", ParameterRole.Hidden, 21, 10, 1, parts: 3);
        parameters.Matrix("up", ParameterRole.Hidden, 8, 5, 1);
        parameters.Matrix("wide", ParameterRole.Hidden, 4, 30, 1);
        parameters.Vector("gain", ParameterRole.Norm, 6, 1);
        parameters.Allocate(backend, gradients: true);
        ParameterGroup group = Assert.Single(parameters.Groups(_ => true));
        BlockPartition partition = new(backend, group, 4, 0, (parameter, size) => parameter.IsMatrix && size <= 20);

        // qkv: three times [7, 10] in blocks of (4 3) by (4 4 2); up: (4 4) by (4 1); wide: 4 rows, columns uncut.
        Assert.Equal(
            [(4, 4, 8), (4, 2, 3), (3, 4, 6), (3, 2, 3), (4, 1, 2), (4, 30, 1), (6, 1, 1)],
            partition.Batches.Select(batch => (batch.Rows, batch.Columns, batch.Count)));
        Assert.Equal(parameters.Count, partition.Elements);
        Assert.Equal([false, false, false, false, false, false, true], partition.Batches.Select(batch => batch.IsVector));
        Assert.Equal(partition.Batches.Count, partition.Batches.Select(batch => batch.Name).Distinct().Count());

        using Tape tape = new(backend);
        Tensor blocks = tape.New(new Shape(partition.Elements));
        backend.Write(group.Values, OpCheck.Narrow(OpCheck.Normal(1, group.Values.Shape.Count)));
        float[] before = OpCheck.Read(group.Values, backend);
        partition.Gather(blocks, group.Values, parameter => parameter.Name == "up" ? 2 : 1);
        foreach (Parameter parameter in parameters.Parameters)
        {
            backend.Fill(parameter.Value, float.NaN);
        }

        partition.Scatter(group.Values, blocks, keep: 0, parameter => parameter.Name == "up" ? 0.5 : 1);
        Assert.Equal(before, OpCheck.Read(group.Values, backend));

        // The last row of the second matrix that is stacked in qkv begins with the third row of a block of three.
        Assert.Equal(
            before[13 * 10],
            OpCheck.Read(partition.Batches.Single(batch => (batch.Rows, batch.Columns) == (3, 4)).Of(blocks, 2, 1), backend)[2 * 4]);
    }

    [Fact]
    public void Padded_blocks_are_multiples_of_the_block_size_and_zero_beyond_their_matrix()
    {
        using CpuBackend backend = new(2);
        using ParameterSet parameters = new();
        parameters.Matrix("qkv", ParameterRole.Hidden, 21, 10, 1, parts: 3);
        parameters.Matrix("wide", ParameterRole.Hidden, 3, 30, 1);
        parameters.Vector("gain", ParameterRole.Norm, 6, 1);
        parameters.Allocate(backend, gradients: true);
        ParameterGroup group = Assert.Single(parameters.Groups(_ => true));
        BlockPartition partition = new(backend, group, 4, 0, (parameter, size) => parameter.IsMatrix && size <= 20, pad: true);

        // qkv: three times [7, 10] in 2 by 3 blocks; wide: columns uncut, and padded; gain: a column.
        Assert.Equal([(4, 4, 18), (4, 32, 1), (8, 1, 1)], partition.Batches.Select(batch => (batch.Rows, batch.Columns, batch.Count)));
        Assert.Equal([288, 128, 8], parameters.Parameters.Select(partition.ElementsOf));

        using Tape tape = new(backend);
        Tensor blocks = tape.New(new Shape(partition.Elements));
        foreach (Parameter parameter in parameters.Parameters)
        {
            backend.Write(parameter.Value, OpCheck.Narrow(OpCheck.Normal(1, parameter.Shape.Count)));
        }

        float[] before = OpCheck.Read(group.Values, backend);
        backend.Fill(blocks, float.NaN);
        partition.Gather(blocks, group.Values, _ => 1);
        Assert.Equal(before.Where(value => value != 0).Order(), OpCheck.Read(blocks, backend).Where(value => value != 0).Order());
        foreach (Parameter parameter in parameters.Parameters)
        {
            backend.Fill(parameter.Value, float.NaN);
        }

        partition.Scatter(group.Values, blocks, keep: 0, _ => 1);
        Assert.Equal(before, OpCheck.Read(group.Values, backend));
    }
}
