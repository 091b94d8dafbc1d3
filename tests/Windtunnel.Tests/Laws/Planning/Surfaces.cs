using Windtunnel.Laws;
using Windtunnel.Laws.Fitting;
using Windtunnel.Laws.Planning;

namespace Windtunnel.Tests.Laws.Planning;

/// <summary>Losses of known laws, and fits to rows that follow them.</summary>
internal static class Surfaces
{
    /// <summary>Approach 3 of Hoffmann et al. 2022, as published.</summary>
    public static LossSurface Hoffmann { get; } = new(1.69, 406.4, 0.336, 410.7, 0.283);

    /// <summary>The exact optimum of Besiroglu et al. 2024 on the 240 points.</summary>
    public static LossSurface Besiroglu { get; } = new(1.817218, 477.8259, 0.347310, 2143.417, 0.367172);

    /// <summary>A fit to a grid of runs, 3e17 to 1e20 operations at 2 to 200 tokens a parameter, whose losses are off by half a percent.</summary>
    public static Fit Fit(Law? law = null, string column = "params", double noise = 0.005, Objective? objective = null)
    {
        List<double> inputs = [], losses = [];
        foreach (double compute in new[] { 3e17, 1e18, 3e18, 1e19, 3e19, 1e20 })
        {
            foreach (double multiplier in new[] { 2.0, 7, 20, 60, 200 })
            {
                (double n, double d) = OverTrainingLaw.Allocate(compute, multiplier);
                inputs.AddRange([n, d]);
                losses.Add(Besiroglu.At(n, d) * Math.Exp(noise * Math.Sin((7 * losses.Count) + 1)));
            }
        }

        Observations data = new(
            "grid", null, new Dictionary<string, string> { ["n"] = column, ["d"] = "tokens", ["loss"] = "loss" },
            [.. losses.Select((_, row) => $"line {row + 2}")], [.. inputs], [.. losses], []);
        return Windtunnel.Laws.Fit.Of(
            (PointLaw)(law ?? new ChinchillaLaw()), data, new FitSettings(objective ?? new LeastSquaresObjective(Log: true), Intervals: IntervalMethod.None));
    }

    /// <summary>A fit that follows y = f(x) exactly.</summary>
    public static Fit Exact(PointLaw law, string output, string[] columns, IReadOnlyList<double[]> rows, Func<double[], double> value)
    {
        Dictionary<string, string> names = law.Inputs.Zip(columns).ToDictionary(pair => pair.First.Name, pair => pair.Second);
        names[law.Output.Name] = output;
        Observations data = new("exact", null, names, [.. rows.Select((_, row) => $"line {row + 2}")], [.. rows.SelectMany(row => row)], [.. rows.Select(value)], []);
        return Windtunnel.Laws.Fit.Of(law, data, new FitSettings(Intervals: IntervalMethod.None));
    }
}
