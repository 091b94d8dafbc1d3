using System.ComponentModel.DataAnnotations;
using Windtunnel.Laws.Curves;

namespace Windtunnel.Laws;

/// <summary>
/// The multi-power law, L(t) = L0 + A S1(t)^-alpha - B sum_k (eta_(k-1) - eta_k) G(eta_k^-gamma S_k(t)), with G(x) = 1 - (1 + C x)^-beta and
/// S_k(t) the area under the learning rate from step k to t: each drop of the rate pays off as a power law in the area since.
/// </summary>
/// <remarks>
/// C is searched as logC. Beta and gamma are weakly identified: their best fit on a few curves predicts others worse than the fixed
/// values here, and on two curves it degenerates.
/// </remarks>
/// <param name="Free">Whether beta and gamma are fitted, between bounds, instead of fixed at 0.6 and 0.65.</param>
/// <param name="Warmup">How the warm-up counts; parameters published with the law's code need <see cref="WarmupHandling.RampInDrops"/>.</param>
/// <param name="Merge">
/// Neighbouring drops are summed as one while they differ by at most this share in age and in rate; 0 computes each, at a cost in time
/// and memory.
/// </param>
public sealed record MultiPowerLaw(bool Free = false, WarmupHandling Warmup = WarmupHandling.Ramp, double Merge = 0.0625) : CurveLaw
{
    internal const double FixedBeta = 0.6, FixedGamma = 0.65;

    // Rates below this count as this where they are raised to -gamma.
    internal const double RateMin = 1e-10;

    private static readonly Parameter[] s_fixed =
    [
        Parameter.Coefficient("L0", "nats/token"), Parameter.Coefficient("A"), Parameter.Coefficient("B"),
        Parameter.Shape("alpha", 0.01, 3, 0.25, 0.7), Parameter.Shape("logC", -10, 15, -2, 1, 4),
    ];

    private static readonly Parameter[] s_free = [.. s_fixed, Parameter.Shape("beta", 0.05, 1, 0.3, 0.7), Parameter.Shape("gamma", 0, 1, 0.3, 0.7)];

    /// <inheritdoc/>
    public override string Title => "loss curve under any learning-rate schedule, each drop a power law";

    /// <inheritdoc/>
    public override string Formula =>
        "L = L0 + A S1^-alpha - B sum_k (eta_(k-1) - eta_k) (1 - (1 + C eta_k^-gamma S_k)^-beta)" + (Free ? "" : $", beta = {FixedBeta}, gamma = {FixedGamma}");

    /// <inheritdoc/>
    public override string Source => "Luo et al. 2025 (ICLR), equation 2";

    /// <inheritdoc/>
    public override IReadOnlyList<Parameter> Parameters => Free ? s_free : s_fixed;

    /// <inheritdoc/>
    public override IReadOnlyList<DerivedQuantity> Derived => [new("C", "", values => Math.Exp(values[4]))];

    /// <inheritdoc/>
    public override CurveColumns At(LearningRateSequence rates, IReadOnlyList<int> steps, double parameters)
    {
        if (Merge is not (>= 0 and <= 1))
        {
            throw new ValidationException($"law.merge: {Merge} must lie between 0 and 1");
        }

        double[] areas = rates.Areas(steps, Warmup);
        (Drop[] drops, int[] ends) = new DropSums(rates, Warmup).Of(steps, Merge);
        return Columns;

        void Columns(ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives)
        {
            double scale = Math.Exp(shapes[1]), beta = Free ? shapes[2] : FixedBeta, gamma = Free ? shapes[3] : FixedGamma;
            derivatives.Clear();
            for (int row = 0, drop = 0; row < areas.Length; row++)
            {
                Span<double> at = columns.Slice(row * 3, 3);
                at.Clear();
                at[0] = 1;
                at[1] = PowerColumn.Of(areas[row], shapes[0], out double byAlpha);
                double byScale = 0, byBeta = 0, byGamma = 0;
                for (; drop < ends[row]; drop++)
                {
                    (double size, double logRate, double logArea) = drops[drop];
                    Response response = Response.Of(scale * Math.Exp(logArea - (gamma * logRate)), beta);
                    at[2] -= size * response.Value;
                    byScale -= size * response.ByLogScale;
                    byBeta -= size * response.ByBeta;
                    byGamma += size * response.ByLogScale * logRate;
                }

                if (!derivatives.IsEmpty)
                {
                    Span<double> slopes = derivatives.Slice(row * 3 * shapes.Length, 3 * shapes.Length);
                    slopes[1] = byAlpha;
                    slopes[3 + 2] = byScale;
                    if (Free)
                    {
                        slopes[6 + 2] = byBeta;
                        slopes[9 + 2] = byGamma;
                    }
                }
            }
        }
    }

