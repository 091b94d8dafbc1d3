using System.Diagnostics;
using Windtunnel.Laws;
using Windtunnel.Laws.Curves;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Cli;

/// <summary>How long fits take, on synthetic data of the sizes that users have.</summary>
internal static class LawBench
{
    private const int Repeats = 7;

    public static int Run()
    {
        OverTrainingLaw overTraining = new();
        ChinchillaLaw chinchilla = new();
        PointProblem five = Runs(overTraining, 5, 0.01, 1.8, 200, 350, 0.135), many = Runs(chinchilla, 240, 0.005, 1.8, 480, 2100, 0.35, 0.37);
        Fitter fitter = new(many, chinchilla.Objective);
        Optimum best = fitter.Search()[0];
        LossCurve[] curves = [.. Enumerable.Range(0, 40).Select(Curve)];

        TextTable table = new("<fit", "median", "fastest");
        Add("over-training, 5 runs, all starts", () => new Fitter(five, overTraining.Objective).Search());
        Add("chinchilla, 240 runs, all starts", () => fitter.Search());
        Add("its profile intervals", () => Enumerable.Range(0, 5).Select(new ProfileLikelihood(fitter, best).Of).ToArray());
        Add("its bootstrap, 1,000 resamples", () => fitter.Bootstrap(best, 1000, seed: 0));
        Add($"annealing, 40 curves of {curves[0].Steps.Count} losses, {AnnealingLaw.LambdaGrid.Count} lambdas", () => LambdaScan.Of(new AnnealingLaw(), curves));
        table.Write();
        return 0;

        void Add(string name, Func<object> fit)
        {
            fit();
            double[] milliseconds = [.. Enumerable.Range(0, Repeats).Select(_ =>
            {
                long start = Stopwatch.GetTimestamp();
                fit();
                return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }).Order()];
            table.Add(name, $"{milliseconds[Repeats / 2]:0.00} ms", $"{milliseconds[0]:0.00} ms");
        }
    }

    private static PointProblem Runs(PointLaw law, int count, double noise, params double[] truth)
    {
        Random random = new(1);
        double[][] rows = [.. Enumerable.Range(0, count).Select(_ =>
        {
            double n = 1e7 * Math.Pow(1000, random.NextDouble());
            return new[] { n, n * 5 * Math.Pow(64, random.NextDouble()) };
        })];
        return PointProblem.Bind(law, [.. rows.SelectMany(row => row)], [.. rows.Select(row => law.Predict(truth, row) * (1 + (noise * ((2 * random.NextDouble()) - 1))))]);
    }

    // A stable run of 30,000 updates, or one with a cooldown over its last share, with a loss at every 270th.
    private static LossCurve Curve(int index)
    {
        const int Updates = 30_000, Warmup = 300, Every = 270;
        double cooldown = index % 8 / 10.0, peak = 1e-3 * (1 + (index % 3));
        LearningRateSequence rates = LearningRateSequence.OfUpdates(
            Updates, update => peak * Math.Min(1, Math.Min((double)update / Warmup, cooldown == 0 ? 1 : (Updates - update) / (cooldown * Updates))), Warmup);
        AnnealingLaw law = new(0.999);
        int[] steps = [.. Enumerable.Range(1, (Updates / Every) - 1).Select(i => Warmup + (i * Every)).Where(step => step <= Updates)];
        Random random = new(index);
        double[] losses = law.Predict([2.6, 0.5, 0.4, 0.5], rates, steps);
        return LossCurve.Of($"curve {index}", steps.Zip(losses, (step, loss) => (step, loss * (1 + (0.002 * (random.NextDouble() - 0.5))))), rates);
    }
}
