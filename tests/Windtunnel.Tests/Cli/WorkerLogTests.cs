using Windtunnel.Cli;
using Windtunnel.Experiments;
using Windtunnel.Runs.Config;

namespace Windtunnel.Tests.Cli;

/// <summary>What a worker says of itself.</summary>
public sealed class WorkerLogTests
{
    [Fact]
    public void A_log_that_cannot_be_written_costs_lines_and_not_the_worker()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs /dev/full");
        using TemporaryFolder folder = new();
        string path = folder.Write("toy.yaml", "type: sweep\nname: toy\ngrid: {optimizer.learningRate: [3e-3]}");
        ExperimentFolder experiment = ExperimentFolder.Create(folder.File("experiments"), ConfigFile.Load<ExperimentOptions>(path), path);
        WorkerLog log = new(experiment);
        File.CreateSymbolicLink(experiment.LogPath(log.Worker), "/dev/full");

        log.Write("no space is left");

        File.Delete(experiment.LogPath(log.Worker));
        log.Write("there is room\nagain");
        Assert.EndsWith("Z there is room again\n", File.ReadAllText(experiment.LogPath(log.Worker)), StringComparison.Ordinal);
    }
}
