using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Training;
using Windtunnel.Training.Checkpoints;
using Windtunnel.Training.Schedules;

namespace Windtunnel.Cli.Verbs;

/// <summary>Starts a new run from a checkpoint of another.</summary>
internal static class BranchVerb
{
    private static readonly Argument<string> s_id = new("id") { Description = "the run to branch from; it may still be training" };
    private static readonly Argument<string[]> s_overrides = new("settings")
    {
        Description = "what is different, such as --schedule.shape=oneMinusSqrt; training.length counts from the parent's first step",
        Arity = ArgumentArity.ZeroOrMore,
        DefaultValueFactory = _ => [],
    };

    private static readonly Option<long?> s_at = new("--at") { Description = "the checkpoint to branch at; the newest where not given", HelpName = "STEP" };
    private static readonly Option<long?> s_cooldown = new("--cooldown") { Description = "decay the learning rate over this many steps, then end", HelpName = "N" };
    private static readonly Option<string> s_runs = RunSession.RunsOption(), s_data = RunSession.DataOption();
    private static readonly Option<string?> s_newId = RunSession.IdOption();

    public static Command Command
    {
        get
        {
            Verb branch = new("branch", "start a new run from a checkpoint of another: a cooldown from a stable trunk", """
                windtunnel branch trunk --at 800 --cooldown 200
                windtunnel branch trunk --at 800 --cooldown 200 --schedule.shape=oneMinusSqrt --id sqrt
                windtunnel branch trunk --training.length=5000 --id longer
                """)
            { s_id, s_overrides, s_at, s_cooldown, s_runs, s_data, s_newId };
            branch.SetAction(Run);
            return branch;
        }
    }

    private static int Run(ParseResult parsed)
    {
        string id = parsed.GetValue(s_id)!;
        RunPlaces places = new(parsed.GetValue(s_runs)!, parsed.GetValue(s_data)!, parsed.GetValue(s_newId));
        RunFolder parent = RunFolder.Open(places.Runs, id);
        RunConfig config = ConfigFile.Load<RunConfig>(parent.ConfigPath);
        long? at = parsed.GetValue(s_at);
        string[] overrides = parsed.GetValue(s_overrides)!;
        if (parsed.GetValue(s_cooldown) is { } steps)
        {
            at ??= CheckpointStore.Reader(parent.CheckpointsPath).OpenNewest()?.Step
                ?? throw new InvalidDataException($"{parent.Path}: has no checkpoint to branch from");
            overrides = [.. Cooldown(config, at.Value, steps), .. overrides];
        }

        using TrainingDisplay display = TrainingDisplay.For(config);
        return RunSession.Train(TrainingRun.Branch(id, at, overrides, places, display), display);
    }

    /// <summary>The settings of a decay that starts where the trunk is still at its highest rate.</summary>
    private static string[] Cooldown(RunConfig trunk, long step, long steps)
    {
        long tokensAStep = trunk.Training.TokensAStep;
        double factor = trunk.Schedule.Build(trunk.TotalSteps, tokensAStep).Factor(step);
        if (steps < 1)
        {
            throw new ValidationException($"--cooldown {steps} must be at least 1 step");
        }

        if (factor < 1)
        {
            throw new ValidationException(
                $"--at {step}: the learning rate is {factor:P0} of its highest there; cool down from a checkpoint of the stable part (checkpoints.milestones keeps one)");
        }

        // The warm-up is over: in steps, because a share of the run would be one of another run.
        string warmup = $"{trunk.Schedule.Warmup.Steps(tokensAStep, trunk.TotalSteps)}";
        string[] schedule = trunk.Schedule is WsdOptions
            ? [$"schedule.decay={steps}", $"schedule.warmup={warmup}"]
            : [$"schedule={{type: wsd, warmup: {warmup}, decay: {steps}}}"];
        return [$"training.length={step + steps}", .. schedule];
    }
}
