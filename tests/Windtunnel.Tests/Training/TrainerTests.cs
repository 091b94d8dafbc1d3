using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Text;
using Windtunnel.Training;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training;

public sealed class TrainerTests
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

    [Fact]
    public void A_skipped_step_counts_for_the_schedule_and_not_for_the_optimizer()
    {
        using TemporaryFolder folder = new();
        RecordingOptions recording = new();
        RunConfig config = TinyRun.Config(optimizer: recording).Resolve(257);
        using Dataset data = Dataset.Prepare(config.Data, folder.Path);
        using CpuBackend backend = new(1);
        using Trainer trainer = new(config, data, backend);
        trainer.Initialize();
        trainer.Step();
        float[] weights = new float[trainer.Model.Parameters.Length], broken = new float[weights.Length];
        Array.Fill(broken, float.NaN);
        backend.Read(trainer.Model.Parameters.Values, weights);
        backend.Write(trainer.Model.Parameters.Values, broken);
        Assert.False(trainer.Step().Finite);
        backend.Write(trainer.Model.Parameters.Values, weights);
        Assert.True(trainer.Step().Finite);

        Assert.Equal([1, 2], recording.Seen.Select(step => step.Number));
        Assert.Equal([1 / 3.0, 1], recording.Seen.Select(step => step.RateFactor));
        Assert.Equal((3, 1), (trainer.State.Step, trainer.State.NonFiniteSteps));
    }

    private sealed record RecordingOptions() : OptimizerOptions(1, 0)
    {
        public List<OptimizerStep> Seen { get; } = [];

        public override string Source => "this test";

        public override IEnumerable<Rule> Rules(OptimizerState state) => [new Rule("recording", 1, (_, _) => new Standing()) { AfterStep = Seen.Add }];
    }

    private sealed class Standing : Direction
    {
        public override void Write(Tensor y, in Destination to, in DirectionStep step)
        {
        }
    }
}
