using MathNet.Numerics.Random;
using Windtunnel.Experiments.Statistics;
using Windtunnel.Laws;
using Windtunnel.Laws.Fitting;

namespace Windtunnel.Experiments;

/// <summary>How many times as many tokens the tuned baseline needs for the same loss.</summary>
/// <param name="Times">The estimate; infinite where the baseline's law never reaches the loss.</param>
/// <param name="Range">Holds it nineteen times in twenty, for what seeds make uncertain of both; null where their noise is not known.</param>
/// <param name="IsExtrapolated">Whether those tokens lie outside the lengths at which the baseline was run.</param>
public sealed record SpeedupEstimate(double Times, Interval? Range, bool IsExtrapolated);

/// <summary>
/// The tuned baseline's loss over tokens at one size (<see cref="Speedup"/>), with the laws that other seeds might have given: each mean is drawn
/// again from Student's t about it, and the law fitted again.
/// </summary>
public sealed class BaselineCurve
{
    /// <summary>L(R) has three parameters.</summary>
    public const int LengthsMin = 3;

    private const int Replicates = 1000;

    private readonly List<Speedup> _redrawn = [];

    private BaselineCurve(IReadOnlyList<CellResult> cells, Func<CellResult, SeedNoise> noise)
    {
        Law = Over(cell => cell.Mean);
        (Shortest, Longest, IsExact) = (cells.Min(cell => cell.Cell.Ratio), cells.Max(cell => cell.Cell.Ratio), cells.Count == LengthsMin);
        MersenneTwister random = new(0);
        for (int i = 0; i < Replicates && cells.All(cell => noise(cell).IsKnown); i++)
        {
            _redrawn.Add(Over(cell => noise(cell).Redraw(cell.Mean, cell.BestRuns.Count, random)));
        }

        Speedup Over(Func<CellResult, double> mean) => Speedup.Over([.. cells.Select(cell => (cell.Cell.Ratio, mean(cell)))]);
    }

    /// <summary>Through the means.</summary>
    public Speedup Law { get; }

    /// <summary>The least tokens at which the baseline was run, as a multiple of 20 a parameter.</summary>
    public double Shortest { get; }

    /// <summary>The most.</summary>
    public double Longest { get; }

    /// <summary>Whether the law passes through the means, which then can't judge it.</summary>
    public bool IsExact { get; }

    /// <summary>The curve of a baseline; null with fewer than <see cref="LengthsMin"/> lengths.</summary>
    /// <param name="cells">Its searched cells of one size.</param>
    /// <param name="noise">What seeds do to a run of a cell.</param>
    internal static BaselineCurve? Of(IReadOnlyList<CellResult> cells, Func<CellResult, SeedNoise> noise) =>
        cells.Count >= LengthsMin ? new BaselineCurve(cells, noise) : null;

    /// <summary>The speedup of a cell's mean.</summary>
    /// <param name="noise">What seeds do to a run of the cell.</param>
    internal SpeedupEstimate At(CellResult cell, SeedNoise noise)
    {
        double ratio = cell.Cell.Ratio, needed = Law.EffectiveRatio(cell.Mean);
        MersenneTwister random = new(1);
        double[] times = noise.IsKnown ? [.. _redrawn.Select(law => law.At(ratio, noise.Redraw(cell.Mean, cell.BestRuns.Count, random)))] : [];
        return new SpeedupEstimate(needed / ratio, times.Length > 0 ? Interval.OfSample(times, 0.95) : null, !(needed >= Shortest && needed <= Longest));
    }
}
