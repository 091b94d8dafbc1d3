using Windtunnel.Experiments.Ladders;
using Windtunnel.Laws;
using Windtunnel.Laws.Figures;
using Windtunnel.Laws.Fitting;
using Windtunnel.Runs;

namespace Windtunnel.Experiments.Reports;

/// <summary>A report of a wind tunnel: the ladder, the laws, what they said of models that had not been trained, and what came.</summary>
internal static class TunnelReport
{
    public static Report Of(Tunnel tunnel, ExperimentFolder folder, RunStore store)
    {
        Ladder ladder = tunnel.Ladder;
        VerifiedPrediction? verified = tunnel.Verify();
        TunnelPrediction? prediction = verified?.Prediction;
        IReadOnlyDictionary<string, Fit> fits = verified?.Fits ?? new Dictionary<string, Fit>();
        (LadderRun Run, RunOutcome Outcome)[] ended =
            [.. ladder.Runs.Concat(ladder.Targets).Select(run => (Run: run, Outcome: store.Find(run.Planned))).Where(each => each.Outcome is not null).Select(each => (each.Run, each.Outcome!))];
        Dictionary<string, LadderRun> runs = ended.DistinctBy(each => each.Outcome.Id).ToDictionary(each => each.Outcome.Id, each => each.Run);
        Dictionary<string, RunOutcome> outcomes = ended.DistinctBy(each => each.Outcome.Id).ToDictionary(each => each.Outcome.Id, each => each.Outcome);
        RunHistory[] histories = [.. runs.Keys.Select(id => RunHistory.Read(store.Places.Runs, id))];
        string[] sizes = [.. ladder.Runs.Concat(ladder.Targets).OrderBy(run => run.Counts.NonEmbedding).Select(run => run.Size).Distinct()];
        RunHistory[] bySize = [.. histories.OrderBy(run => Array.IndexOf(sizes, runs[run.Id].Size)).ThenBy(run => run.Record?.Parent is not null)];

        return new Report(ladder.Name, Lead(ladder, verified, outcomes), RunSections.WithBlocks(
            new ReportSection("Prediction and result", [.. Result(verified, outcomes), .. RunSections.Failures(folder)]),
            new ReportSection("Laws", [.. fits.Select(fit => fit.Value.Law is CurveLaw ? Curves(fit.Key, fit.Value, ladder, store) : Drawn(fit.Key, fit.Value, prediction!, outcomes)), .. fits.SelectMany(fit => Fitted(fit.Key, fit.Value))]),
            new ReportSection("Irreducible loss", [.. Entropy(verified?.Check)]),
            new ReportSection("Ladder", [.. Rungs(ladder, store, fits.GetValueOrDefault(prediction?.Headline ?? "")), .. RunSections.Lineage(bySize)]),
            new ReportSection("Loss curves", [.. RunSections.Curves(bySize, "loss", "Loss of every run, by size", run => runs[run.Id].Size)]),
            new ReportSection("Configurations", [RunSections.Experiment(folder), .. RunSections.Configs(histories)]),
            RunSections.Provenance(histories, RunSections.Again(folder, "tunnel"))));
    }

    private static string Lead(Ladder ladder, VerifiedPrediction? verified, Dictionary<string, RunOutcome> outcomes)
    {
        if (verified?.Prediction is not { } prediction)
        {
            int points = ladder.Points.Count();
            return $"{outcomes.Count:N0} of {Quantity.Of(ladder.Runs.Count, "run")} of the ladder have ended; nothing has been predicted yet.";
        }

        double[] errors = [.. prediction.Targets.Where(target => outcomes.ContainsKey(target.Id)).Select(target => Math.Abs(Error(target.Laws[0].LossNats, outcomes[target.Id].LossNats)))];
        double[] finite = [.. errors.Where(double.IsFinite)];
        string said = $"The losses of {Quantity.Of(prediction.Targets.Count, "model")} were predicted from small runs that took {Quantity.Flops(prediction.LadderFlops)} in all, and written down";
        if (errors.Length == 0)
        {
            return $"{said}; none of the models has been trained to its end yet.";
        }

        string[] results =
        [
            .. errors.Length == prediction.Targets.Count ? Array.Empty<string>() : [$"{errors.Length} of them have been trained since."],
            .. finite.Length == errors.Length ? Array.Empty<string>() : [finite.Length == 0 ? "All that were trained diverged." : $"{errors.Length - finite.Length} diverged."],
            .. finite.Length == 0 ? Array.Empty<string>() : [$"The largest error is {finite.Max():P2}."],
        ];
        string[] doubts =
        [
            .. prediction.Targets.All(target => target.Blind) ? Array.Empty<string>() : ["though not before all were begun"],
            .. verified.Unrecorded.Count == 0 ? Array.Empty<string>() : [$"though no record shows it of {TunnelPrediction.Named(verified.Unrecorded)}"],
        ];
        return $"{said} before {(doubts.Length == 0 ? "any of the models was trained" : $"the models were trained, {string.Join(", and ", doubts)}")}. {string.Join(' ', results)}";
    }

