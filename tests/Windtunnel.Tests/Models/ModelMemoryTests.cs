using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Tests.Tensors;

namespace Windtunnel.Tests.Models;

public sealed class ModelMemoryTests
{
    public static TheoryData<ModelOptions> Families => [new Gpt2Options("0.15m"), new LlamaOptions("0.15m", QkNorm: true), new MiniCpmOptions("0.15m")];

    [Theory]
    [MemberData(nameof(Families), DisableDiscoveryEnumeration = true)]
    public void Identical_steps_allocate_nothing_native_after_the_second_and_little_managed_and_all_is_freed(ModelOptions options)
    {
        using CpuBackend backend = new(2);
        Model model = options.Resolve(300, 64).Build(backend);
        model.Parameters.Initialize(backend, 1);
        Tape data = new(backend), tape = new(backend);
        Shape shape = new(2, 64);
        int[] text = [.. Enumerable.Range(0, 128).Select(i => i * 37 % 300)];
        Tensor tokens = OpCheck.UploadTokens(data, shape, text), targets = OpCheck.UploadTokens(data, shape, [.. text.Skip(1), 5]);

        Step();
        Step();
        long native = backend.Ledger.Allocations, managed = GC.GetAllocatedBytesForCurrentThread();
        Step();
        managed = GC.GetAllocatedBytesForCurrentThread() - managed;

        Assert.Equal(native, backend.Ledger.Allocations);
        Assert.InRange(managed, 0, 64 << 10);

        data.Dispose();
        tape.Dispose();
        model.Dispose();
        Assert.Equal((0, 0), (backend.Ledger.LiveBuffers, backend.Ledger.LiveBytes));

        void Step()
        {
            tape.Reset();
            model.Parameters.ClearGrads();
            tape.Backward(model.Loss(tape, tokens, targets, 1f / 128).Losses);
        }
    }

    [Fact]
    public void A_cache_refuses_more_tokens_than_it_holds_and_gives_its_memory_back()
    {
        using CpuBackend backend = new(1);
        Model model = new LlamaOptions("20k").Resolve(300, 64).Build(backend, gradients: false);
        model.Parameters.Initialize(backend, 1);
        KeyValueCache cache = new(backend, model.Dimensions, 4);
        Tape tape = new(backend, recording: false);

        model.Logits(tape, OpCheck.UploadTokens(tape, new Shape(1, 3), [1, 2, 3]), cache);
        Assert.Equal(3, cache.Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Logits(tape, OpCheck.UploadTokens(tape, new Shape(1, 2), [4, 5]), cache));

        tape.Dispose();
        cache.Dispose();
        model.Dispose();
        Assert.Equal(0, backend.Ledger.LiveBuffers);
    }
}
