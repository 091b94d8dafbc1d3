using Windtunnel.Experiments.Statistics;
using Windtunnel.Experiments.Tuning;
using Windtunnel.Laws;
using Windtunnel.Laws.Figures;
using Windtunnel.Runs;
using Axis = Windtunnel.Laws.Figures.Axis;

namespace Windtunnel.Experiments.Reports;

/// <summary>A report of a sweep: the best of each cell, what each setting does there, and how its arms compare.</summary>
internal static class SweepReport
{
    private const int MostSlices = 60;

    public static Report Of(Sweep sweep, ExperimentFolder folder, RunStore store)
    {
        SweepResults results = SweepResults.Of(sweep, store.Find);
        CellResult[] begun = [.. results.Cells.Where(cell => cell.Runs.Any(run => run.Outcome is not null))];
        RunHistory[] best = [.. begun.SelectMany(cell => cell.BestRuns.Take(1)).Select(run => RunHistory.Read(store.Places.Runs, run.Outcome!.Id)).DistinctBy(run => run.Id)];
        RunOutcome[] outcomes = [.. begun.SelectMany(cell => cell.Runs).Select(run => run.Outcome).OfType<RunOutcome>().DistinctBy(run => run.Id)];
        int missing = results.Cells.Sum(cell => cell.Missing);
        CellResult? lowest = begun.Where(cell => double.IsFinite(cell.Mean)).MinBy(cell => cell.Mean);
        string lead = lowest is null ? "No run of the sweep has ended with a loss yet."
            : $"The lowest loss is {lowest.Mean:F4} nats/token{(results.Cells.Count > 1 ? $", of {lowest.Cell}" : "")}, with {Describe(lowest)}.{(missing > 0 ? $" {Quantity.Of(missing, "run")} still to come." : "")}";

        Dictionary<string, string> arms = begun.SelectMany(cell => cell.BestRuns.Take(1).Select(run => (run.Outcome!.Id, cell.Cell.Arm))).DistinctBy(run => run.Id).ToDictionary();
        return new Report(sweep.Name, lead, RunSections.WithBlocks(
            new ReportSection("Result", [KeyFigures(results, outcomes, missing), .. Table(results, begun), .. Unfinished(results), .. RunSections.Failures(folder)]),
            new ReportSection("Arms compared", [.. Bars(results, begun)]),
            new ReportSection("What each setting does", [.. Slices(begun), .. Stable(results)]),
            new ReportSection("Loss curves", [.. RunSections.Curves(best, "loss", "The best run of each cell", run => arms.Values.Distinct().Count() > 1 ? arms[run.Id] : "", isOrdered: false)]),
            new ReportSection("Configurations", [RunSections.Experiment(folder), .. RunSections.Configs(best)]),
            RunSections.Provenance([.. outcomes.Select(run => RunHistory.Read(store.Places.Runs, run.Id))], RunSections.Again(folder, "sweep run"))));
    }

    private static KeyFigures KeyFigures(SweepResults results, RunOutcome[] outcomes, int missing) => new(
    [
        new KeyFigure("runs ended", $"{outcomes.Length:N0}", missing > 0 ? $"{missing:N0} to come" : "all that the search asked for"),
        new KeyFigure("diverged", $"{outcomes.Count(run => run.Status == RunStatus.Diverged):N0}", "results, but in no mean"),
        new KeyFigure("noise", results.Noise.IsKnown ? $"{results.Noise.Nats:F4} nats" : "not known", results.Noise.IsKnown ? "standard deviation over seeds, pooled" : "no best has run with two seeds"),
        new KeyFigure("compute", Quantity.Flops(outcomes.Sum(run => run.Flops)), $"{Quantity.Time(outcomes.Sum(run => run.WallSeconds))} of training"),
    ]);

