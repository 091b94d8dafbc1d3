using System.Collections.Concurrent;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Nodes;
using Windtunnel.Experiments.Tuning;
using Windtunnel.Runs;
using Windtunnel.Runs.Config;
using Windtunnel.Text;
using Windtunnel.Training;

namespace Windtunnel.Experiments;

/// <summary>The file of a sweep: a grid of settings is searched, at some sizes and lengths, in one arm or several; the best is repeated.</summary>
/// <param name="Name">What its folder is called.</param>
/// <param name="Run">What all runs have in common: settings of a run, or the path of a run's config file, relative to the sweep's.</param>
/// <param name="Overrides">Laid over that, as on a command line: <c>training.batchSize=8</c>.</param>
/// <param name="Grid">Values of settings, by their dotted paths.</param>
/// <param name="Search">How the grid is searched.</param>
/// <param name="Seeds">The first searches; the best of a cell is repeated with the others.</param>
/// <param name="Cells">Sizes and lengths; those of the run when null.</param>
/// <param name="Arms">What is searched side by side, optimizers for instance, by a name of its own; the run alone when null.</param>
/// <param name="Baseline">Which arm speedups are over; the first when null. Its cells come first.</param>
public sealed record SweepOptions(
    string Name = "sweep", JsonNode? Run = null, IReadOnlyList<string>? Overrides = null, OrderedDictionary<string, JsonNode>? Grid = null,
    SearchOptions? Search = null, IReadOnlyList<ulong>? Seeds = null, IReadOnlyList<CellOptions>? Cells = null,
    OrderedDictionary<string, ArmOptions>? Arms = null, string? Baseline = null)
    : ExperimentOptions(Name)
{
    /// <summary>How the grid is searched.</summary>
    public SearchOptions Search { get; init; } = Search ?? new DescentOptions();

    /// <inheritdoc/>
    public override Sweep Build(string path) => new(this, path);
}

/// <summary>Cells of a sweep: one size, at several lengths.</summary>
/// <param name="Size">The setting <c>model.size</c>; the run's own when null.</param>
/// <param name="Ratios">Chinchilla ratios: tokens as a multiple of 20 for each non-embedding parameter; the run's own length when null.</param>
public sealed record CellOptions(string? Size = null, IReadOnlyList<double>? Ratios = null);

/// <summary>One of the things that a sweep compares.</summary>
/// <param name="Start">Settings laid over the run's.</param>
/// <param name="Grid">In place of the sweep's.</param>
/// <param name="Cells">In place of the sweep's.</param>
public sealed record ArmOptions(JsonObject? Start = null, OrderedDictionary<string, JsonNode>? Grid = null, IReadOnlyList<CellOptions>? Cells = null);

