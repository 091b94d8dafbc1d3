using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using System.Text.RegularExpressions;
using Windtunnel.Runs;

namespace Windtunnel.Experiments.Engines;

/// <summary>
/// Long-lived workers of an experiment as one Slurm job array. Slurm gives them machines and starts them again after a preemption; what
/// they train they pull from the experiment's own queue, since runs may take seconds and be thousands, while a task costs Slurm a
/// quarter of a second and an array ends at a thousand.
/// </summary>
/// <param name="Name">The job's name.</param>
/// <param name="Folder">The experiment's: the script goes there, and the tasks' logs. Every node sees it under this path.</param>
/// <param name="Worker">The command line of a worker, word by word, which takes <c>--threads</c>. It ends with 75 or 143 where it was stopped and has more to do.</param>
/// <param name="Workers">Tasks of the array.</param>
/// <param name="Options">Options of sbatch without their dashes, such as <c>partition=gpu</c> or <c>exclusive</c>. They win over the script's own.</param>
public sealed partial record SlurmArray(string Name, string Folder, IReadOnlyList<string> Worker, int Workers, IReadOnlyList<string> Options)
{
    // Time to save before a time limit. Slurm looks once in 30 to 60 seconds.
    private const int SecondsToSave = 120;

    /// <summary>The batch script; what can't be written down for Slurm or the shell is refused.</summary>
    /// <exception cref="ValidationException">As soon as the array is made.</exception>
    public string Script { get; } = $$"""
        #!/bin/bash
        {{Directive("job-name", Name)}}
        {{Directive("array", Workers > 0 ? $"0-{Workers - 1}" : throw new ValidationException($"--workers {Workers}: must be positive"))}}
        {{Directive("ntasks", "1")}}
        {{Directive("requeue", null)}}
        {{Directive("open-mode", "append")}}
        {{Directive("signal", $"USR1@{SecondsToSave}")}}
        {{Directive("output", Path.Combine(LogsIn(Folder).Replace("%", "%%", StringComparison.Ordinal), "slurm-%A_%a.log"))}}
        {{string.Concat(Options.Select(option => Extra(option) + "\n"))}}
        # A step of the job, because only steps hear at once that the job is to be preempted or that its time is nearly up. A worker that
        # hears it saves, gives its run back and ends with 75, or with 143 where it had not begun; this task then goes back into Slurm's
        # queue. Where Slurm ended the task, by scancel or to requeue it, that is not the script's to do.
        cpus=${SLURM_CPUS_PER_TASK:-1}
        srun --cpus-per-task="$cpus" {{string.Join(' ', Worker.Select(Quote))}} --threads "$cpus"
        code=$?
        task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
        if [[ $code == 75 || $code == 143 ]] && [[ $(squeue --noheader --format=%T --jobs="$task") == RUNNING ]]; then
            scontrol requeue "$task"
        fi
        exit $code

        """;

    /// <summary>Writes the script into the folder, as <c>slurm.sh</c>, and submits it.</summary>
    /// <returns>The id of the job.</returns>
    /// <exception cref="ValidationException">There is no sbatch here, or Slurm refuses the job.</exception>
    public string Submit()
    {
        string path = Path.Combine(Folder, "slurm.sh");
        Directory.CreateDirectory(LogsIn(Folder));
        AtomicFile.WriteText(path, Script);
        using Process sbatch = Start(path);
        Task<string> error = sbatch.StandardError.ReadToEndAsync();
        string id = sbatch.StandardOutput.ReadToEnd().Trim().Split(';')[0];
        sbatch.WaitForExit();
        return sbatch.ExitCode == 0 ? id : throw new ValidationException($"{path}: {error.Result.Trim()}");
    }

    private static Process Start(string script)
    {
        try
        {
            return Process.Start(new ProcessStartInfo("sbatch", ["--parsable", script]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        }
        catch (Win32Exception)
        {
            throw new ValidationException($"{script}: can't be submitted, because sbatch is not on the path; do it where Slurm's commands are");
        }
    }

    private static string LogsIn(string folder) => Path.Combine(Path.GetFullPath(folder), "logs");

    private static string Extra(string option)
    {
        string[] parts = option.Split('=', 2);
        return !OptionName().IsMatch(parts[0]) ? throw new ValidationException($"--sbatch {option}: must be an option of sbatch without dashes, such as partition=gpu or exclusive")
            : parts[0] == "array" ? throw new ValidationException($"--sbatch {option}: the array has one task a worker; set --workers")
            : Directive(parts[0], parts.ElementAtOrDefault(1));
    }

    // sbatch reads these lines itself, with quotes and backslashes as a shell has them but nothing expanded; a line break would end the comment.
    private static string Directive(string name, string? value) => value is null ? $"#SBATCH --{name}"
        : value.Any(letter => letter is '"' or '\\' || char.IsControl(letter)) ? throw new ValidationException($"slurm: {name} {value}: can't have quotes, backslashes or control characters")
        : $"#SBATCH --{name}=\"{value}\"";

    private static string Quote(string word) => word.Any(char.IsControl)
        ? throw new ValidationException($"slurm: {word}: can't have control characters")
        : PlainWord().IsMatch(word) ? word : $"'{word.Replace("'", @"'\''", StringComparison.Ordinal)}'";

    [GeneratedRegex(@"\A[a-z][a-z-]*\z")]
    private static partial Regex OptionName();

    [GeneratedRegex(@"\A[A-Za-z0-9_./:=@%+,-]+\z")]
    private static partial Regex PlainWord();
}