    private static IEnumerable<ReportBlock> Table(SweepResults results, CellResult[] begun)
    {
        if (begun.Length == 0)
        {
            yield break;
        }

        bool hasArms = begun.Select(cell => cell.Cell.Arm).Distinct().Count() > 1, hasDiverged = begun.Any(cell => cell.Diverged > 0), isSearched = begun.All(cell => cell.Lacks is null);
        double lowest = begun.Select(cell => cell.Mean).Where(double.IsFinite).DefaultIfEmpty(double.NaN).Min();
        yield return new ReportTable(
            $"The best of each cell. Losses within {results.Sweep.Search.Tolerance:r} nats of a best count as good as it.{(begun.Any(cell => results.SpeedupInTokens(cell) is { IsExtrapolated: true }) ? " * beyond the lengths of the baseline." : "")}",
            [
                "<cell", "runs", .. hasDiverged ? ["diverged"] : Array.Empty<string>(), .. isSearched ? Array.Empty<string>() : ["<searched"], "loss (nats/token)", "deviation", "seeds",
                .. hasArms ? [$"less {results.Sweep.Baseline}", "<verdict", "speedup in tokens", "<95 %", "in time"] : Array.Empty<string>(),
                "step (ms)", "<best settings",
            ],
            [
                .. begun.Select(cell => new ReportRow(
                [
                    cell.Cell.ToString(), $"{cell.Runs.Count(run => run.Loss is not null):N0}", .. hasDiverged ? [$"{cell.Diverged:N0}"] : Array.Empty<string>(),
                    .. isSearched ? Array.Empty<string>() : [cell.Progress], RunSections.Loss(cell.Mean), RunSections.Loss(cell.Deviation),
                    $"{cell.BestRuns.Count}", .. hasArms ? Against(results, cell) : Array.Empty<string?>(),
                    double.IsFinite(cell.StepSeconds) ? $"{1e3 * cell.StepSeconds:F1}" : null, Describe(cell),
                ], Strong: begun.Length > 1 && cell.Mean == lowest)),
            ]);
    }

    private static string?[] Against(SweepResults results, CellResult cell)
    {
        ArmContrast? contrast = results.Contrast(cell);
        SpeedupEstimate? speedup = results.SpeedupInTokens(cell);
        return
        [
            contrast?.Difference,
            results.Verdict(cell) is { } verdict ? verdict + (contrast is null || cell.DivergedSeeds > 0 ? "" : $" (p {contrast.PValue:G2})") : null,
            speedup is null ? null : Times(speedup.Times) + (speedup.IsExtrapolated ? "*" : ""),
            speedup?.Range is { } range ? $"{Quantity.Limit(range.Low, "F2")} to {Quantity.Limit(range.High, "F2")}" : null,
            results.SpeedupInTime(cell) is { } time ? Times(time) : null,
        ];
    }

    private static IEnumerable<ReportBlock> Unfinished(SweepResults results)
    {
        string[] bare = [.. results.Cells.Where(cell => cell.Runs.All(run => run.Outcome is null)).Select(cell => cell.Cell.ToString())];
        return bare.Length > 0 ? [new ReportNotes([$"without a result yet: {string.Join(", ", bare)}"])] : [];
    }