/// <summary>The runs of a search in each of some cells.</summary>
public sealed class Sweep : IExperiment
{
    internal Sweep(SweepOptions options, string path)
    {
        ExperimentFile file = new(path);
        file.RequireName(options.Name);
        file.Require(options.Arms is null || options.Arms.Count > 0, "arms", "names none; what is to be searched?");
        file.Require(options.Arms is not null || options.Grid is not null, "grid", "is missing; which settings are to be searched?");
        file.Require(options.Seeds is null || (options.Seeds.Count > 0 && options.Seeds.Distinct().Count() == options.Seeds.Count), "seeds", "must be different ones");
        OrderedDictionary<string, ArmOptions> arms = options.Arms ?? new() { [""] = new ArmOptions() };
        file.Require(options.Baseline is null || arms.ContainsKey(options.Baseline), "baseline", $"'{options.Baseline}' is none of {string.Join(", ", arms.Keys)}");

        (Name, Seeds, Search, Baseline) = (options.Name, options.Seeds ?? [1], options.Search, options.Baseline ?? arms.GetAt(0).Key);
        file.Build("", Search.Validate);
        BaseRun run = BaseRun.Of(options.Run, options.Overrides, path);
        List<Cell> cells = [];
        foreach ((string name, ArmOptions arm) in arms)
        {
            cells.AddRange(file.Build(name.Length > 0 ? $"arms.{name}" : "", () => CellsOf(name, arm)));
        }

        Cells = [.. cells.OrderBy(cell => cell.Arm != Baseline).ThenBy(cell => cell.Tokens)];
        foreach (Cell cell in Cells.DistinctBy(cell => cell.Arm).Skip(1))
        {
            ComparisonResults.RequireSameData($"{path}: arms.{cell.Arm}", cell.Data, Baseline, Cells[0].Data);
        }

        IReadOnlyList<Cell> CellsOf(string name, ArmOptions arm)
        {
            Axis[] axes = [.. (arm.Grid ?? options.Grid ?? []).Select(axis => Search.AxisOf(axis.Key, axis.Value))];
            BaseRun own = run.With(arm.Start);
            Cell[] built =
            [
                .. from cell in arm.Cells ?? options.Cells ?? [new CellOptions()]
                   from ratio in cell.Ratios?.Select(ratio => (double?)ratio) ?? [null]
                   select new Cell(name, cell.Size, ratio, own, axes, Search, Seeds[0]),
            ];
            RequireUsable(built, axes);
            return built;
        }
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <summary>Those of the baseline, then the others', the shortest first: what a sweep that ends early has is worth most.</summary>
    public IReadOnlyList<Cell> Cells { get; }

    /// <summary>The first searches; the best of a cell is repeated with the others.</summary>
    public IReadOnlyList<ulong> Seeds { get; }

    /// <summary>How the grid of each cell is searched.</summary>
    public SearchOptions Search { get; }

    /// <summary>Which arm speedups are over.</summary>
    public string Baseline { get; }

    /// <inheritdoc/>
    public IReadOnlyList<PlannedRun> Plan(Func<PlannedRun, RunOutcome?> find) =>
        [.. Cells.SelectMany(cell => CellResult.Of(cell, Seeds, find).Runs).Select(run => run.Run)];

    // A point may be impossible in a cell, a warm-up longer than the run; a value that is so in all cells is a mistake.
    private static void RequireUsable(Cell[] cells, Axis[] axes)
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
    }
}

/// <summary>One arm of a sweep at one size and length: what a search goes through.</summary>
public sealed class Cell
{
    /// <summary>Tokens for each non-embedding parameter at ratio 1 (Hoffmann et al. 2022).</summary>
    public const double TokensAParameter = 20;

    private readonly BaseRun _run;
    private readonly ulong _seed;
    private readonly double? _ratio;
    private readonly long _tokensAStep;
    private readonly ConcurrentDictionary<GridPoint, bool> _exists = [];
    private readonly ConcurrentDictionary<(GridPoint, ulong), PlannedRun> _runs = [];

    internal Cell(string arm, string? size, double? ratio, BaseRun run, IReadOnlyList<Axis> axes, SearchOptions search, ulong seed)
    {
        if (ratio is not (null or > 0))
        {
            throw new ValidationException($"cells: ratio {ratio} must be positive");
        }

        (Arm, Size, _ratio, _seed) = (arm, size ?? "", ratio, seed);
        _run = size is null ? run : run with { Overrides = [.. run.Overrides, $"model.size=\"{size}\""] };
        Grid = new Grid(axes, Exists);
        RunConfig own = _run.Bind([], seed);
        _tokensAStep = own.Training.TokensAStep;
        Data = own.Data;
        foreach (Axis axis in axes.Where(axis => axis.Key == "data" || axis.Key.StartsWith("data.", StringComparison.Ordinal)))
        {
            foreach (string value in axis.Values)
            {
                ComparisonResults.RequireSameData($"grid.{axis.Key} {value}", _run.Bind([$"{axis.Key}={value}"], seed).Data, "the run", Data);
            }
        }

        Start = search.NeedsStart
            ? Find(own, axes)
            : Grid.Points().Take(SearchOptions.PointsMax).Select(point => (GridPoint?)point).FirstOrDefault(point => Exists(point!.Value)) ?? Grid.Points().First();
        RunConfig first = Resolve(Start);
        Tokens = first.TotalSteps * first.Training.TokensAStep;
        Ratio = ratio ?? Tokens / (TokensAParameter * first.Model.Count().NonEmbedding);
        Flops = Tokens * first.Model.Count().TrainingFlopsAToken(first.Training.SequenceLength);
        Search = search.Build(Grid, Start);
    }

