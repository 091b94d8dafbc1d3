using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Text;
using Windtunnel.Training;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training;

public class TrainerTests
{
    [Theory]
    [InlineData("adamw")]
    [InlineData("muon")]
    public void After_the_second_step_a_training_step_allocates_nothing_worth_measuring(string optimizer)
    {
        using TemporaryFolder folder = new();
        using Dataset data = Dataset.Prepare(TinyRun.Data, folder.Path);
        RunConfig config = TinyRun.Config(optimizer: optimizer == "muon" ? new MuonOptions() : new AdamWOptions()).Resolve(data.Tokenizer.VocabularySize);
        using CpuBackend backend = new(threads: 2);
        using Trainer trainer = new(config, data, backend);
        trainer.Initialize();
        trainer.Step();
        trainer.Step();

        const int Steps = 10;
        (long managed, long native) = (GC.GetAllocatedBytesForCurrentThread(), backend.Ledger.Allocations);
        for (int step = 0; step < Steps; step++)
        {
            trainer.Step();
        }

        managed = (GC.GetAllocatedBytesForCurrentThread() - managed) / Steps;
        Assert.True(managed < 64 * 1024, $"{managed} bytes a step");
        Assert.Equal(native, backend.Ledger.Allocations);
    }
}
