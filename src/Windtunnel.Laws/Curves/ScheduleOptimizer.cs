using System.ComponentModel.DataAnnotations;
using System.Runtime.Intrinsics;

namespace Windtunnel.Laws.Curves;

/// <summary>A schedule and the loss that a law predicts at its end, in nats a token.</summary>
public sealed record OptimizedSchedule(LearningRateSequence Rates, double Loss);

/// <summary>
/// The schedule with the lowest predicted end loss among all whose rate never rises after the warm-up (Luo et al. 2025, section 5),
/// by the multi-power law. It comes out as a stable part and a convex decay.
/// </summary>
public static class ScheduleOptimizer
{
    // The rate falls linearly within each of so many pieces of equal length; each schedule is the start of the next finer one. Pieces
    // are not single updates: the law credits a whole drop with the low rate after it, and would exploit that with a staircase.
    private static readonly int[] s_pieces = [16, 64, 128];

    // Into how many equal drops the fall of a piece is cut to compute its loss.
    private const int Cuts = 8;

    private const int MaxIterations = 2000;

    // Of the peak: where the rate may end.
    private const double RateMin = 1e-4;

    /// <summary>Optimises what follows the warm-up.</summary>
    /// <param name="law">A multi-power law.</param>
    /// <param name="values">All its parameters.</param>
    /// <param name="schedule">Gives the warm-up, the peak and the length.</param>
    /// <exception cref="ValidationException">The law cannot judge schedules of any form, or nothing follows the warm-up.</exception>
    public static OptimizedSchedule Of(CurveLaw law, IReadOnlyList<double> values, LearningRateSequence schedule)
    {
        if (law is not MultiPowerLaw power)
        {
            throw new ValidationException(
                "schedule: the annealing law must not choose a schedule of free form, since its optimum always holds the peak and then drops to zero "
                + "(Luo et al. 2025, theorem 2); fit the multi-power law, or compare cooldowns of one family");
        }

        int first = schedule.Warmup, steps = schedule.Last + 1 - first;
        if (steps < 2)
        {
            throw new ValidationException($"schedule: {steps} updates after the warm-up leave nothing to optimise");
        }

        double[] x = [1 - RateMin];
        foreach (int pieces in s_pieces)
        {
            x = Minimise(new EndLoss(power, values, schedule, pieces * Cuts), Split(x, pieces));
        }

        double[] levels = new double[x.Length + 1];
        levels[0] = schedule.Peak;
        for (int i = 0; i < x.Length; i++)
        {
            levels[i + 1] = Math.Max(0, levels[i] - (x[i] * schedule.Peak));
        }

        double[] rates = new double[schedule.Last + 1];
        for (int step = 0; step < rates.Length; step++)
        {
            double at = (double)(step - first + 1) / steps * x.Length;
            int piece = Math.Clamp((int)at, 0, x.Length - 1);
            rates[step] = step < first ? schedule[step] : levels[piece] + ((at - piece) * (levels[piece + 1] - levels[piece]));
        }

        LearningRateSequence found = new(rates, first);
        return new OptimizedSchedule(found, law.PredictLast([.. values], found));
    }

    // Spectral projected gradient (Birgin, Martinez and Raydan 2000) over drops x >= 0, as shares of the peak, that sum to at most 1 - RateMin.
    private static double[] Minimise(EndLoss loss, double[] start)
    {
        double[] x = Project(start), gradient = new double[x.Length], next = new double[x.Length], nextGradient = new double[x.Length];
        double value = Evaluate(loss, x, gradient), size = 1;
        Queue<double> recent = new([value]);
        for (int iteration = 0; iteration < MaxIterations; iteration++)
        {
            double[] step = Project([.. x.Zip(gradient, (at, slope) => at - (size * slope))]);
            double slope = 0, longest = 0;
            for (int i = 0; i < x.Length; i++)
            {
                step[i] -= x[i];
                slope += step[i] * gradient[i];
                longest = Math.Max(longest, Math.Abs(step[i]));
            }

            if (slope > -1e-12 || longest < 1e-12)
            {
                break;
            }

            double share = 1, highest = recent.Max(), nextValue;
            while (true)
            {
                for (int i = 0; i < x.Length; i++)
                {
                    next[i] = x[i] + (share * step[i]);
                }

                nextValue = Evaluate(loss, next, nextGradient);
                if (nextValue <= highest + (1e-4 * share * slope) || share < 1e-10)
                {
                    break;
                }

                share /= 2;
            }

            double squares = 0, products = 0;
            for (int i = 0; i < x.Length; i++)
            {
                double moved = next[i] - x[i];
                squares += moved * moved;
                products += moved * (nextGradient[i] - gradient[i]);
            }

            size = products > 0 ? Math.Clamp(squares / products, 1e-8, 1e8) : 1e4;
            (x, next, gradient, nextGradient, value) = (next, x, nextGradient, gradient, nextValue);
            recent.Enqueue(value);
            if (recent.Count > 10)
            {
                recent.Dequeue();
            }
        }

        return x;
    }

