using Windtunnel.Experiments;
using Windtunnel.Experiments.Ladders;
using Windtunnel.Runs.Config;
using Windtunnel.Tests.Training;
using Windtunnel.Training;

namespace Windtunnel.Tests.Experiments;

/// <summary>Where experiments stand, and what is urgent.</summary>
public sealed class ExperimentStatusTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void What_is_open_is_in_the_order_of_the_plan_and_a_ladder_s_largest_trunk_before_the_others()
    {
        string path = _folder.Write("toy.yaml", """
            type: ladder
            run: {data: {corpus: {type: synthetic, documents: 50}, tokenizer: bytes}, training: {sequenceLength: 32}}
            sizes: [20k, 50k]
            multipliers: [5, 10]
            """);
        IExperiment ladder = ConfigFile.Load<ExperimentOptions>(path).Build(path);

        IReadOnlyList<PlannedRun> open = Status(ladder).Open;

        Assert.Equal(ladder.Plan(_ => null), open);
        Assert.Equal(["50k-trunk-s1", "20k-trunk-s1"], open.Where(run => run.Trunk is null).Select(run => run.Config.Name));
    }

    [Fact]
    public void Trunks_that_a_plan_does_not_name_come_last_each_before_those_that_branch_from_it()
    {
        RunConfig config = TinyRun.Config();
        PlannedRun root = new(config with { Seed = 2 }), trunk = new(config with { Seed = 3 }, root, 5), branch = new(config, trunk, 10), other = new(config with { Seed = 4 });

        Assert.Equal([branch, other, root, trunk], Status(new Fixed([branch, other])).Open);
    }

    private ExperimentStatus Status(IExperiment experiment) => ExperimentStatus.Of(
        experiment, new RunStore(new RunPlaces(_folder.File("runs"), _folder.File("data")), new RecordingListener()), new RunQueue(_folder.Path));

    private sealed class Fixed(IReadOnlyList<PlannedRun> runs) : IExperiment
    {
        public string Name => "fixed";

        public IReadOnlyList<PlannedRun> Plan(Func<PlannedRun, RunOutcome?> find) => runs;
    }
}
