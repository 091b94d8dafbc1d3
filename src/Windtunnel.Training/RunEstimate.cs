using Windtunnel.Models;
using Windtunnel.Tensors;
using Windtunnel.Tensors.Autograd;
using Windtunnel.Tensors.Backends;
using Windtunnel.Tensors.Memory;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Training;

/// <summary>What a run will cost, known before it starts.</summary>
/// <param name="Counts">The model's parameters.</param>
/// <param name="Tokens">Training tokens of the whole run.</param>
/// <param name="FlopsAToken">Model operations for one token, forward and backward; a teacher's are not among them.</param>
/// <param name="Memory">Device memory at the peak.</param>
public sealed record RunEstimate(ModelCounts Counts, long Tokens, double FlopsAToken, MemoryEstimate Memory)
{
    /// <summary>Model operations of the whole run.</summary>
    public double Flops => Tokens * FlopsAToken;

    /// <summary>Training tokens for each non-embedding parameter; about 20 are compute-optimal (Hoffmann et al. 2022).</summary>
    public double TokensAParameter => (double)Tokens / Counts.NonEmbedding;

    /// <summary>The cost of a run with a resolved config.</summary>
    public static RunEstimate Of(RunConfig config) => new(
        config.Model.Count(), config.TotalSteps * config.Training.TokensAStep,
        config.Model.Count().TrainingFlopsAToken(config.Training.SequenceLength), MemoryEstimate.Of(config));
}

/// <summary>Device memory of a run at its peak, in bytes.</summary>
/// <param name="Weights">Parameters and constant tables; their moving average and a teacher's parameters too, where there are any.</param>
/// <param name="Gradients">One a parameter.</param>
/// <param name="Optimizer">The optimizer's state and working memory.</param>
/// <param name="Activations">What a micro-batch keeps for the backward pass, its gradients, a block of logits, the tokens, a teacher's states.</param>
/// <param name="Validation">What validation takes beyond that; mostly nothing.</param>
public sealed record MemoryEstimate(long Weights, long Gradients, long Optimizer, long Activations, long Validation)
{
    /// <summary>All of it.</summary>
    public long Total => Weights + Gradients + Optimizer + Activations + Validation;

    /// <summary>Walks through a training step and a validation batch on a backend that only counts.</summary>
    internal static MemoryEstimate Of(RunConfig config)
    {
        TrainingOptions training = config.Training;
        int batch = training.BatchSize / training.GradientAccumulation;
        using CountingBackend backend = new();
        Ledger ledger = backend.Ledger;
        using Model model = config.Model.Build(backend);
        long gradients = model.Parameters.Length * sizeof(float);
        long weights = ledger.LiveBytes - gradients + (training.EmaDecay > 0 ? gradients : 0);

        long before = ledger.LiveBytes;
        using Optimizer optimizer = config.Optimizer.Build(model.Parameters, backend);
        optimizer.Step(new OptimizerStep(1, 1, 1, Batch: new NoBatch()));
        long state = ledger.LiveBytes - before;
        using BufferPool pool = new(backend);
        before = ledger.LiveBytes;
        using Model? teacher = training.Distillation is { } distillation
            ? Reference.Open(distillation.From, "training.distillation.from").Model.Build(backend, gradients: false)
            : null;
        using Tape taught = new(backend, recording: false);
        weights += ledger.LiveBytes - before;
        return new MemoryEstimate(
            weights, gradients, state, Pass(recording: true, batch),
            config.Data.ValidationFraction > 0 ? Pass(recording: false, config.Validation.BatchSize ?? batch) : 0);

        long Pass(bool recording, int rows)
        {
            long start = ledger.LiveBytes;
            using Tape tape = new(backend, recording, pool);
            Shape shape = new(rows, training.SequenceLength);
            Tensor tokens = tape.New(shape, DType.I32), targets = tape.New(shape, DType.I32);
            model.Parameters.ClearGrads();
            (Tensor losses, _) = recording && teacher is not null
                ? model.Loss(tape, tokens, targets, lossScale: 1, teacher.Teach(taught, tokens, weight: 1, temperature: 1))
                : model.Loss(tape, tokens, targets, lossScale: 1);
            if (recording)
            {
                tape.Backward(losses);
            }

            return ledger.LiveBytes - start;
        }
    }

    // Rules that want gradients once more get those there are: nothing is computed here.
    private sealed class NoBatch : IStepBatch
    {
        public long Targets => 1;

        public void ComputeGradients(Philox? labels)
        {
        }
    }
}
