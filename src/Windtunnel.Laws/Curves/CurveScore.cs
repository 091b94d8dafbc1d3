namespace Windtunnel.Laws.Curves;

/// <summary>How well predicted losses agree with a curve (the measures of Luo et al. 2025).</summary>
/// <param name="R2">1 - sum of squared errors / sum of squared distances of the losses from their mean; NaN where they are all equal.</param>
/// <param name="Mae">Mean absolute error, in nats.</param>
/// <param name="Rmse">Root of the mean squared error, in nats.</param>
/// <param name="PredE">Mean relative error.</param>
/// <param name="WorstE">Highest relative error.</param>
/// <param name="Final">Predicted - observed at the last row, in nats.</param>
public sealed record CurveScore(double R2, double Mae, double Rmse, double PredE, double WorstE, double Final)
{
    /// <summary>Scores a prediction.</summary>
    public static CurveScore Of(IReadOnlyList<double> predicted, IReadOnlyList<double> observed)
    {
        double mean = observed.Average(), squares = 0, distances = 0, absolute = 0, relative = 0, worst = 0;
        for (int row = 0; row < observed.Count; row++)
        {
            double error = Math.Abs(predicted[row] - observed[row]);
            squares += error * error;
            distances += (observed[row] - mean) * (observed[row] - mean);
            absolute += error;
            relative += error / observed[row];
            worst = Math.Max(worst, error / observed[row]);
        }

        int rows = observed.Count;
        return new CurveScore(
            distances > 0 ? 1 - (squares / distances) : double.NaN, absolute / rows, Math.Sqrt(squares / rows), relative / rows, worst, predicted[^1] - observed[^1]);
    }

    /// <summary>The mean of several scores, measure by measure; of <see cref="Final"/>, of its absolute value.</summary>
    public static CurveScore Mean(IReadOnlyList<CurveScore> scores) => new(
        scores.Average(score => score.R2), scores.Average(score => score.Mae), scores.Average(score => score.Rmse),
        scores.Average(score => score.PredE), scores.Average(score => score.WorstE), scores.Average(score => Math.Abs(score.Final)));
}
