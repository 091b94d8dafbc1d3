using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Windtunnel.Experiments;
using Windtunnel.Experiments.Engines;
using Windtunnel.Experiments.Ladders;
using Windtunnel.Runs.Config;
using Windtunnel.Training;

namespace Windtunnel.Cli;

/// <summary>What the verbs that train many runs have in common: an experiment, its folder, and workers that bring it to its end.</summary>
/// <param name="experiment">What to run.</param>
/// <param name="folder">Its folder.</param>
/// <param name="places">Where runs and data are.</param>
internal sealed class ExperimentSession(IExperiment experiment, ExperimentFolder folder, RunPlaces places)
{
    // A budget that is spent is no failure; the value only has to differ from those of signals.
    private const int TimeIsUp = 1;

    // A timer takes no more than 2^32 milliseconds.
    private const double BudgetMinutesMax = 70_000;

    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(0.5);

    /// <summary>What has been run.</summary>
    public RunStore Store { get; } = new(places, Notices.OnConsole);

    /// <summary>Where the experiment stands.</summary>
    public ExperimentStatus Status => ExperimentStatus.Of(experiment, Store, folder.Queue);

    /// <summary>Where experiments are.</summary>
    public static Option<string> ExperimentsOption() => new("--experiments") { Description = "the folder of experiments", DefaultValueFactory = _ => "experiments", HelpName = "DIR" };

    /// <summary>How many workers.</summary>
    public static Option<int> WorkersOption() => new("--workers")
    {
        Description = "runs trained at once, each by a process with its share of the cores: small models train faster side by side than on all cores",
        DefaultValueFactory = _ => 1,
        HelpName = "N",
    };

    /// <summary>How long.</summary>
    public static Option<double?> BudgetOption() => new("--budget-minutes") { Description = "stop after so long; the same command goes on from there", HelpName = "M" };

    /// <summary>Throws unless a budget can be waited for.</summary>
    public static void RequireBudget(double? minutes)
    {
        if (minutes is not null and not (> 0 and <= BudgetMinutesMax))
        {
            throw new ValidationException($"--budget-minutes {minutes}: must be positive, and at most {BudgetMinutesMax:N0}");
        }
    }

    /// <summary>Reads an experiment's file and overrides of it.</summary>
    /// <param name="words">The command line's.</param>
    /// <param name="example">A file to name where none is given.</param>
    /// <exception cref="ValidationException">There is no file, or a setting of it is wrong.</exception>
    public static (ExperimentOptions Options, T Experiment, string File) Read<T>(ConfigWords words, string example)
        where T : class, IExperiment
    {
        string file = words.File ?? throw new ValidationException($"name the experiment's file, such as {example}");
        ExperimentOptions options = ConfigFile.Load<ExperimentOptions>(file, words.Overrides);
        IExperiment experiment = options.Build(file);
        return (options, experiment as T ?? throw new ValidationException($"{file}: is a {Kind(experiment)}: windtunnel {VerbOf(experiment)} {file}"), file);
    }

    /// <summary>What a file calls this kind of experiment.</summary>
    public static string Kind(IExperiment experiment) => experiment.GetType().Name.ToLowerInvariant();

    /// <summary>The verb that runs this kind of experiment.</summary>
    public static string VerbOf(IExperiment experiment) => experiment switch
    {
        Comparison => "compare",
        Ladder => "tunnel",
        _ => "sweep run",
    };

    /// <summary>Brings the experiment to its end with so many workers, and says how it goes, a line for each run that ends.</summary>
    /// <returns>0, also where the budget is spent; 1 where runs failed; else what the signal or the workers end with.</returns>
    /// <param name="threads">Of a run where there is one worker, 0 for one a core; the config's own when null.</param>
    public int Run(int workers, double? budgetMinutes, int? threads = null)
    {
        if (workers is < 1 or > 1024)
        {
            throw new ValidationException($"--workers {workers}: must lie between 1 and 1024");
        }

        RequireBudget(budgetMinutes);
        using StopSignal stop = StopSignal.Listen();
        using Timer? timer = budgetMinutes is { } minutes ? new Timer(_ => stop.Request(TimeIsUp), null, TimeSpan.FromMinutes(minutes), Timeout.InfiniteTimeSpan) : null;

        // Prepares the data, which the workers then only open.
        ExperimentStatus status = Status;
        ExperimentProgress progress = new(Store, folder.Queue, status);
        WorkerProcesses processes = new(folder, places, workers);
        Task<int>[] started = status.HasEnded ? [] : workers == 1 ? [InThisProcess(stop, threads)] : processes.Start(stop);
        while (!Task.WaitAll(started, s_look))
        {
            if (progress.Show(Status))
            {
                processes.Progressed();
            }
        }

        progress.Show(status = Status);
        if (stop.ExitCode is { } code)
        {
            Console.WriteLine("stopped; the same command goes on from here");
            return code == TimeIsUp ? 0 : code;
        }

        foreach (PlannedRun run in status.Failed)
        {
            string id = Store.IdOf(run);
            Console.Error.WriteLine($"windtunnel: {id}: {PlainText.Line(folder.Queue.FailureOf(id)?.Error ?? "its trunk failed")}; try again with: windtunnel sweep retry {folder.Name}");
        }

        return started.Select(task => task.Result).Append(status.Failed.Count > 0 ? 1 : 0).Max();
    }

    /// <summary>Hands what is left of the experiment to workers on a cluster, and does not wait for them.</summary>
    public int Submit(SlurmArray workers)
    {
        // Prepares the data, which the workers then only open.
        ExperimentStatus status = Status;
        if (status.HasEnded)
        {
            Console.WriteLine($"nothing is left to train; {status.Ended.Count} done, {status.Failed.Count} failed");
            return 0;
        }

        Console.WriteLine($"{status.Open.Count} to train so far; {Quantity.Of(workers.Workers, "worker")} submitted as Slurm job {PlainText.Line(workers.Submit())}");
        Console.WriteLine($"see how they are with: windtunnel sweep status {folder.Name}, and what they found with: windtunnel sweep results {folder.Name}");
        return 0;
    }

    // It has the experiment for itself: plans are not made by two threads at once.
    private Task<int> InThisProcess(StopSignal stop, int? threads) => Task.Factory.StartNew(
        () =>
        {
            WorkerLog log = new(folder);
            new Worker(log.Worker, folder.Load(), new RunStore(places, new Notices(log.Write), threads), folder.Queue, log.Write).Run(stop);
            return 0;
        },
        CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}
