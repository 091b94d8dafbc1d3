using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Windtunnel.Experiments;
using Windtunnel.Experiments.Engines;
using Windtunnel.Runs;
using Windtunnel.Training;

namespace Windtunnel.Cli.Verbs;

/// <summary>Many runs from one file: trained by any number of workers, never twice, whatever is killed.</summary>
internal static class SweepVerb
{
    private const string Example = "configs/sweeps/dotnet-docs-optimizers.yaml";

    // What a worker that was asked to stop ends with, so that whoever started it starts it again.
    private const int Preempted = 75;

    private static readonly Argument<string[]> s_words = ConfigWords.Argument("experiment");
    private static readonly Argument<string> s_experiment = new("experiment") { Description = "the experiment's name or file" };
    private static readonly Argument<string> s_folder = new("folder") { Description = "the experiment's folder" };
    private static readonly Option<string> s_runs = RunSession.RunsOption(), s_data = RunSession.DataOption(), s_experiments = ExperimentSession.ExperimentsOption();
    private static readonly Option<int> s_workers = ExperimentSession.WorkersOption();
    private static readonly Option<double?> s_minutes = ExperimentSession.BudgetOption();
    private static readonly Option<Engine> s_engine = new("--engine") { Description = "where workers run: local, as processes of this one, or slurm, as a job array that is left to itself", DefaultValueFactory = _ => Engine.Local, HelpName = "NAME" };
    private static readonly Option<string[]> s_sbatch = new("--sbatch") { Description = "an option of sbatch for --engine slurm, such as partition=gpu or time=4:00:00; may be given again", DefaultValueFactory = _ => [], HelpName = "NAME=VALUE" };
    private static readonly Option<bool> s_dryRun = new("--dry-run") { Description = "print what would be run, and run nothing" };
    private static readonly Option<string?> s_run = new("--run") { Description = "only this one; all that failed where not given", HelpName = "ID" };
    private static readonly Option<int> s_threads = new("--threads") { Description = "threads of a run, 0 for one a core; changes no bit of the result", HelpName = "N" };
    private static readonly Option<bool> s_supervised = new("--supervised") { Description = "stop when standard input ends" };

    private enum Engine
    {
        Local,
        Slurm,
    }

    public static Command Command
    {
        get
        {
            s_words.Description = "a sweep file, and settings of it such as --seeds=[1,2]";
            return new Command("sweep", "many runs from one file: grids, random search and coordinate descent, by workers that may be killed; finished runs are never repeated")
            {
                RunCommand, StatusCommand, ResultsCommand, RetryCommand, WorkerCommand,
            };
        }
    }

    private static Verb RunCommand
    {
        get
        {
            Verb run = new("run", "train what a sweep needs and has not yet; the same command goes on where it stopped", """
                windtunnel sweep run configs/sweeps/dotnet-docs-optimizers.yaml --dry-run
                windtunnel sweep run configs/sweeps/dotnet-docs-optimizers.yaml --workers 2 --budget-minutes 60
                windtunnel sweep run configs/sweeps/dotnet-docs-optimizers.yaml --engine slurm --workers 8 --sbatch partition=long --sbatch time=4:00:00 --dry-run
                """)
            { s_words, s_workers, s_engine, s_sbatch, s_minutes, s_runs, s_data, s_experiments, s_dryRun };
            run.SetAction(Run);
            return run;
        }
    }

    private static Verb StatusCommand
    {
        get
        {
            Verb status = new("status", "how many runs are done, who trains which, and what failed", "windtunnel sweep status dotnet-docs-optimizers")
            { s_experiment, s_runs, s_data, s_experiments };
            status.SetAction(parsed => ShowStatus(Open(parsed, s_experiment)));
            return status;
        }
    }

    private static Verb ResultsCommand
    {
        get
        {
            Verb results = new("results", "what has been found so far, as tables and as one flat CSV", "windtunnel sweep results dotnet-docs-optimizers")
            { s_experiment, s_runs, s_data, s_experiments };
            results.SetAction(parsed =>
            {
                (ExperimentFolder folder, ExperimentSession session, IExperiment experiment) = Open(parsed, s_experiment);
                ExperimentResults.Write(experiment, folder, session.Store);
                return 0;
            });
            return results;
        }
    }

    private static Verb RetryCommand
    {
        get
        {
            Verb retry = new("retry", "let failed runs be trained again", """
                windtunnel sweep retry dotnet-docs-optimizers
                windtunnel sweep retry dotnet-docs-optimizers --run adamw-0123456789abcdef0123
                """)
            { s_experiment, s_run, s_experiments };
            retry.SetAction(Retry);
            return retry;
        }
    }

    private static Verb WorkerCommand
    {
        get
        {
            Verb worker = new("worker", "work on an experiment until nothing is left to do; started by run, or by an engine on many machines", "windtunnel sweep worker experiments/dotnet-docs-optimizers")
            { s_folder, s_threads, s_supervised, s_runs, s_data };
            worker.SetAction(Work);
            return worker;
        }
    }