    /// <summary>At each size and length that several arms have, the losses over the baseline's; then speedups.</summary>
    private static IEnumerable<ReportBlock> Bars(SweepResults results, CellResult[] begun)
    {
        foreach (IGrouping<(string Size, double Ratio), CellResult> cells in begun.GroupBy(cell => (cell.Cell.Size, cell.Cell.Ratio)).Where(cells => cells.Count() > 1))
        {
            CellResult? baseline = cells.FirstOrDefault(cell => cell.Cell.Arm == results.Sweep.Baseline && double.IsFinite(cell.Mean));
            if (baseline is null)
            {
                continue;
            }

            SeedNoise noise = results.NoiseAt(baseline);
            string where = $"{cells.Key.Size} {cells.Key.Ratio:0.###}x".Trim();
            Bar[] bars =
            [
                .. cells.Where(cell => cell != baseline).OrderBy(cell => double.IsFinite(cell.Mean) ? cell.Mean : double.PositiveInfinity).Select(cell =>
                {
                    double difference = cell.Mean - baseline.Mean;
                    double reach = noise.Chance(cell.BestRuns.Count, baseline.BestRuns.Count);
                    return new Bar(cell.Cell.Arm, difference, difference - reach, difference + reach, double.IsFinite(difference) ? "" : "no loss");
                }),
            ];
            yield return new ReportFigure(
                $"arms-{where}",
                BarFigure.Draw(
                    $"Final loss over that of {baseline.Cell.Arm}, {where}", new Axis("difference", "nats/token"), bars,
                    noise: noise.Chance(baseline.BestRuns.Count, baseline.BestRuns.Count)),
                "Left is better. " + (noise.IsKnown
                    ? $"Whiskers are what seeds explain, nineteen times in twenty (Student's t, {Quantity.Of(noise.DegreesOfFreedom, "degree")} of freedom); shaded, the same for two equals. "
                        + "The seed that the best was chosen by is among those averaged, which flatters arms with more to choose from."
                    : "Without a second seed, what chance explains is not known."));
        }

        Bar[] speedups = [.. from cell in begun
                             let speedup = results.SpeedupInTokens(cell)
                             where speedup is not null
                             select new Bar(
                                 cell.Cell + (speedup.IsExtrapolated ? "*" : ""), double.IsFinite(speedup.Times) ? speedup.Times : double.NaN,
                                 speedup.Range?.Low ?? double.NaN, speedup.Range is { High: var high } && double.IsFinite(high) ? high : double.NaN,
                                 double.IsFinite(speedup.Times) ? "" : "no limit")];
        if (speedups.Length > 0)
        {
            yield return new ReportFigure(
                "speedups", BarFigure.Draw($"Speedup over {results.Sweep.Baseline}", new Axis("tokens of the baseline for the same loss"), speedups, origin: 1),
                "How many times as many tokens the tuned baseline needs for the same loss, by the law L(R) = alpha R^-B + beta through its own losses. "
                    + "Whiskers hold it nineteen times in twenty, for what seeds make uncertain of both. * beyond the lengths that the law is fitted to.");
        }
    }

    private static IEnumerable<ReportBlock> Slices(CellResult[] begun)
    {
        foreach (CellResult cell in begun.Take(MostSlices))
        {
            Grid grid = cell.Cell.Grid;
            ulong? seed = cell.Runs.Select(run => (ulong?)run.Seed).FirstOrDefault();
            SweepRun[] searched = [.. cell.Runs.Where(run => run.Loss is not null && run.Seed == seed)];
            Slice[] slices =
            [
                .. grid.Axes.Index().Where(axis => axis.Item.Values.Count > 1).Select(axis => new Slice(
                    axis.Item.Name, [.. axis.Item.Values.Select(value => value.Trim('"'))],
                    [.. searched.Select(run => (run.Point[axis.Index], run.Loss!.Value))], cell.Search.Best is { } best ? best[axis.Index] : -1)),
            ];
            if (slices.Length > 0 && searched.Length > 0)
            {
                yield return new ReportFigure(
                    $"slices-{cell.Cell}", SliceFigure.Draw(cell.Cell.ToString(), new Axis("loss", "nats/token"), slices),
                    "The lowest loss at each value, whatever the others; pale, all runs. Ringed, the best.");
            }
        }

        if (begun.Length > MostSlices)
        {
            yield return new ReportText($"The other {begun.Length - MostSlices:N0} cells are in results.csv.");
        }
    }

    private static IEnumerable<ReportBlock> Stable(SweepResults results)
    {
        ReportRow[] rows =
        [
            .. from arm in results.Sweep.Cells.Select(cell => cell.Arm).Distinct()
               from key in results.Stable(arm)
               select new ReportRow([arm, key.Key, key.IsStable ? "stable" : "tune again", string.Join(key.IsStable ? " or " : ", ", key.Values)]),
        ];
        return rows.Length == 0 ? [] :
        [
            new ReportTable("Which settings can stay as they are at another size or length: one value of a stable one is as good as the best in every cell.", ["<arm", "<setting", "<", "<values"], rows),
        ];
    }

    private static string Times(double ratio) => Quantity.Limit(ratio, "0.00×");

    private static string Describe(CellResult cell) => cell.Search.Best is { } best ? cell.Cell.Grid.Describe(best) : "";
}
