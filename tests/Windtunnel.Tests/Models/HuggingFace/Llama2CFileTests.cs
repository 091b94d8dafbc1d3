using System.Buffers.Binary;
using Windtunnel.Models;
using Windtunnel.Models.HuggingFace;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Tensors;

namespace Windtunnel.Tests.Models.HuggingFace;

public sealed class Llama2CFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly CpuBackend _backend = new(1);

    private string Path => _folder.File("model.bin");

    public void Dispose()
    {
        _backend.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public void Both_versions_come_back_bit_for_bit(bool legacy, bool tied)
    {
        using Model model = Build(tied);
        File.WriteAllBytes(Path, Llama2CWriter.Write(model, _backend, legacy));

        using PretrainedModel pretrained = PretrainedModel.Open(Path);
        using Model read = pretrained.Load(_backend);
        Assert.Equal(model.Options, pretrained.Options with { Size = model.Options.Size });
        Assert.True(OpCheck.SameBits(OpCheck.Read(model.Parameters.Values, _backend), OpCheck.Read(read.Parameters.Values, _backend)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Headers_that_do_not_describe_the_file_are_refused(bool legacy)
    {
        using Model model = Build(tied: true);
        byte[] whole = Llama2CWriter.Write(model, _backend, legacy);
        foreach (int value in (int[])[0, -1, 1, 7, 1 << 20, (1 << 20) + 1, int.MaxValue, int.MinValue])
        {
            for (int field = legacy ? 0 : 1; field < (legacy ? 7 : 9); field++)
            {
                byte[] changed = [.. whole];
                BinaryPrimitives.WriteInt32LittleEndian(changed.AsSpan(field * 4), value);

                // Nothing in version 1 follows from the context.
                bool isContext = field == 8 && value is > 0 and <= 1 << 20;
                if (!isContext && !changed.AsSpan().SequenceEqual(whole))
                {
                    AssertRefused(changed);
                }
            }
        }

        AssertRefused(whole[..^1]);
        AssertRefused([.. whole, 0]);
        AssertRefused(whole[..20]);
        AssertRefused([]);
    }

    private Model Build(bool tied)
    {
        Model model = new LlamaOptions("20k", Layers: 2, Width: 48, Heads: 4, KeyValueHeads: 2, FeedForward: 64, Tied: tied).Resolve(61, 24).Build(_backend, gradients: false);
        model.Parameters.Initialize(_backend, 5);
        return model;
    }

    private void AssertRefused(byte[] bytes)
    {
        File.WriteAllBytes(Path, bytes);
        Assert.StartsWith(Path, Assert.Throws<InvalidDataException>(() => Llama2CFile.Open(Path)).Message);
    }
}
