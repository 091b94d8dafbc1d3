using Windtunnel.Runs;
using Windtunnel.Training;
using Windtunnel.Training.Checkpoints;

namespace Windtunnel.Cli;

/// <summary>Of hundreds of runs, only what a person should know of one.</summary>
/// <param name="show">Is told it, in a line.</param>
internal sealed class Notices(Action<string> show) : ITrainingListener
{
    /// <summary>On the terminal, beside what the verb itself prints.</summary>
    public static Notices OnConsole { get; } = new(message => Console.WriteLine($"  {PlainText.Line(message)}"));

    public void Stepped(in StepReport step)
    {
    }

    public void Validated(Progress at, IReadOnlyList<ValidationScore> scores)
    {
    }

    public void Saved(Checkpoint checkpoint)
    {
    }

    public void Noticed(string message) => show(message);
}
