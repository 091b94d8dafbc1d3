namespace Windtunnel.Laws.Curves;

/// <summary>A cooldown and the loss it ends at.</summary>
/// <param name="Fraction">Its share of the run.</param>
/// <param name="Loss">The predicted loss after the last update, in nats a token.</param>
public readonly record struct Cooldown(double Fraction, double Loss);

/// <summary>The predicted end loss as a function of how long the cooldown is, within a family of schedules.</summary>
/// <param name="Cooldowns">By ascending fraction.</param>
public sealed record CooldownScan(IReadOnlyList<Cooldown> Cooldowns)
{
    /// <summary>Every percent of the run.</summary>
    public static IReadOnlyList<double> Percents { get; } = [.. Enumerable.Range(0, 101).Select(percent => percent / 100.0)];

    /// <summary>The cooldown that ends lowest; the shortest of equals.</summary>
    public Cooldown Best => Cooldowns.MinBy(cooldown => cooldown.Loss);

    /// <summary>Evaluates a family of schedules. Either law may do so: within a family both predict well.</summary>
    /// <param name="values">All parameters of the law.</param>
    /// <param name="family">The schedule with a cooldown of a given share of the run.</param>
    /// <param name="parameters">Non-embedding parameters, where the law needs them.</param>
    public static CooldownScan Of(
        CurveLaw law, IReadOnlyList<double> values, Func<double, LearningRateSequence> family, IEnumerable<double>? fractions = null, double parameters = double.NaN)
    {
        double[] all = [.. values];
        return new CooldownScan([.. (fractions ?? Percents).Order().Select(fraction => new Cooldown(fraction, law.PredictLast(all, family(fraction), parameters)))]);
    }

    /// <summary>The range of fractions whose end loss is within a margin of the best: inside the noise of seeds the choice is free.</summary>
    /// <param name="margin">In nats; 0.0007 is the spread over seeds that Luo et al. 2025 measured.</param>
    public (double Shortest, double Longest) Within(double margin)
    {
        double highest = Best.Loss + margin;
        Cooldown[] good = [.. Cooldowns.Where(cooldown => cooldown.Loss <= highest)];
        return (good[0].Fraction, good[^1].Fraction);
    }
}