    /// <summary>What the sweep calls what is searched; empty where it is the run alone.</summary>
    public string Arm { get; }

    /// <summary>The model's size, as the sweep gives it; empty where it gives none.</summary>
    public string Size { get; }

    /// <summary>Tokens as a multiple of 20 for each non-embedding parameter; of <see cref="Start"/> where the sweep gives none.</summary>
    public double Ratio { get; }

    /// <summary>What all points are trained on and judged by.</summary>
    internal DataOptions Data { get; }

    /// <summary>Training tokens of a run from the start's point.</summary>
    public long Tokens { get; }

    /// <summary>Model operations of a run from the start's point.</summary>
    public double Flops { get; }

    /// <summary>What may be tried.</summary>
    public Grid Grid { get; }

    /// <summary>The run's own settings where the search starts from them, else the grid's first configuration.</summary>
    public GridPoint Start { get; }

    /// <summary>How the grid is searched.</summary>
    public Search Search { get; }

    /// <summary>The cell for people: <c>muon 0.15m 4x</c>.</summary>
    public override string ToString() => string.Join(' ', new[] { Arm, Size, $"{Ratio:0.###}x" }.Where(word => word.Length > 0));

    /// <summary>The run of a point.</summary>
    /// <param name="seed">In place of the one that searches.</param>
    public PlannedRun Run(GridPoint point, ulong? seed = null) =>
        _runs.GetOrAdd((point, seed ?? _seed), key => new PlannedRun(Config(key.Item1, key.Item2)));

    /// <summary>The run of a point as it would be with the largest vocabulary that its tokenizer may get.</summary>
    /// <exception cref="ValidationException">The point is no configuration.</exception>
    public RunConfig Resolve(GridPoint point) => BaseRun.Resolve(Config(point, _seed));

    private RunConfig Config(GridPoint point, ulong seed)
    {
        RunConfig config = _run.Bind(Grid.Overrides(point), seed);
        return config with { Training = config.Training with { Length = Length(config) } };
    }

    // Points with other batches get as many tokens as the run itself, not as many steps.
    private Duration Length(RunConfig config)
    {
        Duration own = config.Training.Length;
        return _ratio is { } ratio ? new Duration(Math.Round(ratio * TokensAParameter * Resolved(config).Model.Count().NonEmbedding), DurationUnit.Tokens)
            : own.Unit == DurationUnit.Steps && config.Training.TokensAStep != _tokensAStep ? new Duration(own.Value * _tokensAStep, DurationUnit.Tokens)
            : own;
    }

    private bool Exists(GridPoint point) => _exists.GetOrAdd(point, point =>
    {
        try
        {
            Resolve(point);
            return true;
        }
        catch (ValidationException)
        {
            return false;
        }
    });

    /// <summary>The point that the run's own settings are, whatever they leave to defaults and presets.</summary>
    /// <exception cref="ValidationException">An axis does not have their value.</exception>
    private GridPoint Find(RunConfig own, IReadOnlyList<Axis> axes)
    {
        string wanted = ConfigFile.ToYaml(own);
        return new GridPoint([.. axes.Select(IndexOf)]);

        int IndexOf(Axis axis)
        {
            int index = axis.Values.ToList().FindIndex(value => ConfigFile.ToYaml(_run.Bind([$"{axis.Key}={value}"], _seed)) == wanted);
            return index >= 0 ? index : throw new ValidationException($"grid.{axis.Key}: none of {string.Join(", ", axis.Values)} is the start's; add it, or change the start");
        }
    }

    // The length is not known yet: a schedule that counts steps must not be held against the default one.
    private static RunConfig Resolved(RunConfig config) => config.ResolveModel(config.Data.Tokenizer.VocabularySizeMax());
}
