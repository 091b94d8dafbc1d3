using Windtunnel.Experiments;
using Windtunnel.Runs;
using Windtunnel.Tests.Training;
using Windtunnel.Training;
using Windtunnel.Training.Optimizers;

namespace Windtunnel.Tests.Experiments;

/// <summary>Runs are found by what they are of: finished ones are not repeated, interrupted ones go on.</summary>
public sealed class RunStoreTests : IDisposable
{
    private static readonly RunConfig s_config = TinyRun.Config(steps: 12);

    private readonly TemporaryFolder _folder = new();
    private readonly RecordingListener _listener = new();
    private readonly StopSignal _stop = StopSignal.Listen();

    public void Dispose()
    {
        _stop.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void A_finished_run_is_found_and_never_repeated()
    {
        Assert.Null(Store().Find(s_config));
        RunOutcome first = Store().Train(s_config, _stop)!;
        int steps = _listener.Steps.Count;
        RunOutcome again = Store().Train(s_config with { Name = "other", Threads = 2 }, _stop)!;

        Assert.Equal(first, again);
        Assert.Equal((12, steps), (steps, _listener.Steps.Count));
        Assert.Equal((RunStatus.Completed, 12L, 12L * 4 * 48), (first.Status, first.Steps, first.Tokens));
        Assert.Equal(_listener.Validations[^1].Scores.Average(score => score.LossNats), first.LossNats);
        Assert.True(first.StepSeconds > 0 && first.NonEmbedding > 0);
        Assert.StartsWith("adamw-", first.Id, StringComparison.Ordinal);
    }

    [Fact]
    public void The_id_is_of_what_decides_the_result()
    {
        string id = Store().IdOf(s_config);

        Assert.Equal(id, Store().IdOf(s_config with { Name = "b", Threads = 3, Logging = new LoggingOptions(7), Checkpoints = new CheckpointOptions(KeepLast: 3) }));
        RunConfig[] others =
        [
            s_config with { Seed = 2 }, s_config with { Optimizer = new AdamWOptions(1e-3) }, s_config with { Training = s_config.Training with { BatchSize = 8 } },
            s_config with { Data = s_config.Data with { ValidationFraction = 0.1 } }, s_config with { Validation = s_config.Validation with { Tokens = 500 } },
        ];
        Assert.Equal(others.Length + 1, others.Select(Store().IdOf).Append(id).Distinct().Count());
    }

    [Fact]
    public void An_interrupted_run_goes_on_and_ends_with_the_same_loss()
    {
        double whole = Store("a").Train(s_config, _stop)!.LossNats;
        using StopSignal stop = StopSignal.Listen();
        int taken = 0;
        _listener.OnStep = step =>
        {
            taken++;
            if (step.At.Step == 7)
            {
                stop.Request(75);
            }
        };

        Assert.Null(Store("b").Train(s_config, stop));
        Assert.Null(Store("b").Find(s_config));
        Assert.Equal(whole, Store("b").Train(s_config, _stop)!.LossNats);
        Assert.Equal(12, taken);
    }

    [Fact]
    public void A_diverged_run_is_a_result()
    {
        RunConfig config = s_config with { Optimizer = new SgdOptions(1e30), Training = s_config.Training with { ClipNorm = 0 } };

        RunOutcome outcome = Store().Train(config, _stop)!;

        Assert.Equal((RunStatus.Diverged, double.PositiveInfinity), (outcome.Status, outcome.LossNats));
        int steps = _listener.Steps.Count;
        Assert.Equal(outcome, Store().Train(config, _stop));
        Assert.Equal(steps, _listener.Steps.Count);
    }

    [Fact]
    public void A_folder_whose_process_died_before_it_wrote_a_record_is_taken_over()
    {
        Directory.CreateDirectory(Path.Combine(_folder.File("runs"), Store().IdOf(s_config)));
        File.WriteAllText(Path.Combine(_folder.File("runs"), Store().IdOf(s_config), "lock"), "");

        Assert.Equal(RunStatus.Completed, Store().Train(s_config, _stop)!.Status);
    }

    private RunStore Store(string runs = "runs") => new(new RunPlaces(_folder.File(runs), _folder.File("data")), _listener);
}
