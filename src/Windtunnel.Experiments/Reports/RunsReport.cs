using Windtunnel.Runs;

namespace Windtunnel.Experiments.Reports;

/// <summary>A report of single runs.</summary>
public static class RunsReport
{
    /// <summary>Reports runs side by side.</summary>
    /// <param name="root">The folder of runs.</param>
    /// <param name="ids">Which; in this order.</param>
    /// <exception cref="System.ComponentModel.DataAnnotations.ValidationException">There is no such run.</exception>
    public static Report Of(string root, IReadOnlyList<string> ids)
    {
        RunHistory[] runs = [.. ids.Distinct().Select(id => RunHistory.Read(root, id))];
        RunHistory? best = runs.Where(run => run.Row.ValLoss is { } loss && double.IsFinite(loss)).MinBy(run => run.Row.ValLoss);
        string lead = best is null ? $"{Quantity.Of(runs.Length, "run")} without a validation loss."
            : runs.Length == 1 ? $"{best.Row.Status[..1].ToUpperInvariant()}{best.Row.Status[1..]} with a validation loss of {best.Row.ValLoss:F4} nats/token after {Quantity.Count(best.Row.Last!.Value.Tokens)} tokens."
            : $"{Quantity.Of(runs.Length, "run")}; the lowest final validation loss is {best.Row.ValLoss:F4} nats/token, of {best.Id}.";
        return new Report(runs.Length == 1 ? runs[0].Id : Quantity.Of(runs.Length, "run"), lead, RunSections.WithBlocks(
            new ReportSection("Runs", [.. RunSections.Table(runs), .. RunSections.Lineage(runs), .. RunSections.Differences(runs)]),
            new ReportSection("Loss curves", [.. RunSections.Curves(runs, "loss", "Loss", _ => "")]),
            new ReportSection("Configurations", [.. RunSections.Configs(runs)]),
            RunSections.Provenance(runs, [.. runs.Where(run => run.Record?.Parent is null).Take(8).Select(run => $"windtunnel train {Path.Combine(root, run.Id, "config.yaml")}")])));
    }
}
