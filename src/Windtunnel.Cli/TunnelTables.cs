using Windtunnel.Experiments;
using Windtunnel.Experiments.Ladders;
using Windtunnel.Laws.Fitting;
using Windtunnel.Models;
using Windtunnel.Tensors.Backends.Cpu;
using Windtunnel.Training;

namespace Windtunnel.Cli;

/// <summary>What a ladder will take, what it predicts, and what came.</summary>
internal static class TunnelTables
{
    // Models this small spend most of a step on other things than matrix products.
    private const double Utilisation = 0.25;

    /// <summary>Every run with all that follows from the file, and the sums.</summary>
    public static void WritePlan(Ladder ladder, RunStore store, int workers)
    {
        double peak = MachinePeak.FlopsPerSecond(1, rounds: 3);
        TextTable table = new("<run", "layers", "width", "heads", "ffn", "vocab", "N", "batch", "rate", "from step", "to", "tokens", "epochs", "FLOP", "memory", "time");
        foreach (LadderRun run in ladder.Runs.Concat(ladder.Targets))
        {
            ModelDimensions model = run.Resolved.Model.Dimensions;
            table.Add(
                run.Name, $"{model.Layers}", $"{model.Width}", $"{model.Heads}", $"{model.FeedForward}", $"{model.Vocabulary}", $"{run.Counts.NonEmbedding:N0}",
                $"{run.Resolved.Training.BatchSize} x {run.Resolved.Training.SequenceLength}", $"{run.Resolved.Optimizer.LearningRate:0.###e+0}", $"{run.Planned.TrunkStep:N0}", $"{run.Steps:N0}",
                Quantity.Count(run.OwnTokens), $"{run.Tokens / (double)store.TrainingTokensOf(run.Planned):0.0#}", Quantity.Flops(run.OwnFlops), Quantity.Bytes(RunEstimate.Of(run.Resolved).Memory.Total), Time(run.OwnFlops));
        }

        table.Write();
        Console.WriteLine();
        Console.WriteLine(
            $"ladder    {Quantity.Of(ladder.Runs.Count, "run")} for {Quantity.Of(ladder.Points.Count(), "point")}: {Quantity.Flops(ladder.Flops)}, {Time(ladder.Flops / workers)} on {Quantity.Of(workers, "worker")}; "
            + $"whole runs to the same points: {Quantity.Flops(ladder.HorizonFlops)}, {ladder.HorizonFlops / ladder.Flops:0.00} times as much");
        if (ladder.Targets.Count > 0)
        {
            double largest = ladder.Targets.Max(run => run.Flops), sum = ladder.Targets.Sum(run => run.Flops);
            Console.WriteLine(
                $"targets   {Quantity.Of(ladder.Targets.Count, "run")}: {Quantity.Flops(sum)}, {Time(sum / workers)}; the largest takes {largest / ladder.Points.Max(run => run.Flops):0.0} times the largest point, "
                + $"{largest / ladder.Flops:0.0} times the whole ladder");
        }

        Console.WriteLine($"headline  {ladder.Headline}{string.Concat((ladder.Options.Hold ?? []).Select(held => $", {held.Key} held at {held.Value}"))}");
        Console.WriteLine($"Times are at {Utilisation:P0} of the {Quantity.Flops(peak)}/s measured on one core; N is without embeddings, a batch is sequences x tokens; epochs are those at a run's end, its trunk's included.");

        string Time(double flops) => Quantity.Time(flops / peak / Utilisation);
    }