    private static IEnumerable<ReportBlock> Result(VerifiedPrediction? verified, Dictionary<string, RunOutcome> outcomes)
    {
        if (verified is null)
        {
            yield break;
        }

        TunnelPrediction prediction = verified.Prediction;

        yield return new KeyFigures(
        [
            .. prediction.Targets.Select(target =>
            {
                PredictedLoss loss = target.Laws[0];
                string said = $"predicted {loss.LossNats:F4} ({Range(loss.Single)})";
                return outcomes.GetValueOrDefault(target.Id) is { } outcome
                    ? new KeyFigure(target.Name, Percent(Error(loss.LossNats, outcome.LossNats)) ?? "diverged", $"{said}, actual {RunSections.Loss(outcome.LossNats)} nats/token")
                    : new KeyFigure(target.Name, $"{loss.LossNats:F4}", $"{said}; not trained yet");
            }),
            new KeyFigure("compute of the targets", $"{prediction.Targets.Sum(target => target.Flops) / prediction.LadderFlops:F1}×", $"that of the ladder, {Quantity.Flops(prediction.LadderFlops)}"),
        ]);
        yield return new ReportTable(
            "Losses in nats a token. The first law of each target is the headline, which was settled before any run; intervals are of one run: the uncertainty of the law, and the scatter of runs around it.",
            ["<target", "<law", "predicted", "95 % from", "to", "actual", "error (%)", "<within"],
            [
                .. from target in prediction.Targets
                   let outcome = outcomes.GetValueOrDefault(target.Id)
                   from law in target.Laws
                   select new ReportRow(
                   [
                       law == target.Laws[0] ? target.Name : " ", law.Law, $"{law.LossNats:F4}", Loss(law.Single.Low), Loss(law.Single.High), RunSections.Loss(outcome?.LossNats),
                       outcome is null ? null : Percent(Error(law.LossNats, outcome.LossNats), unit: ""),
                       outcome is null || !double.IsFinite(outcome.LossNats) ? null : law.Single.Contains(outcome.LossNats) ? "yes" : "no",
                   ], Strong: law == target.Laws[0]),
            ]);
        yield return new ReportTable(
            "What was predicted, and its compute over that of the largest run fitted and of the whole ladder.",
            ["<target", "parameters", "non-embedding", "tokens", "operations", "over the largest run", "over the ladder"],
            [
                .. prediction.Targets.Select(target => new ReportRow(
                [
                    target.Name, Quantity.Count(target.Parameters), Quantity.Count(target.NonEmbedding), Quantity.Count(target.Tokens), Quantity.Flops(target.Flops),
                    $"{target.OverLargest:F1}×", $"{target.OverLadder:F2}×",
                ])),
            ]);
        string[] seen = [.. prediction.Targets.Where(target => !target.Blind).Select(target => target.Name)];
        string[] notes =
        [
            .. seen.Length > 0 ? [$"{TunnelPrediction.Named(seen)}: begun before the prediction was written, so no blind test"] : Array.Empty<string>(),
            .. verified.Notes, .. (verified.Check?.Notes ?? []).Except(verified.Notes), .. prediction.Notes,
        ];
        if (notes.Length > 0)
        {
            yield return new ReportNotes(notes);
        }

        string[] places =
        [
            "in prediction.json.sha256", .. verified.Check is null ? Array.Empty<string>() : ["in check.json"],
            .. verified.Recorded.Count > 0 ? [$"in run.json of {TunnelPrediction.Named(verified.Recorded)} since they were started"] : Array.Empty<string>(),
        ];
        yield return new ReportText(
            $"The SHA-256 of prediction.json is the one that stands {string.Join(", ", places)}; the fits have those that stand in the prediction, and the runs are those that it names. Nothing else was verified: whoever can write to all of these files can change them together.");
        yield return new ReportCommand(verified.Sha256);
    }

    private static ReportFigure Curves(string name, Fit fit, Ladder ladder, RunStore store) => new(
        $"law-{name}", FitFigure.Draw(fit, LadderFits.Curves(ladder, store)), "The law through the loss curves of the ladder's runs, from where it was fitted; below, the learning rates that shape them.");

    private static ReportFigure Drawn(string name, Fit fit, TunnelPrediction prediction, Dictionary<string, RunOutcome> outcomes)
    {
        (double[], Prediction, double)[] targets =
        [
            .. from target in prediction.Targets
               from law in target.Laws
               where law.Law == name
               let n = prediction.Count == ParameterCount.All ? target.Parameters : target.NonEmbedding
               select (new double[] { n, target.Tokens }, new Prediction(law.LossNats, law.Mean, law.Single, law.Extrapolation), outcomes.GetValueOrDefault(target.Id)?.LossNats ?? double.NaN),
        ];
        return new ReportFigure($"law-{name}", FitFigure.Draw(fit, targets), "The law through the ladder's final losses, with its band; beyond the shaded range, what it predicts and what came.");
    }

