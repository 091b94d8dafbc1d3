using System.ComponentModel.DataAnnotations;
using Windtunnel.Experiments.Ladders;

namespace Windtunnel.Experiments.Reports;

/// <summary>A report of an experiment, of whichever kind.</summary>
public static class ExperimentReport
{
    /// <summary>Reports an experiment as it stands, ended or not.</summary>
    /// <param name="folder">Its folder.</param>
    /// <param name="store">Finds its runs.</param>
    /// <exception cref="ValidationException">The experiment's file is none, or there is no report of its kind.</exception>
    /// <exception cref="InvalidDataException">A file of the experiment cannot be read, or was changed after it was sealed.</exception>
    public static Report Of(ExperimentFolder folder, RunStore store) => folder.Load() switch
    {
        Sweep sweep => SweepReport.Of(sweep, folder, store),
        Ladder => TunnelReport.Of(new Tunnel(folder, store), folder, store),
        Comparison comparison => ComparisonReport.Of(comparison, folder, store),
        _ => throw new ValidationException($"{folder.ExperimentPath}: there is no report of this kind of experiment"),
    };
}
