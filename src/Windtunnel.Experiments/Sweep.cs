using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using Windtunnel.Experiments.Tuning;
using Windtunnel.Runs.Config;
using Windtunnel.Training;

namespace Windtunnel.Experiments;

/// <summary>A sweep file: optimizers, each tuned by coordinate descent at some sizes and lengths, then repeated with other seeds.</summary>
/// <param name="Name">What the table of results is called.</param>
/// <param name="Run">What all runs have in common: settings of a run, or the path of a run's config file, relative to the sweep's.</param>
/// <param name="Overrides">Laid over that, as on a command line: <c>training.batchSize=8</c>.</param>
/// <param name="Cells">Sizes and lengths.</param>
/// <param name="Optimizers">What is tuned, by a name of its own.</param>
/// <param name="Baseline">Which of them speedups are over; the first when null. Its cells come first.</param>
/// <param name="Seeds">The first tunes; the best of a cell is repeated with the others.</param>
/// <param name="Tolerance">Losses that differ by no more count as equal, in nats.</param>
/// <param name="RunsMax">The most runs of a cell, without the repeated ones.</param>
public sealed record SweepOptions(
    string Name = "sweep", JsonNode? Run = null, IReadOnlyList<string>? Overrides = null, IReadOnlyList<CellOptions>? Cells = null,
    OrderedDictionary<string, TuningOptions>? Optimizers = null, string? Baseline = null, IReadOnlyList<ulong>? Seeds = null, double Tolerance = 3e-3,
    int RunsMax = 1000)
    : ExperimentOptions(Name)
{
    /// <inheritdoc/>
    public override IExperiment Build(string path) => Sweep.Build(this, path);
}

/// <summary>Cells of a sweep: one size, at several lengths.</summary>
/// <param name="Size">The setting <c>model.size</c>; the run's own when null.</param>
/// <param name="Ratios">Chinchilla ratios: tokens as a multiple of 20 for each non-embedding parameter.</param>
public sealed record CellOptions(string? Size = null, IReadOnlyList<double>? Ratios = null);

/// <summary>What is tuned in a cell.</summary>
/// <param name="Start">Settings laid over the run's: the first baseline.</param>
/// <param name="Grid">Values of settings, by their dotted paths; the start's own value is one of them.</param>
/// <param name="Cells">In place of the sweep's.</param>
public sealed record TuningOptions(JsonObject? Start = null, OrderedDictionary<string, JsonNode[]>? Grid = null, IReadOnlyList<CellOptions>? Cells = null);

/// <summary>A sweep whose every setting has been checked: the cells to tune, in order.</summary>
public sealed class Sweep : IExperiment
{
    private Sweep(SweepOptions options, IReadOnlyList<Cell> cells)
    {
        (Name, Cells, Tolerance) = (options.Name, cells, options.Tolerance);
        Seeds = options.Seeds ?? [1];
        Baseline = options.Baseline ?? options.Optimizers!.GetAt(0).Key;
    }

    /// <summary>What the table of results is called.</summary>
    public string Name { get; }

    /// <summary>Those of the baseline, then the others', the shortest first: what a sweep that ends early has is worth most.</summary>
    public IReadOnlyList<Cell> Cells { get; }

    /// <summary>The first tunes; the best of a cell is repeated with the others.</summary>
    public IReadOnlyList<ulong> Seeds { get; }

    /// <summary>Which optimizer speedups are over.</summary>
    public string Baseline { get; }

    /// <summary>Losses that differ by no more count as equal.</summary>
    public double Tolerance { get; }

    /// <summary>Reads a sweep.</summary>
    /// <param name="path">A YAML or JSON file.</param>
    /// <param name="overrides">Settings of the sweep: <c>--tolerance=5e-3</c>.</param>
    /// <exception cref="ValidationException">A setting is unknown or impossible.</exception>
    public static Sweep Load(string path, IReadOnlyList<string>? overrides = null) => (Sweep)ConfigFile.Load<ExperimentOptions>(path, overrides).Build(path);

    /// <summary>What is known of each cell.</summary>
    public SweepResults Results(Func<PlannedRun, RunOutcome?> find) => new(this, [.. Cells.Select(cell => Result(cell, find))]);

    /// <inheritdoc/>
    public IReadOnlyList<PlannedRun> Plan(Func<PlannedRun, RunOutcome?> find)
    {
        List<PlannedRun> plan = [];
        foreach (Cell cell in Cells)
        {
            Result(cell, run =>
            {
                plan.Add(run);
                return find(run);
            });
        }

        return plan;
    }

