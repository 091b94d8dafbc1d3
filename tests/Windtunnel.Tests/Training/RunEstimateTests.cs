using Windtunnel.Models;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Text;
using Windtunnel.Text.Corpora;
using Windtunnel.Text.Tokenizers;
using Windtunnel.Training;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Training;

public sealed class RunEstimateTests
{
    public static TheoryData<string> Cases => [.. s_cases.Keys];

    private static readonly DataOptions s_data = new(new SyntheticCorpusOptions(Documents: 60), Tokenizer: new BytesTokenizerOptions(), ValidationFraction: 0.2);

    private static readonly Dictionary<string, RunConfig> s_cases = new()
    {
        ["gpt2"] = new(Model: new Gpt2Options("50k"), Training: new TrainingOptions(SequenceLength: 64, BatchSize: 4)),
        ["llama"] = new(Model: new LlamaOptions("200k"), Training: new TrainingOptions(SequenceLength: 128, BatchSize: 8, GradientAccumulation: 2)),
        ["llama with everything"] = new(
            Model: new LlamaOptions(Layers: 3, Width: 96, Heads: 6, KeyValueHeads: 2, Tied: false, QkNorm: true),
            Training: new TrainingOptions(SequenceLength: 100, BatchSize: 3, EmaDecay: 0.9), Validation: new ValidationOptions(BatchSize: 5)),
        ["minicpm"] = new(Model: new MiniCpmOptions("200k"), Training: new TrainingOptions(SequenceLength: 64, BatchSize: 4)),
        ["muon"] = new(Model: new Gpt2Options("50k"), Optimizer: new MuonOptions(), Training: new TrainingOptions(SequenceLength: 32, BatchSize: 2)),
        ["sophia at every step"] = new(Model: new Gpt2Options("50k"), Optimizer: new SophiaOptions(Interval: 1), Training: new TrainingOptions(SequenceLength: 32, BatchSize: 2)),
        ["a large vocabulary"] = new(
            Model: new LlamaOptions("20k", Vocabulary: 100_000), Training: new TrainingOptions(SequenceLength: 128, BatchSize: 4)),
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Memory_is_what_training_takes_at_its_peak(string name)
    {
        using TemporaryFolder folder = new();
        using Dataset data = Dataset.Prepare(s_data, folder.Path);
        RunConfig config = (s_cases[name] with { Data = s_data }).Resolve(data.Tokenizer.VocabularySize);
        using CpuBackend backend = new(threads: 2);
        using (Trainer trainer = new(config, data, backend))
        using (Validator validator = new(
            trainer.Model, data, config.Validation, config.Training.BatchSize / config.Training.GradientAccumulation,
            config.Training.SequenceLength, trainer.Pool))
        {
            trainer.Initialize();
            trainer.Step();
            trainer.Step();
            validator.Score();
        }

        long estimated = RunEstimate.Of(config).Memory.Total;
        Assert.InRange(estimated / (double)backend.Ledger.PeakBytes, 0.99, 1.01);
        Assert.Equal(0, backend.Ledger.LiveBytes);
    }

    [Fact]
    public void The_cost_of_a_model_that_would_not_fit_is_known_without_having_its_memory()
    {
        RunConfig config = new RunConfig(Model: new LlamaOptions("llama-1.2b"), Training: new TrainingOptions(Duration.OfSteps(100))).Resolve(50_000);

        RunEstimate estimate = RunEstimate.Of(config);

        Assert.InRange(estimate.Memory.Weights, 4 * estimate.Counts.Total, 4.01 * estimate.Counts.Total);
        Assert.InRange(estimate.Memory.Optimizer, 8 * estimate.Counts.Total, 8.01 * estimate.Counts.Total);
        Assert.Equal(100 * 8 * 256, estimate.Tokens);
        Assert.Equal(estimate.Tokens * estimate.FlopsAToken, estimate.Flops);
    }
}