    private static IEnumerable<ReportBlock> Fitted(string name, Fit fit)
    {
        FitQuality quality = fit.Quality;
        string intervals = fit.Bootstrap is null ? "profiles" : $"a bootstrap of {fit.Bootstrap.Length:N0} resamples";
        yield return new ReportTable(
            $"{name}: {fit.Law.Formula}. {Quantity.Of(quality.Rows, "row")}, {Quantity.Of(quality.DegreesOfFreedom, "degree")} of freedom; residuals {(fit.Objective.Log ? $"{quality.ResidualScale:P2}" : $"{quality.ResidualScale:G4}")}; intervals by {intervals}.",
            ["<parameter", "value", "95 % from", "to", "<unit", "<"],
            [
                .. fit.Parameters.Concat(fit.Derived).Select(value => new ReportRow(
                    [value.Name, $"{value.Value:G5}", End(value.Interval?.Low), End(value.Interval?.High), value.Unit.Length > 0 ? value.Unit : " ", value.Pinned ? "held" : value.AtBound ? "at its bound" : " "])),
            ]);
        string[] notes = [.. fit.Warnings, .. fit.Data.Excluded.Select(row => $"left out: {row.Row}: {row.Reason}")];
        if (notes.Length > 0)
        {
            yield return new ReportNotes(notes);
        }
    }

    private static IEnumerable<ReportBlock> Entropy(TunnelCheck? check) => check?.Entropy is not { Count: > 0 } entropy ? [] :
    [
        new ReportTable(
            "The entropy of the generated language is known: what the best possible model would lose on the held-out documents, against the irreducible losses fitted. In nats a token.",
            ["<law", "<parameter", "fitted", "95 % from", "to", "true", "<within"],
            [
                .. entropy.Select(truth => new ReportRow(
                    [truth.Law, truth.Parameter, $"{truth.FittedNats:F4}", End(truth.Interval?.Low), End(truth.Interval?.High), $"{truth.TrueNats:F4}", truth.Inside ? "yes" : "no"])),
            ]),
    ];

    private static IEnumerable<ReportBlock> Rungs(Ladder ladder, RunStore store, Fit? fit)
    {
        if (ladder.Options.Schedule == LadderSchedule.Branches)
        {
            yield return new ReportText(
                $"{Quantity.Of(ladder.Points.Count(), "point")} by cooldowns off {Quantity.Of(ladder.Runs.Count - ladder.Points.Count(), "trunk")}: {Quantity.Flops(ladder.Flops)}, where a whole run to each would take {Quantity.Flops(ladder.HorizonFlops)}.");
        }

        yield return new ReportTable(
            "Every run of the ladder. Multipliers are tokens for each non-embedding parameter; tokens and operations of a branch are its own, without its trunk's.",
            [
                "<run", "<", "non-embedding", "multiplier", "tokens at its end", "own tokens", "own operations", "<status", "loss (nats/token)", .. fit is null ? Array.Empty<string>() : ["law's (nats/token)", "residual (%)"],
            ],
            [
                .. ladder.Runs.Select(run =>
                {
                    RunOutcome? outcome = store.Find(run.Planned);
                    double? law = fit is null || run.Kind == LadderRunKind.Trunk ? null : LadderFits.TryPredict(fit, ladder, run)?.Value;
                    return new ReportRow(
                    [
                        run.Name, run.Kind.ToString().ToLowerInvariant(), Quantity.Count(run.Counts.NonEmbedding), run.Kind == LadderRunKind.Trunk ? null : $"{run.Multiplier:0.###}", Quantity.Count(run.Tokens),
                        Quantity.Count(run.OwnTokens), Quantity.Flops(run.OwnFlops), outcome?.Status.ToString().ToLowerInvariant() ?? "to come", RunSections.Loss(outcome?.LossNats),
                        .. fit is null ? Array.Empty<string?>() : [RunSections.Loss(law), outcome is null || law is null ? null : Percent(Error(law.Value, outcome.LossNats), unit: "")],
                    ]);
                }),
            ]);
    }

    private static double Error(double predicted, double actual) => (predicted - actual) / actual;

    private static string? Percent(double share, string unit = " %") => double.IsFinite(share) ? $"{100 * share:+0.00;−0.00}{unit}" : null;

    private static string? End(double? end) => end is { } value ? Quantity.Limit(value, "G5") : null;

    private static string Range(Interval interval) => $"{Loss(interval.Low)} to {Loss(interval.High)}";

    private static string Loss(double end) => Quantity.Limit(end, "F4");
}
