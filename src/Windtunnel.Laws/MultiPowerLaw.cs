using System.ComponentModel.DataAnnotations;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
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
        Drops drops = new DropSums(rates, Warmup).Of(steps, Merge);
        return Columns;

        void Columns(ReadOnlySpan<double> shapes, Span<double> columns, Span<double> derivatives)
        {
            Response response = new(shapes[1], Free ? shapes[2] : FixedBeta, Free ? shapes[3] : FixedGamma);
            derivatives.Clear();
            for (int row = 0, drop = 0; row < areas.Length; row++)
            {
                Vector256<double> paid = default, byScale = default, byBeta = default, byGamma = default;
                for (; drop < drops.Ends[row]; drop += Vector256<double>.Count)
                {
                    Vector256<double> size = drops.Size(drop), logRate = drops.LogRate(drop);
                    response.At(logRate, drops.LogArea(drop), out Vector256<double> value, out Vector256<double> slope, out Vector256<double> ofBeta);
                    paid += size * value;
                    byScale += size * slope;
                    byBeta += size * ofBeta;
                    byGamma -= size * slope * logRate;
                }

                Span<double> at = columns.Slice(row * 3, 3);
                at[0] = 1;
                at[1] = PowerColumn.Of(areas[row], shapes[0], out double byAlpha);
                at[2] = -Vector256.Sum(paid);
                if (!derivatives.IsEmpty)
                {
                    Span<double> slopes = derivatives.Slice(row * 3 * shapes.Length, 3 * shapes.Length);
                    slopes[1] = byAlpha;
                    slopes[3 + 2] = -Vector256.Sum(byScale);
                    if (Free)
                    {
                        slopes[6 + 2] = -Vector256.Sum(byBeta);
                        slopes[9 + 2] = -Vector256.Sum(byGamma);
                    }
                }
            }
        }
    }

    /// <summary>G, the share of a drop that has paid off, four drops at a time.</summary>
    internal readonly struct Response(double logScale, double beta, double gamma)
    {
        private readonly Vector256<double> _logScale = Vector256.Create(logScale), _beta = Vector256.Create(beta), _gamma = Vector256.Create(gamma);

        /// <param name="logRate">ln eta_k.</param>
        /// <param name="logArea">ln S_k.</param>
        /// <param name="value">Takes G.</param>
        /// <param name="slope">Takes its derivative by logC, which is also the one by ln S_k.</param>
        /// <param name="byBeta">Takes its derivative by beta.</param>
        public void At(
            Vector256<double> logRate, Vector256<double> logArea, out Vector256<double> value, out Vector256<double> slope, out Vector256<double> byBeta)
        {
            Vector256<double> y = Vector256.Exp(_logScale + logArea - (_gamma * logRate)), u = Vector256<double>.One + y;
            Vector256<double> log = Vector256.Log(u), rest = Vector256.Exp(-_beta * log);
            value = Vector256<double>.One - rest;
            slope = _beta * rest * (y / u);
            byBeta = rest * log;
        }
    }

    /// <summary>
    /// The drops of the rate that each of some steps sees, one or several as one: their size, and the means of ln eta_k and, as its logarithm, of S_k.
    /// </summary>
    internal sealed class Drops
    {
        private readonly List<double> _sizes = [], _logRates = [], _logAreas = [];

        /// <summary>Where the drops of each step end; each starts where the last one ends, on a multiple of the vector's length.</summary>
        public List<int> Ends { get; } = [];

        public Vector256<double> Size(int index) => Four(_sizes, index);

        public Vector256<double> LogRate(int index) => Four(_logRates, index);

        public Vector256<double> LogArea(int index) => Four(_logAreas, index);

        public void Add(double size, double logRate, double logArea)
        {
            _sizes.Add(size);
            _logRates.Add(logRate);
            _logAreas.Add(logArea);
        }

        public void EndStep()
        {
            while (_sizes.Count % Vector256<double>.Count != 0)
            {
                Add(0, 0, 0);
            }

            Ends.Add(_sizes.Count);
        }

        private static Vector256<double> Four(List<double> values, int index) =>
            Vector256.Create<double>(CollectionsMarshal.AsSpan(values).Slice(index, Vector256<double>.Count));
    }

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

        /// <summary>The drops that each of some steps sees.</summary>
        public Drops Of(IReadOnlyList<int> steps, double merge)
        {
            Drops drops = new();
            double[] areas = _rates.Areas(steps, WarmupHandling.Ramp);
            for (int row = 0; row < areas.Length; row++)
            {
                for (int last = Before(steps[row] + 1) - 1; last >= 0;)
                {
                    int length = Math.Max(1, (int)((steps[row] - _steps[last]) * merge));
                    int first = Math.Max(_runs[last], length == 1 ? last : Before(_steps[last] - length + 1));
                    while (Math.Abs(LogRate(_steps[last]) - LogRate(_steps[first])) > merge)
                    {
                        first = (first + last + 1) / 2;
                    }

                    AddMerged(drops, first, last, areas[row]);
                    last = first - 1;
                }

                drops.EndStep();
            }

            return drops;
        }

        private void AddMerged(Drops drops, int first, int last, double area)
        {
            if (first == last)
            {
                drops.Add(_rates.Drop(_steps[first], _warmup), LogRate(_steps[first]), Math.Log(area - _before[first]));
                return;
            }

            double size = _sums[last + 1].Size - _sums[first].Size;
            double logRate = (_sums[last + 1].LogRate - _sums[first].LogRate) / size, before = (_sums[last + 1].Area - _sums[first].Area) / size;
            drops.Add(size, logRate, Math.Log(area - Math.Clamp(before, _before[first], _before[last])));
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
