using System.ComponentModel.DataAnnotations;

namespace Windtunnel.Laws.Curves;

/// <summary>How a law of loss curves counts the warm-up.</summary>
public enum WarmupHandling
{
    /// <summary>Rates of the warm-up count as they were in the area under the rate; its rise does not count as annealing.</summary>
    Ramp,

    /// <summary>As if the warm-up had run at the peak, and no annealing (Tissue et al. 2024, section 3.4).</summary>
    Peak,

    /// <summary>The rise counts as annealing with negative sign. The published multi-power-law code fits like this: its L0 is lower by about B times the peak.</summary>
    RampInDrops,
}

/// <summary>
/// The learning rate of every update, from which laws of loss curves derive what they need: areas under the rate, annealing, drops.
/// Entries are rates of steps 0, 1, 2, ...; a loss at step s has seen the entries 0 to s. Laws count in updates: a sequence of every
/// k-th update would be another model.
/// </summary>
public sealed class LearningRateSequence
{
    /// <summary>The longest sequence: 20 million updates.</summary>
    public const int StepsMax = 20_000_000;

    private readonly double[] _rates;

    /// <summary>A sequence of given rates.</summary>
    /// <param name="rates">[step], from step 0; not negative.</param>
    /// <param name="warmup">How many of the first entries rise.</param>
    /// <exception cref="ValidationException">There is no rate, one is negative or not a number, or the warm-up is longer than the sequence.</exception>
    public LearningRateSequence(ReadOnlySpan<double> rates, int warmup = 0)
    {
        _rates = rates.ToArray();
        Warmup = warmup;
        if (_rates.Length is 0 or > StepsMax || warmup < 0 || warmup > _rates.Length)
        {
            throw new ValidationException(
                $"schedule: {_rates.Length} updates, {warmup} of them warm-up; write 1 to {StepsMax} updates and a warm-up that fits in them");
        }

        for (int step = 0; step < _rates.Length; step++)
        {
            if (!(_rates[step] >= 0) || double.IsInfinity(_rates[step]))
            {
                throw new ValidationException($"schedule: the learning rate of step {step} is {_rates[step]}; rates are numbers from zero up");
            }
        }

        Peak = _rates.Take(warmup + 1).Max();
        if (Peak == 0)
        {
            throw new ValidationException("schedule: the learning rate after the warm-up is zero");
        }
    }

    /// <summary>How many of the first entries belong to the warm-up.</summary>
    public int Warmup { get; }

    /// <summary>The last step.</summary>
    public int Last => _rates.Length - 1;

    /// <summary>The rate that the warm-up reaches.</summary>
    public double Peak { get; }

    /// <summary>How many updates lie between the first and the last fall of the rate after the warm-up; zero where it stays constant.</summary>
    public int CooldownSteps
    {
        get
        {
            int first = -1, last = -1;
            for (int step = Warmup; step <= Last; step++)
            {
                if (Drop(step, WarmupHandling.Ramp) > 1e-9 * Peak)
                {
                    (first, last) = (first < 0 ? step : first, step);
                }
            }

            return first < 0 ? 0 : last - first + 1;
        }
    }

    /// <summary>The rate of a step.</summary>
    public double this[int step] => _rates[step];

    /// <summary>The schedule of a run whose updates count from 1, as Windtunnel's do: step 0 is the state before the first update.</summary>
    /// <param name="rate">The rate of an update, 1 to <paramref name="updates"/>.</param>
    /// <param name="warmup">How many of the updates rise.</param>
    public static LearningRateSequence OfUpdates(int updates, Func<int, double> rate, int warmup) =>
        Of(updates, update => update == 0 ? 0 : rate(update), warmup + 1);

    /// <summary>A schedule by formula.</summary>
    /// <param name="last">The last step.</param>
    /// <param name="rate">The rate of a step, 0 to <paramref name="last"/>.</param>
    /// <param name="warmup">How many of the first entries rise.</param>
    public static LearningRateSequence Of(int last, Func<int, double> rate, int warmup)
    {
        RequireLength(last);
        double[] rates = new double[last + 1];
        for (int step = 0; step <= last; step++)
        {
            rates[step] = rate(step);
        }

        return new LearningRateSequence(rates, warmup);
    }

