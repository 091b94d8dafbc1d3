using Windtunnel.Laws.Fitting;

namespace Windtunnel.Laws;

/// <summary>What a careful reader of a fit should be told.</summary>
internal static class FitWarnings
{
    public static IEnumerable<string> Of(SeparableProblem problem, FitQuality quality, IReadOnlyList<FittedValue> parameters)
    {
        if (quality.Status != FitStatus.Converged)
        {
            yield return $"the search ended without a minimum ({quality.Status})";
        }

        if (quality.DegreesOfFreedom <= 1)
        {
            yield return quality.DegreesOfFreedom <= 0
                ? "as many parameters as rows: the curve goes through every point, and nothing is left to judge it by"
                : "one degree of freedom: a single other run could move every parameter";
        }

        for (int k = 0; k < parameters.Count; k++)
        {
            FittedValue parameter = parameters[k];
            if (parameter.AtBound)
            {
                yield return parameter.Value == 0
                    ? $"{parameter.Name} is zero: the data want no such term, or less"
                    : $"{parameter.Name} rests on its bound {parameter.Value:G4}";
            }
            else if (parameter is { Pinned: false, Name: "E" or "L0", Interval.Low: 0 })
            {
                yield return $"{parameter.Name} may be zero: the data set no lower limit to the irreducible loss";
            }

            if (parameter.Interval is { } open && (double.IsInfinity(open.Low) || double.IsInfinity(open.High)))
            {
                yield return $"the data set no {(double.IsInfinity(open.High) ? "upper" : "lower")} limit to {parameter.Name}: the valley is flat";
            }
        }

        if (quality.ConditionNumber > 1e4)
        {
            yield return $"flat valley: some combination of parameters is {quality.ConditionNumber:G2} times worse determined than another";
        }

        if (quality.NextMinimum is { } next && quality.Value > 0 && next.Value < 1.05 * quality.Value)
        {
            string values = string.Join(", ", problem.Parameters.Zip(next.Parameters).Select(pair => $"{pair.First.Name} {pair.Second:G4}"));
            yield return $"another minimum is only {(next.Value / quality.Value) - 1:P2} worse: {values}";
        }
    }
}