    private static int Run(ParseResult parsed)
    {
        (ExperimentOptions options, Sweep sweep, string file) = ExperimentSession.Read<Sweep>(ConfigWords.Parse(parsed, s_words), Example);
        SlurmArray? slurm = Slurm(parsed, options.Name);
        if (parsed.GetValue(s_dryRun))
        {
            if (slurm is null)
            {
                SweepTables.WritePlan(sweep);
            }
            else
            {
                Console.Write(slurm.Script);
            }

            return 0;
        }

        ExperimentFolder folder = ExperimentFolder.Create(parsed.GetValue(s_experiments)!, options, file);
        ExperimentSession session = new(sweep, folder, Places(parsed));
        if (slurm is not null)
        {
            return session.Submit(slurm);
        }

        int exitCode = session.Run(parsed.GetValue(s_workers), parsed.GetValue(s_minutes));
        ExperimentResults.Write(sweep, folder, session.Store);
        ExperimentResults.WriteReport(folder, session.Store);
        return exitCode;
    }

    private static SlurmArray? Slurm(ParseResult parsed, string name)
    {
        string[] options = parsed.GetValue(s_sbatch)!;
        if (parsed.GetValue(s_engine) == Engine.Local)
        {
            return options.Length == 0 ? null : throw new ValidationException("--sbatch: needs --engine slurm");
        }

        string folder = Path.Combine(parsed.GetValue(s_experiments)!, name);
        return parsed.GetValue(s_minutes) is null
            ? new SlurmArray(name, folder, WorkerProcesses.CommandLine(folder, Places(parsed)), parsed.GetValue(s_workers), options)
            : throw new ValidationException("--budget-minutes: needs --engine local; the limit of a Slurm job is --sbatch time=MINUTES");
    }

    private static int ShowStatus((ExperimentFolder Folder, ExperimentSession Session, IExperiment Experiment) opened)
    {
        (ExperimentFolder folder, ExperimentSession session, _) = opened;
        ExperimentStatus status = session.Status;
        (string Id, Lease Holder)[] running =
            [.. status.Open.Select(session.Store.IdOf).Select(id => (id, folder.Queue.HolderOf(id))).Where(run => run.Item2 is not null).Select(run => (run.id, run.Item2!))];
        int diverged = status.Ended.Count(run => run.Outcome.Status == RunStatus.Diverged);
        Console.WriteLine($"{folder.Name}: {status.Ended.Count} done{(diverged > 0 ? $" ({diverged} diverged)" : "")}, {running.Length} running, "
            + $"{status.Open.Count - running.Length} waiting, {status.Failed.Count} failed");
        foreach ((string id, Lease holder) in running)
        {
            Console.WriteLine($"running  {id}  step {session.Store.SavedStep(id):N0} saved, since {holder.Taken:u}, by {PlainText.Line(holder.Worker)}");
        }

        foreach (string id in status.Failed.Select(session.Store.IdOf))
        {
            Console.WriteLine($"failed   {id}  {(folder.Queue.FailureOf(id) is { } failure
                ? PlainText.Line($"{failure.Time:u}, {failure.Host}, attempt {failure.Attempts}: {failure.Error}") : "its trunk failed")}");
        }

        return 0;
    }

    private static int Retry(ParseResult parsed)
    {
        ExperimentFolder folder = ExperimentFolder.Open(parsed.GetValue(s_experiments)!, parsed.GetValue(s_experiment)!);
        string? only = parsed.GetValue(s_run);
        string[] runs = [.. folder.Queue.Failed.Where(id => only is null || id == only).Order(StringComparer.Ordinal)];
        if (only is not null && runs.Length == 0)
        {
            throw new ValidationException($"--run {only}: has not failed; windtunnel sweep status {folder.Name} shows what has");
        }

        foreach (string id in runs)
        {
            folder.Queue.Retry(id);
        }

        Console.WriteLine($"{Quantity.Of(runs.Length, "run")} to be tried again");
        return 0;
    }

    private static int Work(ParseResult parsed)
    {
        string path = Path.GetFullPath(parsed.GetValue(s_folder)!).TrimEnd(Path.DirectorySeparatorChar);
        ExperimentFolder folder = ExperimentFolder.Open(Path.GetDirectoryName(path)!, Path.GetFileName(path));
        using StopSignal stop = StopSignal.Listen();
        if (parsed.GetValue(s_supervised))
        {
            new Thread(() =>
            {
                Console.OpenStandardInput().CopyTo(Stream.Null);
                stop.Request(Preempted);
            })
            { IsBackground = true }.Start();
        }

        WorkerLog file = new(folder);
        Console.WriteLine($"worker {file.Worker} on {folder.Name}");
        RunStore store = new(Places(parsed), new Notices(Log), parsed.GetValue(s_threads));
        new Worker(file.Worker, folder.Load(), store, folder.Queue, Log).Run(stop);
        return stop.ExitCode is null ? 0 : Preempted;

        void Log(string line)
        {
            file.Write(line);
            Console.WriteLine(PlainText.Line(line));
        }
    }

    private static (ExperimentFolder Folder, ExperimentSession Session, IExperiment Experiment) Open(ParseResult parsed, Argument<string> name)
    {
        ExperimentFolder folder = ExperimentFolder.Open(parsed.GetValue(s_experiments)!, parsed.GetValue(name)!);
        IExperiment experiment = folder.Load();
        return (folder, new ExperimentSession(experiment, folder, Places(parsed)), experiment);
    }

    private static RunPlaces Places(ParseResult parsed) => new(parsed.GetValue(s_runs)!, parsed.GetValue(s_data)!);
}
