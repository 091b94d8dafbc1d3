using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using Windtunnel.Experiments.Engines;
using Windtunnel.Tests.Cli;

namespace Windtunnel.Tests.Experiments.Engines;

/// <summary>The batch script of a job array of workers.</summary>
public sealed class SlurmArrayTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_script_is_an_array_of_workers_that_go_back_into_the_queue_when_they_are_stopped()
    {
        SlurmArray array = new("toy", "/scratch/experiments/toy", ["windtunnel", "sweep", "worker", "/scratch/experiments/toy"], 4, ["partition=gpu", "exclusive"]);

        Assert.Equal("""
            #!/bin/bash
            #SBATCH --job-name="toy"
            #SBATCH --array="0-3"
            #SBATCH --ntasks="1"
            #SBATCH --requeue
            #SBATCH --open-mode="append"
            #SBATCH --signal="USR1@120"
            #SBATCH --output="/scratch/experiments/toy/logs/slurm-%A_%a.log"
            #SBATCH --partition="gpu"
            #SBATCH --exclusive

            # A step of the job, because only steps hear at once that the job is to be preempted or that its time is nearly up. A worker that
            # hears it saves, gives its run back and ends with 75, or with 143 where it had not begun; this task then goes back into Slurm's
            # queue. Where Slurm ended the task, by scancel or to requeue it, that is not the script's to do.
            cpus=${SLURM_CPUS_PER_TASK:-1}
            srun --cpus-per-task="$cpus" windtunnel sweep worker /scratch/experiments/toy --threads "$cpus"
            code=$?
            task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
            if [[ $code == 75 || $code == 143 ]] && [[ $(squeue --noheader --format=%T --jobs="$task") == RUNNING ]]; then
                scontrol requeue "$task"
            fi
            exit $code

            """, array.Script);
    }

    [Theory]
    [InlineData("it's $HOME")]
    [InlineData("$(touch pwned); `touch pwned` & \"x\" \\ *")]
    [InlineData("")]
    [InlineData("-n")]
    [InlineData("ünï cödé #")]
    public void Every_word_of_the_worker_arrives_as_it_is(string word)
    {
        Outcome outcome = Bash("srun() { printf '%s|' \"$@\"; }", new SlurmArray("toy", _folder.Path, ["worker", word, "end"], 1, []));

        Assert.Equal($"--cpus-per-task=1|worker|{word}|end|--threads|1|", outcome.Output);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Theory]
    [InlineData(0, "RUNNING", "")]
    [InlineData(2, "RUNNING", "")]
    [InlineData(137, "RUNNING", "")]
    [InlineData(75, "RUNNING", "requeue 12_3\n")]
    [InlineData(143, "RUNNING", "requeue 12_3\n")]
    [InlineData(75, "COMPLETING", "")]
    [InlineData(143, "", "")]
    public void A_task_is_requeued_when_its_worker_was_stopped_but_not_cancelled_and_its_exit_code_is_the_workers(int code, string state, string expected)
    {
        Outcome outcome = Bash($"srun() {{ return {code}; }}; squeue() {{ echo {state}; }}; scontrol() {{ echo \"$@\"; }}", new SlurmArray("toy", _folder.Path, ["worker"], 4, []));

        Assert.Equal(expected, outcome.Output);
        Assert.Equal(code, outcome.ExitCode);
    }

    [Theory]
    [InlineData("--partition=gpu", "must be an option of sbatch without dashes")]
    [InlineData("partition gpu", "must be an option of sbatch without dashes")]
    [InlineData("exclusive\nrm -r x", "must be an option of sbatch without dashes")]
    [InlineData("comment=a\nrm -r x", "can't have quotes, backslashes or control characters")]
    [InlineData("comment=a\" --uid=0", "can't have quotes, backslashes or control characters")]
    [InlineData("comment=a\\", "can't have quotes, backslashes or control characters")]
    [InlineData("array=0-9", "set --workers")]
    [InlineData("", "must be an option of sbatch without dashes")]
    public void An_option_that_would_be_more_than_an_option_is_refused(string option, string problem)
    {
        ValidationException error = Assert.Throws<ValidationException>(() => new SlurmArray("toy", "/x", ["worker"], 1, [option]).Script);
        Assert.Contains(problem, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/a\nrm -r x", "worker")]
    [InlineData("/a\"b", "worker")]
    [InlineData("/a", "work\ner")]
    public void Paths_that_can_not_be_written_down_are_refused(string folder, string worker)
    {
        Assert.Throws<ValidationException>(() => new SlurmArray("toy", folder, [worker], 1, []).Script);
    }

    // Functions stand in for Slurm's programs.
    private Outcome Bash(string functions, SlurmArray array)
    {
        ProcessStartInfo start = new("bash", ["-c", $"{functions}\n{array.Script}"]) { WorkingDirectory = _folder.Path, RedirectStandardOutput = true };
        start.Environment["SLURM_ARRAY_JOB_ID"] = "12";
        start.Environment["SLURM_ARRAY_TASK_ID"] = "3";
        using Process bash = Process.Start(start)!;
        string output = bash.StandardOutput.ReadToEnd();
        bash.WaitForExit();
        return new Outcome(bash.ExitCode, output, "");
    }
}
