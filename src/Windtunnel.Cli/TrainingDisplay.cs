using System.Diagnostics;
using Windtunnel.Runs;
using Windtunnel.Training;
using Windtunnel.Training.Checkpoints;

namespace Windtunnel.Cli;

/// <summary>
/// Shows a run while it trains: a panel that redraws itself on a terminal, else one plain line for each logged step.
/// Dispose it when training ends, so that the last state stays on the screen.
/// </summary>
public abstract class TrainingDisplay : ITrainingListener, IDisposable
{
    // About the last twenty steps: one slow step must not make the remaining time jump.
    private const double SpeedDecay = 0.95;

    /// <summary>Whether a panel can be drawn: not into a file or a pipe, not where NO_COLOR, CI or TERM=dumb ask for plain text.</summary>
    public static bool IsTerminal =>
        !Console.IsOutputRedirected && !IsSet("NO_COLOR") && !IsSet("CI") && Environment.GetEnvironmentVariable("TERM") is not ("dumb" or "");

    /// <summary>Seconds a step, smoothed; 0 before the first.</summary>
    protected double StepSeconds { get; private set; }

    /// <summary>The display that suits the terminal.</summary>
    /// <param name="config">What is trained; need not be resolved.</param>
    public static TrainingDisplay For(RunConfig config) => IsTerminal ? new TrainingPanel(config) : new TrainingLines(config.Logging.Every);

    /// <inheritdoc/>
    public void Stepped(in StepReport step)
    {
        StepSeconds = StepSeconds == 0 ? step.StepSeconds : (SpeedDecay * StepSeconds) + ((1 - SpeedDecay) * step.StepSeconds);
        Show(step);
    }

    /// <inheritdoc/>
    public abstract void Validated(Progress at, IReadOnlyList<ValidationScore> scores);

    /// <inheritdoc/>
    public abstract void Saved(Checkpoint checkpoint);

    /// <inheritdoc/>
    public abstract void Noticed(string message);

    /// <inheritdoc/>
    public void Dispose()
    {
        Close();
        GC.SuppressFinalize(this);
    }

    /// <summary>Shows a step, or not.</summary>
    protected abstract void Show(in StepReport step);

    /// <summary>Leaves the last state on the screen.</summary>
    protected abstract void Close();

    /// <summary>The time that the remaining steps will take at the present speed.</summary>
    protected string Remaining(in StepReport step) => Quantity.Time((step.TotalSteps - step.At.Step) * StepSeconds);

    private static bool IsSet(string variable) => Environment.GetEnvironmentVariable(variable) is { Length: > 0 };
}

/// <summary>One line for each logged step, for files, pipes and batch systems.</summary>
internal sealed class TrainingLines(int every) : TrainingDisplay
{
    private bool _headed;

    public override void Validated(Progress at, IReadOnlyList<ValidationScore> scores)
    {
        foreach (ValidationScore score in scores)
        {
            Console.WriteLine($"{at.Step,9}  validation on {score.Source}: {score.LossNats:F4} nats/token, {score.BitsPerByte:F4} bits/byte");
        }
    }

    public override void Saved(Checkpoint checkpoint) => Console.WriteLine($"{checkpoint.Step,9}  saved {Path.GetFileName(checkpoint.Path)}");

    public override void Noticed(string message) => Console.WriteLine(message.ReplaceLineEndings(" "));

    protected override void Show(in StepReport step)
    {
        if (step.At.Step % every != 0 && step.At.Step != 1 && step.At.Step != step.TotalSteps && double.IsFinite(step.LossNats))
        {
            return;
        }

        if (!_headed)
        {
            _headed = true;
            Console.WriteLine($"{"step",9} {"loss",9} {"ema",9} {"lr",10} {"grad norm",9} {"tokens/s",9} {"mfu",6} {"remaining",9}");
        }

        double speed = step.StepSeconds / StepSeconds;
        Console.WriteLine(
            $"{step.At.Step,9} {step.LossNats,9:F4} {step.LossEma,9:F4} {step.LearningRate,10:0.000e+00} {step.GradNorm,9:F3} "
            + $"{step.TokensPerSecond * speed,9:N0} {step.ModelFlopUtilisation * speed,6:P1} {Remaining(step),9}");
    }

    protected override void Close()
    {
    }
}
