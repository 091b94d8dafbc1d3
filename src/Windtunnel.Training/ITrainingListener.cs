using Windtunnel.Runs;
using Windtunnel.Training.Checkpoints;

namespace Windtunnel.Training;

/// <summary>Is told what happens during training; must not change any of it.</summary>
public interface ITrainingListener
{
    /// <summary>An optimizer step has been taken.</summary>
    void Stepped(in StepReport step);

    /// <summary>The held-out text has been scored.</summary>
    void Validated(Progress at, IReadOnlyList<ValidationScore> scores);

    /// <summary>A checkpoint is safe on disk.</summary>
    void Saved(Checkpoint checkpoint);

    /// <summary>Something a person should read: a skipped step, a checkpoint that was passed over.</summary>
    void Noticed(string message);
}

/// <summary>One optimizer step.</summary>
/// <param name="At">How far training is after it.</param>
/// <param name="TotalSteps">The length of the run.</param>
/// <param name="LossNats">Mean loss of its tokens, before the update.</param>
/// <param name="LossEma">Moving average of the losses.</param>
/// <param name="ZLoss">Mean z-loss penalty.</param>
/// <param name="Divergence">Mean divergence from the teacher; 0 without one.</param>
/// <param name="LearningRate">The rate that was applied.</param>
/// <param name="GradNorm">Global norm of the gradients, before clipping.</param>
/// <param name="StepSeconds">Time the step took, data included.</param>
/// <param name="DataSeconds">Time it waited for data.</param>
/// <param name="TokensPerSecond">Training speed.</param>
/// <param name="ModelFlopUtilisation">Share of the machine's measured peak, 0 to 1.</param>
/// <param name="NonFiniteSteps">Steps of the run so far whose loss or gradients were not numbers.</param>
public readonly record struct StepReport(
    Progress At, long TotalSteps, double LossNats, double LossEma, double ZLoss, double Divergence, double LearningRate, double GradNorm, double StepSeconds,
    double DataSeconds, double TokensPerSecond, double ModelFlopUtilisation, long NonFiniteSteps);

/// <summary>The score of one held-out source.</summary>
/// <param name="Source">Its name.</param>
/// <param name="LossNats">Mean loss a token.</param>
/// <param name="BitsPerByte">Loss over the bytes of the text, in bits: comparable between tokenizers, and with compressors.</param>
/// <param name="Tokens">Tokens scored.</param>
public sealed record ValidationScore(string Source, double LossNats, double BitsPerByte, long Tokens);
