using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Windtunnel.Tests.Cli;

namespace Windtunnel.Tests.Experiments.Engines;

/// <summary>
/// A real Slurm of one node: its daemons listen on loopback and write into a folder of their own, and none outlives this process, even
/// where that is killed. Skips the running test, saying why, where there can't be one.
/// </summary>
public sealed class SlurmCluster : IDisposable
{
    // They live as long as their supervisor's standard input is open; jobs get KillWait seconds before they are killed.
    private const string Supervisor = """
        trap '' INT TERM HUP
        exec > daemons.log 2>&1
        umask 077
        head -c 1024 /dev/urandom > munge.key
        munged --foreground --force --key-file="$PWD/munge.key" --socket="$PWD/munge.socket" --pid-file="$PWD/munge.pid" --seed-file="$PWD/munge.seed" --log-file="$PWD/munge.log" &
        munged=$!
        until [ -S munge.socket ] || ! kill -0 $munged; do sleep 0.02; done
        slurmctld -D &
        slurmctld=$!
        slurmd -D &
        slurmd=$!
        read -r
        scancel --user="$(id -un)"
        for _ in {1..100}; do [ -z "$(squeue --noheader)" ] && break; sleep 0.1; done
        kill $slurmd $slurmctld
        wait $slurmd $slurmctld
        kill $munged
        wait
        """;

    private static readonly string[] s_programs = ["munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel"];
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    private readonly TemporaryFolder _folder = new();
    private readonly Process _supervisor;

    /// <summary>Starts it and waits until it takes jobs. One in the partition <c>urgent</c> takes processors from those in <c>patient</c>.</summary>
    /// <param name="processors">The node's, whatever the machine has.</param>
    public SlurmCluster(int processors)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Slurm runs on Linux");
        string[] folders = Environment.GetEnvironmentVariable("PATH")!.Split(':');
        string[] missing = [.. s_programs.Where(program => !folders.Any(folder => File.Exists(Path.Combine(folder, program))))];
        Assert.SkipUnless(missing.Length == 0, $"no {string.Join(", ", missing)} here: install Debian's slurmctld, slurmd, slurm-client and munge");
        Assert.SkipUnless(Environment.UserName == "root", "Slurm's daemons have to be started by root");

        _folder.Write("slurm.conf", Configuration(processors));
        Variables = new Dictionary<string, string> { ["SLURM_CONF"] = _folder.File("slurm.conf") };
        Directory.CreateDirectory(_folder.File("state"));
        Directory.CreateDirectory(_folder.File("spool"));
        _supervisor = Start("bash", ["-c", Supervisor], redirectInput: true);
        try
        {
            Await("ready", () => Run("sinfo", "--noheader", "--format=%T").Output.Split('\n')[0] == "idle");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>What a process needs in its environment to use it.</summary>
    public IReadOnlyDictionary<string, string> Variables { get; }

    /// <summary>Runs a program to its end.</summary>
    public Outcome Run(string program, params string[] words)
    {
        using Process process = Start(program, words);
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return new Outcome(process.ExitCode, output, error.Result);
    }

    /// <summary>Waits until something holds.</summary>
    public void Await(string what, Func<bool> holds)
    {
        long start = Stopwatch.GetTimestamp();
        while (!holds())
        {
            Assert.True(Stopwatch.GetElapsedTime(start) < s_patience, $"not {what} after {s_patience}\n{Run("squeue").Output}\n{File.ReadAllText(_folder.File("daemons.log"))}");
            Thread.Sleep(50);
        }
    }

    public void Dispose()
    {
        _supervisor.StandardInput.Close();
        _supervisor.WaitForExit();
        _supervisor.Dispose();
        _folder.Dispose();
    }

    private Process Start(string program, string[] words, bool redirectInput = false)
    {
        ProcessStartInfo start = new(program, words)
        {
            WorkingDirectory = _folder.Path,
            RedirectStandardInput = redirectInput,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in Variables)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    // Credentials live five seconds, the least there is: a job that was requeued waits so long before it starts again.
    private string Configuration(int processors)
    {
        string host = Environment.MachineName;
        using TcpListener controller = new(IPAddress.Loopback, 0), node = new(IPAddress.Loopback, 0);
        controller.Start();
        node.Start();
        return $"""
            ClusterName=windtunnel
            SlurmctldHost={host}(127.0.0.1)
            SlurmctldPort={((IPEndPoint)controller.LocalEndpoint).Port}
            SlurmdPort={((IPEndPoint)node.LocalEndpoint).Port}
            CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
            SlurmUser=root
            AuthType=auth/munge
            CredType=cred/munge
            AuthInfo=socket={_folder.File("munge.socket")},cred_expire=5
            StateSaveLocation={_folder.File("state")}
            SlurmdSpoolDir={_folder.File("spool")}
            SlurmctldPidFile={_folder.File("slurmctld.pid")}
            SlurmdPidFile={_folder.File("slurmd.pid")}
            SlurmdParameters=config_overrides
            ProctrackType=proctrack/linuxproc
            TaskPlugin=task/none
            JobAcctGatherType=jobacct_gather/none
            AccountingStorageType=accounting_storage/none
            JobCompType=jobcomp/none
            SwitchType=switch/none
            MpiDefault=none
            MailProg=/bin/true
            ReturnToService=2
            KillWait=5
            SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
            SelectType=select/cons_tres
            SelectTypeParameters=CR_CPU
            PreemptType=preempt/partition_prio
            PreemptMode=REQUEUE
            NodeName={host} NodeAddr=127.0.0.1 CPUs={processors}
            PartitionName=patient Nodes=ALL Default=YES PriorityTier=1 GraceTime=10
            PartitionName=urgent Nodes=ALL PriorityTier=2 PreemptMode=OFF

            """;
    }
}