    private CellResult Result(Cell cell, Func<PlannedRun, RunOutcome?> find)
    {
        List<SweepRun> runs = [];
        Dictionary<GridPoint, double> losses = [];
        Descent now = cell.Descent.At(losses);
        while (now.Missing.Count > 0)
        {
            // All of a round at once: its runs do not need each other.
            Dictionary<GridPoint, double> round = [];
            foreach (GridPoint point in now.Missing)
            {
                if (Find(point, Seeds[0]) is { } outcome)
                {
                    round[point] = outcome.LossNats;
                }
            }

            bool whole = round.Count == now.Missing.Count;
            losses = new(losses.Concat(round));
            Descent next = cell.Descent.At(losses);
            if (!whole)
            {
                now = next with { Baseline = now.Baseline, Missing = [.. now.Missing.Where(point => !losses.ContainsKey(point))], IsOptimum = false };
                break;
            }

            now = next;
        }

        if (now.Best is { } best && now.Missing.Count == 0)
        {
            foreach (ulong seed in Seeds.Skip(1))
            {
                Find(best, seed);
            }
        }

        return new CellResult(cell, now, losses, runs);

        RunOutcome? Find(GridPoint point, ulong seed)
        {
            RunOutcome? outcome = find(cell.Planned(point, seed));
            if (outcome is not null)
            {
                runs.Add(new SweepRun(point, seed, outcome));
            }

            return outcome;
        }
    }

    internal static Sweep Build(SweepOptions options, string path)
    {
        Require(Runs.RunFolder.IsValidId(options.Name), "name", $"'{options.Name}' must be letters, digits, '.', '_' and '-'");
        Require(options.Optimizers is { Count: > 0 }, "optimizers", "names none; what is to be tuned?");
        Require(options.Seeds is null || (options.Seeds.Count > 0 && options.Seeds.Distinct().Count() == options.Seeds.Count), "seeds", "must be different ones");
        Require(options.Tolerance >= 0, "tolerance", $"{options.Tolerance} must be at least 0");
        Require(options.RunsMax >= 1, "runsMax", $"{options.RunsMax} must be at least 1");
        Require(
            options.Baseline is null || options.Optimizers!.ContainsKey(options.Baseline), "baseline",
            $"'{options.Baseline}' is none of {string.Join(", ", options.Optimizers!.Keys)}");

        (JsonObject run, string source) = Base(options, path);
        ulong seed = options.Seeds?[0] ?? 1;
        List<Cell> cells = [];
        foreach ((string name, TuningOptions tuning) in options.Optimizers!)
        {
            Axis[] axes = [.. (tuning.Grid ?? []).Select(axis => new Axis(axis.Key, [.. axis.Value.Select(value => value.ToJsonString())]))];
            List<string> words = [.. options.Overrides ?? [], .. (tuning.Start ?? []).Select(setting => $"{setting.Key}={setting.Value?.ToJsonString() ?? "null"}")];
            Settings settings = new(run, source, words, seed);
            GridPoint start = Named(name, () => settings.Find(axes));
            Cell[] own =
            [
                .. from cell in tuning.Cells ?? options.Cells ?? [new CellOptions()]
                   from ratio in cell.Ratios ?? [1]
                   select Named(name, () => new Cell(name, cell.Size, ratio, settings, axes, start, options.Tolerance, options.RunsMax)),
            ];
            Named(name, () => RequireUsable(own, axes));
            cells.AddRange(own);
        }

        string baseline = options.Baseline ?? options.Optimizers.GetAt(0).Key;
        return new Sweep(options, [.. cells.OrderBy(cell => cell.Optimizer != baseline).ThenBy(cell => cell.Tokens)]);

        T Named<T>(string name, Func<T> build)
        {
            try
            {
                return build();
            }
            catch (ValidationException error)
            {
                throw new ValidationException($"{path}: optimizers.{name}: {error.Message}", error);
            }
        }

        void Require(bool holds, string name, string problem)
        {
            if (!holds)
            {
                throw new ValidationException($"{path}: {name} {problem}");
            }
        }
    }

    private static (JsonObject Run, string Source) Base(SweepOptions options, string path)
    {
        switch (options.Run)
        {
            case null:
                return ([], path);
            case JsonObject settings:
                return (settings, $"{path}: run");
            case JsonValue value when value.TryGetValue(out string? file):
                string run = System.IO.Path.Combine(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!, file);
                return (ConfigFile.Read(run), run);
            default:
                throw new ValidationException($"{path}: run must be settings of a run, or the path of a run's config file");
        }
    }

    // A point may be impossible in a cell, a warm-up longer than the run; a value that is so in all cells is a mistake.
    private static bool RequireUsable(Cell[] cells, Axis[] axes)
    {
        for (int axis = 0; axis < axes.Length; axis++)
        {
            for (int value = 0; value < axes[axis].Values.Count; value++)
            {
                if (!cells.Any(cell => cell.Grid.Contains(cell.Start.With(axis, value))))
                {
                    cells[0].Resolve(cells[0].Start.With(axis, value));
                }
            }
        }

        return true;
    }
}

/// <summary>Settings of a run, before those that a cell and a point add.</summary>
/// <param name="Run">The file's.</param>
/// <param name="Source">What errors call it.</param>
/// <param name="Overrides">Laid over it.</param>
/// <param name="Seed">The one that tunes.</param>
internal sealed record Settings(JsonObject Run, string Source, IReadOnlyList<string> Overrides, ulong Seed)
{
    public RunConfig Bind(IEnumerable<string> more) =>
        ConfigFile.Bind<RunConfig>(ConfigFile.Apply<RunConfig>(Run, Source, [.. Overrides, .. more]), Source) with { Seed = Seed };