    private static double Evaluate(EndLoss loss, double[] x, double[] gradient)
    {
        double[] slopes = new double[x.Length * Cuts];
        double value = loss.Evaluate(Split(x, slopes.Length), slopes);
        for (int i = 0; i < x.Length; i++)
        {
            gradient[i] = slopes.Skip(i * Cuts).Take(Cuts).Average();
        }

        return value;
    }

    // Each drop as several equal ones.
    private static double[] Split(double[] x, int pieces) => [.. Enumerable.Range(0, pieces).Select(i => x[i * x.Length / pieces] * x.Length / pieces)];

    // The nearest point with x >= 0 and a sum of at most 1 - RateMin.
    private static double[] Project(double[] x)
    {
        double excess = x.Sum(value => Math.Max(0, value)) - (1 - RateMin), shift = 0;
        if (excess > 0)
        {
            double sum = 0;
            int count = 0;
            foreach (double value in x.OrderDescending())
            {
                double candidate = (sum + value - (1 - RateMin)) / (count + 1);
                if (value <= candidate)
                {
                    break;
                }

                (sum, count, shift) = (sum + value, count + 1, candidate);
            }
        }

        return [.. x.Select(value => Math.Max(0, value - shift))];
    }

    // The end loss of a schedule of equal steps down, and its gradient by each of them.
    private sealed class EndLoss
    {
        private readonly double _l0, _a, _b, _alpha, _gamma, _peak, _warmupArea, _length;
        private readonly MultiPowerLaw.Response _response;
        private readonly MultiPowerLaw.Drops _ramp;
        private readonly double[] _rates, _areas, _logRates, _logAreas, _values, _slopes;

        public EndLoss(MultiPowerLaw law, IReadOnlyList<double> values, LearningRateSequence schedule, int pieces)
        {
            (_l0, _a, _b, _alpha) = (values[0], values[1], values[2], values[3]);
            _gamma = law.Free ? values[6] : MultiPowerLaw.FixedGamma;
            _response = new MultiPowerLaw.Response(values[4], law.Free ? values[5] : MultiPowerLaw.FixedBeta, _gamma);
            _peak = schedule.Peak;
            int first = schedule.Warmup;
            _length = (double)(schedule.Last + 1 - first) / pieces;
            (_rates, _areas, _logRates, _logAreas) = (new double[pieces], new double[pieces + 1], new double[pieces], new double[pieces]);
            (_values, _slopes) = (new double[pieces], new double[pieces]);
            _warmupArea = first > 0 ? schedule.Areas([first - 1], law.Warmup)[0] : 0;
            _ramp = new MultiPowerLaw.DropSums(schedule, law.Warmup).Of([Math.Max(0, first - 1)], law.Merge);
        }

        /// <param name="x">[piece]: the drop before it, as a share of the peak.</param>
        /// <param name="gradient">[piece]: takes the derivatives.</param>
        public double Evaluate(ReadOnlySpan<double> x, Span<double> gradient)
        {
            int pieces = x.Length;
            double rate = _peak;
            for (int i = 0; i < pieces; i++)
            {
                _rates[i] = rate = Math.Max(rate - (x[i] * _peak), _peak * RateMin / 2);
                _logRates[i] = Math.Log(rate);
            }

            for (int i = pieces - 1; i >= 0; i--)
            {
                _areas[i] = _areas[i + 1] + (_length * _rates[i]);
                _logAreas[i] = Math.Log(_areas[i]);
            }

            for (int i = 0; i < pieces; i += Vector256<double>.Count)
            {
                _response.At(
                    Vector256.Create<double>(_logRates.AsSpan(i)), Vector256.Create<double>(_logAreas.AsSpan(i)),
                    out Vector256<double> value, out Vector256<double> slope, out _);
                value.CopyTo(_values.AsSpan(i));
                slope.CopyTo(_slopes.AsSpan(i));
            }

            double area = _warmupArea + _areas[0], power = Math.Pow(area, -_alpha), loss = _l0 + (_a * power);

            // By the area of the whole run, and by the area from each piece on.
            double byArea = -_alpha * _a * power / area;
            for (int i = 0; i < _ramp.Ends[0]; i += Vector256<double>.Count)
            {
                Vector256<double> since = Vector256.Exp(_ramp.LogArea(i)) + Vector256.Create(_areas[0]);
                _response.At(_ramp.LogRate(i), Vector256.Log(since), out Vector256<double> value, out Vector256<double> slope, out _);
                loss -= _b * Vector256.Sum(_ramp.Size(i) * value);
                byArea -= _b * Vector256.Sum(_ramp.Size(i) * slope / since);
            }

            for (int i = 0; i < pieces; i++)
            {
                double drop = _b * x[i] * _peak, byRate = drop * _slopes[i] * _gamma / _rates[i];
                loss -= drop * _values[i];
                byArea -= drop * _slopes[i] / _areas[i];
                _slopes[i] = byRate + (byArea * _length);
                gradient[i] = -_b * _values[i];
            }

            // A drop lowers its own rate and all later ones.
            double later = 0;
            for (int i = pieces - 1; i >= 0; i--)
            {
                later += _slopes[i];
                gradient[i] = (gradient[i] - later) * _peak;
            }

            return loss;
        }
    }
}
