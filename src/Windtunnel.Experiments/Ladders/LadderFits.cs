using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws;
using Windtunnel.Laws.Curves;
using Windtunnel.Runs;
using Windtunnel.Training;

namespace Windtunnel.Experiments.Ladders;

/// <summary>The laws, fitted to a finished ladder: those of final losses to its points, the annealing law to the curves of all its runs.</summary>
/// <param name="ById">Fits by the law's name, the headline first.</param>
/// <param name="Notes">Which laws could not be fitted and why, one line each.</param>
public sealed record LadderFits(OrderedDictionary<string, Fit> ById, IReadOnlyList<string> Notes)
{
    /// <summary>The law of whole curves.</summary>
    public const string AnnealingName = "annealing";

    private static readonly OrderedDictionary<string, Func<Ladder, Law>> s_laws = new()
    {
        ["chinchilla"] = _ => new ChinchillaLaw(),
        ["over-training"] = _ => new OverTrainingLaw(),
        [AnnealingName] = ladder => new AnnealingLaw(Size: ladder.Runs.DistinctBy(run => run.Counts.NonEmbedding).Count() > 1),
    };

    /// <summary>The names of the laws that are fitted to a ladder.</summary>
    public static IEnumerable<string> Laws => s_laws.Keys;

    /// <summary>The law that the check is about.</summary>
    public static Law Headline(Ladder ladder) => s_laws[ladder.Headline](ladder);

    /// <summary>Fits every law that the ladder is enough for.</summary>
    /// <exception cref="ValidationException">It is not enough for the headline.</exception>
    public static LadderFits Of(Ladder ladder, RunStore store)
    {
        OrderedDictionary<string, Fit> fits = [];
        List<string> notes = [];
        foreach (string law in s_laws.Keys.OrderBy(law => law != ladder.Headline))
        {
            try
            {
                fits.Add(law, Of(s_laws[law](ladder), law == ladder.Headline ? ladder.Options.Hold : null, ladder, store));
            }
            catch (ValidationException error) when (law != ladder.Headline)
            {
                notes.Add($"{law}: {error.Message}");
            }
        }

        return new LadderFits(fits, notes);
    }

    /// <summary>What a fit predicts for a run.</summary>
    /// <exception cref="ValidationException">The fit predicts no loss for such a run.</exception>
    public static Prediction Predict(Fit fit, Ladder ladder, LadderRun run) => fit.Law is CurveLaw
        ? new FitPredictor(fit).Curve(RatesOf(run), [(int)run.Steps], run.Counts.NonEmbedding)[0]
        : !run.HasOwnSchedule ? fit.Predict(run.ParametersBy(ladder.Options.Count), run.Tokens)
        : throw new ValidationException($"{run.Name}: only the {AnnealingName} law predicts losses under a schedule of its own");

    /// <summary>What a fit predicts for a run; null where it predicts no loss for such a run.</summary>
    public static Prediction? TryPredict(Fit fit, Ladder ladder, LadderRun run)
    {
        try
        {
            return Predict(fit, ladder, run);
        }
        catch (ValidationException)
        {
            return null;
        }
    }

    /// <summary>The final losses, by parameters and tokens; those of runs that diverged are left out and listed.</summary>
    public static Observations Points(Ladder ladder, RunStore store)
    {
        ILookup<bool, (LadderRun Run, RunOutcome Outcome)> ended = ladder.Points.Select(run => (Run: run, Outcome: OutcomeOf(run, store)))
            .ToLookup(each => double.IsFinite(each.Outcome.LossNats));
        return new Observations(
            ladder.Name, null,
            new Dictionary<string, string> { ["n"] = ladder.Options.Count == ParameterCount.All ? "params" : "params_non_embedding", ["d"] = "tokens", ["loss"] = "val_loss" },
            [.. ended[true].Select(each => each.Outcome.Id)],
            [.. ended[true].SelectMany(each => new double[] { each.Run.ParametersBy(ladder.Options.Count), each.Run.Tokens })],
            [.. ended[true].Select(each => each.Outcome.LossNats)],
            [.. ended[false].Select(each => new ExcludedRow(each.Outcome.Id, "it diverged"))]);
    }

    /// <summary>The loss curves of the runs that have completed: what laws of curves describe follows the first steep fall, so from half of the shortest run on.</summary>
    internal static IReadOnlyList<LossCurve> Curves(Ladder ladder, RunStore store)
    {
        List<LossCurve> curves = [];
        foreach (IGrouping<(string, ulong), LadderRun> rung in ladder.Runs.GroupBy(run => (run.Size, run.Planned.Config.Seed)))
        {
            int start = (int)(rung.Where(run => run.Kind != LadderRunKind.Trunk).Min(run => run.Steps) / 2);
            curves.AddRange(
                from run in rung
                let outcome = store.Find(run.Planned)
                where outcome?.Status == RunStatus.Completed
                select LossCurve.Read(RunFolder.Open(store.Places.Runs, outcome.Id), rates: RatesOf(run), parameters: run.Counts.NonEmbedding).From(start).Named(run.Name));
        }

        return curves;
    }

    private static Fit Of(Law law, IReadOnlyDictionary<string, double>? hold, Ladder ladder, RunStore store)
    {
        if (law is PointLaw points)
        {
            return Fit.Of(points, Points(ladder, store), new FitSettings(PinnedValues: hold));
        }

        IReadOnlyList<LossCurve> curves = Curves(ladder, store);
        return CurveFit.Of(
            LambdaScan.Of((AnnealingLaw)law, curves).Law, curves, ladder.Name,
            new FitSettings(PinnedValues: hold, Intervals: IntervalMethod.Bootstrap, Replicates: CurveFit.Replicates)).Fit;
    }

    private static RunOutcome OutcomeOf(LadderRun run, RunStore store) =>
        store.Find(run.Planned) ?? throw new InvalidOperationException($"{run.Name} has not been trained");

    private static LearningRateSequence RatesOf(LadderRun run)
    {
        RunConfig config = run.Resolved;
        Training.Schedules.Schedule schedule = config.Schedule.Build(config.TotalSteps, config.Training.TokensAStep);
        return LearningRateSequence.OfUpdates(
            (int)Math.Min(run.Steps, int.MaxValue), update => config.Optimizer.LearningRate * schedule.Factor(update),
            (int)config.Schedule.Warmup.Steps(config.Training.TokensAStep, config.TotalSteps));
    }
}
