using System.Text;
using Windtunnel.Laws;
using Windtunnel.Runs;

namespace Windtunnel.Experiments.Ladders;

/// <summary>What the runs of a ladder and its targets have come to.</summary>
/// <param name="Rows">The ladder's runs in its order, then its targets.</param>
public sealed record LadderResults(IReadOnlyList<LadderResult> Rows)
{
    /// <summary>Every run, ended or not.</summary>
    /// <param name="headline">The law that the check is about; null before it is fitted.</param>
    public static LadderResults Of(Ladder ladder, RunStore store, Fit? headline)
    {
        return new LadderResults([.. ladder.Runs.Select(run => Row(run, isTarget: false)), .. ladder.Targets.Select(run => Row(run, isTarget: true))]);

        LadderResult Row(LadderRun run, bool isTarget) => new(
            run, isTarget, store.IdOf(run.Planned), store.Find(run.Planned),
            headline is null || run.Kind == LadderRunKind.Trunk ? null : LadderFits.TryPredict(headline, ladder, run)?.Value);
    }

    /// <summary>One flat row for each run that has ended; tokens and FLOPs are those up to its end, a trunk's included.</summary>
    public string ToCsv(ParameterCount count)
    {
        StringBuilder csv = new(CsvRow.Of("run", "name", "kind", "status", "size", "multiplier", "seed", "parameters", "tokens", "flops", "loss", "predicted"));
        foreach (LadderResult row in Rows.Where(row => row.Outcome is not null))
        {
            LadderRun run = row.Run;
            csv.Append(CsvRow.Of(
                row.Id, run.Name, row.Kind, row.Outcome!.Status.ToString().ToLowerInvariant(), run.Size, CsvRow.Number(run.Multiplier), $"{run.Planned.Config.Seed}",
                $"{run.ParametersBy(count)}", $"{run.Tokens}", CsvRow.Number(run.Flops), CsvRow.Number(row.Outcome.LossNats), CsvRow.Number(row.PredictedNats ?? double.NaN)));
        }

        return csv.ToString();
    }
}

/// <summary>A run of a ladder, or a target, and its result.</summary>
/// <param name="Run">Which.</param>
/// <param name="IsTarget">Whether it is a target.</param>
/// <param name="Id">The run's id.</param>
/// <param name="Outcome">How it ended; null where it has not.</param>
/// <param name="PredictedNats">The headline's loss in nats a token; null before it is fitted, and where the law has none, as for a trunk.</param>
public sealed record LadderResult(LadderRun Run, bool IsTarget, string Id, RunOutcome? Outcome, double? PredictedNats)
{
    /// <summary>In a word: trunk, branch, whole or target.</summary>
    public string Kind => IsTarget ? "target" : Run.Kind.ToString().ToLowerInvariant();
}
