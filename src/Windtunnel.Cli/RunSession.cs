using System.CommandLine;
using Windtunnel.Runs;
using Windtunnel.Training;

namespace Windtunnel.Cli;

/// <summary>What the verbs that train have in common.</summary>
internal static class RunSession
{
    /// <summary>Where runs are.</summary>
    public static Option<string> RunsOption() => new("--runs") { Description = "the folder of runs", DefaultValueFactory = _ => "runs", HelpName = "DIR" };

    /// <summary>Where prepared datasets are.</summary>
    public static Option<string> DataOption() => new("--data") { Description = "the folder of prepared datasets", DefaultValueFactory = _ => "data", HelpName = "DIR" };

    /// <summary>The id of a new run.</summary>
    public static Option<string?> IdOption() => new("--id") { Description = "the id of the new run; made from its name and the time where not given", HelpName = "ID" };

    /// <summary>Trains a run that has been started, resumed or branched; says how it ended.</summary>
    /// <returns>The exit code.</returns>
    public static int Train(TrainingRun run, TrainingDisplay display)
    {
        int exitCode;
        using (run)
        using (StopSignal stop = StopSignal.Listen())
        {
            Console.WriteLine($"run {run.Folder.Id} in {Path.GetRelativePath(Environment.CurrentDirectory, run.Folder.Path)}");
            Console.WriteLine($"{Quantity.Count(run.Model.Parameters.Count)} parameters, {run.Config.TotalSteps:N0} steps of {run.Config.Training.TokensAStep:N0} tokens");
            exitCode = run.Train(stop);
            display.Dispose();
        }

        RunRecord record = RunRecord.Load(run.Folder.RecordPath);
        double step = record.Summary?.GetValueOrDefault("step") ?? 0;
        Console.WriteLine(record.Status switch
        {
            RunStatus.Completed => $"completed at step {step:N0}",
            RunStatus.Diverged => $"diverged at step {step:N0}: lower optimizer.learningRate, lengthen schedule.warmup, or set training.nonFinite to skip or rewind",
            _ => $"stopped and saved at step {step:N0}; go on with: windtunnel resume {run.Folder.Id}",
        });
        foreach (ValidationScore score in record.Status == RunStatus.Completed ? run.Scores ?? [] : [])
        {
            Console.WriteLine($"validation on {score.Source}: {score.LossNats:F4} nats/token, {score.BitsPerByte:F4} bits/byte");
        }

        return exitCode;
    }
}