    /// <summary>The point that these settings are, whatever they leave to defaults and presets.</summary>
    /// <exception cref="ValidationException">An axis does not have their value.</exception>
    public GridPoint Find(IReadOnlyList<Axis> axes)
    {
        string wanted = ConfigFile.ToYaml(Bind([]));
        return new GridPoint([.. axes.Select(IndexOf)]);

        int IndexOf(Axis axis)
        {
            int index = axis.Values.ToList().FindIndex(value => ConfigFile.ToYaml(Bind([$"{axis.Key}={value}"])) == wanted);
            return index >= 0 ? index : throw new ValidationException($"grid.{axis.Key}: none of {string.Join(", ", axis.Values)} is the start's; add it, or change the start");
        }
    }
}

/// <summary>One optimizer at one size and length: what a coordinate descent tunes.</summary>
public sealed class Cell
{
    /// <summary>Tokens for each non-embedding parameter at ratio 1 (Hoffmann et al. 2022).</summary>
    public const double TokensAParameter = 20;

    private readonly Settings _settings;
    private readonly Dictionary<GridPoint, ValidationException?> _problems = [];
    private readonly Dictionary<(GridPoint, ulong), PlannedRun> _planned = [];

    internal Cell(string optimizer, string? size, double ratio, Settings settings, IReadOnlyList<Axis> axes, GridPoint start, double tolerance, int runsMax)
    {
        if (!(ratio > 0))
        {
            throw new ValidationException($"cells: ratio {ratio} must be positive");
        }

        (Optimizer, Size, Ratio, Start) = (optimizer, size ?? "", ratio, start);
        _settings = size is null ? settings : settings with { Overrides = [.. settings.Overrides, $"model.size=\"{size}\""] };
        Grid = new Grid(axes, Exists);
        RunConfig first = Resolve(Start);
        Tokens = first.TotalSteps * first.Training.TokensAStep;
        Flops = Tokens * first.Model.Count().TrainingFlopsAToken(first.Training.SequenceLength);
        Descent = new CoordinateDescent(Grid, Start, tolerance, runsMax);
    }

    /// <summary>What the sweep calls what is tuned.</summary>
    public string Optimizer { get; }

    /// <summary>The model's size, as the sweep gives it; empty where it gives none.</summary>
    public string Size { get; }

    /// <summary>Tokens as a multiple of 20 for each non-embedding parameter.</summary>
    public double Ratio { get; }

    /// <summary>Training tokens of a run from the start's point.</summary>
    public long Tokens { get; }

    /// <summary>Model operations of a run from the start's point.</summary>
    public double Flops { get; }

    /// <summary>What may be tried.</summary>
    public Grid Grid { get; }

    /// <summary>The first baseline.</summary>
    public GridPoint Start { get; }

    /// <summary>How it is tuned.</summary>
    public CoordinateDescent Descent { get; }

    /// <summary>The cell for people: <c>muon 0.15m 4x</c>.</summary>
    public override string ToString() => string.Join(' ', new[] { Optimizer, Size, $"{Ratio:0.###}x" }.Where(word => word.Length > 0));

    /// <summary>The run of a point and seed; asked again, the same one.</summary>
    public PlannedRun Planned(GridPoint point, ulong seed)
    {
        if (!_planned.TryGetValue((point, seed), out PlannedRun? run))
        {
            _planned[(point, seed)] = run = new PlannedRun(Config(point, seed));
        }

        return run;
    }

    /// <summary>The run of a point; not yet resolved.</summary>
    /// <param name="seed">In place of the one that tunes.</param>
    public RunConfig Config(GridPoint point, ulong? seed = null)
    {
        RunConfig config = _settings.Bind(Grid.Overrides(point));
        long parameters = Resolved(config).Model.Count().NonEmbedding;
        Duration length = new(Math.Round(Ratio * TokensAParameter * parameters), DurationUnit.Tokens);
        return config with { Seed = seed ?? config.Seed, Training = config.Training with { Length = length } };
    }

    /// <summary>The run of a point as it would be with the largest vocabulary that its tokenizer may get.</summary>
    /// <exception cref="ValidationException">The point is no configuration.</exception>
    public RunConfig Resolve(GridPoint point)
    {
        RunConfig config = Config(point);
        config.Data.Validate();
        return config.Resolve(config.Data.Tokenizer.VocabularySizeMax());
    }

    private bool Exists(GridPoint point)
    {
        if (!_problems.TryGetValue(point, out ValidationException? problem))
        {
            try
            {
                Resolve(point);
            }
            catch (ValidationException error)
            {
                problem = error;
            }

            _problems[point] = problem;
        }

        return problem is null;
    }

    // The length is not known yet: a schedule that counts steps must not be held against the default one.
    private static RunConfig Resolved(RunConfig config) => config with { Model = config.Model.Resolve(config.Data.Tokenizer.VocabularySizeMax(), config.Training.SequenceLength) };
}
