using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Laws;

/// <summary>A row that a back-test hid, and what the law made of it.</summary>
/// <param name="Row">How messages name the row.</param>
/// <param name="Predicted">From the rows that were not hidden.</param>
/// <param name="Actual">What was observed.</param>
public sealed record BackTestRow(string Row, Prediction Predicted, double Actual)
{
    /// <summary>Predicted less actual, as a share of the actual.</summary>
    public double RelativeError => (Predicted.Value - Actual) / Actual;
}

/// <summary>Hides the largest rungs of a ladder, fits the rest, and predicts what was hidden: the only honest score of an extrapolation.</summary>
/// <param name="Rungs">The hidden values of the law's first input, that of the largest model first.</param>
/// <param name="Fit">Of the rows that were left.</param>
/// <param name="Rows">Every hidden row.</param>
public sealed record BackTest(IReadOnlyList<double> Rungs, Fit Fit, IReadOnlyList<BackTestRow> Rows)
{
    /// <summary>Mean of the absolute relative errors.</summary>
    public double MeanError => Rows.Average(row => Math.Abs(row.RelativeError));

    /// <summary>The largest absolute relative error.</summary>
    public double WorstError => Rows.Max(row => Math.Abs(row.RelativeError));

    /// <summary>The share of hidden rows inside their 95 % interval of a single run.</summary>
    public double Coverage => Rows.Average(row => row.Predicted.Single.Contains(row.Actual) ? 1 : 0);

    /// <summary>Runs a back-test.</summary>
    /// <param name="hidden">How many values of the law's first input to hide: the largest, or the smallest where it falls with size.</param>
    /// <exception cref="ValidationException">Too little is left to fit.</exception>
    public static BackTest Run(PointLaw law, Observations data, int hidden, FitSettings? settings = null)
    {
        int width = law.Inputs.Count;
        IEnumerable<double> values = data.Inputs.Where((_, index) => index % width == 0).Distinct();
        double[] rungs = [.. law.FirstInputFallsWithSize ? values.Order() : values.OrderDescending()];
        if (hidden < 1 || hidden >= rungs.Length)
        {
            throw new ValidationException($"back-test: can hide 1 to {rungs.Length - 1} of the {rungs.Length} values of {law.Inputs[0].Name}, not {hidden}");
        }

        HashSet<double> far = [.. rungs[..hidden]];
        ILookup<bool, int> rows = Enumerable.Range(0, data.Observed.Length).ToLookup(row => far.Contains(data.Inputs[row * width]));
        Fit fit = Fit.Of(law, Select(data, width, rows[false]), settings);
        FitPredictor predictor = new(fit);
        return new BackTest(rungs[..hidden], fit, [.. rows[true].Select(row => new BackTestRow(
            data.Labels[row], predictor.At(data.Inputs[(row * width)..((row + 1) * width)]), data.Observed[row]))]);
    }

    private static Observations Select(Observations data, int width, IEnumerable<int> rows)
    {
        int[] kept = [.. rows];
        return data with
        {
            Labels = [.. kept.Select(row => data.Labels[row])],
            Inputs = [.. kept.SelectMany(row => data.Inputs[(row * width)..((row + 1) * width)])],
            Observed = [.. kept.Select(row => data.Observed[row])],
        };
    }
}
