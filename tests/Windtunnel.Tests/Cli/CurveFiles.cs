using System.Globalization;
using Windtunnel.Laws;
using Windtunnel.Laws.Curves;

namespace Windtunnel.Tests.Cli;

/// <summary>Loss curves of a known annealing law with size, as files.</summary>
internal static class CurveFiles
{
    /// <summary>L0, A, B, C, alpha, beta, gamma.</summary>
    public static double[] Values { get; } = [2, 0.5, 1.5, 0.3, 0.5, 0.3, 0.1];

    /// <summary>A constant rate that falls over the last updates; the first updates rise.</summary>
    public static LearningRateSequence Rates(int last, int decay) =>
        LearningRateSequence.Of(last, step => 0.01 * Math.Min(1, Math.Min(step / 49.0, (last + 1.0 - step) / decay)), warmup: 50);

    /// <summary>Writes step, loss and lr of a model.</summary>
    public static string Write(TemporaryFolder folder, string name, double parameters, int last, int decay, string headings = "step,loss,lr")
    {
        LearningRateSequence rates = Rates(last, decay);
        int[] steps = [.. Enumerable.Range(0, last / 10).Select(i => 60 + (i * 10)).Where(step => step < last), last];
        double[] losses = new AnnealingLaw(Lambda: 0.99, Size: true).Predict(Values, rates, steps, parameters);
        return folder.Write(name, string.Join('\n', [headings, .. steps.Zip(losses, (step, loss) => string.Create(CultureInfo.InvariantCulture, $"{step},{loss:R},{rates[step]:R}"))]) + "\n");
    }
}