    /// <summary>
    /// A schedule from rates logged at some steps: straight lines between those after the warm-up, the first of them back to its end,
    /// and a straight rise from zero within it. A change between two constant stretches is taken for a jump in the middle of the gap;
    /// where its step matters, give the formula.
    /// </summary>
    /// <param name="steps">Ascending.</param>
    /// <param name="rates">The rate of each of the steps.</param>
    /// <param name="warmup">How many of the first entries rise.</param>
    /// <exception cref="ValidationException">No step lies after the warm-up.</exception>
    public static LearningRateSequence Interpolated(IReadOnlyList<int> steps, IReadOnlyList<double> rates, int warmup)
    {
        int right = 0;
        while (right < steps.Count && steps[right] < warmup)
        {
            right++;
        }

        if (right == steps.Count)
        {
            throw new ValidationException($"schedule: no learning rate is logged after the warm-up of {warmup} steps");
        }

        RequireLength(steps[^1]);
        double[] sequence = new double[steps[^1] + 1];
        for (int step = 0; step < Math.Min(warmup, sequence.Length); step++)
        {
            sequence[step] = rates[right] * step / Math.Max(1, warmup - 1);
        }

        int first = right;
        sequence.AsSpan(warmup..(steps[first] + 1)).Fill(rates[first]);
        for (right++; right < steps.Count; right++)
        {
            int start = steps[right - 1], length = steps[right] - start;
            double before = rates[right - 1], change = rates[right] - before;
            bool jump = (right - 1 == first || rates[right - 2] == before) && right + 1 < steps.Count && rates[right + 1] == rates[right];
            for (int i = 1; i <= length; i++)
            {
                sequence[start + i] = before + (change * (jump ? (2 * i >= length ? 1 : 0) : (double)i / length));
            }
        }

        return new LearningRateSequence(sequence, warmup);
    }

    /// <summary>S1(s) = sum of the rates of steps 0 to s.</summary>
    /// <param name="steps">Where it is wanted; ascending, up to <see cref="Last"/>.</param>
    public double[] Areas(IReadOnlyList<int> steps, WarmupHandling warmup)
    {
        double[] areas = new double[steps.Count];
        double area = 0;
        for (int i = 0, step = 0; i < areas.Length; i++)
        {
            for (; step <= steps[i]; step++)
            {
                area += Rate(step, warmup);
            }

            areas[i] = area;
        }

        return areas;
    }

    /// <summary>
    /// S2(s) = sum of m_i over i up to s, m_i = lambda m_(i-1) + eta_(i-1) - eta_i (Tissue et al. 2024, equation 1): the rate lost so far,
    /// each loss taking effect over the 1/(1 - lambda) updates that follow it.
    /// </summary>
    /// <param name="steps">Where it is wanted; ascending, up to <see cref="Last"/>.</param>
    public double[] Annealing(IReadOnlyList<int> steps, double lambda, WarmupHandling warmup)
    {
        double[] annealing = new double[steps.Count];
        double momentum = 0, sum = 0;
        for (int i = 0, step = 0; i < annealing.Length; i++)
        {
            for (; step <= steps[i]; step++)
            {
                momentum = (lambda * momentum) + Drop(step, warmup);
                sum += momentum;
            }

            annealing[i] = sum;
        }

        return annealing;
    }

    /// <summary>eta_(s-1) - eta_s of a step, zero where the warm-up is not counted.</summary>
    public double Drop(int step, WarmupHandling warmup)
    {
        if (step == 0 || (step < Warmup && warmup != WarmupHandling.RampInDrops))
        {
            return 0;
        }

        // A last rise into the peak still belongs to the warm-up.
        double drop = Rate(step - 1, warmup) - Rate(step, warmup);
        return step == Warmup && warmup != WarmupHandling.RampInDrops ? Math.Max(0, drop) : drop;
    }

    private double Rate(int step, WarmupHandling warmup) => warmup == WarmupHandling.Peak && step < Warmup ? Peak : _rates[step];

    private static void RequireLength(int last)
    {
        if (last is < 0 or >= StepsMax)
        {
            throw new ValidationException($"schedule: {last} is not a last step; steps go from 0 to {StepsMax - 1}");
        }
    }
}
