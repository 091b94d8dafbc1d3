using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws.Figures;
using Windtunnel.Runs;

namespace Windtunnel.Experiments.Reports;

/// <summary>What a run's folder says of it, as far as a report shows it.</summary>
/// <param name="Row">How it stands, or why it can't be read.</param>
/// <param name="ConfigPath">Its config.yaml.</param>
/// <param name="Config">What that says; empty where there is none.</param>
/// <param name="Training">The smoothed training loss, in nats a token, over tokens.</param>
/// <param name="Validation">The validation loss, over tokens; of several sets the first by name.</param>
/// <param name="LearningRate">The learning rate, over tokens.</param>
/// <param name="Start">Where its counters began: for a branch where its trunk's were, else 0.</param>
internal sealed record RunHistory(
    RunRow Row, string ConfigPath, string Config, IReadOnlyList<DataPoint> Training, IReadOnlyList<DataPoint> Validation, IReadOnlyList<DataPoint> LearningRate,
    Progress Start)
{
    // As many points as a figure has pixels, twice: figures and their tables stay small however long runs are.
    private const int MostPoints = 800;

    public string Id => Row.Id;

    public RunRecord? Record => Row.Record;

    /// <summary>Model operations of its own steps.</summary>
    public double OwnFlops => Row.Last is { } last ? Math.Max(0, last.Flops - Start.Flops) : 0;

    /// <summary>The time of its own steps.</summary>
    public double OwnSeconds => Row.Last is { } last ? Math.Max(0, last.WallSeconds - Start.WallSeconds) : 0;

    public bool Diverged => Record?.Status == RunStatus.Diverged;

    /// <summary>Reads a run.</summary>
    /// <exception cref="ValidationException">There is no such run.</exception>
    public static RunHistory Read(string root, string id)
    {
        RunFolder folder = RunFolder.Open(root, id);
        RunRow row = RunTable.ReadRow(root, id);
        List<DataPoint> training = [], validation = [], rates = [];
        string? set = null;
        foreach (MetricsRow at in row.Problem is null && File.Exists(folder.MetricsPath) ? MetricsLog.Read(folder.MetricsPath) : [])
        {
            set ??= at.Values.Keys.Where(key => key.StartsWith("val/", StringComparison.Ordinal) && key.EndsWith("/loss", StringComparison.Ordinal)).Min();
            Add(training, "train/loss_ema");
            Add(validation, set ?? "");
            Add(rates, "train/lr");

            void Add(List<DataPoint> points, string name)
            {
                if (at.Values.TryGetValue(name, out double value))
                {
                    points.Add(new DataPoint(at.At.Tokens, value));
                }
            }
        }

        return new RunHistory(row, folder.ConfigPath, File.Exists(folder.ConfigPath) ? RunSections.ReadText(folder.ConfigPath) : "", Thin(training), Thin(validation), Thin(rates), StartOf(root, row.Record?.Parent));
    }

    /// <summary>The history as a figure takes it.</summary>
    /// <param name="trunk">The run that this one started on, where that is known: its loss at that step is where this one's begins.</param>
    public LossHistory ForFigure(RunHistory? trunk = null, string group = "")
    {
        return new LossHistory(
            Id, From(Training, trunk?.Training), From(Validation, trunk?.Validation), From(LearningRate, trunk?.LearningRate), group,
            IsBranch: trunk is not null, Diverged);

        static IReadOnlyList<DataPoint> From(IReadOnlyList<DataPoint> own, IReadOnlyList<DataPoint>? before) =>
            own.Count > 0 && before?.LastOrDefault(point => point.X < own[0].X) is { X: > 0 } start ? [start, .. own] : own;
    }

    // By the last row up to there; what its parent took is not known where that is gone, and is its own then.
    private static Progress StartOf(string root, RunParent? parent)
    {
        try
        {
            return parent is { Kind: RunParentKind.Branch or RunParentKind.Resume }
                ? MetricsLog.Read(RunFolder.Open(root, parent.Run).MetricsPath).LastOrDefault(row => row.At.Step <= parent.Step)?.At ?? default
                : default;
        }
        catch (Exception error) when (error is ValidationException or InvalidDataException or IOException or UnauthorizedAccessException)
        {
            return default;
        }
    }

    // Evenly over their order; the first and the last are among them.
    private static List<DataPoint> Thin(List<DataPoint> points) => points.Count <= MostPoints
        ? points
        : [.. Enumerable.Range(0, MostPoints).Select(i => points[(int)((long)i * (points.Count - 1) / (MostPoints - 1))])];
}