    /// <summary>G at y = C x: the share of a drop that has paid off, with its derivatives by beta and by the logarithm of y.</summary>
    internal readonly record struct Response(double Value, double ByLogScale, double ByBeta)
    {
        public static Response Of(double y, double beta)
        {
            double log = Math.Log(1 + y), rest = Math.Exp(-beta * log);
            return new Response(1 - rest, y > 0 ? beta * rest * (y / (1 + y)) : 0, rest * log);
        }
    }

    /// <summary>One drop of the rate, or several as one: its size, and the means of ln eta_k and, as its logarithm, of S_k.</summary>
    internal readonly record struct Drop(double Size, double LogRate, double LogArea);

    /// <summary>The drops of a sequence as running sums, from which any run of neighbours is one subtraction.</summary>
    internal sealed class DropSums
    {
        private readonly LearningRateSequence _rates;
        private readonly WarmupHandling _warmup;
        private readonly List<int> _steps = [];
        private readonly List<int> _runs = [];
        private readonly List<double> _before = [];
        private readonly List<(double Size, double LogRate, double Area)> _sums = [(0, 0, 0)];

        public DropSums(LearningRateSequence rates, WarmupHandling warmup)
        {
            (_rates, _warmup) = (rates, warmup);
            double area = 0;
            for (int step = 0; step <= rates.Last; step++)
            {
                double size = rates.Drop(step, warmup);
                if (Math.Abs(size) > 1e-14 * rates.Peak)
                {
                    (double Size, double LogRate, double Area) sum = _sums[^1];
                    double previous = _steps.Count > 0 ? sum.Size - _sums[^2].Size : size;
                    _runs.Add(_steps.Count > 0 && previous > 0 == size > 0 ? _runs[^1] : _steps.Count);
                    _steps.Add(step);
                    _before.Add(area);
                    _sums.Add((sum.Size + size, sum.LogRate + (size * LogRate(step)), sum.Area + (size * area)));
                }

                area += rates[step];
            }
        }

        /// <summary>The drops that each of some steps sees, the newest first, and where those of each step end.</summary>
        public (Drop[] Drops, int[] Ends) Of(IReadOnlyList<int> steps, double merge)
        {
            List<Drop> drops = [];
            int[] ends = new int[steps.Count];
            double[] areas = _rates.Areas(steps, WarmupHandling.Ramp);
            for (int row = 0; row < ends.Length; row++)
            {
                for (int last = Before(steps[row] + 1) - 1; last >= 0;)
                {
                    int length = Math.Max(1, (int)((steps[row] - _steps[last]) * merge));
                    int first = Math.Max(_runs[last], length == 1 ? last : Before(_steps[last] - length + 1));
                    while (Math.Abs(LogRate(_steps[last]) - LogRate(_steps[first])) > merge)
                    {
                        first = (first + last + 1) / 2;
                    }

                    drops.Add(Merged(first, last, areas[row]));
                    last = first - 1;
                }

                ends[row] = drops.Count;
            }

            return ([.. drops], ends);
        }

        private Drop Merged(int first, int last, double area)
        {
            if (first == last)
            {
                return new Drop(_rates.Drop(_steps[first], _warmup), LogRate(_steps[first]), Math.Log(area - _before[first]));
            }

            double size = _sums[last + 1].Size - _sums[first].Size;
            double logRate = (_sums[last + 1].LogRate - _sums[first].LogRate) / size, before = (_sums[last + 1].Area - _sums[first].Area) / size;
            return new Drop(size, logRate, Math.Log(area - Math.Clamp(before, _before[first], _before[last])));
        }

        private double LogRate(int step) => Math.Log(Math.Max(RateMin, _rates[step]));

        // How many drops lie before a step.
        private int Before(int step)
        {
            int index = _steps.BinarySearch(step);
            return index >= 0 ? index : ~index;
        }
    }
}