    /// <summary>What each law says of each target.</summary>
    public static void Write(TunnelPrediction prediction, string path, string sha256)
    {
        Console.WriteLine();
        Console.WriteLine($"predicted from {Quantity.Of(prediction.Runs.Count, "run")}, before the targets are trained; the headline is {prediction.Headline}");
        TextTable table = new("<target", "N", "tokens", "x largest", "x ladder", "<law", "loss", "95 % from", "to", "x outside");
        foreach (PredictedTarget target in prediction.Targets)
        {
            foreach (PredictedLoss law in target.Laws)
            {
                table.Add(
                    target.Name, Quantity.Count(target.NonEmbedding), Quantity.Count(target.Tokens), $"{target.OverLargest:0.0}", $"{target.OverLadder:0.00}", law.Law,
                    FitReport.Value(law.LossNats), FitReport.End(law.Single.Low), FitReport.End(law.Single.High), $"{law.Extrapolation:0.0}");
            }
        }

        table.Write();
        FitReport.WriteWarnings(
        [
            .. prediction.Fits.SelectMany(fit => fit.Warnings.Select(warning => $"{fit.Law}: {warning}")), .. prediction.Notes,
            .. prediction.Targets.Where(target => !target.Blind).Select(target => target.Name).ToArray() is { Length: > 0 } seen
                ? [$"{TunnelPrediction.Named(seen)}: there before this was written, so what is said of it is no prediction"] : Array.Empty<string>(),
        ]);
        Console.WriteLine($"written: {path}, SHA-256 {sha256}");
    }

    /// <summary>The losses so far, beside what the headline says of them.</summary>
    public static void Write(LadderResults results, Ladder ladder)
    {
        Console.WriteLine();
        TextTable table = new("<run", "<", "N", "multiplier", "tokens", "FLOP", "loss", ladder.Headline, "error");
        foreach (LadderResult row in results.Rows.Where(row => row.Outcome is not null))
        {
            bool ended = double.IsFinite(row.Outcome!.LossNats);
            table.Add(
                row.Run.Name, row.Kind, Quantity.Count(row.Run.Counts.NonEmbedding), $"{row.Run.Multiplier:0.###}", Quantity.Count(row.Run.Tokens), Quantity.Flops(row.Run.Flops),
                ended ? FitReport.Value(row.Outcome.LossNats) : "diverged", row.PredictedNats is { } law ? FitReport.Value(law) : null,
                ended && row.PredictedNats is { } predicted ? FitReport.Deviation((predicted - row.Outcome.LossNats) / row.Outcome.LossNats) : null);
        }

        table.Write();
        Console.WriteLine($"{results.Rows.Count(row => row.Outcome is not null)} of {Quantity.Of(results.Rows.Count, "run")} have ended; {ladder.Headline} is {(results.Rows.Any(row => row.PredictedNats is not null) ? "fitted" : "not fitted yet")}");
    }

    /// <summary>Predicted against actual.</summary>
    public static void Write(TunnelCheck check)
    {
        Console.WriteLine();
        TextTable table = new("<target", "<law", "predicted", "95 % from", "to", "actual", "error", "<inside");
        foreach (CheckedTarget target in check.Targets)
        {
            foreach (CheckedLoss law in target.Laws)
            {
                bool ended = double.IsFinite(target.LossNats);
                table.Add(
                    target.Name, law.Law, FitReport.Value(law.PredictedNats), FitReport.End(law.Single.Low), FitReport.End(law.Single.High),
                    ended ? FitReport.Value(target.LossNats) : "diverged", ended ? FitReport.Deviation(law.RelativeError) : null, ended ? law.Inside ? "yes" : "no" : null);
            }
        }

        table.Write();
        foreach (EntropyCheck entropy in check.Entropy)
        {
            string interval = entropy.Interval is Interval known ? $"95 % {FitReport.End(known.Low)} to {FitReport.End(known.High)}" : "no interval";
            Console.WriteLine(
                $"{entropy.Law}: {entropy.Parameter} = {FitReport.Value(entropy.FittedNats)} nats/token ({interval}); the language's entropy is {FitReport.Value(entropy.TrueNats)}, "
                + (entropy.Inside ? "inside" : "outside"));
        }

        FitReport.WriteWarnings(check.Notes ?? []);
        Console.WriteLine($"prediction {check.PredictionSha256}");
    }
}
